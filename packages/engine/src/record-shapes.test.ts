import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createEngine } from './machine.ts'
import { decodeRecord, encodeRecord, type LogRecord } from './records.ts'
import { index, rules } from './streams/vocabulary.ts'

type Control = Exclude<LogRecord, { kind: 'events' }>

/** One of each kind, with everything it may hold. */
const samples: readonly Control[] = [
  { kind: 'claim', epoch: 1, instance: 'a', semantics: 1, leaseToken: 't', life: 'l' },
  { kind: 'tick', number: 1, epoch: 1, elapsedMs: 0.5, wallMs: 1_000, back: true },
  { kind: 'attempt', epoch: 1, n: 1, sender: 'i', receiver: 'r', pages: ['p'], digest: 'waited', repeats: '1.1' },
  { kind: 'outcome', epoch: 1, n: 1, receiver: 'r', pages: ['p'], result: 'failed', detail: 'd', retryAtMs: 5 },
  { kind: 'command', id: 'c', name: 'drill', who: 'me', from: 'here', why: 'so', arguments: { receiver: 'r', n: 1 } },
  { kind: 'rules', hash: 'h', settings: {}, semantics: 1, bundle: new Uint8Array([1, 2]) },
  {
    kind: 'checkpoint',
    epoch: 1,
    tick: 20,
    offset: 3,
    input: 'i',
    decisions: 'd',
    state: 's',
    parts: 'p',
    openPages: 0,
  },
  { kind: 'skip', offset: 0, event: -1, branch: '' },
  { kind: 'flowed-through', sink: 's', begun: 4, position: 2 },
]
const mayLack = new Set([
  'leaseToken',
  'sender',
  'life',
  'back',
  'digest',
  'repeats',
  'detail',
  'retryAtMs',
  'state',
  'parts',
])
/** None of these is what any field may hold but a few, which are left out below. */
const wrong: readonly unknown[] = [null, [], [1], {}, -2, 0.1, 'x', '', true, Number.MAX_VALUE]

/** A record's bytes with another header. */
function withHeader(record: Control, header: string): Uint8Array {
  const whole = encodeRecord(record)
  const json = new TextEncoder().encode(header)
  const bytes = new Uint8Array(6 + json.length)
  bytes.set(whole.subarray(0, 2))
  new DataView(bytes.buffer).setUint32(2, json.length)
  bytes.set(json, 6)
  return bytes
}

/** Every record that has one field missing or of another type, and headers that are none. */
function* malformed(): Generator<readonly [what: string, bytes: Uint8Array]> {
  for (const record of samples) {
    const { kind, ...header } = record
    if ('bundle' in header) delete (header as { bundle?: unknown }).bundle
    for (const text of ['', '{', 'null', '[]', '7', '"text"']) yield [`${kind} ${text}`, withHeader(record, text)]
    for (const [name, value] of Object.entries(header)) {
      const { [name]: _, ...less } = header as Record<string, unknown>
      if (!mayLack.has(name)) yield [`${kind} without ${name}`, withHeader(record, JSON.stringify(less))]
      for (const other of wrong) {
        if (isLike(other, value)) continue
        const text = JSON.stringify({ ...header, [name]: other })
        yield [`${kind} ${name} ${JSON.stringify(other)}`, withHeader(record, text)]
      }
    }
  }
}

/** Whether a value may pass for another: of its type, as far as types go here. */
function isLike(other: unknown, value: unknown): boolean {
  if (typeof value === 'object' && !Array.isArray(value)) return JSON.stringify(other) === '{}' || value === other
  return typeof other === typeof value && typeof value !== 'object'
}

describe('control records that parse and say nothing', () => {
  it('what is whole is decoded as it was', () => {
    for (const record of samples) assert.deepEqual(decodeRecord(encodeRecord(record)), record)
    for (const record of samples) {
      const needed = Object.fromEntries(Object.entries(record).filter(([name]) => !mayLack.has(name)))
      assert.deepEqual(decodeRecord(encodeRecord(needed as unknown as Control)), needed)
    }
  })

  it('a missing field, and one of a wrong type, are refused with the field’s name', () => {
    let tried = 0
    for (const [what, bytes] of malformed()) {
      assert.throws(() => decodeRecord(bytes), { code: 'RECORD_MALFORMED' }, what)
      tried++
    }
    assert.ok(tried > 300, `${tried} tried`)
    const tick = withHeader(samples[1], '{"number":1,"epoch":1,"elapsedMs":"1","wallMs":0}')
    assert.throws(() => decodeRecord(tick), {
      message: 'elapsedMs of a tick record is "1"; it must be a number from 0',
    })
  })

  it('numbers that are none, texts for choices, and a kind of its own are refused or have no say', () => {
    const refused = [
      { ...samples[0], epoch: 1.5 },
      { ...samples[0], epoch: -1 },
      { ...samples[1], elapsedMs: -1 },
      { ...samples[1], wallMs: -1e300 },
      { ...samples[1], wallMs: 1e15 },
      { ...samples[2], pages: [] },
      { ...samples[3], result: 'settled' },
      { ...samples[4], name: 'burn' },
      { ...samples[4], arguments: { list: [] } },
      { ...samples[7], event: -2 },
      { ...samples[8], position: 0.5 },
    ]
    for (const record of refused)
      assert.throws(() => decodeRecord(encodeRecord(record as Control)), { code: 'RECORD_MALFORMED' })
    const { kind: _, ...claim } = samples[0]
    const bytes = withHeader(samples[0], JSON.stringify({ ...claim, kind: 'tick' }))
    assert.equal(decodeRecord(bytes).kind, 'claim')
  })

  it('an offset that the log used for itself is a record without bytes, and decides nothing', () => {
    assert.deepEqual(decodeRecord(new Uint8Array(0)), { kind: 'hole' })
    assert.equal(encodeRecord({ kind: 'hole' }).length, 0)
    const told: string[] = []
    const observer = { onAlarm: (name: string) => told.push(name) }
    const engine = createEngine({ logId: 'log', partition: 0, loadRules: () => rules(index()), observer })
    engine.apply(7, new Uint8Array(0), 0)
    engine.apply(8, encodeRecord({ kind: 'claim', epoch: 1, instance: 'a', semantics: 1 }), 0)
    assert.deepEqual([engine.appliedOffset, engine.ownership?.epoch, told], [8, 1, []])
  })

  it('an engine passes over them, tells of each, and goes on', () => {
    const told: string[] = []
    const engine = createEngine({
      logId: 'log',
      partition: 0,
      loadRules: () => rules(index()),
      observer: { onAlarm: (name) => told.push(name) },
    })
    const claim = encodeRecord({ kind: 'claim', epoch: 1, instance: 'a', semantics: 1 })
    engine.apply(0, claim, 0)
    let offset = 0
    for (const [, bytes] of malformed()) engine.apply(++offset, bytes, 0)
    assert.equal(told.length, offset)
    assert.deepEqual([...new Set(told)], ['record-malformed'])
    assert.deepEqual([engine.ownership?.epoch, engine.lastTick, engine.pendingPages().length], [1, 0, 0])
    engine.apply(++offset, encodeRecord({ kind: 'tick', number: 1, epoch: 1, elapsedMs: 0, wallMs: 1 }), 0)
    assert.equal(engine.lastTick, 1)
  })
})
