/**
 * How the log lies on the disk: segment files in `DATA/log`, each a header and then groups, each a header and its records.
 *
 * ```
 * 00000007-0000000000123456.segment     number of the segment, offset of its first record
 *
 * segment header (64 bytes)             group header (32 bytes)           record
 *   0 magic, names the format           0  salt of the segment (8)        0 length
 *   8 log id (16)                       8  offset of the first record (8) 4 CRC-32 of the bytes, xor the salt
 *  24 number of the segment (4)         16 bytes of its records (4)       8 the bytes
 *  28 offset of its first record (8)    20 records (4)
 *  36 salt (8)                          24 reserved, 0 (4)
 *  44 created at, wall ms (8)           28 CRC-32 of the 28 bytes
 *  52 segment before it: number (4)
 *  56   and its bytes (4)
 *  60 CRC-32 of the 60 bytes
 * ```
 * All numbers are little-endian. Why groups: a group is one fdatasync, and it is written only once the one before it is
 * durable. A whole group after a damaged one therefore proves that the damaged one *was* durable: that is corruption, not a torn
 * tail. The salt (random, each segment's own) lets that group be found by a search, and keeps zeroes or a block of another file
 * from ever looking like a record.
 */
import { crc32 } from './crc32.ts'

export const segmentHeaderBytes = 64
export const groupHeaderBytes = 32
export const recordHeaderBytes = 8
export const saltBytes = 8
const magic = Buffer.from('RICCILG1')

export interface SegmentHeader {
  /** 16 bytes; {@link formatLogId} shows them. */
  readonly logId: Uint8Array
  readonly number: number
  readonly firstOffset: number
  readonly salt: Uint8Array
  readonly createdAtMs: number
  /** The segment that held the records before: its number (0: none) and the bytes of it that were durable. */
  readonly previousNumber: number
  readonly previousBytes: number
}

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const bytes = Buffer.alloc(segmentHeaderBytes)
  magic.copy(bytes)
  bytes.set(header.logId, 8)
  bytes.writeUInt32LE(header.number, 24)
  writeOffset(bytes, header.firstOffset, 28)
  bytes.set(header.salt, 36)
  bytes.writeDoubleLE(header.createdAtMs, 44)
  bytes.writeUInt32LE(header.previousNumber, 52)
  bytes.writeUInt32LE(header.previousBytes, 56)
  bytes.writeUInt32LE(crc32(bytes, 0, 60), 60)
  return bytes
}

/** Decodes a segment's header; undefined where it is not whole. */
export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeader | undefined {
  if (bytes.length < segmentHeaderBytes || !magic.equals(bytes.subarray(0, 8))) return undefined
  const view = viewOf(bytes)
  if (view.getUint32(60, true) !== crc32(bytes, 0, 60)) return undefined
  return {
    logId: bytes.slice(8, 24),
    number: view.getUint32(24, true),
    firstOffset: readOffset(view, 28),
    salt: bytes.slice(36, 44),
    createdAtMs: view.getFloat64(44, true),
    previousNumber: view.getUint32(52, true),
    previousBytes: view.getUint32(56, true),
  }
}

export interface GroupHeader {
  readonly firstOffset: number
  /** Bytes of its records, their headers included. */
  readonly bytes: number
  readonly records: number
}

/** Writes a group's header into the first {@link groupHeaderBytes} of `target`. */
export function writeGroupHeader(target: Buffer, salt: Uint8Array, header: GroupHeader): void {
  target.set(salt, 0)
  writeOffset(target, header.firstOffset, 8)
  target.writeUInt32LE(header.bytes, 16)
  target.writeUInt32LE(header.records, 20)
  target.writeUInt32LE(0, 24)
  target.writeUInt32LE(crc32(target, 0, 28), 28)
}

/** Reads a group's header at `at`; undefined where none stands. `view` covers exactly `bytes`. */
export function readGroupHeader(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  salt: Uint8Array,
): GroupHeader | undefined {
  for (let index = 0; index < saltBytes; index++) if (bytes[at + index] !== salt[index]) return undefined
  if (view.getUint32(at + 28, true) !== crc32(bytes, at, at + 28)) return undefined
  return {
    firstOffset: readOffset(view, at + 8),
    bytes: view.getUint32(at + 16, true),
    records: view.getUint32(at + 20, true),
  }
}

/** What a record's checksum is masked with on the disk. */
export function checksumMask(salt: Uint8Array): number {
  return viewOf(salt).getUint32(0, true)
}

export interface SegmentName {
  readonly name: string
  readonly number: number
  readonly firstOffset: number
}

export function segmentName(number: number, firstOffset: number): string {
  return `${String(number).padStart(8, '0')}-${String(firstOffset).padStart(16, '0')}.segment`
}

/** The segments among the names of a directory, in log order. */
export function parseSegmentNames(names: readonly string[]): SegmentName[] {
  const found: SegmentName[] = []
  for (const name of names) {
    const match = /^(\d{8,10})-(\d{16})\.segment$/.exec(name)
    if (match !== null) found.push({ name, number: Number(match[1]), firstOffset: Number(match[2]) })
  }
  return found.sort((a, b) => a.number - b.number)
}

/** A log id as people see it: 32 hex digits. */
export function formatLogId(id: Uint8Array): string {
  return Buffer.from(id).toString('hex')
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Offsets are integers up to 2^53: exact as two 32-bit halves. */
function writeOffset(bytes: Buffer, offset: number, at: number): void {
  bytes.writeUInt32LE(offset % 0x1_0000_0000, at)
  bytes.writeUInt32LE(Math.floor(offset / 0x1_0000_0000), at + 4)
}

function readOffset(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000
}
