import type { PageChanges } from '@ricci/engine'
import type { Delivery } from './delivery/delivery.ts'
import type { Sighting } from './host.ts'
import { stepDownMs } from './limits.ts'
import { Ownership, type OwnershipOptions } from './ownership.ts'
import { atMost } from './timers.ts'

/** The ownerships of one replica, one after the other: the one in force, and those whose last requests are still under way. */
export class Ownerships {
  readonly #options: Omit<OwnershipOptions, 'epoch'>
  readonly #ending = new Map<Delivery, Promise<void>>()
  #current: Ownership | undefined
  #lastEpoch = 0
  #begun = 0

  constructor(options: Omit<OwnershipOptions, 'epoch'>) {
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
    this.#current = new Ownership({ ...this.#options, epoch })
  }

  /**
   * Nothing more is sent. Resolves when the requests under way have ended and their outcomes were written and read, after 13 s in
   * any case.
   */
  end(): Promise<void> {
    const delivery = this.#current!.end()
    this.#current = undefined
    const ended = atMost(this.#options.clock, stepDownMs, delivery.drained()).then(() => {
      delivery.abandon()
      this.#ending.delete(delivery)
    })
    this.#ending.set(delivery, ended)
    return ended
  }

  /** Resolves when nothing of those that were ended is under way any more. */
  async ended(): Promise<void> {
    await Promise.all(this.#ending.values())
  }

  /** What the host reports. */
  progress(pages: PageChanges, sightings: readonly Sighting[]): void {
    this.#current?.delivery.progress(pages, sightings)
    for (const delivery of this.#ending.keys()) delivery.progress(pages, sightings)
  }
}
