/** One virtual time, and the processes that live in it: each with clocks of its own, frozen, killed and started again. */
import type { Clock, Timer } from '@ricci/election'
import type { VirtualClock } from '../clock.ts'
import type { SeededRandom } from '../random.ts'

/** How a process stands still. */
export type Freeze =
  /** Stopped: nothing runs, both clocks go on. */
  | 'stopped'
  /** Its machine is suspended: the monotonic clock stands still as well. */
  | 'suspended'

/**
 * A process: whatever happens to it (timers, answers) happens through {@link run}, so that a frozen one gets it all when it wakes, and
 * a killed one never. Its clocks run at a rate of their own.
 */
export class Process implements Clock {
  /** Which of its clocks is wrong at times. Either is made up for by the other; nothing makes up for both at once. */
  readonly wrong: 'monotonic' | 'wall'
  /** Whether it asks a server that may lag behind. */
  readonly readsBehind: boolean
  readonly #world: VirtualClock
  readonly #rate: number
  readonly #postponed: (() => void)[] = []
  /** The way between this process and its store: nothing passes, or answers do not. */
  cut: 'none' | 'both' | 'answers' = 'none'
  /** What each message of its takes at most on top, in ms. */
  lagMs = 0
  #frozen = false
  #dead = false
  #suspendedMs = 0
  #wallShiftMs = 0

  constructor(world: VirtualClock, random: SeededRandom) {
    this.#world = world
    // A bad quartz is off by 0.01 %; the algorithm allows two clocks to differ by 2 %.
    this.#rate = 1 + random.between(-0.009, 0.009)
    this.readsBehind = random.chance(0.5)
    this.wrong = random.chance(0.5) ? 'monotonic' : 'wall'
  }

  get alive(): boolean {
    return !this.#dead
  }

  get frozen(): boolean {
    return this.#frozen
  }

  monotonicMs(): number {
    return (this.#world.monotonicMs() - this.#suspendedMs) * this.#rate
  }

  wallMs(): number {
    return this.#world.wallMs() * 1 + this.#world.monotonicMs() * (this.#rate - 1) + this.#wallShiftMs
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    let cancelled = false
    const timer = this.#world.setTimer(Math.max(0, delayMs) / this.#rate, () =>
      this.run(() => {
        if (!cancelled) callback()
      }),
    )
    return {
      cancel: () => {
        cancelled = true
        timer.cancel()
      },
    }
  }

  /** Something happens to the process: now, when it wakes, or never. */
  run(what: () => void): void {
    if (this.#dead) return
    if (this.#frozen) this.#postponed.push(what)
    else what()
  }

  /** Stands still for so long. */
  freeze(how: Freeze, ms: number): void {
    if (this.#frozen || this.#dead) return
    this.#frozen = true
    this.#world.setTimer(ms, () => {
      this.#frozen = false
      if (how === 'suspended' && this.wrong === 'monotonic') this.#suspendedMs += ms
      for (const what of this.#postponed.splice(0)) this.run(what)
    })
  }

  /** Ends at once; nothing of it happens any more. */
  kill(): void {
    this.#dead = true
    this.#postponed.length = 0
  }

  shiftWall(ms: number): void {
    if (this.wrong === 'wall') this.#wallShiftMs += ms
  }
}
