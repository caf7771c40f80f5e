/** What waits on this machine until a server has it: in memory here, on the disk in `disk-spool.ts`. */
import type { StoredRecord } from '@ricci/replica'
import type { RecordLog } from '../../intake/appender.ts'

/** Records in their order, each with an offset. Bounded: beyond its limit the oldest are dropped, for what is newest matters most. */
export interface Spool extends RecordLog {
  /** Another for each spool: what is known of the places in an earlier one does not count. */
  readonly id: string
  /** Offset of the oldest record that is left, and the one that the next will get. */
  readonly first: number
  readonly end: number
  /** Bytes that it takes up. */
  readonly bytes: number
  /** Called when there is more to read. */
  onMore: () => void
  reader(from: number): SpoolReader
  /** A server has everything before an offset. */
  release(before: number): void
  close(): Promise<void>
}

/** Reads a spool from an offset on. */
export interface SpoolReader {
  /** The next records; none where there are no more now. Those that were dropped are skipped. */
  next(): readonly StoredRecord[]
  close(): void
}

/** Records that one call of a reader gives at most. */
const batchRecords = 256

export interface MemorySpoolOptions {
  readonly maxBytes: number
  readonly id: string
}

/** A spool that is lost with the process. An append resolves once the record is in it. */
export class MemorySpool implements Spool {
  readonly partitions = 1
  readonly id: string
  onMore: () => void = () => undefined
  bytes = 0
  first = 0
  /** From `#head` on. */
  #records: StoredRecord[] = []
  #head = 0
  readonly #maxBytes: number

  constructor({ maxBytes, id }: MemorySpoolOptions) {
    this.#maxBytes = maxBytes
    this.id = id
  }

  get end(): number {
    return this.first + this.#records.length - this.#head
  }

  async appendAllParts(
    _partition: number,
    heads: readonly Uint8Array[],
    bodies: readonly Uint8Array[],
  ): Promise<readonly number[]> {
    const offsets = heads.map((head, index) => {
      // a copy of its own: a slice of what a socket brought would keep all of that
      const bytes = new Uint8Array(head.length + bodies[index].length)
      bytes.set(head)
      bytes.set(bodies[index], head.length)
      this.#records.push({ offset: this.end, bytes, checksum: 0 })
      this.bytes += bytes.length + recordOverhead
      return this.end - 1
    })
    this.#shrink()
    this.onMore()
    return offsets
  }

  reader(from: number): SpoolReader {
    let next = from
    return {
      next: () => {
        const at = this.#head + Math.max(0, next - this.first)
        const records = this.#records.slice(at, at + batchRecords)
        if (records.length > 0) next = records[records.length - 1].offset + 1
        return records
      },
      close: () => undefined,
    }
  }

  release(before: number): void {
    this.#drop(Math.min(before, this.end) - this.first)
  }

  async close(): Promise<void> {}

  #shrink(): void {
    let count = 0
    for (let { bytes } = this; bytes > this.#maxBytes && count < this.end - this.first - 1; count++) {
      bytes -= this.#records[this.#head + count].bytes.length + recordOverhead
    }
    this.#drop(count)
  }

  #drop(count: number): void {
    for (let dropped = 0; dropped < count; dropped++) {
      this.bytes -= this.#records[this.#head].bytes.length + recordOverhead
      this.#records[this.#head++] = gone
      this.first++
    }
    // not with each: the array is moved as a whole
    if (this.#head < batchRecords || this.#head < this.#records.length / 2) return
    this.#records = this.#records.slice(this.#head)
    this.#head = 0
  }
}

/** In the place of a record that was let go. */
const gone: StoredRecord = { offset: -1, bytes: new Uint8Array(0), checksum: 0 }

/** What a record takes besides its bytes, measured: objects and the buffer's own. */
const recordOverhead = 200
