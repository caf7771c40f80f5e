import type { ClientMaker } from 'ricci/cluster'
import { identityStream, inboxOf, streamOf } from 'ricci/cluster'
import type { SeededRandom } from '../../random.ts'
import { PartitionLog, type SimLog } from '../log.ts'
import type { SimNetwork } from '../network.ts'
import { MachineClock, Process } from '../process.ts'
import type { World } from '../world.ts'
import { SimClient } from './client.ts'
import { SimInbox } from './inbox.ts'
import { SimStream } from './stream.ts'

/** How long brokers wait for one that is not heard: the reference's setting. */
export const netTickMs = 8_000
/** What a minority does then: it closes its connections, and takes none until it has been whole again for a moment. */
const pauseMs = { least: 500, most: 2_000 }
const unpauseMs = { least: 1_400, most: 1_900 }
/** A broker that was started takes connections at once and serves no stream for so long. */
const replicaMs = { least: 500, most: 5_000 }

/** Queues for the publishers of others. */
export const inboxCount = 2

/** How many there are; two make a majority. */
const count = 3

/** One broker: a process that dies, is frozen, or is cut off, and what it then does to whoever is connected. */
export class SimBroker {
  process: Process
  readonly clients = new Set<SimClient>()
  /** Streams for which it confirms nothing any more since it woke, until it is started anew. */
  readonly confirmsNothing = new Set<SimStream>()
  /** Since it woke it refuses readers, until it is started anew. */
  refusesReaders = false
  /** Takes no connections until then. */
  pausedUntilMs = 0
  /** Serves no stream before. */
  servesFromMs = 0
  /** Since when it is not heard by the others. */
  muteSinceMs: number | undefined
  readonly #machine: MachineClock
  #lives = 0

  constructor(
    readonly world: World,
    readonly index: number,
  ) {
    this.#machine = new MachineClock(world, 1, 0)
    this.process = this.#begin()
  }

  get name(): string {
    return brokerName(this.index)
  }

  restart(): void {
    this.process = this.#begin()
    this.confirmsNothing.clear()
    this.refusesReaders = false
    this.pausedUntilMs = 0
    this.muteSinceMs = undefined
  }

  #begin(): Process {
    return new Process(this.world, `${this.name}#${++this.#lives}`, this.#machine)
  }
}

/** What the network calls a broker. */
export function brokerName(index: number): string {
  return `b${index}`
}

/**
 * Three brokers that keep the log as streams, as RabbitMQ was measured to do it: a stream has a leader, what a majority has is written, and
 * each broker takes records and gives them. What a broker does not do, it mostly does not say.
 */
export class SimBrokers {
  readonly all: readonly SimBroker[]
  readonly partitions: readonly SimStream[]
  /** Every broker takes no records: one of them is short of memory. */
  blocked: string | undefined
  readonly inboxes: readonly SimInbox[]
  readonly #streams = new Map<string, SimStream>()
  readonly #random: SeededRandom

