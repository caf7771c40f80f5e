/** One reader of one stream at one broker: records by offset, as many under way as it may have. */
import type { AMQPChannel, AMQPMessage } from '@cloudamqp/amqp-client'
import type { Clock, StoredRecord } from '@ricci/replica'
import { crc32 } from '../crc32.ts'
import { logClosed } from '../errors.ts'
import type { Brokers } from './brokers.ts'
import { answered, unavailable, type BrokerConnection } from './connection.ts'
import { ackEvery, ackTurns, prefetch } from './limits.ts'

/** Where reading begins: an offset, the oldest record left, the newest few, or what is younger than a time. */
export type From = number | 'first' | 'last' | Date

/** A record, and under which id its publisher knows it. */
export interface Delivered extends StoredRecord {
  readonly id: string | undefined
}

/** Reads until it is ended. Whoever opens one ends it. */
export class StreamConsumer {
  private buffer: Delivered[] = []
  private failure: Error | undefined
  private wake: (() => void) | undefined
  private unacked = 0
  private ended = false
  /** Takes back that it is told of its connection's end. */
  private forget = (): void => undefined

  private constructor(
    private readonly connection: BrokerConnection,
    private readonly channel: AMQPChannel,
    readonly stream: string,
  ) {}

  /**
   * @param credit records under way at most; 1 for who wants a single one
   * @throws ReplicaError `LOG_UNAVAILABLE` when this broker does not serve the stream
   */
  static async open(
    connection: BrokerConnection,
    stream: string,
    from: From,
    credit: number = prefetch,
  ): Promise<StreamConsumer> {
    const channel = await connection.channel()
    const consumer = new StreamConsumer(connection, channel, stream)
    channel.onerror = (reason) => consumer.fail(new Error(reason))
    consumer.forget = connection.onLost((why) => consumer.fail(why))
    const args = { 'x-stream-offset': from }
    const consume = async (): Promise<void> => {
      await channel.basicQos(credit)
      const reading = await channel.basicConsume(stream, { noAck: false, args }, (message) => consumer.take(message))
      // a broker that restarts, or loses its replica, cancels
      void reading.wait().then(
        () => consumer.fail(new Error('the broker ended the reading')),
        (error: Error) => consumer.fail(error),
      )
    }
    try {
      await connection.ask(consume, `does not serve ${stream}`)
    } catch (error) {
      consumer.end()
      throw error
    }
    return consumer
  }

  /**
   * Resolves with the records that came since; waits for the first. Empty once it was ended. What was given is acked when the next is asked for, at
   * times: a stream's broker is told to go on by that, and each time costs it more than a record.
   * @throws ReplicaError `LOG_UNAVAILABLE` when the broker ended it
   */
  async next(): Promise<readonly Delivered[]> {
    this.ack(++this.turns % ackTurns === 0 ? 1 : ackEvery)
    while (this.buffer.length === 0 && this.failure === undefined && !this.ended) {
      await new Promise<void>((resolve) => (this.wake = resolve))
    }
    if (this.ended) return []
    if (this.buffer.length === 0) throw unavailable(this.failure, 'the reader of a stream ended')
    return this.taken()
  }

  /** The records that have come, without waiting. */
  taken(): readonly Delivered[] {
    const { buffer } = this
    this.buffer = []
    this.unacked += buffer.length
    this.ack(ackEvery)
    return buffer
  }

  /**
   * Resolves when everything that the broker had sent before has arrived, with how many records it believes the stream to hold: which
   * it learns of some seconds late.
   * @throws ReplicaError `LOG_UNAVAILABLE`
   */
  async roundTrip(): Promise<number> {
    const declare = () => this.channel.queueDeclare(this.stream, { passive: true })
    const { messageCount } = await this.connection.ask(declare, 'does not answer')
    return messageCount
  }

  /** Ends it; a `next` that waits resolves. May be called again. */
  end(): void {
    if (this.ended) return
    this.ended = true
    this.forget()
    this.buffer = []
    this.wake?.()
    if (!this.channel.closed) void this.channel.close().catch(() => undefined)
  }

  private take(message: AMQPMessage): void {
    if (this.ended) return
    const offset = message.properties.headers?.['x-stream-offset']
    if (offset === undefined) return this.fail(new Error('a record came without its offset: this is no stream'))
    const bytes = (message.body as Uint8Array | null) ?? new Uint8Array(0)
    this.lastTag = message.deliveryTag
    this.buffer.push({ offset: Number(offset), bytes, checksum: crc32(bytes), id: message.properties.messageId })
    this.wake?.()
  }

  private turns = 0
  private lastTag = 0
  private ackedTag = 0

  /** Acks what was given, where that is at least so much: with what is still in the buffer, which a broker may replace. */
  private ack(least: number): void {
    if (this.unacked < least || this.channel.closed || this.ackedTag === this.lastTag) return
    this.unacked = 0
    this.ackedTag = this.lastTag
    // on a channel that has died it rejects; its end is told by other ways
    this.channel.basicAck(this.lastTag, true).catch(() => undefined)
  }

  private fail(error: Error): void {
    this.failure ??= error
    this.wake?.()
  }
}

/** The next record of a stream from somewhere on, where there is one. @throws ReplicaError `LOG_UNAVAILABLE` */
export async function oneFrom(
  brokers: Pick<Brokers, 'connect'>,
  stream: string,
  from: From,
  firstBroker: number,
  clock: Clock,
): Promise<StoredRecord> {
  const { connection } = await brokers.connect(firstBroker)
  const consumer = await StreamConsumer.open(connection, stream, from, 1)
  try {
    const [record] = await answered(clock, consumer.next(), `a record of ${stream} has not come`)
    if (record === undefined) throw logClosed()
    return record
  } catch (error) {
    throw unavailable(error, 'a broker does not serve')
  } finally {
    consumer.end()
  }
}
