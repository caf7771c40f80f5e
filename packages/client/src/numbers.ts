import type { EventScan } from './scan.ts'

const two32 = 0x1_0000_0000
/** Integers up to here are numbers, beyond it bigints. */
const maxExact = 2 ** 53

/** The int64 field at `at` in a scanned event, rounded to the nearest double. */
export function int64At(scan: EventScan, at: number): number {
  const { source } = scan
  // Present-day seconds take five bytes: below 2^35 there is no need for two halves.
  let value = 0
  let factor = 1
  for (let i = 0; i < 5; i++) {
    const byte = source[at + i]
    if (byte < 0x80) return value + byte * factor
    value += (byte & 0x7f) * factor
    factor *= 128
  }
  readVarint(source, at)
  return high * two32 + (low >>> 0)
}

/** The sint64 field at `at` in a scanned event: exact, a bigint beyond 2^53. */
export function sint64At(scan: EventScan, at: number): number | bigint {
  const { source } = scan
  const first = source[at]
  if (first < 0x80) return (first >>> 1) ^ -(first & 1)
  readVarint(source, at)
  // Zigzag over two halves: (n >>> 1) ^ -(n & 1).
  const sign = -(low & 1)
  const magnitudeLow = ((low >>> 1) | (high << 31)) ^ sign
  const magnitudeHigh = (high >>> 1) ^ sign
  const value = magnitudeHigh * two32 + (magnitudeLow >>> 0)
  if (value < maxExact && value > -maxExact) return value
  return exact((BigInt(magnitudeHigh) << 32n) | BigInt(magnitudeLow >>> 0))
}

/** Both halves of the last varint read. */
let low = 0
let high = 0

function readVarint(bytes: Uint8Array, at: number): void {
  low = 0
  high = 0
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++]
    const bits = byte & 0x7f
    if (shift < 28) low |= bits << shift
    else if (shift === 28) {
      low |= bits << 28
      high |= bits >>> 4
    } else high |= bits << (shift - 32)
    if (byte < 0x80) return
  }
}

function exact(value: bigint): number | bigint {
  return value <= BigInt(maxExact) && value >= -BigInt(maxExact) ? Number(value) : value
}
