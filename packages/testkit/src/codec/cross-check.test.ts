import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  cursorToEvent,
  decodeMsg,
  encodeEvent,
  encodeMsg,
  EventCursor,
  eventToCursor,
  MsgPeek,
  MsgReader,
  MsgWriter,
  SymbolTable,
  validateMsg,
  type Event,
  type Msg,
} from '@ricci/client'
import { bufbuildMsg, referenceEncode, referenceMsg, type WireEvent, type WireMsg } from './reference.ts'

/* Our codec against protobufjs, in both directions, over generated messages; the model of Riemann's rules is written here anew. */

const text = fc.oneof(
  fc.constantFrom('', 'ok', 'cpu', 'host-1', 'a', 'é', '辻斬', '😀', '\ufeffbom', 'x'.repeat(127), 'x'.repeat(128)),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'binary', minLength: 120, maxLength: 300 }),
)
const attributeName = fc.oneof(
  { weight: 3, arbitrary: text },
  { weight: 1, arbitrary: fc.constantFrom('host', 'service', 'state', 'description', 'tags', 'time', 'ttl', 'metric') },
  { weight: 1, arbitrary: fc.constantFrom('cluster', '__proto__', 'constructor', '1', '0') },
)
const integer = fc.oneof(fc.integer(), fc.maxSafeInteger(), fc.constantFrom(0, -1, 2 ** 31, -(2 ** 31), 2 ** 53 - 1))
const double = fc.double()
const float = fc.float()

/** Shrinking long texts takes minutes; a smaller counterexample after 20 s is as good as the smallest. */
const check: typeof fc.assert = (property, options) =>
  fc.assert(property, { ...options, interruptAfterTimeLimit: 20_000 }) as never

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 3 })
const wireEvent: fc.Arbitrary<WireEvent> = fc
  .record({
    time: optional(integer),
    state: optional(text),
    service: optional(text),
    host: optional(text),
    description: optional(text),
    tags: fc.array(text, { maxLength: 4 }),
    ttl: optional(float),
    attributes: fc.array(fc.record({ key: attributeName, value: optional(text) }), { maxLength: 4 }),
    timeMicros: optional(integer),
    metricSint64: optional(integer),
    metricD: optional(double),
    metricF: optional(float),
  })
  .map(defined)
const wireMsg: fc.Arbitrary<WireMsg> = fc
  .record({
    ok: optional(fc.boolean()),
    error: optional(text),
    query: optional(fc.record({ string: text })),
    events: fc.array(wireEvent, { maxLength: 6 }),
    mark: optional(
      fc.record({
        producer: fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }),
        incarnation: fc.maxSafeNat(),
        sequence: fc.maxSafeInteger().filter((sequence) => sequence > 0),
        sentAtMs: fc.double({ noNaN: true, noDefaultInfinity: true }),
      }),
    ),
  })
  .map(defined)

test('what protobufjs writes we read, as objects and as ids, by Riemann’s rules', () => {
  // One reader and table over all runs: no message may leave anything behind for the next.
  const reader = new MsgReader()
  const table = new SymbolTable()
  check(
    fc.property(wireMsg, (wire) => {
      const bytes = referenceEncode(wire)
      const expected = expectedMsg(wire)
      assert.deepEqual(decodeMsg(bytes), expected)
      assert.deepEqual(byIds(reader, table, bytes), expected)
      assert.equal(validateMsg(bytes), expected.events?.length ?? 0)
    }),
    { numRuns: 2000 },
  )
})

test('a peek sees the same host, service and attributes', () => {
  const peek = new MsgPeek()
  check(
    fc.property(wireMsg, (wire) => {
      peek.open(referenceEncode(wire))
      for (const event of expectedMsg(wire).events ?? []) {
        assert.ok(peek.next())
        assert.equal(peek.host(), event.host)
        assert.equal(peek.service(), event.service)
        for (const [name, value] of Object.entries(event.attributes ?? {})) assert.equal(peek.attribute(name), value)
        assert.equal(peek.attribute('no such attribute'), undefined)
      }
      assert.ok(!peek.next())
      assert.deepEqual(peek.mark, expectedMsg(wire).mark)
    }),
    { numRuns: 500 },
  )
})

