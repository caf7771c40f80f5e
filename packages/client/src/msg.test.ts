import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  decodeMsg,
  defaultLimits,
  encodeMark,
  encodeMsg,
  EventCursor,
  Kind,
  MsgPeek,
  MsgReader,
  MsgWriter,
  readMark,
  SymbolTable,
  validateMsg,
  eventsWithMark,
  withMark,
  type Event,
  type Limits,
  type Msg,
} from './index.ts'

const mark = { producer: 'agent@node-1', incarnation: 2, sequence: 2 ** 40, sentAtMs: 1_795_262_400_123.5 }
const events: Event[] = [
  { host: 'a', service: 's', attributes: { cluster: 'x' } },
  { host: 'b', service: 's', attributes: { cluster: 'y' } },
  { host: 'c', service: 's', attributes: { cluster: 'x' } },
]

test('an answer says whether who gave it drains, in bytes that every reader of the protocol passes over', () => {
  for (const draining of [true, false]) {
    const answer = { ok: true, draining }
    assert.deepEqual(decodeMsg(encodeMsg(answer)), answer)
  }
  // field 1001, a varint
  assert.deepEqual([...encodeMsg({ ok: true, draining: true })], [0x10, 1, 0xc8, 0x3e, 1])
})

test('a mark is put on, replaced and read without touching the rest', () => {
  const plain = encodeMsg({ query: 'true', events })
  assert.equal(readMark(plain), undefined)
  const marked = withMark(plain, mark)
  assert.deepEqual(readMark(marked), mark)
  assert.deepEqual(decodeMsg(marked), { query: 'true', events, mark })
  const other = { ...mark, producer: 'é', sequence: 1 }
  const replaced = withMark(marked, other)
  assert.deepEqual(replaced, withMark(plain, other))
  // Appended as a piece of its own it replaces too: the last one counts.
  assert.deepEqual(readMark(Buffer.concat([marked, encodeMark(other)])), other)
  // And one that another writer put in front is found and taken out.
  const front = Buffer.concat([encodeMark(mark), plain])
  assert.deepEqual(readMark(front), mark)
  assert.deepEqual(withMark(front, other), withMark(plain, other))
  // Who passes events on leaves the query out.
  assert.deepEqual(decodeMsg(eventsWithMark(marked, other)), { events, mark: other })
})

test('a mark may say that its sequence is spread, and says nothing of it where it is not', () => {
  const spread = { ...mark, spread: true }
  const bytes = encodeMsg({ events, mark: spread })
  assert.deepEqual(readMark(bytes), spread)
  assert.deepEqual(decodeMsg(bytes).mark, spread)
  assert.equal(validateMsg(bytes), events.length)
  assert.deepEqual(readMark(withMark(bytes, mark)), mark)
  assert.deepEqual(encodeMark({ ...mark, spread: false }), encodeMark(mark))
})

test('a mark that lacks its producer or its sequence number is refused at intake: all its messages would seem to be repeats', () => {
  for (const [lacking, message] of [
    [{ ...mark, producer: '' }, /names no producer/],
    [{ ...mark, sequence: 0 }, /has no sequence number/],
  ] as const) {
    const bytes = encodeMsg({ events, mark: lacking })
    assert.throws(() => validateMsg(bytes), { code: 'MARK_INCOMPLETE', message })
    assert.deepEqual(readMark(bytes), lacking)
  }
})

test('a mark with a number that is none is not written', () => {
  for (const wrong of [-1, 0.5, NaN, 2 ** 53]) {
    assert.throws(() => encodeMark({ ...mark, sequence: wrong }), { name: 'CodecError', code: 'UNENCODABLE' })
    assert.throws(() => encodeMsg({ mark: { ...mark, incarnation: wrong } }), { code: 'UNENCODABLE' })
  }
})

test('the reader has the mark before any event is decoded', () => {
  const reader = new MsgReader()
  reader.open(withMark(encodeMsg({ ok: true, error: 'e', query: 'q', events }), mark))
  assert.deepEqual(reader.mark, mark)
  assert.deepEqual([reader.ok, reader.error, reader.query, reader.eventCount], [true, 'e', 'q', 3])
  reader.open(new Uint8Array(0))
  assert.deepEqual([reader.ok, reader.error, reader.query, reader.mark], [undefined, undefined, undefined, undefined])
  assert.ok(!reader.next(new EventCursor(), new SymbolTable()))
})

