import { EventTag, MsgTag } from './scan.ts'
import { CodecError } from './errors.ts'
import { Kind } from './cursor.ts'
import { ByteMemo, copySlack, TextsMemo } from './memo.ts'
import type { Event, ProducerMark } from './event.ts'
import type { EventCursor } from './cursor.ts'
import type { SymbolTable } from './symbols.ts'

/**
 * Writes Msgs into one buffer that grows and is used again. Fields are written in the order of their numbers and numbers as
 * Riemann writes them: `metric_f` beside every metric that has one, both times, microseconds cut off.
 *
 * A length goes before what it measures: it is guessed to take as many bytes as the last one did, and what was written is
 * moved by a byte when the guess was wrong. For texts the guess is that they are ASCII.
 */
export class MsgWriter {
  bytes: Uint8Array<ArrayBuffer>
  /** Bytes written. */
  length = 0
  private view: DataView
  private eventLengthBytes = 1
  private readonly states = new TextsMemo()
  private readonly hosts = new TextsMemo()
  private readonly tagTexts = new TextsMemo()
  private readonly attributeTexts = new TextsMemo()
  private lastTime = NaN
  private readonly secondsBytes = new ByteMemo()
  private readonly microsBytes = new ByteMemo()

  constructor(capacity = 4096) {
    this.bytes = new Uint8Array(capacity)
    this.view = new DataView(this.bytes.buffer)
  }

  /** Starts anew in the same buffer: views given before become invalid. */
  reset(): void {
    this.length = 0
  }

  /** What was written, as a view that is valid until the next write. */
  written(): Uint8Array {
    return this.bytes.subarray(0, this.length)
  }

  /** A copy of what was written; the writer is ready for the next Msg. */
  finish(): Uint8Array {
    const copy = this.bytes.slice(0, this.length)
    this.length = 0
    return copy
  }

  /** Leaves room for a frame's length; {@link endFrame} fills it in. */
  beginFrame(): number {
    this.ensure(4)
    this.length += 4
    return this.length
  }

  endFrame(start: number): void {
    this.view.setUint32(start - 4, this.length - start)
  }

  ok(ok: boolean): void {
    this.ensure(2)
    this.bytes[this.length++] = MsgTag.ok
    this.bytes[this.length++] = ok ? 1 : 0
  }

  error(text: string): void {
    this.text(MsgTag.error, text)
  }

  query(text: string): void {
    this.ensure(8 + 3 * text.length)
    const start = this.beginMessage(MsgTag.query, 1)
    this.text(0x0a, text)
    this.endMessage(start, 1)
  }

  /** @throws CodecError `UNENCODABLE` */
  mark(mark: ProducerMark): void {
    const { incarnation, sequence } = mark
    if (!(Number.isSafeInteger(incarnation) && incarnation >= 0 && Number.isSafeInteger(sequence) && sequence >= 0)) {
      throw new CodecError(
        'UNENCODABLE',
        `a mark's incarnation and sequence are whole numbers below 2^53, not ${incarnation} and ${sequence}`,
      )
    }
    this.ensure(64 + 3 * mark.producer.length)
    this.bytes[this.length++] = (MsgTag.mark & 0x7f) | 0x80
    const start = this.beginMessage(MsgTag.mark >>> 7, 1)
    this.text(0x0a, mark.producer)
    this.bytes[this.length++] = 0x10
    this.unsigned(incarnation)
    this.bytes[this.length++] = 0x18
    this.unsigned(sequence)
    this.bytes[this.length++] = 0x21
    this.view.setFloat64(this.length, mark.sentAtMs, true)
    this.length += 8
    if (mark.spread === true) {
      this.bytes[this.length++] = 0x28
      this.bytes[this.length++] = 1
    }
    this.endMessage(start, 1)
  }

  draining(draining: boolean): void {
    this.ensure(3)
    this.bytes[this.length++] = (MsgTag.draining & 0x7f) | 0x80
    this.bytes[this.length++] = MsgTag.draining >>> 7
    this.bytes[this.length++] = draining ? 1 : 0
  }

  /** Bytes that are an Event already. */
  rawEvent(bytes: Uint8Array, start: number, end: number): void {
    this.ensure(end - start + 6)
    this.bytes[this.length++] = MsgTag.event
    this.unsigned(end - start)
    this.bytes.set(bytes.subarray(start, end), this.length)
    this.length += end - start
  }

  /** The same with others in place of those from `from` to `to`. */
  rawEventWith(bytes: Uint8Array, start: number, end: number, from: number, to: number, others: Uint8Array): void {
    const length = end - start - (to - from) + others.length
    this.ensure(length + 6)
    this.bytes[this.length++] = MsgTag.event
    this.unsigned(length)
    for (const part of [bytes.subarray(start, from), others, bytes.subarray(to, end)]) {
      this.bytes.set(part, this.length)
      this.length += part.length
    }
  }

