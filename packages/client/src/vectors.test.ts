import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { CodecError, cursorToEvent, decodeEvent, decodeMsg, encodeMsg, EventCursor, eventToCursor } from './index.ts'
import { encodeEvent, frame, FrameReader, MsgReader, MsgWriter, SymbolTable, validateMsg } from './index.ts'
import type { Event, Msg } from './index.ts'

/* Recorded behaviour of Riemann 0.3.12; the format is described in packages/testkit/vectors/README.md. */
interface Case {
  id: string
  kind: 'decode' | 'encode' | 'bytes' | 'exchange'
  about: string
  hex: string
  type?: 'Event' | 'Msg'
  event?: Record<string, unknown>
  msg?: { ok?: boolean; error?: string; query?: string; events: Record<string, unknown>[] }
  wire?: { attributes?: [string, string][] }
  throws?: string
  steps?: { send: string; reply: string; replyMsg: Case['msg'] }[]
}
const cases: Case[] = JSON.parse(readFileSync('packages/testkit/vectors/codec.json', 'utf8'))

test('there are cases of every kind', () => {
  assert.ok(cases.length >= 90)
  for (const kind of ['decode', 'encode', 'bytes', 'exchange']) assert.ok(cases.some((c) => c.kind === kind))
})

for (const c of cases) {
  test(`${c.id}: ${c.about}`, () => {
    if (c.kind === 'encode') return checkEncode(c)
    if (c.kind === 'exchange') return c.steps!.forEach(checkStep)
    const bytes = fromHex(c.hex)
    if (c.type === 'Msg') {
      if (c.throws !== undefined) return assertMalformed(bytes)
      assert.deepEqual(decodeMsg(bytes), msgOf(c.msg!))
      assert.deepEqual(readByIds(bytes), msgOf(c.msg!))
      return
    }
    const msg = wrapped(bytes)
    if (c.throws !== undefined) {
      assert.throws(() => decodeEvent(bytes), CodecError)
      return assertMalformed(msg)
    }
    const expected = eventOf(c.event!)
    assert.deepEqual(decodeEvent(bytes), expected)
    assert.deepEqual(readByIds(msg), { events: [expected] })
    assert.equal(validateMsg(msg), 1)
  })
}

function checkEncode(c: Case): void {
  if (c.throws !== undefined) {
    const event = { ...c.event } as Event
    assert.throws(() => encodeMsg({ events: [event] }), { name: 'CodecError', code: 'UNENCODABLE' })
    return
  }
  const event = eventOf(c.event!, c.wire!.attributes)
  const expected = toHex(wrapped(fromHex(c.hex)))
  assert.equal(toHex(encodeMsg({ events: [event] })), expected)
  const table = new SymbolTable()
  const cursor = new EventCursor()
  const writer = new MsgWriter()
  assert.ok(eventToCursor(event, table, cursor))
  encodeEvent(cursor, table, writer)
  assert.equal(toHex(writer.finish()), expected)
}

/** What the server must do is its own test's matter; here the bytes of both directions are read, and the answer's written. */
function checkStep(step: { send: string; reply: string; replyMsg: Case['msg'] }): void {
  const frames = new FrameReader()
  frames.push(fromHex(step.send))
  const request = frames.next()!
  assert.ok(validateMsg(request) >= 0)
  assert.equal(toHex(frame(encodeMsg(decodeMsg(request)))), toHex(frame(encodeMsg(readByIds(request)))))
  frames.push(fromHex(step.reply))
  const reply = frames.next()!
  assert.deepEqual(decodeMsg(reply), msgOf(step.replyMsg!))
  assert.equal(toHex(frame(encodeMsg(decodeMsg(reply)))), step.reply)
}

function readByIds(bytes: Uint8Array): Msg {
  const reader = new MsgReader()
  const table = new SymbolTable()
  const cursor = new EventCursor()
  reader.open(bytes)
  const events: Event[] = []
  while (reader.next(cursor, table)) events.push(cursorToEvent(cursor, table))
  assert.equal(events.length, reader.eventCount)
  const { ok, error, query } = reader
  return { ...defined({ ok, error, query }), ...(events.length > 0 ? { events } : {}) }
}

function assertMalformed(bytes: Uint8Array): void {
  assert.throws(() => decodeMsg(bytes), CodecError)
  assert.throws(() => readByIds(bytes), CodecError)
  assert.throws(() => validateMsg(bytes), CodecError)
}

function msgOf({ events, ...rest }: NonNullable<Case['msg']>): Msg {
  return events.length === 0 ? rest : { ...rest, events: events.map((event) => eventOf(event)) }
}

/** An event of the vectors' notation; attributes that are no text there are what Riemann wrote for them. */
function eventOf(raw: Record<string, unknown>, attributes?: [string, string][]): Event {
  const { metric, time, ttl, tags, ...rest } = raw
  const double = typeof metric === 'object' && metric !== null && 'd' in metric
  return defined({
    ...rest,
    attributes: attributes === undefined ? raw.attributes : Object.fromEntries(attributes),
    // An empty list of tags is no tags, and "now" is for the server to fill in.
    tags: Array.isArray(tags) && tags.length === 0 ? undefined : tags,
    time: time === 'now' ? undefined : number(time),
    ttl: number(ttl),
    metric: number(metric),
    metricType: double && Number.isInteger(number(metric)) ? 'double' : undefined,
  }) as Event
}

function number(value: unknown): number | bigint | undefined {
  if (value === undefined || typeof value === 'number') return value
  const tagged = value as { d?: number | string; n?: string; long?: string; ratio?: [number, number] }
  if (tagged.d !== undefined) return Number(tagged.d)
  if (tagged.ratio !== undefined) return tagged.ratio[0] / tagged.ratio[1]
  return BigInt(tagged.n ?? tagged.long!)
}

function defined<T extends object>(object: T): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T
}

function wrapped(event: Uint8Array): Uint8Array {
  const writer = new MsgWriter()
  writer.rawEvent(event, 0, event.length)
  return writer.finish()
}

function fromHex(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'))
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
