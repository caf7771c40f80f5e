/**
 * The log of a cluster: a RabbitMQ stream for each partition, behind an exchange of its own. Any number of processes write and read it.
 *
 * What holds where (measured; DESIGN section 6): a record that was read is written, for good; a confirm says so, too, except after a
 * stall (`publisher.ts`); silence says nothing, so a reader that is given nothing is to be replaced by another, at another broker, which is
 * where the next {@link RabbitLog.read} goes.
 */
import { randomBytes as systemRandomBytes } from 'node:crypto'
import { encodeEventsRecord } from '@ricci/engine'
import {
  ReplicaError,
  type AppendRank,
  type Clock,
  type LogPort,
  type Mutation,
  type StoredRecord,
} from '@ricci/replica'
import { logClosed, trimmed } from '../errors.ts'
import { maxRecordBytes } from '../limits.ts'
import { Brokers, type BrokersOptions } from './brokers.ts'
import { answered, type ConnectionSettings } from './connection.ts'
import { openConfirmChannel } from './confirm-channel.ts'
import { oneFrom, StreamConsumer } from './consumer.ts'
import { claimIdentity, firstOf } from './identity.ts'
import { closeMs, tailIdleMs, unsettledBytes, unsettledReserveBytes } from './limits.ts'
import { PartitionPublisher } from './publisher.ts'
import type { Beginning } from './retention-watch.ts'
import { Tail } from './tail.ts'
import { defaultTopology, streamOf, type Topology } from './topology.ts'

/** How a log on RabbitMQ is opened. */
export interface RabbitLogOptions {
  /** Where brokers are, e.g. `amqps://ricci:secret@broker-1/ricci`; see {@link BrokersOptions.urls}. */
  readonly urls: readonly string[]
  readonly tls?: BrokersOptions['tls']
  readonly resolver?: BrokersOptions['resolver']
  /** What operators see its connections called, and what its records' ids begin with: the instance. */
  readonly name: string
  readonly clock: Clock
  /** What is not said is as in {@link defaultTopology}. */
  readonly topology?: Partial<Topology>
  /** See `claimIdentity`. */
  readonly knownId?: string
  /** Something went wrong and is being dealt with. */
  readonly onTrouble?: (what: string) => void
  /**
   * Makes a record that decides nothing, e.g. a producer's mark: something goes once a second to each partition that {@link RabbitLog.publish} used in the
   * last minute. Unless told, one of no events.
   */
  readonly mark?: (partition: number) => Uint8Array
  /** How long a record may go without an answer before it is sent again through another broker; 2 s unless told. */
  readonly confirmMs?: number
  /** Speaks to a broker: the library, unless told. */
  readonly makeClient?: ConnectionSettings['makeClient']
  /** What makes ids unlike any others; the system's unless told. */
  readonly randomBytes?: (count: number) => Uint8Array
  /** Tests only. */
  readonly mutations?: ReadonlySet<Mutation>
}

/** A partition that is written to. */
interface Written {
  readonly publisher: PartitionPublisher
  /** Told where records of ours stand. */
  readonly sought: Map<string, (offset: number) => void>
  /** The last append before the next: they begin in the order they came. */
  turn: Promise<void>
}

interface Followed {
  readonly tail: Tail
  /** Given each record's bytes. */
  readonly listeners: Set<(bytes: Uint8Array) => void>
  /** Those who need it now; of these, whoever asked for it and not an append under way. */
  users: number
  wishes: number
  stop: { cancel(): void } | undefined
}

/** A log's partitions, to append to and to read; see the head of this file. */
export class RabbitLog implements LogPort {
  readonly partitions: number
  private readonly written = new Map<number, Written>()
  private readonly followed = new Map<number, Followed>()
  /** By partition, the broker that the next reader goes to, and what readers here have been given. */
  private readonly nextReader = new Map<number, number>()
  private readonly given = new Map<number, number>()
  private readonly readers = new Set<() => void>()
  private readonly prefix: string
  /** Appends that are under way. */
  private readonly taking = new Set<Promise<unknown>>()
  /** By partition, what went wrong since a record was settled; by broker, why it takes no records. */
  private readonly troubles = new Map<number | string, string>()
  private bytes = 0
  private closing: Promise<void> | undefined

