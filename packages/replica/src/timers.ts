import type { Clock, Timer } from './ports.ts'

/** Timers that end with their replica. */
export class Timers {
  readonly #clock: Clock
  readonly #set = new Set<Timer>()
  #ended = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Once `end` was called nothing is set any more. */
  later(delayMs: number, callback: () => void): void {
    if (this.#ended) return
    const timer = this.#clock.setTimer(delayMs, () => {
      this.#set.delete(timer)
      callback()
    })
    this.#set.add(timer)
  }

  end(): void {
    this.#ended = true
    for (const timer of this.#set) timer.cancel()
    this.#set.clear()
  }
}

/** Waits for something, but no longer than this. Rejects if it does. */
export async function atMost(clock: Clock, ms: number, something: Promise<void>): Promise<void> {
  let timer: Timer | undefined
  const late = new Promise<void>((resolve) => {
    timer = clock.setTimer(ms, resolve)
  })
  try {
    await Promise.race([something, late])
  } finally {
    timer?.cancel()
  }
}
