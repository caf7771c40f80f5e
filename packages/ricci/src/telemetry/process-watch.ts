/** What of this process no part of it sees: how late its loop is, and what collecting garbage costs. */
import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks'

/** Finer costs more wake-ups than it tells: what is felt begins at tens of milliseconds. */
const resolutionMs = 20

/** Watches from its making until `close`. It costs fifty wake-ups a second. */
export class ProcessWatch {
  readonly #delays = monitorEventLoopDelay({ resolution: resolutionMs })
  readonly #collections: PerformanceObserver
  #gcMs = 0

  constructor() {
    this.#collections = new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) this.#gcMs += duration
    })
    this.#collections.observe({ entryTypes: ['gc'] })
    this.#delays.enable()
  }

  /** Seconds that this thread has spent on collecting garbage. */
  get gcSeconds(): number {
    return this.#gcMs / 1000
  }

  /** By how much the loop is late, seconds, of 99 of 100 turns since the latest {@link forget}. */
  get delaySeconds(): number {
    const late = this.#delays.percentile(99) / 1e9 - resolutionMs / 1000
    return Number.isFinite(late) ? Math.max(0, late) : 0
  }

  /** Begins to measure anew: old delays would never be outlived. */
  forget(): void {
    this.#delays.reset()
  }

  /** Idempotent. */
  close(): void {
    this.#collections.disconnect()
    this.#delays.disable()
  }
}