  private constructor(
    /** A random id, written when the log was made. */
    readonly id: string,
    private readonly options: RabbitLogOptions,
    private readonly topology: Topology,
    /** Connections to publish, and others to read: one that is blocked is not read, acks of a reader neither. */
    private readonly toPublish: Brokers,
    private readonly toRead: Brokers,
    private readonly idleMs = tailIdleMs,
  ) {
    this.partitions = topology.partitions
    // an id that no other process, nor this one when it was started before, gives to a record
    const { name, randomBytes = systemRandomBytes } = options
    this.prefix = `${name}-${Buffer.from(randomBytes(6)).toString('hex')}-`
    toPublish.onBlocked = (broker, why) => {
      if (why === undefined) this.troubles.delete(broker)
      else this.inTrouble(broker, `broker ${broker} takes no records: ${why}`)
    }
  }

  /**
   * Opens the log, and makes what is missing of it. Any number of processes may do so at once.
   * @throws ReplicaError `LOG_UNAVAILABLE` when no broker can be used; `LOG_FAILED` when the log there is another than was asked for
   */
  static async open(options: RabbitLogOptions): Promise<RabbitLog> {
    const { clock, randomBytes = systemRandomBytes } = options
    const topology = { ...defaultTopology, ...options.topology }
    const [toPublish, toRead] = bothSides(options)
    try {
      const id = await claimIdentity(toPublish, toRead, topology, clock, randomBytes, options.knownId)
      return new RabbitLog(id, options, topology, toPublish, toRead)
    } catch (error) {
      await Promise.all([toPublish.close(), toRead.close()])
      throw error
    }
  }

  /**
   * To read only, in another thread of a process that has opened the log: asks nobody who it is. Follows no tail beyond an answer: readers of theirs cost brokers.
   * @param id what {@link open} found
   */
  static reader(id: string, options: RabbitLogOptions): RabbitLog {
    return new RabbitLog(id, options, { ...defaultTopology, ...options.topology }, ...bothSides(options), 0)
  }

  /** Why it takes no records, as far as is known; undefined while it does. */
  get trouble(): string | undefined {
    return this.troubles.values().next().value
  }

  /** Offset that the next record of a partition will get, as far as its readers and {@link follow} know without asking; 0 before. */
  end(partition: number): number {
    return Math.max(this.followed.get(partition)?.tail.next ?? 0, this.given.get(partition) ?? 0)
  }

  /** Bytes that were taken and are not known to be written. */
  get unsettledBytes(): number {
    return this.bytes
  }

  append(partition: number, records: readonly Uint8Array[], rank: AppendRank = 'ordinary'): Promise<number[]> {
    // a copy: the caller may do with its bytes what it likes once this has returned a promise
    const copies = records.map((record) => record.slice())
    return this.place(partition, copies, rank)
  }

  /** Appends records that nobody changes. */
  private place(partition: number, records: readonly Uint8Array[], rank: AppendRank): Promise<number[]> {
    return this.taken(async () => {
      this.admit(partition, records, rank)
      if (records.length === 0) return []
      const written = this.write(partition)
      const release = this.hold(partition)
      try {
        // one after another: who waits for the tail is not overtaken
        const { tail } = this.followed.get(partition)!
        await (written.turn = afterThose(written.turn, tail.ready()))
        const offsets: Promise<number>[] = []
        const sought = (id: string): void => {
          offsets.push(new Promise((resolve) => written.sought.set(id, resolve)))
        }
        await written.publisher.publish(records, 'reading', sought)
        return await Promise.all(offsets)
      } finally {
        release()
      }
    })
  }

