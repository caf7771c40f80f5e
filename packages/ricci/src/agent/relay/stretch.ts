import type { StoredRecord } from '@ricci/replica'
import type { Spool, SpoolReader } from './spool.ts'

/** So far ahead of the oldest that is not settled: what is sent again is known as such within 8,192 (see `ProducerMark.spread`). */
const maxAhead = 4_096

/** A part of what waits, sent in its order. Another one may be sent before it: what came after an outage goes before what came in it. */
export class Stretch {
  /** The offset behind it; none while it is the one that grows. */
  to = Infinity
  /** Taken by nobody yet. */
  #next: number
  readonly #reader: SpoolReader
  #batch: readonly StoredRecord[] = []
  #at = 0
  /** On their way, and come back to be sent again: few, as few are on their way at a time. */
  readonly #under = new Map<number, StoredRecord>()
  #again: StoredRecord[] = []
  /** Records that it would have held and that the spool dropped. */
  dropped = 0

  constructor(spool: Spool, from: number) {
    this.#next = from
    this.#reader = spool.reader(from)
  }

  /** Everything before was settled. */
  get low(): number {
    let low = this.#next
    for (const offset of this.#under.keys()) low = Math.min(low, offset)
    for (const { offset } of this.#again) low = Math.min(low, offset)
    return low
  }

  get isDone(): boolean {
    return this.#next >= this.to && this.#under.size === 0 && this.#again.length === 0
  }

  /** The next one to send; undefined while there is none. */
  take(): StoredRecord | undefined {
    const record = this.#again.shift() ?? this.#read()
    if (record !== undefined) this.#under.set(record.offset, record)
    return record
  }

  /** A server has it, or none will ever. */
  settle({ offset }: StoredRecord): void {
    this.#under.delete(offset)
  }

  /** It is to be sent again. */
  giveBack(record: StoredRecord): void {
    this.#under.delete(record.offset)
    const at = this.#again.findIndex(({ offset }) => offset > record.offset)
    this.#again.splice(at < 0 ? this.#again.length : at, 0, record)
  }

  close(): void {
    this.#reader.close()
  }

  #read(): StoredRecord | undefined {
    if (this.#next >= this.to || this.#next - this.low >= maxAhead) return undefined
    if (this.#at === this.#batch.length) {
      this.#batch = this.#reader.next()
      this.#at = 0
    }
    const record = this.#batch[this.#at]
    if (record === undefined) return undefined
    this.dropped += Math.min(record.offset, this.to) - this.#next
    // what is left of this stretch was dropped with what was before it
    if (record.offset >= this.to) {
      this.#next = this.to
      return undefined
    }
    this.#at++
    this.#next = record.offset + 1
    return record
  }
}
