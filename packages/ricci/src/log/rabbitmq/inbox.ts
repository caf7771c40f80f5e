/**
 * The way in for publishers that are not Ricci: they send a Riemann Msg, with the id of its cluster as routing key, to a consistent-hash
 * exchange; instances empty the queues behind it into the partitions.
 *
 * What holds: a delivery is acked once the log has its record, so what was confirmed to a publisher is in its partition in the end. The
 * partition is computed from the routing key: which queue a key came through changes whenever all brokers were down. One instance at a time is
 * given an inbox's records, in their order, but two may be given the same ones around a fault, and what was not acked comes again: a Msg
 * with its publisher's mark is dropped by it then; one without is in the log twice.
 */
import { CodecError, inspectMsg, type Limits, type MsgFacts } from '@ricci/client'
import type { AMQPChannel, AMQPMessage } from '@cloudamqp/amqp-client'
import { ReplicaError, type Clock } from '@ricci/replica'
import { Brokers, type BrokersOptions } from './brokers.ts'
import { answered, unavailable, type BrokerConnection } from './connection.ts'
import { closeMs, inboxLookMs, inboxMsgBytes, inboxPrefetch, rememberedKeys } from './limits.ts'
import { declareInboxes, inboxOf, type Topology } from './topology.ts'

/** What inboxes are emptied with. */
export interface InboxesOptions extends Pick<
  BrokersOptions,
  'urls' | 'tls' | 'resolver' | 'name' | 'clock' | 'makeClient'
> {
  readonly topology: Topology
  /** The partition of a routing key, which is not empty. */
  readonly route: (key: string) => number
  /**
   * What goes before a Msg to make it a record of its partition, with a mark where the Msg has none: of a producer for this alone, for records wait here
   * while the log refuses them, and that producer must not begin a new life meanwhile. Asked when all before are in the log.
   */
  readonly head: (partition: number, marked: boolean) => Uint8Array
  /** Resolves when the records are in the log; rejects with a ReplicaError. */
  readonly append: (partition: number, records: readonly Uint8Array[]) => Promise<unknown>
  /** What a Msg may hold; a Msg beyond {@link inboxMsgBytes} is refused in any case. */
  readonly limits: Limits
  /** Something was sent that is no Msg, or has no key; it is in the queue of what was refused. */
  readonly onRefused?: (why: string) => void
  /** Something went wrong and is being dealt with. */
  readonly onTrouble?: (what: string) => void
}

/** What was delivered, and is to be acked once its record is in the log. */
interface Taken {
  readonly msg: Uint8Array
  readonly marked: boolean
  readonly delivery: Delivery
}

/** Between two attempts to consume, and two to append what the log refused. */
const retryMs = 250

/** Empties the inboxes for as long as it runs. Any number of instances may, each of all. */
export class Inboxes {
  /** Deliveries whose record is in the log, and those that were refused. */
  appended = 0
  refused = 0
  private readonly brokers: Brokers
  private readonly lanes = new Map<number, Lane>()
  private readonly keys = new Map<string, number>()
  /** Partitions whose last records the log refused: told once. */
  private readonly refusedBy = new Set<number>()
  private readonly facts: MsgFacts = { events: 0, marked: false, asks: false }
  private readonly limits: Limits
  private readonly ending = new AbortController()
  private running: Promise<unknown> | undefined
  private stopping: Promise<void> | undefined

  constructor(private readonly options: InboxesOptions) {
    const { urls, tls, resolver, name, clock, limits, makeClient } = options
    this.limits = { ...limits, maxFrameBytes: Math.min(limits.maxFrameBytes, inboxMsgBytes) }
    this.brokers = new Brokers({ urls, tls, resolver, name: `${name} takes in`, clock, makeClient })
  }

  /** Deliveries that wait for the log: at most what inboxes may have under way, twice where their channels were lost meanwhile. */
  get waiting(): number {
    let waiting = 0
    for (const lane of this.lanes.values()) waiting += lane.waiting
    return waiting
  }

  /** Begins; idempotent. Waits for nothing: brokers may come later. */
  start(): void {
    const { inboxes } = this.options.topology
    this.running ??= Promise.all(Array.from({ length: inboxes }, (_, inbox) => this.empty(inbox)))
  }

  /** Takes nothing more, appends and acks what was taken if that is soon done, and ends the connections. Idempotent. */
  stop(): Promise<void> {
    return (this.stopping ??= this.shut())
  }

  private async shut(): Promise<void> {
    this.ending.abort()
    await this.running
    for (const lane of this.lanes.values()) lane.end()
    await this.brokers.close()
  }

