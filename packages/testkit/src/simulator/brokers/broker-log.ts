import { kindOf } from '@ricci/engine'
import { ReplicaError, type LogPort, type Mutation, type StoredRecord } from '@ricci/replica'
import { defaultLimits } from '@ricci/client'
import { encodeEventsRecord } from '@ricci/engine'
import { defaultTopology, Inboxes, RabbitLog } from 'ricci/cluster'
import type { Process } from '../process.ts'
import type { World } from '../world.ts'
import type { SimBrokers } from './brokers.ts'

/** A log that could not be opened is tried again after this, as the daemon does. */
const reopenMs = 1_000

/** A log that takes events for partitions that are not read here, too. */
export interface PublishingLog extends LogPort {
  /** Resolves when the broker's confirm can be believed. Absent where every append can be. */
  publish?(partition: number, records: readonly Uint8Array[]): Promise<void>
  /** The end of a partition is wanted all the time, until told: whoever keeps a replica of it wants appends to be prompt. */
  follow?(partition: number): () => void
}

const noBytes = new Uint8Array(0)

/** The product's log on RabbitMQ, in one process, over simulated brokers. */
export class BrokerLog {
  constructor(
    readonly world: World,
    readonly brokers: SimBrokers,
    private readonly id: string,
    private readonly mutations: ReadonlySet<Mutation>,
  ) {}

  connect(process: Process, onDelivered: (partition: number, records: readonly StoredRecord[]) => void): PublishingLog {
    const opened = this.#open(process)
    const read = async function* (
      partition: number,
      from: number,
      signal: AbortSignal,
    ): AsyncGenerator<readonly StoredRecord[]> {
      const log = await opened
      for await (const records of log.read(partition, from, signal)) {
        onDelivered(partition, records)
        yield records
      }
    }
    return {
      id: this.id,
      partitions: this.brokers.partitions.length,
      append: (partition, records, rank) => {
        // A dead process' last microtasks may still come here; nobody is left to hear an answer.
        if (!process.alive) return new Promise(() => {})
        return this.mutations.has('tick-path') && kindOf(records[0]) === 'tick'
          ? this.#byAnotherWay(process, partition, records)
          : opened.then((log) => log.append(partition, records, rank))
      },
      publish: (partition, records) => opened.then((log) => log.publish(partition, records)),
      follow: (partition) => {
        const following = opened.then((log) => log.follow(partition))
        return () => void following.then((end) => end())
      },
      read,
      endOf: (partition) => opened.then((log) => log.endOf(partition)),
      range: (partition) => opened.then((log) => log.range(partition)),
      close: () => opened.then((log) => log.close()),
    }
  }

  /** What empties the inboxes into the log; begun here, ended by its process. */
  takeIn(process: Process, log: PublishingLog): Inboxes {
    const { brokers, world } = this
    const inboxes = new Inboxes({
      urls: brokers.urls,
      resolver: { addresses: async (host) => [host], services: async () => [] },
      name: process.name,
      clock: process.clock,
      topology: { ...defaultTopology, partitions: brokers.partitions.length, inboxes: brokers.inboxes.length },
      makeClient: brokers.clientsOf(process),
      route: Number,
      head: () => encodeEventsRecord(process.clock.wallMs(), noBytes),
      append: (partition, records) => log.publish!(partition, records),
      limits: defaultLimits,
      onRefused: (why) => world.trace.add(process.name, `an inbox had ${why}`),
      onTrouble: (what) => world.trace.add(process.name, what),
    })
    inboxes.start()
    return inboxes
  }

  /** Straight to the stream, as if events did not have to go by the exchange. */
  #byAnotherWay(process: Process, partition: number, records: readonly Uint8Array[]): Promise<number[]> {
    const stream = this.brokers.partitions[partition]
    return new Promise((resolve, reject) => {
      for (const record of records) {
        stream.publish(stream.leader, {
          record,
          confirm: () => process.deliver(() => resolve([])),
          refuse: (why) => process.deliver(() => reject(new ReplicaError('LOG_UNAVAILABLE', why, true))),
        })
      }
    })
  }

  async #open(process: Process): Promise<RabbitLog> {
    const { brokers, world } = this
    const random = world.random.fork(`log/${process.name}`)
    for (;;) {
      try {
        return await RabbitLog.open({
          urls: brokers.urls,
          resolver: { addresses: async (host) => [host], services: async () => [] },
          name: process.name,
          clock: process.clock,
          topology: { partitions: brokers.partitions.length },
          makeClient: brokers.clientsOf(process),
          randomBytes: (count) => Uint8Array.from({ length: count }, () => random.below(256)),
          mutations: this.mutations,
          onTrouble: (what) => world.trace.add(process.name, what),
        })
      } catch (error) {
        world.trace.add(process.name, `cannot open the log: ${(error as Error).message}`)
        await new Promise<void>((resolve) => process.deliverAfter(reopenMs, resolve))
      }
    }
  }
}
