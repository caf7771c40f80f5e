/**
 * How far the log is durable, shared with other threads: who reads the files by itself reads up to here and never beyond.
 *
 * The words are kept consistent by a version that is odd while they are being written. A reader that found nothing new may
 * `sleep`; the writer then calls its wake-up once (a posted message, say), so that an idle reader costs nothing and a busy one
 * is never told.
 */
const words = { version: 0, asleep: 1, endLow: 2, endHigh: 3, segment: 4, position: 5 } as const
const wordCount = 6

/** How far the log is durable. */
export interface Durable {
  /** Offset the next record will get. */
  readonly end: number
  /** Number of the segment being written, and how many of its bytes are durable. */
  readonly segment: number
  readonly position: number
}

/** How far the log is durable, in memory that threads share. */
export class LogProgress {
  private readonly words: Int32Array
  /** @param buffer another thread's `buffer`, to look at its progress; none to make a new one. */
  constructor(buffer?: SharedArrayBuffer) {
    this.words = new Int32Array(buffer ?? new SharedArrayBuffer(wordCount * 4))
  }
  /** What another thread needs: post it there. */
  get buffer(): SharedArrayBuffer {
    return this.words.buffer as SharedArrayBuffer
  }
  /** Offset the next durable record will get. */
  get end(): number {
    return this.read().end
  }
  read(): Durable {
    for (;;) {
      const version = Atomics.load(this.words, words.version)
      const end =
        (Atomics.load(this.words, words.endLow) >>> 0) + Atomics.load(this.words, words.endHigh) * 0x1_0000_0000
      const segment = Atomics.load(this.words, words.segment)
      const position = Atomics.load(this.words, words.position)
      if ((version & 1) === 0 && Atomics.load(this.words, words.version) === version) return { end, segment, position }
    }
  }
  /** For the writer alone. Gives whether the reader sleeps and is to be woken. */
  publish(durable: Durable): boolean {
    Atomics.add(this.words, words.version, 1)
    Atomics.store(this.words, words.endLow, (durable.end % 0x1_0000_0000) | 0)
    Atomics.store(this.words, words.endHigh, Math.floor(durable.end / 0x1_0000_0000))
    Atomics.store(this.words, words.segment, durable.segment)
    Atomics.store(this.words, words.position, durable.position)
    Atomics.add(this.words, words.version, 1)
    return Atomics.exchange(this.words, words.asleep, 0) === 1
  }
  /**
   * For the reader, once it has read up to `end`: asks to be woken. Gives false when there is more by now, and the reader goes on
   * instead. One reader a progress: two would wake each other's sleep away.
   */
  sleep(end: number): boolean {
    Atomics.store(this.words, words.asleep, 1)
    if (this.end === end) return true
    Atomics.store(this.words, words.asleep, 0)
    return false
  }
}
