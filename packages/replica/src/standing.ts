import type { ReplicaState } from './life.ts'
import { caughtUpMs, claimMs } from './limits.ts'
import type { Clock, LogPort, Standing } from './ports.ts'
import { atMost } from './timers.ts'

export interface StandingWatchOptions {
  readonly log: LogPort
  readonly partition: number
  readonly clock: Clock
  readonly state: () => ReplicaState
  /** Whether its state is not in doubt. */
  readonly trusted: () => boolean
  /** Offset of the last record applied. */
  readonly appliedOffset: () => number
  /** Told of each change; absent where nobody wants to know, and the log is not asked. */
  readonly onStanding?: (standing: Standing) => void
}

/**
 * What others may count on ({@link Standing}): a replica that follows counts once it has caught up. It has when all that the log held, asked
 * at some moment, was applied soon after that; one that takes longer is asked again for what has come meanwhile.
 */
export class StandingWatch {
  readonly #options: StandingWatchOptions
  #told: Standing | undefined
  #caughtUp = false
  #asking = false
  /** What is to be applied, and when the log was asked for it. */
  #target: { readonly offset: number; readonly askedMs: number } | undefined
  /** Raised with each generation: an answer from before it says nothing about the next. */
  #generation = 0

  constructor(options: StandingWatchOptions) {
    this.#options = options
  }

  /** A new generation begins further back. */
  reset(): void {
    this.#generation++
    this.#caughtUp = false
    this.#target = undefined
    this.#asking = false
  }

  /** To be called whenever something may have changed. */
  look(): void {
    const { onStanding, state } = this.#options
    if (onStanding === undefined) return
    if (state() === 'owning') this.#caughtUp = true
    else if (state() === 'following' && !this.#caughtUp && this.#target === undefined) void this.#ask()
    const standing = this.#standing()
    if (standing === undefined || standing === this.#told) return
    this.#told = standing
    onStanding(standing)
  }

  /** Records up to this offset are applied. */
  applied(offset: number): void {
    if (this.#target === undefined || offset < this.#target.offset) return
    this.#caughtUp = this.#options.clock.monotonicMs() - this.#target.askedMs <= caughtUpMs
    this.#target = undefined
    this.look()
  }

  #standing(): Standing | undefined {
    const state = this.#options.state()
    if (state === 'stopped') return undefined
    if (state !== 'following') return state
    if (!this.#options.trusted()) return 'diverged'
    return this.#caughtUp ? 'following' : 'restoring'
  }

  async #ask(): Promise<void> {
    if (this.#asking) return
    this.#asking = true
    const { log, partition, clock, appliedOffset } = this.#options
    const generation = this.#generation
    const askedMs = clock.monotonicMs()
    const end = await atMost(clock, claimMs, log.endOf(partition)).catch(() => undefined)
    if (generation !== this.#generation) return
    this.#asking = false
    // One that does not say is asked again when something may have changed.
    if (end === undefined) return
    this.#target = { offset: end - 1, askedMs }
    this.applied(appliedOffset())
  }
}
