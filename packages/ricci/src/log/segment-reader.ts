/** Reads one segment: finds its records in large positional reads and checks every byte on the way. */
import type { StoredRecord } from '@ricci/replica'
import { crc32 } from './crc32.ts'
import type { ReadableFile } from './disk.ts'
import {
  checksumMask,
  decodeSegmentHeader,
  groupHeaderBytes,
  readGroupHeader,
  recordHeaderBytes,
  segmentHeaderBytes,
  viewOf,
  type SegmentHeader,
} from './format.ts'

/** Records a batch holds at most: with single-event records of 130 bytes a buffer of 1 MiB holds about twice as many. */
const batchRecords = 4_096
/** One read. Beyond 256 KiB to 1 MiB the system call no longer shows; larger ones only fall out of the CPU's cache. */
export const defaultBufferBytes = 1_048_576

/** Records next to each other in one buffer; filled anew by each read, so that reading makes no garbage. */
export class RecordBatch {
  /** Where the records lie. Valid until the next read. */
  bytes: Uint8Array = new Uint8Array(0)
  count = 0
  firstOffset = 0
  readonly starts = new Int32Array(batchRecords)
  readonly ends = new Int32Array(batchRecords)
  readonly checksums = new Uint32Array(batchRecords)
  /** The record at `index`, as a view. */
  record(index: number): StoredRecord {
    return {
      offset: this.firstOffset + index,
      bytes: this.bytes.subarray(this.starts[index], this.ends[index]),
      checksum: this.checksums[index],
    }
  }
  records(): StoredRecord[] {
    return Array.from({ length: this.count }, (_, index) => this.record(index))
  }
  /** The same in objects that are filled anew each time: all of it is valid until the next read. */
  reusedRecords(): readonly StoredRecord[] {
    const { reusable, reused, bytes, starts, ends, checksums, count, firstOffset } = this
    while (reusable.length < count) reusable.push({ offset: 0, bytes, checksum: 0 })
    reused.length = 0
    for (let index = 0; index < count; index++) {
      const record = reusable[index]
      record.offset = firstOffset + index
      record.bytes = bytes.subarray(starts[index], ends[index])
      record.checksum = checksums[index]
      reused.push(record)
    }
    return reused
  }
  private readonly reusable: { -readonly [K in keyof StoredRecord]: StoredRecord[K] }[] = []
  private readonly reused: StoredRecord[] = []
}

/** A segment's bytes are not what was written: cut short, or damaged. */
export class BadSegment extends Error {
  override readonly name = 'BadSegment'
  constructor(
    message: string,
    /** Where the group starts that is not whole. */
    readonly position: number,
  ) {
    super(message)
  }
}

/** Reads and checks a segment's header. @throws BadSegment */
export function readSegmentHeader(file: ReadableFile): SegmentHeader {
  const bytes = new Uint8Array(segmentHeaderBytes)
  const read = file.read(bytes, 0, segmentHeaderBytes, 0)
  const header = read === segmentHeaderBytes ? decodeSegmentHeader(bytes) : undefined
  if (header === undefined) throw new BadSegment('the header of the segment is not whole', 0)
  return header
}

export class SegmentReader {
  /** Offset of the record that stands next. */
  offset: number
  /** Where the whole groups read so far end, where the last of them starts, and the offset behind it. */
  wholeEnd = segmentHeaderBytes
  wholeStart = segmentHeaderBytes
  wholeOffset: number
  /** Where the group being read starts and ends, and how many of its records are still to come. */
  private groupStart = segmentHeaderBytes
  private groupEnd = segmentHeaderBytes
  private groupRecords = 0
  /** The window: bytes `start` to `end` of `buffer` are the file's from `position` on. */
  private buffer: Uint8Array = new Uint8Array(0)
  private view = new DataView(this.buffer.buffer)
  private start = 0
  private end = 0
  private position = segmentHeaderBytes
  private readonly salt: Uint8Array
  private readonly mask: number

  /**
   * @param reuse read into one and the same buffer: a batch is valid until the next. Otherwise each batch keeps its own.
   */
  constructor(
    private readonly file: ReadableFile,
    header: SegmentHeader,
    private readonly reuse = true,
    private readonly bufferBytes = defaultBufferBytes,
  ) {
    this.offset = this.wholeOffset = header.firstOffset
    this.salt = header.salt
    this.mask = checksumMask(header.salt)
  }