const event: fc.Arbitrary<Event> = fc
  .record({
    host: optional(text),
    service: optional(text),
    state: optional(text),
    description: optional(text),
    tags: optional(fc.uniqueArray(text, { minLength: 1, maxLength: 4 })),
    metric: optional(fc.oneof(integer, double, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }))),
    time: optional(
      fc.oneof(fc.integer({ min: -(2 ** 40), max: 2 ** 40 }), fc.double({ min: -1e10, max: 1e10, noNaN: true })),
    ),
    ttl: optional(float),
    attributes: optional(
      fc.dictionary(
        text.filter((name) => !/^(host|service|state|description|tags|time|ttl|metric)$/.test(name)),
        text,
        { minKeys: 1, maxKeys: 4, noNullPrototype: true },
      ),
    ),
  })
  .map(defined)

test('what we write protobufjs and @bufbuild/protobuf read: the same fields, with Riemann’s additions', () => {
  const bufbuild = bufbuildMsg()
  check(
    fc.property(fc.array(event, { maxLength: 5 }), (events) => {
      const bytes = encodeMsg({ events })
      const { events: read } = referenceMsg.decode(bytes) as unknown as { events: WireEvent[] }
      assert.equal(read.length, events.length)
      events.forEach((event, i) => assert.deepEqual(fieldsOf(read[i]), fieldsWritten(event)))
      bufbuild.decode(bytes)
    }),
    { numRuns: 1000 },
  )
})

test('events survive objects, bytes and ids', () => {
  const table = new SymbolTable()
  const cursor = new EventCursor()
  const writer = new MsgWriter(16)
  const reader = new MsgReader()
  check(
    fc.property(fc.array(event, { maxLength: 5 }), (events) => {
      const msg: Msg = events.length > 0 ? { events: events.map(asRead) } : {}
      const bytes = encodeMsg({ events })
      assert.deepEqual(decodeMsg(bytes), msg)
      assert.deepEqual(byIds(reader, table, bytes), msg)
      for (const event of events) {
        assert.ok(eventToCursor(event, table, cursor))
        encodeEvent(cursor, table, writer)
      }
      assert.deepEqual(decodeMsg(writer.finish()), msg)
    }),
    { numRuns: 1000 },
  )
})

/** Riemann's rules, from `reference`: which number wins, what attributes do. */
function expectedMsg(wire: WireMsg): Msg {
  const events = (wire.events ?? []).map((event) => {
    const { attributes: list = [], ...fields } = event
    const overrides: Record<string, string> = {}
    const attributes = new Map<string, string>()
    for (const { key, value = '' } of list) {
      const name = utf8(key)
      if (['host', 'service', 'state', 'description'].includes(name)) overrides[name] = utf8(value)
      else if (!['tags', 'time', 'ttl', 'metric'].includes(name)) attributes.set(name, utf8(value))
    }
    const metric = fields.metricSint64 ?? fields.metricD ?? fields.metricF
    return defined({
      host: optionally(fields.host),
      service: optionally(fields.service),
      state: optionally(fields.state),
      description: optionally(fields.description),
      ...overrides,
      tags: fields.tags?.length ? [...new Set(fields.tags.map(utf8))] : undefined,
      metric,
      metricType:
        fields.metricSint64 === undefined && Number.isInteger(metric) && Math.abs(Number(metric)) <= 2 ** 53
          ? 'double'
          : undefined,
      time: fields.timeMicros !== undefined ? Number(fields.timeMicros) / 1e6 : (fields.time as number | undefined),
      ttl: fields.ttl,
      attributes: attributes.size > 0 ? objectOf([...attributes]) : undefined,
    }) as Event
  })
  return defined({
    ok: wire.ok,
    error: optionally(wire.error),
    query: wire.query === undefined ? undefined : utf8(wire.query.string ?? ''),
    events: events.length > 0 ? events : undefined,
    mark: wire.mark === undefined ? undefined : { ...wire.mark, producer: utf8(wire.mark.producer ?? '') },
  }) as Msg
}

