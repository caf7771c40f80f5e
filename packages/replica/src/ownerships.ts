import { flowStats } from './flows/flow-senders.ts'
import type { FlowCounters } from './flows/sink.ts'
import type { Progress } from './host.ts'
import { stepDownMs } from './limits.ts'
import type { FlowStats } from './options.ts'
import { Ownership, type OwnershipOptions } from './ownership.ts'
import { atMost } from './timers.ts'

/** The ownerships of one replica, one after the other: the one in force, and those whose last requests are still under way. */
export class Ownerships {
  readonly #options: Omit<OwnershipOptions, 'epoch' | 'flowCounters'>
  readonly #ending = new Map<Ownership, Promise<void>>()
  readonly #flowCounters = new Map<string, FlowCounters>()
  #current: Ownership | undefined
  #lastEpoch = 0
  #begun = 0

  constructor(options: Omit<OwnershipOptions, 'epoch' | 'flowCounters'>) {
    this.#options = options
  }

  get current(): Ownership | undefined {
    return this.#current
  }

  /** The last epoch that was ours; 0 when none ever was. */
  get lastEpoch(): number {
    return this.#lastEpoch
  }

  /** How many were begun. */
  get begun(): number {
    return this.#begun
  }

  begin(epoch: number): void {
    this.#lastEpoch = epoch
    this.#begun++
    this.#current = new Ownership({ ...this.#options, flowCounters: this.#flowCounters, epoch })
  }

  /**
   * Nothing more is sent. Resolves when the requests under way have ended and their outcomes were written and read, after 13 s in
   * any case.
   */
  end(): Promise<void> {
    const ownership = this.#current!
    this.#current = undefined
    const ended = atMost(this.#options.clock, stepDownMs, ownership.end()).then(() => {
      ownership.abandon()
      this.#ending.delete(ownership)
    })
    this.#ending.set(ownership, ended)
    return ended
  }

  /** Resolves when nothing of those that were ended is under way any more. */
  async ended(): Promise<void> {
    await Promise.all(this.#ending.values())
  }

  /** Where the flows stand, whoever owns, and what was sent of them here. */
  flowStats(): FlowStats[] {
    return flowStats(this.#options.progress(), this.#flowCounters)
  }

  /** What the host reports. */
  progress({ pages, sightings, flows }: Progress): void {
    this.#current?.flows.report(flows)
    this.#current?.delivery.progress(pages, sightings)
    for (const { delivery } of this.#ending.keys()) delivery.progress(pages, sightings)
  }
}
