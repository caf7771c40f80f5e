import { SelfAlarms, type SelfAlarmsOptions } from './delivery/self-alarms.ts'
import { readBackMs, watchMs } from './limits.ts'
import type { LogWriter } from './log-writer.ts'
import type { Clock } from './ports.ts'

/** How a replica stands, as far as the alarms about its log go. Times are monotonic milliseconds. */
export interface Standing {
  /** Its ownership, and when it last read a tick of that; before the first, when it began. */
  readonly ownership: { readonly epoch: number; readonly tickSeenMs: number } | undefined
  /** For all others that should be able to own: since when they saw nobody own; undefined while somebody does. */
  readonly ownerlessSinceMs: number | undefined
  /** What it is and does, in words. */
  readonly doing: string
}

/** Finds the three troubles that no record could tell of, and has them told outside the log. */
export class TroubleWatch {
  readonly #alarms: SelfAlarms
  readonly #writer: LogWriter
  readonly #clock: Clock
  /** The ownership in force as it was first seen, and whether all was found well in it. */
  #first: { readonly epoch: number; readonly tickSeenMs: number } | undefined
  #well = false
  /** When the log was last seen to refuse records for longer than a retry takes: until then there was no tick to be given. */
  #refusedMs = -Infinity

  constructor(writer: LogWriter, options: SelfAlarmsOptions) {
    this.#alarms = new SelfAlarms(options)
    this.#writer = writer
    this.#clock = options.clock
  }

  /** Gives when to look again: soon, or at the moment at which an alarm is due. */
  look({ ownership, ownerlessSinceMs, doing }: Standing): number {
    const nowMs = this.#clock.monotonicMs()
    const owning = ownership !== undefined
    const trouble = owning ? this.#writer.trouble() : undefined
    if (trouble !== undefined && nowMs - trouble.sinceMs > readBackMs) this.#refusedMs = nowMs
    const givenMs = Math.max(ownership?.tickSeenMs ?? nowMs, this.#refusedMs)
    const unreadMs = owning && trouble === undefined ? nowMs - givenMs : 0
    const unread = unreadMs > watchMs + readBackMs
    const seconds = Math.round(unreadMs / 1_000)
    this.#alarms.is('log-unavailable', trouble?.sinceMs, trouble?.why ?? 'the log takes records again')
    this.#alarms.is(
      'event-path',
      unread ? givenMs : undefined,
      unread
        ? `the log confirms ticks that its reader was not given for ${seconds} s`
        : 'the reader is given ticks again',
    )
    this.#alarms.is('cannot-own', ownerlessSinceMs, `no owner is seen, and this replica cannot own: ${doing}`)
    this.#lookForHealth(ownership)
    return Math.min(watchMs, this.#alarms.nextDueMs() - nowMs)
  }

  /** A tick of this ownership was read: the log takes records, gives them back, and has an owner. */
  #lookForHealth(ownership: Standing['ownership']): void {
    if (ownership?.epoch !== this.#first?.epoch) {
      this.#first = ownership === undefined ? undefined : { epoch: ownership.epoch, tickSeenMs: ownership.tickSeenMs }
      this.#well = false
    }
    if (this.#well || ownership === undefined || ownership.tickSeenMs === this.#first?.tickSeenMs) return
    this.#well = true
    this.#alarms.allIsWell()
  }

  stop(): void {
    this.#alarms.stop()
  }
}