  constructor(
    readonly world: World,
    readonly network: SimNetwork,
    log: SimLog,
  ) {
    this.#random = world.random.fork('brokers')
    this.all = Array.from({ length: count }, (_, index) => new SimBroker(world, index))
    this.partitions = Array.from({ length: log.partitions }, (_, p) => this.#declare(streamOf(p), log.partition(p)))
    const identity = this.#declare(identityStream, new PartitionLog(world, -1))
    identity.log.write(Buffer.from(JSON.stringify({ id: log.id, partitions: log.partitions })))
    this.inboxes = Array.from({ length: inboxCount }, (_, index) => new SimInbox(this, inboxOf(index)))
    this.#watchLinks()
  }

  /** Addresses as a configuration has them. */
  get urls(): string[] {
    return this.all.map(({ name }) => `amqp://${name}/ricci`)
  }

  inbox(name: string): SimInbox | undefined {
    return this.inboxes.find((inbox) => inbox.name === name)
  }

  stream(name: string): SimStream | undefined {
    return this.#streams.get(name)
  }

  /** Where the exchange has a record go: its routing key is the number of a partition, or the name of the stream of the log's id. */
  routed(key: string): SimStream | undefined {
    return key === identityStream ? this.#streams.get(key) : this.partitions[Number(key)]
  }

  /** How long after its writing a record is with a broker that serves readers. */
  followMs(): number {
    return this.#random.between(0.3, 5)
  }

  /** Makes the clients of one process. */
  clientsOf(process: Process): ClientMaker {
    return ({ url }) => {
      const broker = this.all.find(({ name }) => name === new URL(url).hostname)!
      return new SimClient(this, broker, process)
    }
  }

  /** Whether it runs, and hears and is heard by at least one other that does. */
  hasMajority(broker: SimBroker): boolean {
    const { process, name } = broker
    if (!process.running || broker.pausedUntilMs > this.world.nowMs) return false
    const others = this.all.filter(
      (other) => other !== broker && other.process.running && this.network.reaches(name, other.name),
    )
    return 1 + others.length > count / 2
  }

  kill(broker: SimBroker): void {
    broker.process.kill()
    for (const stream of this.#streams.values()) stream.lost(broker)
    this.#drop(broker, 'the connection was reset')
    this.#look()
  }

  restart(broker: SimBroker): void {
    broker.restart()
    broker.servesFromMs = this.world.nowMs + this.#random.between(replicaMs.least, replicaMs.most)
    this.#look()
  }

  freeze(broker: SimBroker): void {
    broker.process.stop()
    this.#look()
  }

  thaw(broker: SimBroker): void {
    broker.process.goOn()
    this.#look()
  }

  /** All at once of what ails them is over: brokers that came out of a freeze badly are started anew, as an operator does. */
  mend(): void {
    this.blocked = undefined
    for (const broker of this.all) {
      const isIll = broker.refusesReaders || broker.confirmsNothing.size > 0
      if (broker.process.alive && !isIll) continue
      if (broker.process.alive) this.kill(broker)
      this.restart(broker)
    }
    for (const stream of this.partitions) Object.assign(stream, { bound: true, bindable: true })
    this.#look()
  }

  #declare(name: string, log: PartitionLog): SimStream {
    const stream = new SimStream(this, name, log)
    this.#streams.set(name, stream)
    return stream
  }

  #watchLinks(): void {
    this.network.whenChanged(() => {
      this.#watchLinks()
      this.#look()
    })
  }

  #look(): void {
    for (const broker of this.all) this.#lookAt(broker)
    for (const stream of this.#streams.values()) stream.look()
  }

  #lookAt(broker: SimBroker): void {
    const { world } = this
    const { process } = broker
    if (!process.alive) return
    if (!this.hasMajority(broker)) {
      if (broker.muteSinceMs !== undefined) return
      const sinceMs = (broker.muteSinceMs = world.nowMs)
      world.after(netTickMs + this.#random.between(pauseMs.least, pauseMs.most), () => {
        if (broker.muteSinceMs === sinceMs && broker.process === process && process.running) this.#pause(broker)
      })
      return
    }
    const sinceMs = broker.muteSinceMs
    broker.muteSinceMs = undefined
    if (sinceMs !== undefined && world.nowMs - sinceMs > netTickMs) this.#woke(broker)
  }

  /** It is of a minority, and knows it. */
  #pause(broker: SimBroker): void {
    this.world.trace.add(broker.name, 'pauses: it is of a minority')
    for (const stream of this.#streams.values()) stream.lost(broker)
    this.#drop(broker, "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'")
    const look = (): void => {
      const { process, name } = broker
      const isWhole = this.all.some(
        (other) => other !== broker && other.process.running && this.network.reaches(name, other.name),
      )
      broker.pausedUntilMs =
        this.world.nowMs + (isWhole ? this.#random.between(unpauseMs.least, unpauseMs.most) : 1_000)
      if (isWhole) return this.world.after(broker.pausedUntilMs - this.world.nowMs + 1, () => this.#look())
      this.world.after(500, () => broker.process === process && look())
    }
    look()
    this.#look()
  }

  /** It was not heard for longer than the others wait, and is back: measured, all links are up and the cluster is split for good. */
  #woke(broker: SimBroker): void {
    const random = this.#random
    for (const stream of this.#streams.values()) {
      if (stream.leader === broker) stream.leaderWoke()
      for (const reader of stream.readers) {
        if (reader.broker === broker && this.world.faulty && random.chance(0.5)) {
          this.world.fault('reader silent', reader.machine, `${stream.name} at ${broker.name}`)
          reader.silent = true
        }
      }
    }
    if (!this.world.faulty) return
    for (const inbox of this.inboxes) if (random.chance(0.6)) inbox.deliverToTwo()
    if (!random.chance(0.6)) return
    if (random.chance(0.5)) broker.refusesReaders = true
    else broker.confirmsNothing.add(random.pick(this.partitions))
    this.world.fault('broker split', broker.name, broker.refusesReaders ? 'refuses readers' : 'confirms nothing')
  }

  #drop(broker: SimBroker, why: string): void {
    for (const client of [...broker.clients]) client.dropped(why)
  }
}
