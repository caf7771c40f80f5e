import { eventsExchange, inboxOf } from 'ricci/cluster'
import type { SeededRandom } from '../../random.ts'
import type { Door } from '../producer.ts'
import { netTickMs, type SimBroker, type SimBrokers } from './brokers.ts'

/** A consumer that is not heard any more gives way to the next after this. */
const giveWayMs = { least: netTickMs, most: netTickMs + 2_000 }
/** Between two looks at who consumes. */
const lookMs = 1_000

/** A Msg of a foreign publisher, as it waits in an inbox. */
export interface Posted {
  readonly key: string
  readonly body: Uint8Array
}

/** Who consumes an inbox, at one broker, as that sees it. */
export interface InboxConsumer {
  readonly broker: SimBroker
  /** Records that it may have unacknowledged. */
  readonly credit: number
  /** Whether its connection is there. */
  isAlive(): boolean
  give(posted: Posted): void
}

/**
 * A quorum queue: what it confirmed it keeps until it was acked. One consumer at a time is given records, in their order; when that is lost, what
 * it had not acked comes again. No fence (reference, fact 7): who was frozen may be given what another has already.
 */
export class SimInbox {
  readonly #ready: Posted[] = []
  #consumers: InboxConsumer[] = []
  readonly #unacked = new Map<InboxConsumer, Posted[]>()
  #mutedSinceMs: number | undefined
  readonly #random: SeededRandom

  constructor(
    readonly brokers: SimBrokers,
    readonly name: string,
  ) {
    this.#random = brokers.world.random.fork(`inbox/${name}`)
    this.#look()
  }

  /** What is in it and was not acked. */
  get kept(): readonly Posted[] {
    return [...this.#unacked.values()].flat().concat(this.#ready)
  }

  get readyCount(): number {
    return this.#ready.length
  }

  post(posted: Posted): void {
    this.#ready.push(posted)
    this.#give()
  }

  attach(consumer: InboxConsumer): void {
    this.#consumers.push(consumer)
    this.#unacked.set(consumer, [])
    this.#give()
  }

  detach(consumer: InboxConsumer): void {
    this.#consumers = this.#consumers.filter((other) => other !== consumer)
    this.#requeue(consumer)
    this.#unacked.delete(consumer)
    this.#give()
  }

  settle(consumer: InboxConsumer, posted: Posted): void {
    const unacked = this.#unacked.get(consumer)
    const at = unacked?.indexOf(posted) ?? -1
    if (at >= 0) unacked!.splice(at, 1)
    this.#give()
  }

  /** A broker woke: it gives a consumer of its own what another has already, and nobody says so. */
  deliverToTwo(): void {
    const [active, second] = this.#consumers
    if (second === undefined) return
    const held = [...this.#unacked.get(active)!, ...this.#ready].slice(0, second.credit)
    if (held.length === 0) return
    this.brokers.world.fault('inbox delivers to two', this.name, `${held.length} records`)
    for (const posted of held) second.give(posted)
  }

  #requeue(consumer: InboxConsumer): void {
    const unacked = this.#unacked.get(consumer) ?? []
    if (unacked.length > 0) this.brokers.world.fault('inbox redelivers', this.name, `${unacked.length} records`)
    this.#ready.unshift(...unacked.splice(0))
  }

  #give(): void {
    const [active] = this.#consumers
    if (active === undefined || !this.brokers.hasMajority(active.broker)) return
    const unacked = this.#unacked.get(active)!
    while (unacked.length < active.credit && this.#ready.length > 0) {
      const posted = this.#ready.shift()!
      unacked.push(posted)
      active.give(posted)
    }
  }

  #look(): void {
    const { world } = this.brokers
    for (const consumer of this.#consumers.filter((one) => !one.isAlive())) this.detach(consumer)
    const [active] = this.#consumers
    const isMute = active !== undefined && !this.brokers.hasMajority(active.broker)
    this.#mutedSinceMs = isMute ? (this.#mutedSinceMs ?? world.nowMs) : undefined
    const patienceMs = this.#random.between(giveWayMs.least, giveWayMs.most)
    if (isMute && this.#consumers.length > 1 && world.nowMs - this.#mutedSinceMs! > patienceMs) {
      this.#consumers.push(this.#consumers.shift()!)
      this.#requeue(active)
    }
    this.#give()
    world.after(lookMs, () => this.#look())
  }
}

/** The way in for publishers that know nothing of Ricci: to any broker, to the exchange before the inboxes. */
export class ForeignDoor implements Door {
  readonly name = eventsExchange
  readonly #random: SeededRandom

  constructor(private readonly brokers: SimBrokers) {
    this.#random = brokers.world.random.fork('foreign')
  }

  open(): boolean {
    return this.brokers.all.some(({ process }) => process.running)
  }

  take(partition: number, msg: Uint8Array, ack: () => void): void {
    const { brokers } = this
    const able = brokers.all.filter((broker) => brokers.hasMajority(broker))
    // Not confirmed: whoever sent it sends it again.
    if (able.length === 0 || brokers.blocked !== undefined) return
    const inbox = brokers.inbox(inboxOf(partition % brokers.inboxes.length))!
    brokers.world.after(this.#random.between(1, 30), () => {
      inbox.post({ key: String(partition), body: msg })
      // Some confirms are lost on their way back.
      if (!this.#random.chance(0.02)) ack()
    })
  }
}
