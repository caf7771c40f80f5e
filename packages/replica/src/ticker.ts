import type { TickRecord } from '@ricci/engine'
import { idleTickMs, tickElapsedLimitMs, tickMs, wallBehindForMs, wallBehindMs } from './limits.ts'
import { ReplicaError } from './errors.ts'
import type { Clock, Timer } from './ports.ts'

export interface TickerOptions {
  readonly epoch: number
  /** Highest tick number in the log. */
  readonly lastTick: number
  readonly clock: Clock
  /** Resolves or rejects as the log does; the ticker heeds that it ended, and that the log had no room. */
  readonly append: (tick: TickRecord) => Promise<void>
  /** Whether anything but ticks and checkpoints was applied since the last tick. */
  readonly busy: () => boolean
  readonly calendarMs: () => number
  readonly onAlarm: (name: string, detail: string) => void
}

/**
 * Keeps an owner's time in the log: a tick every half second, one a second where nothing happens. Its first says that no time
 * has passed: how long nobody owned the log is nobody's to say.
 */
export class Ticker {
  readonly #options: TickerOptions
  #number: number
  #timer: Timer | undefined
  #tickedAtMs: number | undefined
  #underWaySinceMs: number | undefined
  #behindSinceMs: number | undefined
  /** The log had no room for the latest. */
  #refused = false
  #stopped = false

  constructor(options: TickerOptions) {
    this.#options = options
    this.#number = options.lastTick
    this.#tick()
    this.#rest()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  #rest(): void {
    this.#timer = this.#options.clock.setTimer(tickMs, () => {
      if (this.#stopped) return
      if (this.#isDue()) this.#tick()
      this.#rest()
    })
  }

  #isDue(): boolean {
    const nowMs = this.#options.clock.monotonicMs()
    // One under way at a time. One that hangs is given up after a while: its confirm may be lost, or the record itself.
    if (this.#underWaySinceMs !== undefined && nowMs - this.#underWaySinceMs < tickElapsedLimitMs) return false
    return this.#options.busy() || nowMs - this.#tickedAtMs! >= idleTickMs - tickMs / 2
  }

  #tick(): void {
    const { clock, epoch, append } = this.#options
    const nowMs = clock.monotonicMs()
    const wallMs = Math.round(clock.wallMs())
    const elapsedMs = this.#elapsedMs(nowMs)
    const back = this.#isWallBehind(nowMs, wallMs)
    this.#tickedAtMs = nowMs
    this.#underWaySinceMs = nowMs
    const tick: TickRecord = { kind: 'tick', number: ++this.#number, epoch, elapsedMs, wallMs }
    const ended = (): void => {
      if (this.#underWaySinceMs === nowMs) this.#underWaySinceMs = undefined
    }
    const refused = (error: unknown): void => {
      ended()
      // Events were refused with it: what has passed up to the first that is taken again was nobody's time.
      if (error instanceof ReplicaError && error.code === 'LOG_FULL') this.#refused = true
    }
    this.#refused = false
    append(back ? { ...tick, back } : tick).then(ended, refused)
  }

  /** Measured from the tick before, whether or not that one was ever written: owned time may lag, it must not run ahead. */
  #elapsedMs(nowMs: number): number {
    // While one hangs the log takes nothing, events neither: written later, a pile of ticks would pass for time they had.
    if (this.#tickedAtMs === undefined || this.#underWaySinceMs !== undefined || this.#refused) return 0
    return Math.round(Math.min(tickElapsedLimitMs, Math.max(0, nowMs - this.#tickedAtMs)))
  }

  #isWallBehind(nowMs: number, wallMs: number): boolean {
    const behindMs = this.#options.calendarMs() - wallMs
    if (behindMs <= wallBehindMs) {
      this.#behindSinceMs = undefined
      return false
    }
    this.#behindSinceMs ??= nowMs
    if (nowMs - this.#behindSinceMs < wallBehindForMs) return false
    this.#behindSinceMs = undefined
    const seconds = Math.round(behindMs / 1_000)
    this.#options.onAlarm(
      'clock-back',
      `the wall clock is ${seconds} s behind the log's calendar, which follows it back now`,
    )
    return true
  }
}
