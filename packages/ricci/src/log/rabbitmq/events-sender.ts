/** Publishes as others do: to the exchange of events, by a key. */
import type { AMQPChannel } from '@cloudamqp/amqp-client'
import { Brokers, type BrokersOptions } from './brokers.ts'
import { unavailable, type BrokerConnection } from './connection.ts'
import { declareInboxes, eventsExchange, type Topology } from './topology.ts'

export interface EventsSenderOptions extends Pick<BrokersOptions, 'urls' | 'tls' | 'resolver' | 'name' | 'clock'> {
  /** Of inboxes that are to be made where there are none; without it, who sends needs no right but to write. */
  readonly topology?: Topology
}

/** A channel to publish by, and of which records, by their ids, it was said that they were returned, and why. */
interface Way {
  readonly connection: BrokerConnection
  readonly channel: AMQPChannel
  readonly returned: Map<string, string>
}

export class EventsSender {
  private readonly brokers: Brokers
  private way: Promise<Way> | undefined
  private next = 0
  private sent = 0

  constructor(private readonly options: EventsSenderOptions) {
    const { urls, tls, resolver, name, clock } = options
    this.brokers = new Brokers({ urls, tls, resolver, name, clock })
  }

  /**
   * Resolves when a broker has confirmed a Msg; any number may be on their way. What fails makes the way anew, through the next broker, for the next one.
   * @throws ReplicaError `LOG_UNAVAILABLE` with why not
   */
  async send(key: string, msg: Uint8Array): Promise<void> {
    const opening = (this.way ??= this.open())
    try {
      const way = await opening
      const { connection, channel, returned } = way
      const messageId = String(++this.sent)
      // one that is short of memory or disk confirms nothing, and says so only after the next record
      const what = (): string => `does not confirm${connection.blocked === undefined ? '' : `: ${connection.blocked}`}`
      await connection.ask(
        () => channel.basicPublish(eventsExchange, key, msg, { deliveryMode: 2, messageId }, true),
        what,
      )
      // a broker returns a record before it confirms it
      const why = returned.get(messageId)
      if (why !== undefined) throw new Error(`it was returned: no inbox is bound (${why})`)
    } catch (error) {
      if (this.way === opening) this.way = undefined
      void opening.then(({ channel }) => channel.close()).catch(() => undefined)
      throw unavailable(error, 'a broker does not take it')
    }
  }

  close(): Promise<void> {
    return this.brokers.close()
  }

  private async open(): Promise<Way> {
    const { broker, connection } = await this.brokers.connect(this.next)
    this.next = broker + 1
    const channel = await connection.channel()
    const way: Way = { connection, channel, returned: new Map() }
    channel.onReturn = ({ replyText, properties }) => {
      way.returned.set(properties.messageId ?? '', replyText ?? 'no reason given')
    }
    const { topology } = this.options
    const prepare = async (): Promise<void> => {
      if (topology !== undefined) await declareInboxes(channel, topology)
      await channel.confirmSelect()
    }
    await connection.ask(prepare, 'does not declare the inboxes')
    return way
  }
}
