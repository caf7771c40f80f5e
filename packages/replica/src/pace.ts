import { restAtMostMs, restPerWork } from './limits.ts'
import type { Clock, Timer } from './ports.ts'

/**
 * How fast a host works through what the log held when it began. Beside owners that must not wait it works a third of the time: a standby that
 * restores at full speed takes the processor from its own instance's owners and, where they share machines, from brokers and store. While its
 * partition has no owner it hurries.
 */
export class Pace {
  readonly #clock: Clock
  #hurried: boolean
  #over = false
  #sinceMs: number
  #resting: { readonly timer: Timer; readonly resolve: () => void } | undefined

  constructor(clock: Clock, unhurried: boolean) {
    this.#clock = clock
    this.#hurried = !unhurried
    this.#sinceMs = clock.monotonicMs()
  }

  /** From now on at full speed, or not any more: somebody owns again. */
  hurry(on: boolean): void {
    this.#hurried = on
    if (on) this.#wake()
  }

  /** What was there when it began is behind it: from now on it keeps up with what comes. */
  over(): void {
    this.#over = true
    this.#wake()
  }

  #wake(): void {
    this.#resting?.timer.cancel()
    this.#resting?.resolve()
    this.#resting = undefined
  }

  /** Resolves after a turn of the event loop; unhurried after twice as long as was worked since the last one. */
  async rest(): Promise<void> {
    const workedMs = this.#clock.monotonicMs() - this.#sinceMs
    const delayMs = this.#hurried || this.#over ? 0 : Math.min(workedMs * restPerWork, restAtMostMs)
    await new Promise<void>((resolve) => {
      this.#resting = { timer: this.#clock.setTimer(delayMs, resolve), resolve }
    })
    this.#resting = undefined
    this.#sinceMs = this.#clock.monotonicMs()
  }
}
