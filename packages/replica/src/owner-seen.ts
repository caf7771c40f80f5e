import { orphanedMs, silentOwnerMs } from './limits.ts'
import type { Clock } from './ports.ts'

/** When the log last showed that somebody owns: a tick of the highest epoch, or its claim. */
export class OwnerSeen {
  readonly #clock: Clock
  #atMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  now(): void {
    this.#atMs = this.#clock.monotonicMs()
  }

  /** No tick for so long that a lease holder claims anew. */
  get isSilent(): boolean {
    return this.#clock.monotonicMs() - this.#atMs > silentOwnerMs
  }

  /** No tick for so long that the owner's word on our state is not to be had any more. */
  get isLost(): boolean {
    return this.#clock.monotonicMs() - this.#atMs > orphanedMs
  }
}
