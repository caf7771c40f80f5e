import type { LogRecord } from '@ricci/engine'

/** A tick counts for no more than this: DESIGN section 4. */
export const longestTickMs = 2_000

/**
 * Owned time and claims, read from the log by nobody's code but this: the sum of the elapsed times of ticks of the highest
 * claim's epoch, each number once, nothing for the first after a claim.
 */
export class OwnedTime {
  ownedMs = 0
  /** What first ticks after claims say besides: those before them were lost, and it may have been the owner's time. */
  firstMs = 0
  epoch = 0
  #lastTick = 0
  #firstAfterClaim = true
  /** Owned time of every claim that won its epoch, and of every move of the calendar that nobody's time covers. */
  readonly graces: number[] = []
  calendarMs = 0
  /** Whether the calendar may have been set back: from then on it is not known for sure. */
  setBack = false

  /** @param repeated events that were there before: dropped by their mark, they move no clock */
  apply(record: LogRecord, repeated = false): void {
    if (record.kind === 'claim' && record.epoch > this.epoch) {
      this.epoch = record.epoch
      this.#firstAfterClaim = true
      this.graces.push(this.ownedMs)
    } else if (record.kind === 'events') {
      if (!repeated) this.#calendar(record.receivedAtMs, 0)
    } else if (record.kind === 'tick' && record.epoch === this.epoch && record.number > this.#lastTick) {
      this.#lastTick = record.number
      const saidMs = Math.min(longestTickMs, Math.max(0, record.elapsedMs))
      const elapsedMs = this.#firstAfterClaim ? 0 : saidMs
      if (this.#firstAfterClaim) this.firstMs += saidMs
      this.#firstAfterClaim = false
      this.ownedMs += elapsedMs
      this.#calendar(record.wallMs, elapsedMs)
    }
  }

  /** Leniently: anything that might be a gap puts deadlines off, so that none is demanded too early. */
  #calendar(wallMs: number, elapsedMs: number): void {
    if (wallMs > this.calendarMs + elapsedMs + 1_000 || wallMs < this.calendarMs - 30_000)
      this.graces.push(this.ownedMs)
    if (wallMs < this.calendarMs - 30_000) this.setBack = true
    if (wallMs > this.calendarMs) this.calendarMs = wallMs
  }
}