  /**
   * As {@link append}, each record in two parts. A partition that nobody here has asked to {@link follow} is not read for it: there it is a
   * {@link publish}, and gives no offsets.
   */
  async appendAllParts(
    partition: number,
    heads: readonly Uint8Array[],
    bodies: readonly Uint8Array[],
  ): Promise<number[] | undefined> {
    const records = heads.map((head, index) => Buffer.concat([head, bodies[index]]))
    if ((this.followed.get(partition)?.wishes ?? 0) > 0) return this.place(partition, records, 'ordinary')
    await this.publish(partition, records)
    return undefined
  }

  /**
   * As {@link append}, without the offsets, which cost a reader: resolves when the broker's confirm can be believed. For events of others.
   * The records must not be changed until then.
   */
  publish(partition: number, records: readonly Uint8Array[], rank: AppendRank = 'ordinary'): Promise<void> {
    return this.taken(async () => {
      this.admit(partition, records, rank)
      const written = this.write(partition)
      // not before an append that waits for the end of the partition to be followed
      await (written.turn = afterThose(written.turn, Promise.resolve()))
      await written.publisher.publish(records, 'confirm')
    })
  }

  async *read(partition: number, from: number, signal: AbortSignal): AsyncGenerator<readonly StoredRecord[]> {
    this.checkPartition(partition)
    if (signal.aborted || this.closing !== undefined) return
    const first = this.nextReader.get(partition) ?? partition
    const { broker, connection } = await this.toRead.connect(first)
    this.nextReader.set(partition, broker + 1)
    const consumer = await StreamConsumer.open(connection, streamOf(partition), from)
    const end = (): void => consumer.end()
    signal.addEventListener('abort', end)
    this.readers.add(end)
    try {
      if (signal.aborted || this.closing !== undefined) return
      for (let next = from; ;) {
        const records = await consumer.next()
        if (records.length === 0) return
        if (next === from && records[0].offset > from) {
          // below the first offset that is left, a broker begins with that without a word
          const oldest = await this.first(partition)
          if (oldest > from) throw trimmed(from, oldest)
        }
        const whole = await this.whole(partition, next, records, broker)
        next = whole[whole.length - 1].offset + 1
        this.given.set(partition, Math.max(next, this.given.get(partition) ?? 0))
        yield whole
      }
    } finally {
      signal.removeEventListener('abort', end)
      this.readers.delete(end)
      consumer.end()
    }
  }

  /** Offset that the next record of a partition will get, as its broker says now. @throws ReplicaError `LOG_UNAVAILABLE` */
  async endOf(partition: number): Promise<number> {
    this.checkPartition(partition)
    if (this.closing !== undefined) throw logClosed()
    const release = this.hold(partition)
    try {
      return Math.max(await this.followed.get(partition)!.tail.end(), this.given.get(partition) ?? 0)
    } finally {
      release()
    }
  }

  async range(partition: number): Promise<{ readonly first: number; readonly end: number }> {
    const end = await this.endOf(partition)
    return { first: end === 0 ? 0 : await this.first(partition), end }
  }

  /**
   * Where a partition begins, as two brokers say, or one where there is no other.
   * @throws ReplicaError `LOG_UNAVAILABLE`
   */
  async beginnings(partition: number): Promise<readonly Beginning[]> {
    this.checkPartition(partition)
    const one = await this.toRead.connect(partition)
    const other = await this.toRead.connect(one.broker + 1)
    const both = one.connection === other.connection ? [one] : [one, other]
    return Promise.all(
      both.map(async ({ connection }) => {
        const consumer = await StreamConsumer.open(connection, streamOf(partition), 'first', 1)
        try {
          const record = await firstOf(consumer, this.options.clock)
          return { broker: connection.name, first: record?.offset ?? 0 }
        } finally {
          consumer.end()
        }
      }),
    )
  }