  /** Consumes one inbox, here or there, until it is told to stop. */
  private async empty(inbox: number): Promise<void> {
    const { signal } = this.ending
    for (let next = inbox, told = ''; !signal.aborted;) {
      try {
        const { broker, connection } = await this.brokers.connect(next)
        next = broker + 1
        const why = await this.consume(inbox, connection, () => (told = ''))
        if (signal.aborted) return
        throw unavailable(why, `broker ${broker}`)
      } catch (error) {
        const { message } = error as Error
        if (signal.aborted) return
        if (message !== told) this.options.onTrouble?.(`${inboxOf(inbox)}: ${message}`)
        told = message
      }
      await pause(this.options.clock, retryMs, signal)
    }
  }

  /** Gives why it ended. @throws ReplicaError where it did not begin */
  private async consume(inbox: number, connection: BrokerConnection, begun: () => void): Promise<Error> {
    const { signal } = this.ending
    const { clock, topology } = this.options
    const channel = await connection.channel()
    const consumer = new InboxConsumer(channel, connection, inboxOf(inbox), (message) => this.take(message, consumer))
    try {
      await connection.ask(() => declareInboxes(channel, topology), 'does not declare the inboxes')
      await consumer.begin()
      begun()
      const why = await consumer.ended(clock, signal)
      if (signal.aborted) await answered(clock, consumer.finish(), 'not settled', closeMs).catch(() => undefined)
      return why
    } finally {
      consumer.end()
      for (const lane of this.lanes.values()) lane.sweep()
    }
  }

  private take(message: AMQPMessage, consumer: InboxConsumer): void {
    const body = (message.body as Uint8Array | null) ?? noBytes
    const delivery = consumer.taken(message)
    let refusal: string | undefined
    try {
      refusal = this.refusal(message.routingKey, body)
    } catch (error) {
      if (!(error instanceof CodecError)) throw error
      refusal = error.message
    }
    if (refusal !== undefined) {
      this.refused++
      this.options.onRefused?.(`a message with the routing key '${message.routingKey}': ${refusal}`)
      return delivery.settle(false)
    }
    this.lane(this.partitionOf(message.routingKey)).add({ msg: body, marked: this.facts.marked, delivery })
  }

  /** Why it can not become a record. @throws CodecError for the same reason */
  private refusal(key: string, body: Uint8Array): string | undefined {
    if (key === '') return 'no routing key; it must be the id of the cluster that the events are of'
    inspectMsg(body, this.facts, this.limits)
    if (this.facts.asks) return 'it asks a query, which nobody answers here'
    return undefined
  }

  private partitionOf(key: string): number {
    let partition = this.keys.get(key)
    if (partition === undefined) {
      if (this.keys.size >= rememberedKeys) this.keys.clear()
      this.keys.set(key, (partition = this.options.route(key)))
    }
    return partition
  }

  private lane(partition: number): Lane {
    let lane = this.lanes.get(partition)
    if (lane === undefined) {
      const { clock } = this.options
      lane = new Lane(
        (taken) => this.recordOf(partition, taken),
        (records) => this.isAppended(partition, records),
        clock,
      )
      this.lanes.set(partition, lane)
    }
    return lane
  }

  private recordOf(partition: number, { msg, marked }: Taken): Uint8Array {
    return Buffer.concat([this.options.head(partition, marked), msg])
  }

  private async isAppended(partition: number, records: readonly Uint8Array[]): Promise<boolean> {
    const { append, onTrouble } = this.options
    try {
      await append(partition, records)
      this.appended += records.length
      this.refusedBy.delete(partition)
      return true
    } catch (error) {
      if (!(error instanceof ReplicaError)) throw error
      if (!this.refusedBy.has(partition)) onTrouble?.(`records of the inboxes wait: ${error.message}`)
      this.refusedBy.add(partition)
      return false
    }
  }
}

/**
 * The records of one partition, in their order: those that come while some are under way go together, and what the log refuses goes again. A
 * record that was made is kept until the log has it, for its mark is used up; a delivery that waits behind is let go when its channel is gone,
 * for it comes again.
 */
class Lane {
  private pending: Taken[] = []
  private underWay = 0
  private readonly ending = new AbortController()

  constructor(
    private readonly recordOf: (taken: Taken) => Uint8Array,
    private readonly isAppended: (records: readonly Uint8Array[]) => Promise<boolean>,
    private readonly clock: Clock,
  ) {}

  get waiting(): number {
    return this.pending.length + this.underWay
  }

  add(taken: Taken): void {
    this.pending.push(taken)
    if (this.underWay === 0) void this.run()
  }