  /** Bytes that are fields of a Msg already. */
  raw(bytes: Uint8Array): void {
    this.ensure(bytes.length)
    this.bytes.set(bytes, this.length)
    this.length += bytes.length
  }

  /** Tags, or attributes, of symbol ids as their fields stand in an event: for {@link SymbolTable}, which keeps them. */
  tagSymbols(ids: Int32Array, table: SymbolTable): void {
    for (const id of ids) this.symbol(EventTag.tag, id, table)
  }

  attributeSymbols(pairs: Int32Array, table: SymbolTable): void {
    for (let i = 0; i < pairs.length; i += 2) {
      this.ensure(table.byteLength(pairs[i]) + table.byteLength(pairs[i + 1]) + 24)
      const start = this.beginMessage(EventTag.attribute, 1)
      this.symbol(0x0a, pairs[i], table)
      this.symbol(0x12, pairs[i + 1], table)
      this.endMessage(start, 1)
    }
  }

  /**
   * @param nearest a time beyond the wire is written as the nearest that fits: for answers, which one event must not spoil
   * @throws CodecError `UNENCODABLE`: half of the event is written then, so reset the writer
   */
  event(event: Event, nearest = false): void {
    this.ensure(fixedBytes)
    const guess = this.eventLengthBytes
    const start = this.beginMessage(MsgTag.event, guess)
    const { time, metric, ttl, tags, attributes, state, host } = event
    if (time !== undefined && time !== null) this.seconds(time, nearest)
    if (state !== undefined && state !== null) this.remembered(EventTag.state, state, this.states)
    if (event.service !== undefined && event.service !== null) this.text(EventTag.service, event.service)
    if (host !== undefined && host !== null) this.remembered(EventTag.host, host, this.hosts)
    if (event.description !== undefined && event.description !== null) {
      this.text(EventTag.description, event.description)
    }
    if (tags !== undefined && tags !== null) this.tags(tags)
    this.ensure(fixedBytes)
    if (ttl !== undefined && ttl !== null) this.float(EventTag.ttl, ttl)
    if (attributes !== undefined && attributes !== null) this.attributes(attributes)
    this.ensure(fixedBytes)
    if (time !== undefined && time !== null) this.micros(time)
    if (metric !== undefined && metric !== null) this.metric(metric, event.metricType)
    this.eventLengthBytes = this.endMessage(start, guess)
  }

  /**
   * As {@link event}, for an event of ids. It writes every event: one of the index whose time is beyond the wire (a sender or a
   * rule wrote nonsense) must not spoil the answer that others are in, so the time written is the nearest that fits.
   */
  cursor(cursor: EventCursor, table: SymbolTable): void {
    this.ensure(fixedBytes)
    const guess = this.eventLengthBytes
    const start = this.beginMessage(MsgTag.event, guess)
    if (cursor.timeKind !== Kind.none) this.seconds(cursor.time, true)
    if (cursor.state !== 0) this.symbol(EventTag.state, cursor.state, table)
    if (cursor.service !== 0) this.symbol(EventTag.service, cursor.service, table)
    if (cursor.host !== 0) this.symbol(EventTag.host, cursor.host, table)
    if (cursor.descriptionLength >= 0) {
      const { descriptionBytes, descriptionStart, descriptionLength } = cursor
      this.slice(EventTag.description, descriptionBytes, descriptionStart, descriptionLength)
    }
    if (cursor.tags !== 0) this.run(table.encodedTags(cursor.tags))
    this.ensure(fixedBytes)
    if (cursor.ttlKind !== Kind.none) this.float(EventTag.ttl, cursor.ttl)
    if (cursor.attributes !== 0) this.run(table.encodedAttributes(cursor.attributes))
    this.ensure(fixedBytes)
    if (cursor.timeKind !== Kind.none) this.micros(cursor.time)
    if (cursor.metricKind === Kind.double) this.double(cursor.metric)
    else if (cursor.metricKind === Kind.int) this.integer(cursor.metric)
    else if (cursor.metricKind === Kind.big) this.big(cursor.metricBig)
    this.eventLengthBytes = this.endMessage(start, guess)
  }

  private run(run: ByteMemo): void {
    this.ensure(run.length + copySlack)
    this.length = run.copyTo(this.view, this.length)
  }

  private remembered(tag: number, text: string, memo: TextsMemo): void {
    if (memo.length >= 0 && memo.texts[0] === text) {
      this.ensure(memo.length + copySlack)
      this.length = memo.copyTo(this.view, this.length)
      return
    }
    const start = this.length
    this.text(tag, text)
    memo.begin()
    memo.push(text)
    memo.keep(this.bytes, start, this.length)
  }