test('fields of tags and attributes that stand apart are read as one run each', () => {
  const scattered = '3a0161 1a0173 4a0a0a026463120466726131 3a0162 4a080a0461626364120 0'.replaceAll(' ', '')
  const event = new Uint8Array(Buffer.from(scattered, 'hex'))
  const writer = new MsgWriter()
  writer.rawEvent(event, 0, event.length)
  writer.rawEvent(event, 0, event.length)
  const bytes = writer.finish()
  const expected = { service: 's', tags: ['a', 'b'], attributes: { dc: 'fra1', abcd: '' } }
  assert.deepEqual(decodeMsg(bytes), { events: [expected, expected] })
  assert.equal(validateMsg(bytes), 2)
  const table = new SymbolTable()
  const reader = new MsgReader()
  const cursor = new EventCursor()
  reader.open(bytes)
  for (let i = 0; i < 2; i++) {
    assert.ok(reader.next(cursor, table))
    assert.deepEqual(
      [...table.tagsOf(cursor.tags)].map((id) => table.text(id)),
      ['a', 'b'],
    )
    assert.equal(table.text(cursor.service), 's')
  }
  assert.ok(!reader.next(cursor, table))
})

test('a tag of more bytes than it needs is the same field, as in every protobuf library', () => {
  // each stands between two others of its kind, so that the event has to be put in order
  const event = new Uint8Array(
    Buffer.from('3a0161 a2000168 ba000178 3a0162 4a030a0161 ca00030a0162 22016a 4a030a0163'.replaceAll(' ', ''), 'hex'),
  )
  const writer = new MsgWriter()
  writer.rawEvent(event, 0, event.length)
  const bytes = writer.finish()
  assert.equal(validateMsg(bytes), 1)
  const attributes = { a: '', b: '', c: '' }
  assert.deepEqual(decodeMsg(bytes), { events: [{ host: 'j', tags: ['a', 'x', 'b'], attributes }] })
})

const limits: Limits = {
  maxFrameBytes: 1000,
  maxEventsPerMsg: 2,
  maxTagsPerEvent: 2,
  maxAttributesPerEvent: 2,
  maxSymbolBytes: 12,
  maxTextBytes: 20,
  maxQueryBytes: 20,
}
const long = 'x'.repeat(13)
const attributes = (n: number) => Object.fromEntries(Array.from({ length: n }, (_, i) => [`k${i}`, 'v']))
const beyond: [string, string, Msg][] = [
  ['FRAME_TOO_LARGE', 'bytes', { events: [{ description: 'x'.repeat(1000) }] }],
  ['TOO_MANY_EVENTS', 'events', { events: [{}, {}, {}] }],
  ['TOO_MANY_TAGS', 'tags', { events: [{ tags: ['a', 'b', 'c'] }] }],
  ['TOO_MANY_ATTRIBUTES', 'attributes', { events: [{ attributes: attributes(3) }] }],
  ['TEXT_TOO_LONG', 'host', { events: [{ host: long }] }],
  ['TEXT_TOO_LONG', 'service', { events: [{ service: long }] }],
  ['TEXT_TOO_LONG', 'state', { events: [{ state: long }] }],
  ['TEXT_TOO_LONG', 'a tag', { events: [{ tags: ['a', long] }] }],
  ['TEXT_TOO_LONG', 'attribute', { events: [{ attributes: { a: long } }] }],
  ['TEXT_TOO_LONG', 'attribute', { events: [{ attributes: { [long]: 'a' } }] }],
  ['TEXT_TOO_LONG', 'description', { events: [{ description: 'x'.repeat(21) }] }],
  ['TEXT_TOO_LONG', 'description', { events: [{ attributes: { description: 'x'.repeat(21) } }] }],
  ['QUERY_TOO_LONG', 'query', { query: 'x'.repeat(21) }],
  ['TEXT_TOO_LONG', 'error', { error: 'x'.repeat(21) }],
  ['TEXT_TOO_LONG', 'mark', { mark: { ...mark, producer: 'x'.repeat(600) } }],
]
for (const [code, what, msg] of beyond) {
  test(`${code} (${what}) is refused at intake`, () => {
    const bytes = encodeMsg(msg)
    assert.throws(() => validateMsg(bytes, limits), { name: 'CodecError', code, message: new RegExp(what) })
    // They are intake's: whoever decodes trusts who sent it.
    assert.doesNotThrow(() => decodeMsg(bytes))
  })
}

