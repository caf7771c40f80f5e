/**
 * Straight to RabbitMQ: the exchange of events, by which anybody's publisher may send. An agent needs the right to write there and none other, and no
 * instance of Ricci to be there now.
 */
import {
  ClientError,
  defaultLimits,
  encodeMark,
  encodeMsg,
  inspectMsg,
  MsgRoute,
  readMark,
  type Msg,
  type MsgFacts,
} from '@ricci/client'
import { EventsSender, type EventsSenderOptions } from '../../log/rabbitmq/events-sender.ts'
import { inboxMsgBytes } from '../../log/rabbitmq/limits.ts'

/** The attribute that names an event's cluster. */
const clusterAttribute = 'cluster'

/** A routing key is not longer in AMQP. */
const maxKeyBytes = 255

/** Keys whose number is kept; when there are more, all are forgotten. */
const maxKeys = 4_096

/** In the place of servers: see the head of this file. */
export class Exchange {
  readonly #sender: EventsSender
  readonly #facts: MsgFacts = { events: 0, marked: false, asks: false }
  #keys: string[] = []
  #route = this.#newRoute()
  #current: string | undefined

  constructor(options: Omit<EventsSenderOptions, 'topology'>) {
    this.#sender = new EventsSender(options)
  }

  /** The brokers, for people, while they take what is sent. */
  get current(): string | undefined {
    return this.#current
  }

  /**
   * Sends a Msg, or its bytes, in parts of one key each; resolves once brokers have confirmed them.
   * @throws ClientError, retriable where no broker takes it now
   */
  async sendMsg(msg: Msg | Uint8Array): Promise<Msg> {
    const bytes = msg instanceof Uint8Array ? msg : encodeMsg(msg)
    if (this.#keys.length > maxKeys) {
      this.#keys = []
      this.#route = this.#newRoute()
    }
    inspectMsg(bytes, this.#facts, defaultLimits, this.#route)
    if (this.#facts.asks) return refused('events go to RabbitMQ from here; ask an instance of the cluster')
    const parts = this.#parts(bytes)
    for (const [key, { length }] of parts) {
      if (length > inboxMsgBytes) return refused(`${length} bytes in one message: an inbox takes ${inboxMsgBytes}`)
      if (Buffer.byteLength(key) > maxKeyBytes)
        return refused(`the key of an event, "${key.slice(0, 40)}…", is too long`)
    }
    try {
      await Promise.all(parts.map(([key, part]) => this.#sender.send(key, part)))
    } catch (error) {
      this.#current = undefined
      throw new ClientError('UNREACHABLE', (error as Error).message, true, { cause: error })
    }
    this.#current = 'RabbitMQ'
    return { ok: true }
  }

  destroy(): Promise<void> {
    return this.#sender.close()
  }

  #parts(bytes: Uint8Array): [key: string, part: Uint8Array][] {
    const { only } = this.#route
    if (only >= 0) return [[this.#keyOf(only), bytes]]
    // the mark is of the whole: what is missing here is elsewhere
    const mark = encodeMark({ ...readMark(bytes)!, spread: true })
    return [...this.#route.split(bytes)].map(([part, events]) => [this.#keyOf(part), Buffer.concat([events, mark])])
  }

  /** An inbox takes no message without a key. */
  #keyOf(part: number): string {
    return this.#keys[part] || 'none'
  }

  #newRoute(): MsgRoute {
    return new MsgRoute({
      attribute: clusterAttribute,
      // each key is a part of its own
      partOf: (key) => this.#keys.push(key) - 1,
      maxKeys,
    })
  }
}

function refused(error: string): Msg {
  return { ok: false, error }
}