  private tags(tags: readonly string[]): void {
    const memo = this.tagTexts
    const { length } = tags
    if (memo.length >= 0 && memo.count === length) {
      let i = 0
      while (i < length && tags[i] === memo.texts[i]) i++
      if (i === length) {
        this.ensure(memo.length + copySlack)
        this.length = memo.copyTo(this.view, this.length)
        return
      }
    }
    const start = this.length
    memo.begin()
    for (const tag of tags) {
      this.text(EventTag.tag, tag)
      memo.push(tag)
    }
    memo.keep(this.bytes, start, this.length)
  }

  private attributes(attributes: Readonly<Record<string, string>>): void {
    const memo = this.attributeTexts
    if (memo.length >= 0) {
      let i = 0
      let same = true
      for (const key in attributes) {
        same = i < memo.count && memo.texts[i] === key && memo.texts[i + 1] === attributes[key]
        if (!same) break
        i += 2
      }
      if (same && i === memo.count) {
        this.ensure(memo.length + copySlack)
        this.length = memo.copyTo(this.view, this.length)
        return
      }
    }
    const start = this.length
    memo.begin()
    for (const key in attributes) {
      const value = attributes[key]
      this.attribute(key, value)
      memo.push(key)
      memo.push(value)
    }
    memo.keep(this.bytes, start, this.length)
  }

  private attribute(key: string, value: string): void {
    if (typeof value !== 'string') {
      if (value === undefined || value === null) return
      throw new CodecError('UNENCODABLE', `the attribute ${key} is no text; attributes are texts`)
    }
    this.ensure(24 + 3 * (key.length + value.length))
    const start = this.beginMessage(EventTag.attribute, 1)
    this.text(0x0a, key)
    this.text(0x12, value)
    this.endMessage(start, 1)
  }

  private seconds(time: number, nearest = false): void {
    if (time !== this.lastTime) {
      this.encodeTimes(time, nearest)
      return
    }
    this.length = this.secondsBytes.copyTo(this.view, this.length)
  }

  private micros(time: number): void {
    // `seconds` has seen to it that the memo is of this time.
    if (time === this.lastTime) this.length = this.microsBytes.copyTo(this.view, this.length)
  }

  /** Writes the seconds, and keeps both fields of this time. */
  private encodeTimes(time: number, nearest: boolean): void {
    const start = this.length
    this.lastTime = NaN
    this.bytes[this.length++] = EventTag.timeMicros
    this.int64(Math.trunc(time * 1e6), time, nearest)
    this.microsBytes.keep(this.bytes, start, this.length)
    this.length = start
    this.bytes[this.length++] = EventTag.time
    this.int64(Math.trunc(time), time, nearest)
    this.secondsBytes.keep(this.bytes, start, this.length)
    this.lastTime = time
  }

  private metric(metric: number | bigint, type: Event['metricType']): void {
    if (typeof metric === 'bigint') this.big(metric)
    else if (typeof metric !== 'number') {
      throw new CodecError('UNENCODABLE', `a metric is a number or a bigint, not ${typeof metric}`)
    } else if (type === 'double') this.double(metric)
    else if (Number.isInteger(metric) && metric <= maxExact && metric >= -maxExact && !Object.is(metric, -0)) {
      this.integer(metric)
    } else if (type === 'int') {
      throw new CodecError(
        'UNENCODABLE',
        `the metric ${metric} is no integer up to 2^53; use a bigint, or leave metricType out`,
      )
    } else this.double(metric)
  }

  private integer(value: number): void {
    this.bytes[this.length++] = EventTag.metricSint64
    if (value < 0x4000_0000 && value >= -0x4000_0000) this.unsigned(((value << 1) ^ (value >> 31)) >>> 0)
    else if (value <= maxHalf && value >= -maxHalf) this.unsigned(value < 0 ? -2 * value - 1 : 2 * value)
    else this.bits64(zigzag(BigInt(value)))
    this.float(EventTag.metricF, value)
  }

  /** An integer that fits sint64 is one; a larger one becomes a double, as in Riemann. */
  private big(value: bigint): void {
    if (BigInt.asIntN(64, value) !== value) return this.double(Number(value))
    this.bytes[this.length++] = EventTag.metricSint64
    this.bits64(zigzag(value))
    this.float(EventTag.metricF, Number(value))
  }

  private double(value: number): void {
    this.bytes[this.length++] = EventTag.metricD
    // A NaN may carry other bits from its sender; on the wire there is one.
    this.view.setFloat64(this.length, value === value ? value : NaN, true)
    this.length += 8
    // ±Infinity and what is beyond float32 have no metric_f.
    if (value !== value || (value <= maxFloat32 && value >= -maxFloat32)) this.float(EventTag.metricF, value)
  }

