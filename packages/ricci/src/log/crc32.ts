/** CRC-32 (the polynomial of zlib), by whichever way is cheaper for the length. */
import { crc32 as zlibCrc32 } from 'node:zlib'

/**
 * Below this length tables in JS beat the call into zlib. Measured (Node 20, ns): 64 bytes 67 against 218, 122 bytes 124 against
 * 277, 300 bytes 287 against 250. Four bytes at a time: eight gain another fifth, and fill a quarter of the CPU's first cache.
 */
const zlibFromBytes = 256

/** Table `t`, from `256 t` on: what a byte does to the sum when `t` more bytes follow it. */
const tables = new Int32Array(4 * 256)
for (let byte = 0; byte < 256; byte++) {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
  tables[byte] = value
}
for (let index = 256; index < tables.length; index++) {
  const before = tables[index - 256]
  tables[index] = tables[before & 255] ^ (before >>> 8)
}

/** CRC-32 of `bytes` from `start` to `end`, unsigned; `before` is the CRC-32 of what stands before them. */
export function crc32(bytes: Uint8Array, start = 0, end = bytes.length, before = 0): number {
  if (end - start >= zlibFromBytes) {
    return zlibCrc32(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), before)
  }
  let value = ~before
  let index = start
  for (; index + 4 <= end; index += 4) {
    value ^= bytes[index] | (bytes[index + 1] << 8) | (bytes[index + 2] << 16) | (bytes[index + 3] << 24)
    value =
      tables[768 + (value & 255)] ^
      tables[512 + ((value >>> 8) & 255)] ^
      tables[256 + ((value >>> 16) & 255)] ^
      tables[value >>> 24]
  }
  for (; index < end; index++) value = tables[(value ^ bytes[index]) & 255] ^ (value >>> 8)
  return ~value >>> 0
}
