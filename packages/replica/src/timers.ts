import { ReplicaError } from './errors.ts'
import type { Clock, Timer } from './ports.ts'

/** A clock whose timers end with the replica: what still waits then waits for nothing. */
export class Timers implements Clock {
  readonly #clock: Clock
  readonly #set = new Set<Timer>()
  #ended = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs()
  }

  wallMs(): number {
    return this.#clock.wallMs()
  }

  /** Once `end` was called nothing is set any more. */
  setTimer(delayMs: number, callback: () => void): Timer {
    if (this.#ended) return { cancel: () => undefined }
    const timer = this.#clock.setTimer(delayMs, () => {
      this.#set.delete(timer)
      callback()
    })
    this.#set.add(timer)
    return {
      cancel: () => {
        timer.cancel()
        this.#set.delete(timer)
      },
    }
  }

  end(): void {
    this.#ended = true
    for (const timer of this.#set) timer.cancel()
    this.#set.clear()
  }
}

/** Waits for something, but no longer than this: gives undefined then. Rejects if it does. */
export async function atMost<T>(clock: Clock, ms: number, something: Promise<T>): Promise<T | undefined> {
  let timer: Timer | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = clock.setTimer(ms, () => resolve(undefined))
  })
  try {
    return await Promise.race([something, late])
  } finally {
    timer?.cancel()
  }
}

/** An answer that must come within this time. @throws ReplicaError `TIMED_OUT` */
export async function within<T>(clock: Clock, ms: number, what: string, answer: Promise<T>): Promise<T> {
  const given = await atMost(
    clock,
    ms,
    answer.then((value) => ({ value })),
  )
  if (given !== undefined) return given.value
  throw new ReplicaError('TIMED_OUT', `${what} did not answer within ${ms / 1_000} s; it is asked again`, true)
}