  private float(tag: number, value: number): void {
    this.bytes[this.length++] = tag
    this.view.setFloat32(this.length, value === value ? value : NaN, true)
    this.length += 4
  }

  private int64(value: number, of: number, nearest: boolean): void {
    if (value >= 0 && value <= Number.MAX_SAFE_INTEGER) this.unsigned(value)
    else if (value >= -two63 && value < two63) this.bits64(BigInt.asUintN(64, BigInt(value)))
    else if (nearest) this.bits64(value >= two63 ? maxInt64 : value < 0 ? minInt64 : 0n)
    else throw new CodecError('UNENCODABLE', `the time ${of} does not fit the wire; times are seconds since 1970`)
  }

  /** A varint of a whole number below 2^53. */
  private unsigned(value: number): void {
    const { bytes } = this
    let at = this.length
    while (value >= 0x1000_0000) {
      bytes[at++] = (value % 128) | 0x80
      value = Math.floor(value / 128)
    }
    while (value >= 0x80) {
      bytes[at++] = (value & 0x7f) | 0x80
      value >>>= 7
    }
    bytes[at++] = value
    this.length = at
  }

  private bits64(value: bigint): void {
    while (value >= 0x80n) {
      this.bytes[this.length++] = Number(value & 0x7fn) | 0x80
      value >>= 7n
    }
    this.bytes[this.length++] = Number(value)
  }

  private symbol(tag: number, id: number, table: SymbolTable): void {
    const length = table.byteLength(id)
    this.ensure(length + 6 + copySlack)
    this.bytes[this.length++] = tag
    this.unsigned(length)
    this.length += table.copyBytes(id, this.view, this.length)
  }

  private slice(tag: number, bytes: Uint8Array, start: number, length: number): void {
    this.ensure(length + 6)
    this.bytes[this.length++] = tag
    this.unsigned(length)
    if (length > 64) this.bytes.set(bytes.subarray(start, start + length), this.length)
    else for (let i = 0; i < length; i++) this.bytes[this.length + i] = bytes[start + i]
    this.length += length
  }

  private text(tag: number, text: string): void {
    if (typeof text !== 'string') throw new CodecError('UNENCODABLE', `a text of an event is ${typeof text}`)
    const characters = text.length
    this.ensure(3 * characters + 6)
    const { bytes } = this
    const start = this.length
    bytes[start] = tag
    if (characters < 0x80) {
      bytes[start + 1] = characters
      const at = start + 2
      let i = 0
      for (; i < characters; i++) {
        const code = text.charCodeAt(i)
        if (code >= 0x80) break
        bytes[at + i] = code
      }
      if (i === characters) {
        this.length = at + characters
        return
      }
    }
    this.longText(tag, text)
  }

  /** Texts that are long or not ASCII. A surrogate without its other half becomes U+FFFD. */
  private longText(tag: number, text: string): void {
    this.bytes[this.length++] = tag
    const guess = text.length < 0x80 ? 1 : text.length < 0x4000 ? 2 : 3
    const start = this.length + guess
    const { written } = encoder.encodeInto(text, this.bytes.subarray(start))
    this.length = start + written
    this.endMessage(start, guess)
  }

  /** Writes a tag and leaves `lengthBytes` for the length; gives where the message starts. */
  private beginMessage(tag: number, lengthBytes: number): number {
    this.bytes[this.length] = tag
    return (this.length += 1 + lengthBytes)
  }

  /** Fills the length in; gives how many bytes it took. */
  private endMessage(start: number, lengthBytes: number): number {
    const length = this.length - start
    const needed = length < 0x80 ? 1 : length < 0x4000 ? 2 : length < 0x20_0000 ? 3 : 4
    if (needed !== lengthBytes) {
      this.ensure(4)
      this.bytes.copyWithin(start + needed - lengthBytes, start, this.length)
    }
    const end = this.length + needed - lengthBytes
    this.length = start - lengthBytes
    this.unsigned(length)
    this.length = end
    return needed
  }

  private ensure(more: number): void {
    if (this.length + more <= this.bytes.length) return
    const bytes = new Uint8Array(Math.max(2 * this.bytes.length, this.length + more))
    bytes.set(this.bytes.subarray(0, this.length))
    this.bytes = bytes
    this.view = new DataView(bytes.buffer)
  }
}

/** Room for all of an event's fields that are not texts, with their tags, and for its own tag and length: 70 bytes. */
const fixedBytes = 80
const maxExact = 2 ** 53
const maxHalf = 2 ** 52
const two63 = 2 ** 63
const maxInt64 = 0x7fff_ffff_ffff_ffffn
const minInt64 = 0x8000_0000_0000_0000n
const maxFloat32 = 3.4028234663852886e38
const encoder = new TextEncoder()

function zigzag(value: bigint): bigint {
  return BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
}
