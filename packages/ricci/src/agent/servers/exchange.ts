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
  largestEventBytes,
  maxMarkBytes,
  MsgRoute,
  readMark,
  refusalAsTooLarge,
  type Msg,
  type MsgFacts,
} from '@ricci/client'
import { EventsSender, type EventsSenderOptions } from '../../log/rabbitmq/events-sender.ts'
import { inboxMsgBytes } from '../../log/rabbitmq/limits.ts'

/** The attribute that names an event's cluster. */
const clusterAttribute = 'cluster'

/** A routing key is not longer in AMQP. */
const maxKeyBytes = 255

/** An event goes alone at the least, with its mark. */
const maxEventBytes = inboxMsgBytes - maxMarkBytes

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
   * Sends a Msg, or its bytes, in parts of one key each; resolves once brokers have confirmed them, or with a refusal where one is larger than an inbox takes.
   * @throws ClientError, retriable where no broker takes it now
   */
  async sendMsg(msg: Msg | Uint8Array): Promise<Msg> {
    const bytes = msg instanceof Uint8Array ? msg : encodeMsg(msg)
    this.#inspect(bytes)
    if (this.#facts.asks) return refused('events go to RabbitMQ from here; ask an instance of the cluster')
    const parts = this.#parts(bytes)
    if (parts.some(([, { length }]) => length > inboxMsgBytes)) return refused(refusalAsTooLarge(inboxMsgBytes))
    const tooLong = parts.map(([key]) => refusalOfKey(key)).find(Boolean)
    if (tooLong !== undefined) return refused(tooLong)
    try {
      await Promise.all(parts.map(([key, part]) => this.#sender.send(key, part)))
    } catch (error) {
      this.#current = undefined
      throw new ClientError('UNREACHABLE', (error as Error).message, true, { cause: error })
    }
    this.#current = 'RabbitMQ'
    return { ok: true }
  }

  /** Why no inbox will ever take one of the events of a Msg, so that who sent it is told; undefined where there is nothing against them. */
  refusalOf(msg: Uint8Array): string | undefined {
    this.#inspect(msg)
    const { only } = this.#route
    const parts = only >= 0 ? [only] : [...this.#route.split(msg).keys()]
    const largest = msg.length > maxEventBytes ? largestEventBytes(msg) : 0
    if (largest > maxEventBytes)
      return `an event has ${largest} bytes, and inboxes on RabbitMQ take ${maxEventBytes}; shorten its texts`
    return parts.map((part) => refusalOfKey(this.#keyOf(part))).find(Boolean)
  }

  destroy(): Promise<void> {
    return this.#sender.close()
  }

  /** What it is, and which parts it has, stands in `#facts` and `#route` until the next one. */
  #inspect(msg: Uint8Array): void {
    if (this.#keys.length > maxKeys) {
      this.#keys = []
      this.#route = this.#newRoute()
    }
    inspectMsg(msg, this.#facts, defaultLimits, this.#route)
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

function refusalOfKey(key: string): string | undefined {
  const bytes = Buffer.byteLength(key)
  return bytes <= maxKeyBytes
    ? undefined
    : `the key of an event, "${key.slice(0, 40)}…", has ${bytes} bytes, and RabbitMQ takes ${maxKeyBytes}; shorten its cluster, or else its host`
}

function refused(error: string): Msg {
  return { ok: false, error }
}
