import { sendBeginMs, sendEndMs } from '../limits.ts'
import type { Clock } from '../ports.ts'

/**
 * The time in which an attempt may become a request, counted from the append of its record on the monotonic and on the wall
 * clock; the stricter wins. The monotonic clock stands still while a machine is suspended, the wall clock may be set back.
 */
export class SendWindow {
  readonly #clock: Clock
  readonly #openedMs: number
  readonly #openedWallMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#openedMs = clock.monotonicMs()
    this.#openedWallMs = clock.wallMs()
  }

  /** Whether a send may still begin. A wall clock that was set back tells nothing any more: no. */
  mayBegin(): boolean {
    const wallMs = this.#clock.wallMs() - this.#openedWallMs
    return this.ageMs() <= sendBeginMs && wallMs <= sendBeginMs && wallMs >= -sendBeginMs
  }

  ageMs(): number {
    return this.#clock.monotonicMs() - this.#openedMs
  }

  /** Monotonic time by which the request has ended. */
  get deadlineMs(): number {
    return this.#openedMs + sendEndMs
  }
}
