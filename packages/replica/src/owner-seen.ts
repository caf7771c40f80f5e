import { orphanedMs, silentOwnerMs } from './limits.ts'
import type { Clock } from './ports.ts'

/**
 * When the log last showed that somebody owns: by a tick of the highest epoch. Its claim shows who may, which is to be waited for; one that nobody
 * takes up (its lease was gone when it was read) owns nothing.
 */
export class OwnerSeen {
  readonly #clock: Clock
  #atMs = 0
  #seenMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A claim was read, or the replica has just begun to read: who owns has time to show it. */
  expect(): void {
    this.#atMs = this.#clock.monotonicMs()
  }

  /** A tick was read. @param history it lay in the log before this replica began to read: who wrote it may be long gone */
  now(history: boolean): void {
    this.expect()
    if (!history) this.#seenMs = this.#atMs
  }

  /** The replica begins: that nobody owns is nobody's fault before. */
  begin(): void {
    this.#seenMs = this.#clock.monotonicMs()
  }

  /** Since when nobody was seen to own; undefined while somebody is. */
  get missingSinceMs(): number | undefined {
    return this.#clock.monotonicMs() - this.#seenMs > silentOwnerMs ? this.#seenMs : undefined
  }

  /** For how long nobody was seen to own; undefined while somebody is. */
  get missingMs(): number | undefined {
    const sinceMs = this.missingSinceMs
    return sinceMs === undefined ? undefined : this.#clock.monotonicMs() - sinceMs
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