  /** Lets go of what comes again. */
  sweep(): void {
    this.pending = this.pending.filter(({ delivery }) => delivery.live)
  }

  /** What is not in the log stays with the brokers. */
  end(): void {
    this.ending.abort()
    this.pending = []
  }

  private async run(): Promise<void> {
    while (this.pending.length > 0) {
      const batch = this.pending
      this.pending = []
      this.underWay = batch.length
      const records = batch.map((taken) => this.recordOf(taken))
      while (!(await this.isAppended(records))) {
        await pause(this.clock, retryMs, this.ending.signal)
        if (this.ending.signal.aborted) return
      }
      for (const { delivery } of batch) delivery.settle(true)
      this.underWay = 0
    }
  }
}

/** What a broker delivered, on a channel that may be gone: then it delivers it again. */
interface Delivery {
  readonly live: boolean
  /** Acks it, or has it put where the refused are. */
  settle(ack: boolean): void
}

/** One consumer of one inbox on a channel of its own. */
class InboxConsumer {
  private underWay = 0
  private received = 0
  private finishing = false
  private failure: Error | undefined
  private readonly forget: () => void
  private wake = (): void => undefined

  constructor(
    private readonly channel: AMQPChannel,
    private readonly connection: BrokerConnection,
    private readonly queue: string,
    private readonly onMessage: (message: AMQPMessage) => void,
  ) {
    channel.onerror = (reason) => this.fail(new Error(reason))
    this.forget = connection.onLost((why) => this.fail(why))
  }

  async begin(): Promise<void> {
    const consume = async (): Promise<void> => {
      await this.channel.basicQos(inboxPrefetch)
      const consuming = await this.channel.basicConsume(this.queue, { noAck: false }, (message) => {
        this.received++
        if (!this.finishing) this.onMessage(message)
      })
      // a broker that restarts, or loses the queue, cancels
      void consuming.wait().then(
        () => this.fail(new Error('the broker ended the consuming')),
        (error: Error) => this.fail(error),
      )
    }
    await this.connection.ask(consume, `does not serve ${this.queue}`)
  }

  /** A delivery came; it counts as under way until it is settled. */
  taken({ deliveryTag }: AMQPMessage): Delivery {
    const { channel } = this
    this.underWay++
    const settle = (ack: boolean): void => {
      this.underWay--
      if (this.underWay === 0) this.wake()
      if (channel.closed) return
      const telling = ack ? channel.basicAck(deliveryTag) : channel.basicNack(deliveryTag, false)
      telling.catch(() => undefined)
    }
    return {
      get live() {
        return !channel.closed
      },
      settle,
    }
  }

  /**
   * Resolves with the reason when the consuming is over, or `signal` aborts. Silence means nothing: where the queue has records, and none
   * of them comes for two looks, it is over, too. (Whoever only stands by for another loses nothing by that.)
   */
  async ended(clock: Clock, signal: AbortSignal): Promise<Error> {
    for (let seen = -1; !signal.aborted && this.failure === undefined;) {
      await new Promise<void>((resolve) => {
        const end = (): void => {
          timer.cancel()
          signal.removeEventListener('abort', end)
          resolve()
        }
        const timer = clock.setTimer(inboxLookMs, end)
        this.wake = () => {
          if (this.failure !== undefined) end()
        }
        signal.addEventListener('abort', end)
        this.wake()
      })
      if (signal.aborted || this.failure !== undefined) break
      const look = () => this.channel.queueDeclare(this.queue, { passive: true })
      const { messageCount } = await this.connection.ask(look, 'does not answer')
      if (messageCount === 0 || this.underWay > 0) seen = -1
      else if (seen === this.received) return new Error(`it has ${messageCount} records and gave none`)
      else seen = this.received
    }
    return this.failure ?? new Error('stopped')
  }

  /**
   * Takes no more; resolves when all that was taken is settled. Not cancelled before that: the next instance would be given what comes after it, and
   * might be the first to append. What a broker still delivers is left to it, and goes to the next in its place.
   */
  async finish(): Promise<void> {
    this.finishing = true
    while (this.underWay > 0 && !this.channel.closed) await new Promise<void>((resolve) => (this.wake = resolve))
  }

  end(): void {
    this.forget()
    if (!this.channel.closed) void this.channel.close().catch(() => undefined)
  }

  private fail(error: Error): void {
    this.failure ??= error
    this.wake()
  }
}

/** Resolves after a while, or when `signal` aborts. */
function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const end = (): void => {
      timer.cancel()
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = clock.setTimer(delayMs, end)
    signal.addEventListener('abort', end)
  })
}

const noBytes = new Uint8Array(0)