  /**
   * Fills `batch` with the next records from offset `from` on, up to the file position `limit` (the end of a group) and below the
   * offset `until`. Gives how many; 0 means there are no more up to there.
   * @throws BadSegment
   */
  read(batch: RecordBatch, from: number, limit: number, until: number): number {
    let count = 0
    while (this.offset < until && count < batchRecords) {
      if (this.groupRecords === 0) {
        if (this.position >= limit) break
        this.groupStart = this.position
        if (!this.window(groupHeaderBytes, limit, count > 0)) break
        this.enterGroup(limit)
        if (this.offset + this.groupRecords <= from) this.skipGroup()
        continue
      }
      const room = this.groupEnd - this.position - recordHeaderBytes
      if (room < 0) throw this.bad('a group is shorter than its records')
      if (!this.window(recordHeaderBytes, limit, count > 0)) break
      const length = this.view.getUint32(this.start, true)
      if (length > room) throw this.bad('a record is longer than its group')
      if (!this.window(recordHeaderBytes + length, limit, count > 0)) break
      const start = this.start + recordHeaderBytes
      const checksum = (this.view.getUint32(this.start + 4, true) ^ this.mask) >>> 0
      if (checksum !== crc32(this.buffer, start, start + length)) throw this.bad('the checksum of a record is wrong')
      this.start = start + length
      this.position += recordHeaderBytes + length
      this.offset++
      if (--this.groupRecords === 0) this.leaveGroup()
      if (this.offset <= from) continue
      if (count === 0) batch.firstOffset = this.offset - 1
      batch.starts[count] = start
      batch.ends[count] = start + length
      batch.checksums[count++] = checksum
    }
    batch.bytes = this.buffer
    return (batch.count = count)
  }

  private enterGroup(limit: number): void {
    const header = readGroupHeader(this.buffer, this.view, this.start, this.salt)
    if (header === undefined) throw this.bad('the header of a group is wrong')
    if (header.firstOffset !== this.offset) throw this.bad('a group stands at the wrong offset')
    this.groupEnd = this.position + groupHeaderBytes + header.bytes
    if (this.groupEnd > limit) throw this.bad('a group is cut short')
    this.groupRecords = header.records
    this.start += groupHeaderBytes
    this.position += groupHeaderBytes
    if (header.records === 0) this.leaveGroup()
  }

  private leaveGroup(): void {
    if (this.position !== this.groupEnd) throw this.bad('a group is longer than its records')
    this.wholeStart = this.groupStart
    this.wholeEnd = this.groupEnd
    this.wholeOffset = this.offset
  }

  private skipGroup(): void {
    if (this.groupRecords === 0) return
    this.offset += this.groupRecords
    this.groupRecords = 0
    this.start = Math.min(this.end, this.start + this.groupEnd - this.position)
    this.position = this.groupEnd
    this.leaveGroup()
  }

  /**
   * Sees to it that `bytes` bytes stand in the window, reading ahead up to the file position `limit`. Gives false when that would
   * move what the batch already points to (`busy`).
   */
  private window(bytes: number, limit: number, busy: boolean): boolean {
    const kept = this.end - this.start
    if (kept >= bytes) return true
    if (busy) return false
    const wanted = Math.max(bytes, Math.min(this.bufferBytes, limit - this.position))
    // A buffer that a huge record made grow is let go by the next read.
    const size = this.reuse ? Math.max(wanted, this.bufferBytes) : wanted
    if (!this.reuse || this.buffer.length < wanted || this.buffer.length > size) {
      const next = new Uint8Array(size)
      next.set(this.buffer.subarray(this.start, this.end))
      this.buffer = next
      this.view = viewOf(next)
    } else {
      this.buffer.copyWithin(0, this.start, this.end)
    }
    this.start = 0
    this.end = kept
    while (this.end < wanted) {
      const read = this.file.read(this.buffer, this.end, wanted - this.end, this.position + this.end)
      if (read === 0) break
      this.end += read
    }
    if (this.end < bytes) throw this.bad('the file is shorter than its records')
    return true
  }

  private bad(what: string): BadSegment {
    return new BadSegment(`${what} (at byte ${this.position})`, this.groupStart)
  }
}
