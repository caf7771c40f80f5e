import { AttributeRun, isDropped, TagRun } from './attributes.ts'
import { Kind, type EventCursor } from './cursor.ts'
import { readMarkAt } from './mark.ts'
import { int64At, sint64At } from './numbers.ts'
import { EventScan, MsgTag } from './scan.ts'
import { TextCache, textOf } from './text.ts'
import { MsgWriter } from './writer.ts'
import type { Event, Msg, ProducerMark } from './event.ts'
import type { SymbolTable } from './symbols.ts'

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

const scan = new EventScan()
const tagRun = new TagRun()
const attributeRun = new AttributeRun()
const writer = new MsgWriter(64 * 1024)
const encoder = new TextEncoder()
const texts = new TextCache()

/**
 * The bytes of a Msg, without the length that goes before it on TCP.
 * @throws CodecError `UNENCODABLE` for an event with a metric that is no number, a time beyond int64, an attribute that is no text
 */
export function encodeMsg(msg: Msg): Uint8Array {
  writer.reset()
  writeMsg(msg, writer)
  return writer.finish()
}

/** Writes a Msg's fields into a writer, after what stands there. */
export function writeMsg(msg: Msg, writer: MsgWriter): void {
  if (msg.ok !== undefined) writer.ok(msg.ok)
  if (msg.error !== undefined) writer.error(msg.error)
  if (msg.query !== undefined) writer.query(msg.query)
  if (msg.events !== undefined) for (const event of msg.events) writer.event(event)
  if (msg.mark !== undefined) writer.mark(msg.mark)
  if (msg.draining !== undefined) writer.draining(msg.draining)
}

/** Writes an event of ids as a field of a Msg. */
export function encodeEvent(cursor: EventCursor, table: SymbolTable, writer: MsgWriter): void {
  writer.cursor(cursor, table)
}

/**
 * A Msg for people, as Riemann's own decoder reads it: `metric_sint64` before `metric_d` before `metric_f`, `time_micros` before
 * `time`, attributes named like a field override it or are dropped. An event without a time stays without one.
 * @throws CodecError `TRUNCATED`, `MALFORMED`, `ATTRIBUTE_WITHOUT_KEY`
 */
export function decodeMsg(bytes: Uint8Array): Msg {
  scan.open(bytes)
  const end = bytes.length
  const msg: Mutable<Msg> = {}
  const events: Event[] = []
  while (scan.at < end) {
    const tag = scan.tag(end)
    switch (tag) {
      case MsgTag.event: {
        const length = scan.length(end)
        events.push(decodeEventAt(scan.at, scan.at + length))
        break
      }
      case MsgTag.ok:
        scan.varint64(end)
        msg.ok = (scan.low | scan.high) !== 0
        break
      case MsgTag.error:
        msg.error = takeText(scan.length(end))
        break
      case MsgTag.query:
        msg.query = decodeQuery(scan.length(end), msg.query ?? '')
        break
      case MsgTag.mark:
        msg.mark = decodeMark(scan.length(end))
        break
      case MsgTag.draining:
        scan.varint64(end)
        msg.draining = (scan.low | scan.high) !== 0
        break
      default:
        scan.skipField(tag, end)
    }
  }
  if (events.length > 0) msg.events = events
  return msg
}

/** A single Event, as {@link decodeMsg} reads it. */
export function decodeEvent(bytes: Uint8Array): Event {
  scan.open(bytes)
  return decodeEventAt(0, bytes.length)
}

function decodeMark(length: number): ProducerMark {
  return readMarkAt(scan, scan.at + length)
}

function decodeQuery(length: number, text: string): string {
  const end = scan.at + length
  while (scan.at < end) {
    const tag = scan.tag(end)
    if (tag === 0x0a) text = takeText(scan.length(end))
    else scan.skipField(tag, end)
  }
  return text
}

function takeText(length: number): string {
  const start = scan.at
  scan.at += length
  return textOf(scan.bytes, start, length)
}

function decodeEventAt(start: number, end: number): Event {
  scan.scanEvent(start, end)
  const event: Mutable<Event> = {}
  if (scan.hostLength >= 0) event.host = textAt(scan.hostAt, scan.hostLength)
  if (scan.serviceLength >= 0) event.service = textAt(scan.serviceAt, scan.serviceLength)
  if (scan.stateLength >= 0) event.state = textAt(scan.stateAt, scan.stateLength)
  if (scan.descriptionLength >= 0) event.description = textOf(scan.source, scan.descriptionAt, scan.descriptionLength)
  if (scan.tagCount > 0) event.tags = decodeTags()
  if (scan.sintAt >= 0) event.metric = sint64At(scan, scan.sintAt)
  else if (scan.doubleAt >= 0) setDouble(event, scan.sourceView.getFloat64(scan.doubleAt, true))
  else if (scan.floatAt >= 0) setDouble(event, scan.sourceView.getFloat32(scan.floatAt, true))
  if (scan.microsAt >= 0) event.time = int64At(scan, scan.microsAt) / 1e6
  else if (scan.timeAt >= 0) event.time = int64At(scan, scan.timeAt)
  if (scan.ttlAt >= 0) event.ttl = scan.sourceView.getFloat32(scan.ttlAt, true)
  if (scan.attributeCount > 0) decodeAttributes(event)
  return event
}

function setDouble(event: Mutable<Event>, metric: number): void {
  event.metric = metric
  if (Number.isInteger(metric) && Math.abs(metric) <= 2 ** 53) event.metricType = 'double'
}