  /** Settles what was taken, if brokers answer in time, and ends every connection. */
  close(): Promise<void> {
    return (this.closing ??= this.shut())
  }

  private async shut(): Promise<void> {
    for (const end of [...this.readers]) end()
    const settled = Promise.allSettled(this.taking)
    await answered(this.options.clock, settled, 'records were not settled', closeMs).catch(() => undefined)
    for (const { publisher } of this.written.values()) publisher.end(logClosed())
    for (const { tail, stop } of this.followed.values()) {
      stop?.cancel()
      tail.stop()
    }
    this.followed.clear()
    await Promise.all([this.toPublish.close(), this.toRead.close()])
  }

  /** Closing waits for what was taken before. */
  private taken<T>(take: () => Promise<T>): Promise<T> {
    const taking = take()
    this.taking.add(taking)
    const done = (): boolean => this.taking.delete(taking)
    taking.then(done, done)
    return taking
  }

  private checkPartition(partition: number): void {
    if (Number.isInteger(partition) && partition >= 0 && partition < this.partitions) return
    const there = `there is no partition ${partition}; the log has ${this.partitions}, from 0 on`
    throw new ReplicaError('STATE', there, false)
  }

  private admit(partition: number, records: readonly Uint8Array[], rank: AppendRank): void {
    this.checkPartition(partition)
    if (this.closing !== undefined) throw logClosed()
    let bytes = 0
    for (const { length } of records) {
      if (length > maxRecordBytes) {
        const why = `a record of ${length} bytes is longer than the log takes (${maxRecordBytes}): send fewer events in one message`
        throw new ReplicaError('RECORD_TOO_LARGE', why, false)
      }
      bytes += length
    }
    const room = unsettledBytes + (rank === 'ordinary' ? 0 : unsettledReserveBytes)
    if (this.bytes > 0 && this.bytes + bytes > room) {
      const why = `${this.bytes} bytes wait for a broker to confirm them: the record was refused; see whether the brokers are well, then send it again`
      throw new ReplicaError('LOG_UNAVAILABLE', why, true)
    }
  }

  private write(partition: number): Written {
    const there = this.written.get(partition)
    if (there !== undefined) return there
    const { clock, confirmMs, mark, mutations } = this.options
    const publisher = new PartitionPublisher({
      clock,
      confirmMs,
      mutations,
      mark: () => mark?.(partition) ?? encodeEventsRecord(clock.wallMs(), noBytes),
      prefix: this.prefix,
      broker: partition,
      open: (from) => openConfirmChannel(this.toPublish, partition, this.topology, from),
      onBytes: (bytes) => (this.bytes += bytes),
      onTrouble: (broker, what) => {
        if (broker !== undefined) this.toPublish.avoid(broker)
        // what was not read may be the reader's fault
        this.followed.get(partition)?.tail.again()
        const sentence = `partition ${partition}: ${broker === undefined ? '' : `broker ${broker} `}${what}`
        this.inTrouble(partition, sentence)
      },
      onSettled: () => this.troubles.delete(partition),
    })
    const written: Written = { publisher, sought: new Map(), turn: Promise.resolve() }
    this.written.set(partition, written)
    return written
  }

  /** Something is wrong with the way to a partition, or with a broker; told as often as it changes. */
  private inTrouble(where: number | string, sentence: string): void {
    if (this.troubles.get(where) === sentence) return
    this.troubles.set(where, sentence)
    this.options.onTrouble?.(sentence)
  }

  /** Sees to it that the end of a partition is followed, which makes appends and {@link end} prompt; gives what ends the wish. */
  follow(partition: number): () => void {
    const release = this.hold(partition)
    const followed = this.followed.get(partition)!
    followed.wishes++
    return () => {
      followed.wishes--
      release()
    }
  }