/** An event as it comes back: float32 for ttl, microseconds cut off, bigints that fit as numbers. */
function asRead(event: Event): Event {
  const { metric, time, ttl } = event
  const value = typeof metric === 'bigint' && metric <= 2n ** 53n && metric >= -(2n ** 53n) ? Number(metric) : metric
  return defined({
    ...event,
    host: optionally(event.host),
    service: optionally(event.service),
    state: optionally(event.state),
    description: optionally(event.description),
    tags: event.tags && [...new Set(event.tags.map(utf8))],
    metric: value,
    metricType: Object.is(value, -0) ? 'double' : undefined,
    time: time === undefined ? undefined : Math.trunc(time * 1e6) / 1e6 + 0,
    ttl: ttl === undefined ? undefined : Math.fround(ttl),
    attributes:
      event.attributes && objectOf(Object.entries(event.attributes).map(([name, value]) => [utf8(name), utf8(value)])),
  }) as Event
}

/** protobufjs gives 64-bit integers as objects of two halves. */
function fieldsOf(read: WireEvent): Record<string, unknown> {
  const fields = Object.entries(defined({ ...read, attributes: undefined }))
  return Object.fromEntries(
    fields.flatMap(([name, value]) => {
      if (name === 'tags' && (value as string[]).length === 0) return []
      return [[name, /^(time|timeMicros|metricSint64)$/.test(name) ? BigInt(String(value)) : value]]
    }),
  )
}

function fieldsWritten(event: Event): Record<string, unknown> {
  const { metric, time, ttl } = event
  const value = Number(metric)
  const isInteger =
    typeof metric === 'bigint' || (Number.isInteger(value) && Math.abs(value) <= 2 ** 53 && !Object.is(value, -0))
  const fits = Math.abs(value) <= 3.4028234663852886e38 || Number.isNaN(value)
  return defined({
    host: optionally(event.host),
    service: optionally(event.service),
    state: optionally(event.state),
    description: optionally(event.description),
    tags: event.tags?.map(utf8),
    ttl: ttl === undefined ? undefined : Math.fround(ttl),
    time: time === undefined ? undefined : BigInt(Math.trunc(time)),
    timeMicros: time === undefined ? undefined : BigInt(Math.trunc(time * 1e6)),
    metricSint64: metric === undefined || !isInteger ? undefined : BigInt(metric),
    metricD: metric === undefined || isInteger ? undefined : value,
    metricF: metric === undefined || !fits ? undefined : Math.fround(value),
  })
}

function byIds(reader: MsgReader, table: SymbolTable, bytes: Uint8Array): Msg {
  const cursor = new EventCursor()
  reader.open(bytes)
  const events: Event[] = []
  while (reader.next(cursor, table)) events.push(cursorToEvent(cursor, table))
  const { ok, error, query, mark } = reader
  return defined({ ok, error, query, events: events.length > 0 ? events : undefined, mark }) as Msg
}

function objectOf(entries: (readonly [string, string])[]): Record<string, string> {
  const object: Record<string, string> = {}
  for (const [name, value] of entries) {
    Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true })
  }
  return object
}

function optionally(value: string | undefined): string | undefined {
  return value === undefined ? undefined : utf8(value)
}

/** A lone surrogate cannot be written as UTF-8. */
function utf8(value: string): string {
  return Buffer.from(value).toString()
}

function defined<T extends object>(object: T): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T
}
