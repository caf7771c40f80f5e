import { ReplicaError } from './errors.ts'
import type { Clock, LogPort } from './ports.ts'
import { atMost } from './timers.ts'

/** A query waits this long for what the log held when it came. */
const waitMs = 5_000

/** Those who wait until the engine has applied the log up to some offset. */
export class AppliedWaiters {
  readonly #clock: Clock
  readonly #waiting = new Set<{ readonly offset: number; readonly end: (error?: ReplicaError) => void }>()
  #applied = -2
  #stopped = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Waits until all that the log holds now is applied.
   * @throws ReplicaError `NOT_EVALUATED` when that takes longer than five seconds, or when the replica stops
   */
  async untilEnd(log: LogPort, partition: number): Promise<void> {
    if (this.#stopped) throw notEvaluated()
    const end = await atMost(this.#clock, waitMs, log.endOf(partition))
    if (end === undefined) throw notEvaluated()
    await this.until(end - 1)
  }

  /** @throws ReplicaError `NOT_EVALUATED` after five seconds, or when the replica stops */
  until(offset: number): Promise<void> {
    if (this.#applied >= offset) return Promise.resolve()
    if (this.#stopped) return Promise.reject(notEvaluated())
    return new Promise((resolve, reject) => {
      const waiter = {
        offset,
        end: (error?: ReplicaError) => {
          timer.cancel()
          this.#waiting.delete(waiter)
          if (error === undefined) resolve()
          else reject(error)
        },
      }
      const timer = this.#clock.setTimer(waitMs, () => waiter.end(notEvaluated()))
      this.#waiting.add(waiter)
    })
  }

  applied(offset: number): void {
    this.#applied = offset
    for (const waiter of this.#waiting) if (waiter.offset <= offset) waiter.end()
  }

  /** A new generation begins further back. */
  reset(): void {
    this.#applied = -2
  }

  stop(): void {
    this.#stopped = true
    for (const waiter of this.#waiting) waiter.end(notEvaluated())
  }
}

function notEvaluated(): ReplicaError {
  return new ReplicaError('NOT_EVALUATED', 'not evaluated yet: the engine is behind the log; ask again', true)
}
