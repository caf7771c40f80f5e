import { SelfAlarms, type SelfAlarmsOptions } from './delivery/self-alarms.ts'
import type { AlarmDuty } from './lease-elsewhere.ts'
import { readBackMs, selfAlarmMs, watchMs } from './limits.ts'
import type { LogWriter } from './log-writer.ts'
import type { Clock } from './ports.ts'

/** A tick that was confirmed is read back within this, or something is wrong. */
const readMs = watchMs + readBackMs
/** Whoever looks so much later than it wanted to was stopped, or starved: of what it missed it can say nothing. */
const stoppedMs = 3 * watchMs

/** How a replica stands, as far as the alarms about its log go. Times are monotonic milliseconds. */
export interface Standing {
  /** Its ownership, and when it last read a tick of that; before the first, when it began. */
  readonly ownership: { readonly epoch: number; readonly tickSeenMs: number } | undefined
  /** For all others that should be able to own: since when they saw nobody own; undefined while somebody does. */
  readonly ownerlessSinceMs: number | undefined
  /** Who is to tell of that: who holds the lease, and everybody where nobody does. */
  readonly duty: AlarmDuty
  /** What it is and does, in words. */
  readonly doing: string
}

/** Finds the three troubles that no record could tell of, and has them told outside the log. */
export class TroubleWatch {
  readonly #alarms: SelfAlarms
  readonly #writer: LogWriter
  readonly #clock: Clock
  readonly #onAlarm: (name: string, detail: string) => void
  /** The ownership in force as it was first seen, and whether all was found well in it. */
  #first: { readonly epoch: number; readonly tickSeenMs: number } | undefined
  #well = false
  #unseenTold = false
  /** When the log was last seen to refuse records for longer than a retry takes. */
  #refusedMs = -Infinity
  #lookedMs: number | undefined
  /** When it last went on after it had been stopped. */
  #wokenMs = -Infinity

  constructor(writer: LogWriter, options: SelfAlarmsOptions) {
    this.#alarms = new SelfAlarms(options)
    this.#writer = writer
    this.#clock = options.clock
    this.#onAlarm = options.onAlarm
  }

  /** Gives when to look again: soon, or at the moment at which an alarm is due. */
  look({ ownership, ownerlessSinceMs, duty, doing }: Standing): number {
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - (this.#lookedMs ?? nowMs) > stoppedMs) this.#wokenMs = nowMs
    this.#lookedMs = nowMs
    const whileAwake = (sinceMs: number): number => Math.max(sinceMs, this.#wokenMs)
    this.#lookAtLog(ownership, whileAwake, nowMs)
    const unownedSinceMs = ownerlessSinceMs === undefined ? undefined : whileAwake(ownerlessSinceMs)
    const unowned = `no owner is seen, and this replica cannot own: ${doing}`
    this.#alarms.is('cannot-own', unownedSinceMs, unowned, duty === 'ours')
    this.#tellUnseen(unownedSinceMs !== undefined && nowMs - unownedSinceMs >= selfAlarmMs, duty, doing)
    this.#lookForHealth(ownership)
    return Math.min(watchMs, this.#alarms.nextDueMs() - nowMs)
  }

  /** An owner that is not given its ticks: for want of a log that takes them, or of a reader that gives them. */
  #lookAtLog(ownership: Standing['ownership'], whileAwake: (sinceMs: number) => number, nowMs: number): void {
    const trouble = ownership === undefined ? undefined : this.#writer.trouble()
    const tickSeenMs = ownership?.tickSeenMs ?? nowMs
    const refusedForMs = trouble === undefined ? 0 : nowMs - trouble.sinceMs
    if (refusedForMs > readBackMs) this.#refusedMs = nowMs
    // Before it refused them it may long have confirmed what nobody was given: that is one trouble, named by what it is now.
    const isRefused = refusedForMs > readMs
    const isLonger = isRefused && trouble !== undefined && trouble.sinceMs - tickSeenMs > readMs
    const refusedSinceMs = isLonger ? tickSeenMs : trouble?.sinceMs
    // What was refused is not missing. Once it is taken again, ticks have the time that a reader needs.
    const unreadSinceMs = Math.max(whileAwake(tickSeenMs), this.#refusedMs + readMs - selfAlarmMs)
    const unread = !isRefused && nowMs - unreadSinceMs > readMs
    const seconds = Math.round((nowMs - tickSeenMs) / 1_000)
    this.#alarms.is(
      'log-unavailable',
      refusedSinceMs === undefined ? undefined : whileAwake(refusedSinceMs),
      trouble?.why ?? 'the log takes records again',
    )
    this.#alarms.is(
      'event-path',
      unread ? unreadSinceMs : undefined,
      unread
        ? `the log confirms ticks that its reader was not given for ${seconds} s`
        : 'the reader is given ticks again',
    )
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

  /** An owner may live whom only this replica does not see. It is no trouble of the log's, and the log can carry the news. */
  #tellUnseen(isLong: boolean, duty: AlarmDuty, doing: string): void {
    if (!isLong) this.#unseenTold = false
    if (!isLong || duty !== 'another' || this.#unseenTold) return
    this.#unseenTold = true
    this.#onAlarm(
      'owner-unseen',
      `another instance holds the lease, and this one is given no tick of an owner: ${doing}`,
    )
  }

  stop(): void {
    this.#alarms.stop()
  }
}
