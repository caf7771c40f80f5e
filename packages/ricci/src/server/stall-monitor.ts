import type { Clock, Timer } from '@ricci/replica'
import type { Standing } from './progress-words.ts'

/** DESIGN 8: 2 s on one event, counted in 20 punctual polls of 100 ms. */
export const pollMs = 100
export const pollsToBlame = 20

/** A poll later than this was late because the process was stopped or starved: what it saw counts for nobody. */
const punctualMs = 50

/**
 * On a machine so loaded that the process hardly runs, polls may be punctual while the worker is not given the processor. An
 * event is blamed only if the process also burnt this much of it meanwhile, of the 2,000 ms that a free one would have.
 */
const leastCpuMs = 500

/** Watches one worker: blames the event on which it stands for two seconds. */
export class StallMonitor {
  private timer: Timer | undefined
  private lastPollMs = 0
  private seen: Standing | undefined
  private polls = 0
  private cpuAtFirstMs = 0

  constructor(
    private readonly standing: () => Standing,
    private readonly clock: Clock,
    /** CPU time of the whole process, milliseconds. */
    private readonly cpuMs: () => number,
    private readonly onStall: (standing: Standing) => void,
  ) {}

  start(): void {
    this.lastPollMs = this.clock.monotonicMs()
    this.timer = this.clock.setTimer(pollMs, this.poll)
  }

  /** Idempotent. */
  stop(): void {
    this.timer?.cancel()
    this.timer = undefined
  }

  private readonly poll = (): void => {
    const nowMs = this.clock.monotonicMs()
    const punctual = nowMs - this.lastPollMs <= pollMs + punctualMs
    this.lastPollMs = nowMs
    const standing = this.standing()
    const same = isSame(standing, this.seen)
    if (!same || this.polls === 0) {
      this.seen = standing
      this.polls = standing.busy ? 1 : 0
      if (standing.busy) this.cpuAtFirstMs = this.cpuMs()
    } else if (punctual) this.polls++
    if (this.polls > pollsToBlame && this.cpuMs() - this.cpuAtFirstMs >= leastCpuMs) {
      this.timer = undefined
      this.onStall(standing)
      return
    }
    this.timer = this.clock.setTimer(pollMs, this.poll)
  }
}

/** A record of 100,000 timers, or a list of as many events, goes on step by step; who never returns stays at one. */
function isSame(now: Standing, before: Standing | undefined): boolean {
  return (
    now.busy &&
    before?.busy === true &&
    now.offset === before.offset &&
    now.event === before.event &&
    now.step === before.step &&
    now.operator === before.operator
  )
}
