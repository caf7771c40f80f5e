import { MsgTag } from './scan.ts'
import { WireReader } from './wire.ts'
import { MsgWriter } from './writer.ts'
import type { ProducerMark } from './event.ts'

/*
 * extend Msg { optional ProducerMark mark = 1000; }
 * message ProducerMark {
 *   optional string producer = 1;
 *   optional uint64 incarnation = 2;   // both below 2^53
 *   optional uint64 sequence = 3;
 *   optional double sent_at_ms = 4;
 *   optional bool spread = 5;
 * }
 */
const MarkTag = { producer: 0x0a, incarnation: 0x10, sequence: 0x18, sentAtMs: 0x21, spread: 0x28 } as const

/** A producer that sent nothing for so long takes a new incarnation with its next mark: it is forgotten after twice that. */
export const maxProducerIdleMs = 12 * 3_600_000

/** Reads the mark that begins at the reader's place. */
export function readMarkAt(reader: WireReader, end: number): ProducerMark {
  let producer = ''
  let incarnation = 0
  let sequence = 0
  let sentAtMs = 0
  let spread = false
  while (reader.at < end) {
    const tag = reader.tag(end)
    switch (tag) {
      case MarkTag.producer: {
        const length = reader.length(end)
        producer = producerText(reader, length)
        break
      }
      case MarkTag.incarnation:
        incarnation = unsigned(reader, end)
        break
      case MarkTag.sequence:
        sequence = unsigned(reader, end)
        break
      case MarkTag.sentAtMs:
        reader.skip(8, end)
        sentAtMs = reader.view.getFloat64(reader.at - 8, true)
        break
      case MarkTag.spread:
        reader.varint64(end)
        spread = (reader.low | reader.high) !== 0
        break
      default:
        reader.skipField(tag, end)
    }
  }
  return spread ? { producer, incarnation, sequence, sentAtMs, spread } : { producer, incarnation, sequence, sentAtMs }
}

/** The mark of a Msg, without a look at its events; undefined when it has none. Of several the last counts, as in protobuf. */
export function readMark(msg: Uint8Array): ProducerMark | undefined {
  reader.open(msg)
  let mark: ProducerMark | undefined
  while (reader.at < msg.length) {
    const tag = reader.tag(msg.length)
    if (tag === MsgTag.mark) {
      const length = reader.length(msg.length)
      mark = readMarkAt(reader, reader.at + length)
    } else reader.skipField(tag, msg.length)
  }
  return mark
}

/** A copy of a Msg with this mark in place of any it had. */
export function withMark(msg: Uint8Array, mark: ProducerMark): Uint8Array {
  return marked(msg, mark, MsgTag.mark)
}

/** The same without its query: for who passes events on and asks by itself. */
export function eventsWithMark(msg: Uint8Array, mark: ProducerMark): Uint8Array {
  return marked(msg, mark, MsgTag.query)
}

/** @param without a field that is left out besides marks */
function marked(msg: Uint8Array, mark: ProducerMark, without: number): Uint8Array {
  const field = encodeMark(mark)
  const bytes = new Uint8Array(msg.length + field.length)
  let length = 0
  // What stands between marks is copied in one go; mostly there is no mark, or one at the end.
  let from = 0
  reader.open(msg)
  while (reader.at < msg.length) {
    const field = reader.at
    const tag = reader.tag(msg.length)
    reader.skipField(tag, msg.length)
    if (tag !== MsgTag.mark && tag !== without) continue
    bytes.set(msg.subarray(from, field), length)
    length += field - from
    from = reader.at
  }
  bytes.set(msg.subarray(from), length)
  length += msg.length - from
  bytes.set(field, length)
  return bytes.subarray(0, length + field.length)
}

/**
 * A mark as a field of its own: appended to the bytes of a Msg it takes the place of any before it. For those who send a Msg
 * and its mark as two pieces rather than copy the Msg.
 */
export function encodeMark(mark: ProducerMark): Uint8Array {
  markWriter ??= new MsgWriter(64)
  markWriter.reset()
  markWriter.mark(mark)
  return markWriter.finish()
}

/**
 * Makes of the bytes that end with a mark as {@link encodeMark} gives it, one that is not spread, those of the same mark with the next sequence number, in place: for who
 * marks many Msgs of one instant. False when that takes another byte; the bytes are of no use then.
 */
export function countMarkUp(bytes: Uint8Array): boolean {
  // behind the sequence number stand the time's tag and its eight bytes
  const last = bytes.length - 10
  let at = last
  while (bytes[at - 1] >= 0x80) at--
  for (; at <= last; at++) {
    if ((bytes[at] & 0x7f) < 0x7f) {
      bytes[at]++
      return true
    }
    bytes[at] &= 0x80
  }
  return false
}

/** One for all marks: a writer's memories cost 3 µs to make, a mark 0.1. */
let markWriter: MsgWriter | undefined

const reader = new WireReader()

/** Producers are few and repeat: the last one's text is kept. */
let lastProducer = ''
let lastProducerBytes = new Uint8Array(0)
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

function producerText(reader: WireReader, length: number): string {
  const bytes = reader.bytes.subarray(reader.at, reader.at + length)
  reader.at += length
  if (length === lastProducerBytes.length) {
    let i = 0
    while (i < length && bytes[i] === lastProducerBytes[i]) i++
    if (i === length) return lastProducer
  }
  // Not `slice`: a Buffer's shares the memory, and who reads into one buffer again would be told the producer before.
  lastProducerBytes = new Uint8Array(bytes)
  return (lastProducer = decoder.decode(bytes))
}

function unsigned(reader: WireReader, end: number): number {
  reader.varint64(end)
  const value = (reader.high >>> 0) * 0x1_0000_0000 + (reader.low >>> 0)
  if (value > Number.MAX_SAFE_INTEGER) throw reader.malformed('a number of a mark beyond 2^53')
  return value
}
