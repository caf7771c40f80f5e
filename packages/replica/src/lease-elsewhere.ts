import { claimMs } from './limits.ts'
import type { Clock, CoordinationPort } from './ports.ts'
import { atMost } from './timers.ts'

/** Who is to tell people that nobody owns; `unknown` while the store of leases was not heard. */
export type AlarmDuty = 'ours' | 'another' | 'unknown'

/**
 * Whether another instance, alive as far as the store of leases knows, holds the lease. Asked only while no owner is seen: who reads
 * nothing may be the one that is broken, and the holder, who would know, reads by itself and tells by itself.
 */
export class LeaseElsewhere {
  readonly #coordination: CoordinationPort
  readonly #partition: number
  readonly #clock: Clock
  #duty: AlarmDuty = 'unknown'
  #asking = false
  /** Raised with each trouble that is over: an answer from before it says nothing about the next. */
  #round = 0

  constructor(coordination: CoordinationPort, partition: number, clock: Clock) {
    this.#coordination = coordination
    this.#partition = partition
    this.#clock = clock
  }

  /** What the store said last, in this trouble; asks it again meanwhile. One that is away or hangs relieves nobody of the duty. */
  ask(): AlarmDuty {
    if (!this.#asking) void this.#ask()
    return this.#duty
  }

  /** There is no such trouble, or the lease is ours. */
  forget(): AlarmDuty {
    this.#round++
    this.#duty = 'unknown'
    return 'ours'
  }

  async #ask(): Promise<void> {
    const round = this.#round
    this.#asking = true
    const isHeld = await atMost(this.#clock, claimMs, this.#coordination.isHeld(this.#partition)).catch(() => undefined)
    this.#asking = false
    if (round === this.#round) this.#duty = isHeld === true ? 'another' : 'ours'
  }
}
