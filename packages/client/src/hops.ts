import { EventTag, MsgTag } from './scan.ts'
import { WireReader } from './wire.ts'
import { MsgWriter } from './writer.ts'

/** The attribute in which an event carries how often it was sent from one server to another. */
export const hopsAttribute = 'ricci-hops'

/** Events on their way to another server. */
export interface PassedOn {
  /** A Msg of those that may go on, each with one hop more. */
  readonly msg: Uint8Array
  /** How many these are. */
  readonly events: number
  /** How many have made all the hops that an event may make: they went in a circle. */
  readonly looped: number
}

/**
 * The events of a Msg for another server: their hops counted in {@link hopsAttribute}, what is no event left out. Events are not decoded.
 * @param most hops that an event may make
 * @throws CodecError for bytes that are no Msg
 */
export function passedOn(msg: Uint8Array, most: number): PassedOn {
  let events = 0
  let looped = 0
  writer.reset()
  reader.open(msg)
  while (reader.at < msg.length) {
    const tag = reader.tag(msg.length)
    if (tag !== MsgTag.event) {
      reader.skipField(tag, msg.length)
      continue
    }
    const length = reader.length(msg.length)
    const start = reader.at
    const end = start + length
    const { hops, from, to } = hopsIn(end)
    if (hops >= most) looped++
    else {
      events++
      writer.rawEventWith(msg, start, end, from, to, counted(hops + 1))
    }
  }
  return { msg: writer.finish(), events, looped }
}

/** How many hops an event has made, and which of its bytes say so; none where it makes its first: then where they are to stand. */
function hopsIn(end: number): { readonly hops: number; readonly from: number; readonly to: number } {
  let hops = 0
  let from = end
  let to = end
  while (reader.at < end) {
    const field = reader.at
    const tag = reader.tag(end)
    if (tag !== EventTag.attribute) {
      reader.skipField(tag, end)
      continue
    }
    const length = reader.length(end)
    const attributeEnd = reader.at + length
    const value = hopsOf(attributeEnd)
    reader.at = attributeEnd
    // beside the others: the attributes of an event that stand together are read faster
    if (hops === 0) [from, to] = [attributeEnd, attributeEnd]
    if (value !== undefined) [hops, from, to] = [value, field, attributeEnd]
  }
  return { hops, from, to }
}

/** The hops that an attribute counts; undefined where it is another. What is no count is none. */
function hopsOf(end: number): number | undefined {
  let isHops = false
  let value = ''
  while (reader.at < end) {
    const tag = reader.tag(end)
    if (tag !== keyTag && tag !== valueTag) {
      reader.skipField(tag, end)
      continue
    }
    const length = reader.length(end)
    const bytes = reader.bytes.subarray(reader.at, (reader.at += length))
    if (tag === keyTag) isHops = sameBytes(bytes, key)
    else if (isHops && length <= mostDigits) value = decoder.decode(bytes)
  }
  if (!isHops) return undefined
  return /^\d+$/.test(value) ? Number(value) : 0
}

/** The attribute as it stands in an event. */
function counted(hops: number): Uint8Array {
  const text = encoder.encode(String(hops))
  const inner = [keyTag, key.length, ...key, valueTag, text.length, ...text]
  return Uint8Array.of(EventTag.attribute, inner.length, ...inner)
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}

const keyTag = 0x0a
const valueTag = 0x12
/** A text longer than this is no count of ours. */
const mostDigits = 4
const encoder = new TextEncoder()
const decoder = new TextDecoder()
const key = encoder.encode(hopsAttribute)
const reader = new WireReader()
const writer = new MsgWriter(64 * 1024)