test('what is just within the limits passes', () => {
  const text = 'x'.repeat(12)
  const event = { host: text, service: text, state: text, tags: [text, 'b'], attributes: { a: text, [text]: 'c' } }
  const msg = {
    query: 'x'.repeat(20),
    events: [event, { description: 'x'.repeat(20), attributes: { description: 'x'.repeat(20) } }],
  }
  assert.equal(validateMsg(encodeMsg(msg), limits), 2)
  assert.equal(validateMsg(encodeMsg({ events: Array.from({ length: 50_000 }, () => ({})) })), 50_000)
  assert.equal(defaultLimits.maxEventsPerMsg, 50_000)
})

test('groups are passed over to a depth, and not beyond', () => {
  const nested = (depth: number) => Uint8Array.from([...Array(depth).fill(0x0b), ...Array(depth).fill(0x0c)])
  assert.deepEqual(decodeMsg(nested(100)), {})
  assert.throws(() => decodeMsg(nested(101)), { code: 'MALFORMED' })
  assert.throws(() => decodeMsg(Uint8Array.of(0x0b, 0x14)), { code: 'MALFORMED' })
  assert.throws(() => decodeMsg(Uint8Array.of(0x0c)), { code: 'MALFORMED' })
  assert.throws(() => decodeMsg(Uint8Array.of(0x0b)), { code: 'TRUNCATED' })
})

test('what cannot be written is refused with its reason', () => {
  const unencodable: unknown[] = [
    { metric: '5' },
    { metric: 0.5, metricType: 'int' },
    { host: 5 },
    { attributes: { a: 5 } },
    { time: Infinity },
    { time: NaN },
  ]
  for (const event of unencodable) {
    assert.throws(() => encodeMsg({ events: [event as Event] }), { name: 'CodecError', code: 'UNENCODABLE' })
  }
  // And the next message is not harmed by the half of it that was written.
  assert.deepEqual(decodeMsg(encodeMsg({ events: [{ host: 'a' }] })), { events: [{ host: 'a' }] })
})

test('integers keep their value to the last bit', () => {
  const metrics = [0, -1, 2 ** 30, -(2 ** 30), 2 ** 31, 2 ** 52, -(2 ** 52) - 1, 2 ** 53, 2n ** 53n + 1n, -(2n ** 63n)]
  const msg = { events: metrics.map((metric) => ({ metric })) }
  assert.deepEqual(decodeMsg(encodeMsg(msg)), msg)
})

test('a buffer that is read into again shows what it holds now', () => {
  // A Buffer's slice shares its memory, a Uint8Array's does not: what is remembered of the last text must be a copy.
  const shared = Buffer.from(new ArrayBuffer(200))
  const peek = new MsgPeek()
  for (const name of ['primus', 'second']) {
    const msg = encodeMsg({
      events: [{ host: name, attributes: { cluster: name } }],
      mark: { ...mark, producer: name },
    })
    shared.set(new TextEncoder().encode(name), 0)
    shared.set(msg, 50)
    const bytes = shared.subarray(50, 50 + msg.length)
    assert.equal(readMark(bytes)!.producer, name)
    peek.open(bytes)
    assert.ok(peek.next())
    assert.deepEqual([peek.host(), peek.attribute('cluster')], [name, name])
  }
})

test('an event whose time is beyond the wire is written with the nearest that fits: it must not spoil an answer', () => {
  const cursor = new EventCursor()
  cursor.timeKind = Kind.double
  for (const [time, written] of [
    [Infinity, 2 ** 63 / 1e6],
    [2 ** 63, 2 ** 63 / 1e6],
    [-1e300, -(2 ** 63) / 1e6],
    [NaN, 0],
    [1.5, 1.5],
  ]) {
    cursor.time = time
    const writer = new MsgWriter()
    writer.cursor(cursor, new SymbolTable())
    assert.equal(decodeMsg(writer.finish()).events![0].time, written)
  }
})
