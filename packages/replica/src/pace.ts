import { restAtMostMs, restPerWork } from './limits.ts'
import type { Clock, Timer } from './ports.ts'

/**
 * How fast a host works through what the log held when it began. Beside owners that must not wait it works a third of the time: a standby that
 * restores at full speed takes the processor from its own instance's owners and, where they share machines, from brokers and store. Where its
 * partition has no owner it hurries.
 */
export class Pace {
  readonly #clock: Clock
  #hurried: boolean
  #sinceMs: number
  #resting: { readonly timer: Timer; readonly resolve: () => void } | undefined

  constructor(clock: Clock, unhurried: boolean) {
    this.#clock = clock
    this.#hurried = !unhurried
    this.#sinceMs = clock.monotonicMs()
  }

  /** From now on at full speed: nothing more is waited for. */
  hurry(): void {
    this.#hurried = true
    this.#resting?.timer.cancel()
    this.#resting?.resolve()
    this.#resting = undefined
  }

  /** Resolves after a turn of the event loop; unhurried after twice as long as was worked since the last one. */
  async rest(): Promise<void> {
    const workedMs = this.#clock.monotonicMs() - this.#sinceMs
    const delayMs = this.#hurried ? 0 : Math.min(workedMs * restPerWork, restAtMostMs)
    await new Promise<void>((resolve) => {
      this.#resting = { timer: this.#clock.setTimer(delayMs, resolve), resolve }
    })
    this.#resting = undefined
    this.#sinceMs = this.#clock.monotonicMs()
  }
}