  private hold(partition: number): () => void {
    const { clock } = this.options
    let followed = this.followed.get(partition)
    if (followed === undefined) {
      const listeners = new Set<(bytes: Uint8Array) => void>()
      const tail = new Tail({
        clock,
        brokers: this.toRead,
        stream: streamOf(partition),
        broker: partition + 1,
        onRecord: ({ id, offset, bytes }) => {
          this.saw(partition, id, offset)
          for (const listener of listeners) listener(bytes)
        },
      })
      followed = { tail, listeners, users: 0, wishes: 0, stop: undefined }
      this.followed.set(partition, followed)
    }
    const following = followed
    following.stop?.cancel()
    following.users++
    return () => {
      if (--following.users > 0 || this.closing !== undefined) return
      following.stop = clock.setTimer(this.idleMs, () => {
        this.followed.delete(partition)
        following.tail.stop()
      })
    }
  }

  /**
   * Has `listener` given every record of a partition from when this resolves on; gives what ends it.
   * @throws ReplicaError `LOG_UNAVAILABLE` when the partition's end cannot be read now
   */
  async watch(partition: number, listener: (bytes: Uint8Array) => void): Promise<() => void> {
    const release = this.hold(partition)
    const { tail, listeners } = this.followed.get(partition)!
    listeners.add(listener)
    const end = (): void => {
      listeners.delete(listener)
      release()
    }
    try {
      await tail.ready()
    } catch (error) {
      end()
      throw error
    }
    return end
  }

  private saw(partition: number, id: string | undefined, offset: number): void {
    const written = this.written.get(partition)
    if (id === undefined || written === undefined) return
    written.sought.get(id)?.(offset)
    written.sought.delete(id)
    written.publisher.seen(id)
  }

  /**
   * The records, with an empty one for each offset that the stream used for itself. Measured (3.10.8): at the beginning of each segment but
   * the first a broker notes which publishers it knows, and that takes an offset, which no reader is ever given. A reader that leaves out a record
   * of ours was never seen, and must not be believed: another broker, where there is one, is asked what comes after the last.
   * @throws ReplicaError `LOG_UNAVAILABLE` when that gives something else
   */
  private async whole(
    partition: number,
    expected: number,
    records: readonly StoredRecord[],
    broker: number,
  ): Promise<readonly StoredRecord[]> {
    const last = records[records.length - 1]
    if (last.offset - expected === records.length - 1) return records
    const whole: StoredRecord[] = []
    let next = expected
    for (const record of records) {
      if (record.offset > next) {
        const other = await oneFrom(this.toRead, streamOf(partition), next, broker + 1, this.options.clock)
        if (other.offset !== record.offset) {
          const left = `broker ${broker} left out what another has: offset ${other.offset} of partition ${partition}`
          throw new ReplicaError('LOG_UNAVAILABLE', left, true)
        }
      }
      while (next < record.offset) whole.push({ offset: next++, bytes: noBytes, checksum: 0 })
      whole.push(record)
      next = record.offset + 1
    }
    return whole
  }

  /** The oldest offset that is left; the stream holds records. */
  private async first(partition: number): Promise<number> {
    const { offset } = await oneFrom(
      this.toRead,
      streamOf(partition),
      'first',
      this.nextReader.get(partition) ?? partition,
      this.options.clock,
    )
    return offset
  }
}

function bothSides({ urls, tls, resolver, name, clock, makeClient }: RabbitLogOptions): [Brokers, Brokers] {
  const side = (what: string): Brokers =>
    new Brokers({ urls, tls, resolver, name: `${name} ${what}`, clock, makeClient })
  return [side('publishes'), side('reads')]
}

/** Resolves when both have ended; rejects as the second does. */
async function afterThose(before: Promise<void>, own: Promise<void>): Promise<void> {
  // handled before it is waited for
  own.catch(() => undefined)
  await before.catch(() => undefined)
  await own
}

const noBytes = new Uint8Array(0)
