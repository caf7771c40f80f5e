/**
 * A publisher that knows AMQP and nothing of Ricci: it sends one Riemann Msg after another, with its cluster's id as routing key, to the exchange that is there for
 * anybody, each again until a broker confirms it, at one broker after another. It marks nothing: what it sends again may be there twice.
 */
import type { AMQPChannel } from '@cloudamqp/amqp-client'
import { encodeMsg } from '@ricci/client'
import { PlainClient } from '../../servers/plain-client.ts'
import { beforeDeadline, pause } from '../../servers/wait.ts'
import { clusterName } from './load-protocol.ts'

/** Where anybody publishes. */
export const eventsExchange = 'ricci.events'

/** A broker that neither confirms nor connects for so long is left for the next. */
const patienceMs = 3_000
/** Between two of its messages, and between two attempts. */
const everyMs = 200

export class ForeignPublisher {
  /** Numbers of the messages that were confirmed; each is the metric of its event. */
  readonly confirmed: number[] = []
  private stopped = false
  private at: number
  private client: PlainClient | undefined
  private readonly running: Promise<void>

  /** @param first number of its first message: they are nobody else's, and rise by one */
  constructor(
    private readonly brokers: readonly string[],
    private readonly cluster: number,
    first: number,
  ) {
    this.at = cluster
    this.running = this.run(first)
  }

  /** What it is sending is confirmed or not, and nothing more is sent. */
  async stop(): Promise<void> {
    this.stopped = true
    await this.running
    this.drop()
  }

  private async run(first: number): Promise<void> {
    const name = clusterName(this.cluster)
    let channel: AMQPChannel | undefined
    for (let number = first; !this.stopped;) {
      const event = {
        host: `${name}-foreign`,
        service: 'foreign',
        state: 'ok',
        ttl: 300,
        time: Date.now() / 1000,
        metric: number,
      }
      const msg = encodeMsg({ events: [{ ...event, attributes: { cluster: name } }] })
      try {
        channel ??= await this.inTime(this.open())
        await this.inTime(channel.basicPublish(eventsExchange, name, msg, { deliveryMode: 2 }, true))
        this.confirmed.push(number++)
      } catch {
        channel = undefined
        this.drop()
        this.at++
      }
      await pause(everyMs)
    }
  }

  private async open(): Promise<AMQPChannel> {
    const client = new PlainClient(this.brokers[this.at % this.brokers.length])
    this.client = client
    await client.connect()
    const channel = await client.channel()
    channel.onerror = () => undefined
    await channel.confirmSelect()
    return channel
  }

  /** Its own way to close waits for the broker, which may be frozen: nobody waits for that. */
  private drop(): void {
    this.client?.close().catch(() => undefined)
    this.client = undefined
  }

  private async inTime<T>(promise: Promise<T>): Promise<T> {
    promise.catch(() => undefined)
    if (!(await beforeDeadline(promise, performance.now() + patienceMs))) throw new Error('not in time')
    return promise
  }
}
