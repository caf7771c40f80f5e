/**
 * What a worker says of itself without a message: words in shared memory that stay readable while its thread is stuck.
 * Written by the worker alone.
 */
const words = {
  busy: 0,
  offsetLow: 1,
  offsetHigh: 2,
  appliedLow: 3,
  appliedHigh: 4,
  operator: 5,
  event: 6,
  step: 7,
} as const
const wordCount = 8
const high = 0x1_0000_0000

export interface Standing {
  /** Something is being applied; otherwise the rest says nothing. */
  readonly busy: boolean
  /** The record being applied. */
  readonly offset: number
  /** Which of its events, from 0. */
  readonly event: number
  /** Counts what one record is made of besides events: its timers, the events of a list, incidents. */
  readonly step: number
  /** The operator that has it, as the engine numbers them; 0: none. */
  readonly operator: number
}

export class ProgressWords {
  private readonly words: Int32Array

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(wordCount * 4)) {
    this.words = new Int32Array(buffer)
  }

  get buffer(): SharedArrayBuffer {
    return this.words.buffer as SharedArrayBuffer
  }

  /** The part that the engine itself writes: operator, event and step. */
  get engine(): Int32Array {
    return this.words.subarray(words.operator, words.step + 1)
  }

  /** For the worker: it begins to apply the record at an offset. */
  begin(offset: number): void {
    this.words[words.event] = 0
    this.words[words.offsetHigh] = Math.floor(offset / high)
    this.words[words.offsetLow] = (offset % high) | 0
    Atomics.store(this.words, words.busy, 1)
  }

  /** For the worker: the record at an offset is applied. */
  applied(offset: number): void {
    // one more than the offset, so that fresh memory says "nothing yet"
    Atomics.store(this.words, words.appliedHigh, Math.floor((offset + 1) / high))
    Atomics.store(this.words, words.appliedLow, ((offset + 1) % high) | 0)
    Atomics.store(this.words, words.busy, 0)
  }

  get appliedOffset(): number {
    // the upper word is read twice: between its two writes a reader would see a number that never was
    for (;;) {
      const upper = Atomics.load(this.words, words.appliedHigh)
      const lower = Atomics.load(this.words, words.appliedLow) >>> 0
      if (Atomics.load(this.words, words.appliedHigh) === upper) return upper * high + lower - 1
    }
  }

  standing(): Standing {
    return {
      busy: Atomics.load(this.words, words.busy) === 1,
      offset: Atomics.load(this.words, words.offsetHigh) * high + (Atomics.load(this.words, words.offsetLow) >>> 0),
      event: Atomics.load(this.words, words.event),
      step: Atomics.load(this.words, words.step),
      operator: Atomics.load(this.words, words.operator),
    }
  }
}
