import type { LogRecord } from '@ricci/engine'

/** A tick counts for no more than this: DESIGN section 4. */
export const longestTickMs = 2_000
/** A move of the calendar that goes so much beyond the elapsed time is a gap: DESIGN section 4. */
const gapMs = 5_000

/**
 * Owned time and claims, read from the log by nobody's code but this: the sum of the elapsed times of ticks of the highest
 * claim's epoch, each number once, nothing for the first after a claim. (Where that was lost, the next says what has passed since it.)
 */
export class OwnedTime {
  ownedMs = 0
  epoch = 0
  #lastTick = 0
  #firstAfterClaim = true
  /** Owned time of every claim that won its epoch, and of every move of the calendar that nobody's time covers. */
  readonly graces: number[] = []
  calendarMs = 0
  /** Whether the calendar was set back: some of it comes twice from then on. */
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
      const isFirst = this.#firstAfterClaim && record.number === this.#lastTick + 1
      this.#lastTick = record.number
      this.#firstAfterClaim = false
      const elapsedMs = isFirst ? 0 : Math.min(longestTickMs, Math.max(0, record.elapsedMs))
      this.ownedMs += elapsedMs
      if (record.back === true && record.wallMs < this.calendarMs) {
        this.setBack = true
        this.calendarMs = record.wallMs
      }
      this.#calendar(record.wallMs, elapsedMs)
    }
  }

  #calendar(wallMs: number, elapsedMs: number): void {
    if (wallMs <= this.calendarMs) return
    if (this.calendarMs > 0 && wallMs - this.calendarMs - elapsedMs > gapMs) this.graces.push(this.ownedMs)
    this.calendarMs = wallMs
  }
}
