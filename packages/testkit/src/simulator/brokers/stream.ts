import { kindOf } from '@ricci/engine'
import type { SeededRandom } from '../../random.ts'
import type { PartitionLog } from '../log.ts'
import type { SimBroker, SimBrokers } from './brokers.ts'

/** Until a broker of a leader that died is another, and of one that only is not heard: measured with a tick of 8 s. */
const deadElectionMs = { least: 100, most: 2_000 }
const muteElectionMs = { least: 8_000, most: 12_000 }
const slowElectionMs = { least: 12_000, most: 18_000 }
/** Between two attempts to elect where no majority is there. */
const electAgainMs = 500
/** A broker believes a stream to hold what it held so long ago. */
const countLagMs = 3_000

/** A record that a broker took, on its way into the log. */
interface Taken {
  readonly record: Uint8Array
  readonly confirm: () => void
  readonly refuse: (why: string) => void
}

/** What one broker took for a stream and has not seen written. */
interface Lane {
  entries: Taken[]
  moving: boolean
}

/** A reader of a stream at one broker, as the broker sees it. */
export interface StreamReader {
  readonly broker: SimBroker
  /** What its owner is called, without the number of its life. */
  readonly machine: string
  /** Given nothing any more, without a word. */
  silent: boolean
  /** There may be something new for it. */
  wake(): void
}

/**
 * One stream with a leader among the brokers. What a majority holds is written: it goes into the log, whose records nobody ever
 * changes. What other brokers took for a leader that cannot write waits there: another leader gets it, or the same one once it is back. Measured
 * (reference, fact 4): after a leader was mute for longer than the tick and was not replaced meanwhile, what others took for it may be confirmed and in no log.
 */
export class SimStream {
  readonly readers = new Set<StreamReader>()
  /** Whether the exchange has a way to it, and whether one that is missing may be made. */
  bound = true
  bindable = true
  /** Told of records for which there was no way. */
  onReturned: (record: Uint8Array) => void = () => undefined
  /** What is older is gone: the oldest offset that is left. */
  first = 0
  leader: SimBroker
  readonly #lanes = new Map<SimBroker, Lane>()
  /** How far each broker knows the log. */
  readonly #known = new Map<SimBroker, number>()
  #outage: { readonly sinceMs: number } | undefined
  readonly #random: SeededRandom

  constructor(
    readonly brokers: SimBrokers,
    readonly name: string,
    readonly log: PartitionLog,
  ) {
    this.#random = brokers.world.random.fork(`stream/${name}`)
    this.leader = this.#random.pick(brokers.all)
    log.onWritten.push(() => this.#written())
  }

  /** Up to where a broker gives readers records. */
  end(broker: SimBroker): number {
    return this.#known.get(broker) ?? 0
  }

  /** How many records a broker believes it to hold. */
  count(): number {
    const { writtenMs } = this.log
    let end = writtenMs.length
    while (end > 0 && writtenMs[end - 1] > this.brokers.world.nowMs - countLagMs) end--
    return Math.max(0, end - this.first)
  }

  /** The first offset that was written at a time or later. */
  offsetAt(nowMs: number): number {
    const { writtenMs } = this.log
    let offset = writtenMs.length
    while (offset > this.first && writtenMs[offset - 1] >= nowMs) offset--
    return offset
  }

  /** A record has come to a broker. */
  publish(broker: SimBroker, taken: Taken): void {
    if (this.log.refusesAttempt && kindOf(taken.record) === 'attempt') {
      this.log.refusesAttempt = false
      this.brokers.world.fault('attempt refused', broker.name, this.name)
      return taken.refuse('the broker refused the record')
    }
    const lane = this.#lane(broker)
    lane.entries.push(taken)
    this.#move(broker, lane)
  }

  /** A broker died: what it had taken and not written is gone. */
  lost(broker: SimBroker): void {
    this.#lanes.delete(broker)
  }

  /** Brokers or links between them have changed. */
  look(): void {
    const { world } = this.brokers
    if (this.#canWrite()) {
      const outage = this.#outage
      this.#outage = undefined
      if (outage !== undefined) world.trace.add(this.name, `${this.leader.name} leads`)
      return this.#resume()
    }
    if (this.#outage !== undefined) return
    const outage = { sinceMs: world.nowMs }
    this.#outage = outage
    for (const [broker, lane] of this.#lanes) {
      // Written by the old leader, and confirmed to nobody: the new one is given it again.
      const written = lane.moving && this.#random.chance(0.3) ? lane.entries : []
      if (written.length > 0) world.trace.add(broker.name, `${this.name}: ${written.length} written, not confirmed`)
      for (const { record } of written) this.log.write(record)
    }
    const slow = this.#random.chance(0.15) ? slowElectionMs : muteElectionMs
    const { least, most } = this.leader.process.alive ? slow : deadElectionMs
    world.after(this.#random.between(least, most), () => this.#elect(outage))
  }

  /** Its leader is back, after it was not heard for longer than others wait, and leads still. */
  leaderWoke(): void {
    const { world } = this.brokers
    for (const [broker, lane] of this.#lanes) {
      if (broker === this.leader || lane.entries.length === 0 || !this.#random.chance(0.6)) continue
      const lost = lane.entries.splice(0)
      world.fault('append phantom', broker.name, `${this.name}: ${lost.length} records confirmed`)
      for (const { confirm } of lost) world.after(this.#random.between(200, 2_500), confirm)
    }
  }

  #elect(outage: { readonly sinceMs: number }): void {
    if (this.#outage !== outage) return
    const able = this.brokers.all.filter((broker) => this.brokers.hasMajority(broker))
    if (able.length === 0) return this.brokers.world.after(electAgainMs, () => this.#elect(outage))
    this.leader = this.#random.pick(able)
    this.look()
  }

  #canWrite(): boolean {
    return this.brokers.hasMajority(this.leader)
  }

  #canForward(broker: SimBroker): boolean {
    if (this.#outage !== undefined || !broker.process.running || broker.confirmsNothing.has(this)) return false
    return broker === this.leader || this.brokers.network.reaches(broker.name, this.leader.name)
  }

  #resume(): void {
    this.#written()
    for (const [broker, lane] of this.#lanes) this.#move(broker, lane)
  }

  #lane(broker: SimBroker): Lane {
    let lane = this.#lanes.get(broker)
    if (lane === undefined) this.#lanes.set(broker, (lane = { entries: [], moving: false }))
    return lane
  }

  #move(broker: SimBroker, lane: Lane): void {
    if (lane.moving || lane.entries.length === 0 || !this.#canForward(broker)) return
    lane.moving = true
    this.brokers.world.after(this.#random.between(0.3, 6), () => {
      lane.moving = false
      if (!this.#canForward(broker) || this.#lanes.get(broker) !== lane) return
      for (const { record, confirm } of lane.entries.splice(0)) {
        this.log.write(record)
        broker.process.deliver(confirm)
      }
    })
  }

  /** Who hears the leader knows of it, and so do the readers there. */
  #written(): void {
    for (const broker of this.brokers.all) {
      if (broker !== this.leader && !this.brokers.network.reaches(broker.name, this.leader.name)) continue
      if (this.#outage === undefined || broker === this.leader) this.#known.set(broker, this.log.end)
    }
    for (const reader of this.readers) reader.wake()
  }
}
