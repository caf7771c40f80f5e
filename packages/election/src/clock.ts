/** A timer that was set; `cancel` is idempotent. */
export interface Timer {
  cancel(): void
}

/** The two clocks of a machine, and timers on the monotonic one. Handed in, so that a simulator or a test can move them. */
export interface Clock {
  /** Monotonic milliseconds; stands still while the machine is suspended. */
  monotonicMs(): number
  /** Milliseconds since 1970; may jump. */
  wallMs(): number
  /** Calls back once, at the earliest after `delayMs`. */
  setTimer(delayMs: number, callback: () => void): Timer
  /** Keeps the process alive until cancelled: whoever campaigns must not see it end only because the store is away. */
  hold?(): Timer
}

/** A source of chance: a number from 0 (included) to 1 (excluded). */
export type Random = () => number

/** This machine's clocks. Timers do not keep the process alive: an election does so itself, and only while it campaigns. */
export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    timer.unref()
    return { cancel: () => clearTimeout(timer) }
  },
  hold() {
    const anchor = setInterval(() => undefined, 2 ** 30)
    return { cancel: () => clearInterval(anchor) }
  },
}

/**
 * One moment on both clocks. A deadline has passed when *either* clock says so: the monotonic one stands still while a virtual
 * machine is suspended, the wall clock may be set back; each alone would let a leader act too long.
 */
export interface Moment {
  readonly monotonicMs: number
  readonly wallMs: number
}

/** Now, on both clocks. */
export function momentOf(clock: Clock): Moment {
  return { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() }
}

/** `ms` after a moment, on both clocks. */
export function after(moment: Moment, ms: number): Moment {
  return { monotonicMs: moment.monotonicMs + ms, wallMs: moment.wallMs + ms }
}

/** Whether a deadline has passed on at least one clock. */
export function hasPassed(deadline: Moment, now: Moment): boolean {
  return now.monotonicMs >= deadline.monotonicMs || now.wallMs >= deadline.wallMs
}

/** Milliseconds until the deadline passes on the first of the clocks; 0 or less when it has. */
export function untilPassed(deadline: Moment, now: Moment): number {
  return Math.min(deadline.monotonicMs - now.monotonicMs, deadline.wallMs - now.wallMs)
}
