import { CodecError } from './errors.ts'

/** Protobuf's wire types. */
export const Wire = { varint: 0, fixed64: 1, bytes: 2, groupStart: 3, groupEnd: 4, fixed32: 5 } as const

/** Groups in groups are skipped to this depth, as Google's own parsers do; deeper ones are an attack. */
const maxGroupDepth = 100

/**
 * A place in bytes, moving forward over protobuf fields. `end` is passed to each call: it is that of the innermost message.
 * Every call either moves forward within `end` or throws a {@link CodecError}, so no walk can hang or leave the bytes.
 */
export class WireReader {
  bytes: Uint8Array = noBytes
  view: DataView = noView
  at = 0
  /** Both halves of what {@link varint64} read. */
  low = 0
  high = 0

  open(bytes: Uint8Array): void {
    // Frames are mostly slices of one socket buffer, but a DataView over the slice is still cheaper than adding its offset everywhere.
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.at = 0
  }

  /** A field's tag; what field numbers there are is for the caller, 0 is refused. */
  tag(end: number): number {
    const tag = this.uint32(end)
    if (tag >>> 3 === 0) throw this.malformed('a field with number 0')
    return tag
  }

  /** A varint's low 32 bits, unsigned; the rest is read and dropped, as Google's parsers do. */
  uint32(end: number): number {
    const { bytes } = this
    let at = this.at
    if (at < end && bytes[at] < 0x80) {
      this.at = at + 1
      return bytes[at]
    }
    let value = 0
    for (let shift = 0; shift < 70; shift += 7) {
      if (at >= end) throw this.truncated()
      const byte = bytes[at++]
      if (shift < 32) value |= (byte & 0x7f) << shift
      if (byte < 0x80) {
        this.at = at
        return value >>> 0
      }
    }
    throw this.malformed('a varint of more than ten bytes')
  }

  /** A varint of 64 bits into {@link low} and {@link high}. */
  varint64(end: number): void {
    const { bytes } = this
    let at = this.at
    let low = 0
    let high = 0
    for (let shift = 0; shift < 70; shift += 7) {
      if (at >= end) throw this.truncated()
      const byte = bytes[at++]
      const bits = byte & 0x7f
      if (shift < 28) low |= bits << shift
      else if (shift === 28) {
        low |= bits << 28
        high |= bits >>> 4
      } else if (shift < 63) high |= bits << (shift - 32)
      else high |= bits << 31
      if (byte < 0x80) {
        this.at = at
        this.low = low
        this.high = high
        return
      }
    }
    throw this.malformed('a varint of more than ten bytes')
  }

  /** The number of an int64 field, rounded to the nearest double. */
  int64(end: number): number {
    this.varint64(end)
    return this.high * 0x1_0000_0000 + (this.low >>> 0)
  }

  skipVarint(end: number): void {
    const { bytes } = this
    const from = this.at
    for (let at = from; at < end; at++) {
      if (bytes[at] < 0x80) {
        this.at = at + 1
        if (at - from < 10) return
        throw this.malformed('a varint of more than ten bytes')
      }
    }
    throw this.truncated()
  }

  /** The length of what follows, which lies within `end`. */
  length(end: number): number {
    const length = this.uint32(end)
    if (length > end - this.at) throw this.truncated()
    return length
  }

  /** Goes past a length and what follows it. */
  skipBytes(end: number): void {
    const length = this.length(end)
    this.at += length
  }

  skip(length: number, end: number): void {
    if (length > end - this.at) throw this.truncated()
    this.at += length
  }

  /** Goes past the value of a field that nobody asked for. */
  skipField(tag: number, end: number): void {
    switch (tag & 7) {
      case Wire.varint:
        return this.skipVarint(end)
      case Wire.fixed64:
        return this.skip(8, end)
      case Wire.bytes:
        return this.skipBytes(end)
      case Wire.fixed32:
        return this.skip(4, end)
      case Wire.groupStart:
        return this.skipGroup(tag >>> 3, end)
      case Wire.groupEnd:
        throw this.malformed('an end of group without its start')
      default:
        throw this.malformed(`wire type ${tag & 7}`)
    }
  }

  truncated(): CodecError {
    return new CodecError('TRUNCATED', 'the message ends inside a field', this.at)
  }

  malformed(what: string): CodecError {
    return new CodecError('MALFORMED', `this is no protobuf: ${what}`, this.at)
  }

  private skipGroup(number: number, end: number): void {
    const open = [number]
    while (open.length > 0) {
      if (this.at >= end) throw this.truncated()
      const tag = this.tag(end)
      if ((tag & 7) === Wire.groupStart) {
        if (open.length === maxGroupDepth) throw this.malformed(`groups nested deeper than ${maxGroupDepth}`)
        open.push(tag >>> 3)
      } else if ((tag & 7) === Wire.groupEnd) {
        if (open.pop() !== tag >>> 3) throw this.malformed('an end of another group')
      } else this.skipField(tag, end)
    }
  }
}

const noBytes = new Uint8Array(0)
const noView = new DataView(noBytes.buffer)