/** Tags are a set: a repeat says nothing. */
function decodeTags(): string[] {
  const tags: string[] = []
  tagRun.start(scan.source, scan.sourceView, scan.tagsAt, scan.tagsLength)
  while (tagRun.next()) {
    const tag = textAt(tagRun.tagAt, tagRun.tagLength)
    if (!tags.includes(tag)) tags.push(tag)
  }
  return tags
}

function decodeAttributes(event: Mutable<Event>): void {
  const attributes: Record<string, string> = {}
  let any = false
  attributeRun.start(scan.source, scan.sourceView, scan.attributesAt, scan.attributesLength)
  while (attributeRun.next()) {
    if (attributeRun.isDropped()) continue
    const value = textAt(attributeRun.valueAt, attributeRun.valueLength)
    const field = attributeRun.overrides()
    if (field !== undefined) event[field] = value
    else {
      setAttribute(attributes, textAt(attributeRun.keyAt, attributeRun.keyLength), value)
      any = true
    }
  }
  if (any) event.attributes = attributes
}

/** Names come from the outside: `__proto__` is one like any other. */
function setAttribute(attributes: Record<string, string>, name: string, value: string): void {
  if (name === '__proto__') {
    Object.defineProperty(attributes, name, { value, enumerable: true, configurable: true, writable: true })
  } else attributes[name] = value
}

function textAt(at: number, length: number): string {
  return texts.text(scan.source, scan.sourceView, at, length)
}

/** The event of a cursor for people: what {@link decodeMsg} gives for the same bytes. */
export function cursorToEvent(cursor: EventCursor, table: SymbolTable): Event {
  const event: Mutable<Event> = {}
  if (cursor.host !== 0) event.host = table.text(cursor.host)
  if (cursor.service !== 0) event.service = table.text(cursor.service)
  if (cursor.state !== 0) event.state = table.text(cursor.state)
  if (cursor.descriptionLength >= 0) event.description = descriptionOf(cursor)
  if (cursor.tags !== 0) event.tags = Array.from(table.tagsOf(cursor.tags), (id) => table.text(id))
  if (cursor.metricKind === Kind.big) event.metric = cursor.metricBig
  else if (cursor.metricKind === Kind.int) event.metric = cursor.metric
  else if (cursor.metricKind === Kind.double) setDouble(event, cursor.metric)
  if (cursor.timeKind !== Kind.none) event.time = cursor.time
  if (cursor.ttlKind !== Kind.none) event.ttl = cursor.ttl
  if (cursor.attributes !== 0) {
    const attributes: Record<string, string> = {}
    const pairs = table.attributesOf(cursor.attributes)
    for (let i = 0; i < pairs.length; i += 2) {
      setAttribute(attributes, table.text(pairs[i]), table.text(pairs[i + 1]))
    }
    event.attributes = attributes
  }
  return event
}

/** A cursor's description as text; undefined when it has none. */
export function descriptionOf(cursor: EventCursor): string | undefined {
  const { descriptionBytes, descriptionStart, descriptionLength } = cursor
  if (descriptionLength < 0) return undefined
  return textOf(descriptionBytes, descriptionStart, descriptionLength)
}

/**
 * Puts an event into a cursor, interning its texts: what {@link MsgReader} gives for the event's bytes, but that a whole number
 * of seconds stays an integer. False when the table was full: the cursor lacks at least one text and must not be used.
 */
export function eventToCursor(event: Event, table: SymbolTable, cursor: EventCursor): boolean {
  cursor.clear()
  let full = false
  const intern = (text: string): number => {
    const id = table.internText(text)
    if (id === 0) full = true
    return id
  }
  const { host, service, state, tags, metric, time, ttl } = event
  let { description } = event
  if (host !== undefined) cursor.host = intern(host)
  if (service !== undefined) cursor.service = intern(service)
  if (state !== undefined) cursor.state = intern(state)
  if (tags !== undefined && tags.length > 0) {
    cursor.tags = table.internTags(tags.map(intern))
    if (cursor.tags === 0) full = true
  }
  if (event.attributes !== undefined) {
    const pairs: number[] = []
    for (const [name, value] of Object.entries(event.attributes)) {
      if (isDropped(name) || value === undefined) continue
      if (name === 'host' || name === 'service' || name === 'state') cursor[name] = intern(value)
      else if (name === 'description') description = value
      else pairs.push(intern(name), intern(value))
    }
    cursor.attributes = table.internAttributes(pairs)
    if (cursor.attributes === 0 && pairs.length > 0) full = true
  }
  if (description !== undefined) {
    cursor.descriptionBytes = encoder.encode(description)
    cursor.descriptionStart = 0
    cursor.descriptionLength = cursor.descriptionBytes.length
  }
  if (typeof metric === 'bigint') setBig(cursor, metric)
  else if (metric !== undefined) {
    const int =
      event.metricType !== 'double' && Number.isInteger(metric) && Math.abs(metric) <= 2 ** 53 && !Object.is(metric, -0)
    cursor.metricKind = int ? Kind.int : Kind.double
    cursor.metric = metric
  }
  if (time !== undefined) {
    cursor.timeKind = Number.isInteger(time) ? Kind.int : Kind.double
    cursor.time = time
  }
  if (ttl !== undefined) {
    cursor.ttlKind = Kind.double
    cursor.ttl = Math.fround(ttl)
  }
  return !full
}

function setBig(cursor: EventCursor, metric: bigint): void {
  cursor.metric = Number(metric)
  if (BigInt.asIntN(64, metric) !== metric) cursor.metricKind = Kind.double
  else if (metric <= 2n ** 53n && metric >= -(2n ** 53n)) cursor.metricKind = Kind.int
  else {
    cursor.metricKind = Kind.big
    cursor.metricBig = metric
  }
}
