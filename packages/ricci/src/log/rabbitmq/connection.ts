/** A connection to one broker that ends within a bound, whatever the broker does: a frozen one accepts everything and answers nothing. */
import type { ConnectionOptions } from 'node:tls'
import { AMQPClient, type AMQPChannel } from '@cloudamqp/amqp-client'
import { ReplicaError, type Clock } from '@ricci/replica'
import { answerMs, frameBytes, heartbeatSeconds } from './limits.ts'

export interface ConnectionSettings {
  /** E.g. `amqps://user:password@host:5671/vhost`. */
  readonly url: string
  /** What is connected to; the name in the URL is then only what TLS verifies. */
  readonly address?: string
  readonly tls?: Pick<ConnectionOptions, 'ca' | 'cert' | 'key'>
  /** What operators see it called. */
  readonly name: string
  readonly clock: Clock
  /** The library's, unless told. */
  readonly makeClient?: ClientMaker
}

/** A client of one broker as the library makes it, which a simulated broker has to offer, too. */
export interface BrokerClient {
  /** Which broker it is to, for people. */
  readonly called: string
  readonly closed: boolean
  /** Why the broker takes no records now, in its own words. */
  readonly blocked?: string
  /** Why it ended, once it has, and who is to be told. */
  readonly why: Error | undefined
  readonly listeners: Set<(why: Error) => void>
  /** Who is told why the broker takes no records, and that it does again. */
  readonly blockedListeners: Set<(why: string | undefined) => void>
  connect(): Promise<unknown>
  channel(): Promise<AMQPChannel>
  /** Ends it in order, which the broker has to answer. */
  close(): Promise<unknown>
  end(why: Error): void
}

/** Makes a client that is not connected yet. */
export type ClientMaker = (settings: Omit<ConnectionSettings, 'clock' | 'makeClient'>) => BrokerClient

const ofTheLibrary: ClientMaker = (settings) => new Client(settings)

/** A connection that was opened. Whoever opens one ends it. */
export class BrokerConnection {
  private constructor(
    private readonly client: BrokerClient,
    private readonly clock: Clock,
  ) {}

  /** Which broker it is to, for people. */
  get name(): string {
    return this.client.called
  }

  /** @throws ReplicaError `LOG_UNAVAILABLE` when the broker refuses, or does not answer in time */
  static async open({ clock, makeClient = ofTheLibrary, ...settings }: ConnectionSettings): Promise<BrokerConnection> {
    const client = makeClient(settings)
    try {
      await answered(clock, client.connect(), `${client.called} has not taken a connection`)
    } catch (error) {
      client.end(unavailable(error, `${client.called} cannot be used`))
      throw unavailable(error, `${client.called} cannot be used`)
    }
    return new BrokerConnection(client, clock)
  }

  /** Has `listener` told why, once it is of no use any more, or at once; gives what takes that back. */
  onLost(listener: (why: Error) => void): () => void {
    if (this.client.why !== undefined) listener(this.client.why)
    this.client.listeners.add(listener)
    return () => this.client.listeners.delete(listener)
  }

  /** Whether it can still be used. */
  get usable(): boolean {
    return !this.client.closed
  }

  /** Why the broker takes no records now, in its own words: it is short of memory or disk. */
  get blocked(): string | undefined {
    return this.client.blocked
  }

  /** Has `listener` told why the broker takes no records, and (undefined) when it does again; gives what takes that back. */
  onBlocked(listener: (why: string | undefined) => void): () => void {
    this.client.blockedListeners.add(listener)
    return () => this.client.blockedListeners.delete(listener)
  }

  /** A new channel. An error on it ends it, nothing else. @throws ReplicaError `LOG_UNAVAILABLE` */
  channel(): Promise<AMQPChannel> {
    return this.ask(async () => {
      const channel = await this.client.channel()
      // told where it matters; the default writes to the log of the process
      channel.onerror = () => undefined
      return channel
    }, 'has not opened a channel')
  }

  /** What `request` gives, if the broker answers in time; else the connection ends. @throws ReplicaError `LOG_UNAVAILABLE` */
  async ask<T>(request: () => Promise<T>, what: string | (() => string), atMostMs = answerMs): Promise<T> {
    const said = (): string => `${this.name} ${typeof what === 'string' ? what : what()}`
    try {
      return await answered(this.clock, request(), said, atMostMs)
    } catch (error) {
      const failed = unavailable(error, this.name)
      if (error instanceof Unanswered) this.end(failed)
      throw failed
    }
  }

  /** Ends it now; nothing is waited for. May be called again. */
  end(why: Error = new ReplicaError('LOG_CLOSED', 'the log is closed', false)): void {
    this.client.end(why)
  }

  /** Ends it in order, within a bound: what the broker has taken is not cut off. */
  async close(): Promise<void> {
    if (this.usable) await answered(this.clock, this.client.close(), 'no answer').catch(() => undefined)
    this.end()
  }
}

class Client extends AMQPClient implements BrokerClient {
  readonly listeners = new Set<(why: Error) => void>()
  readonly blockedListeners = new Set<(why: string | undefined) => void>()
  /** Why it ended, once it has. */
  why: Error | undefined

  readonly called: string

  constructor({ url, address, tls, name }: Omit<ConnectionSettings, 'clock' | 'makeClient'>) {
    // the library hands on what it is given to the socket, where it counts before the host of the URL
    super(settled(url, name), { ...tls, ...(address !== undefined && { host: address }) })
    this.called = `${this.host}:${this.port}${address === undefined || address === this.host ? '' : ` (${address})`}`
    this.onerror = () => undefined
    const tell = (why: string | undefined): void => {
      for (const listener of [...this.blockedListeners]) listener(why)
    }
    this.onblocked = tell
    this.onunblocked = () => tell(undefined)
    this.ondisconnect = (error) => this.end(error ?? new Error('the broker closed the connection'))
  }

  /**
   * Waits for no write: where one fails the connection ends, and that tells whoever waits for an answer. The library's own promise fails before
   * anybody looks at what waits for the answer, and what nobody looks at would end the process.
   */
  override send(bytes: Uint8Array): Promise<void> {
    super.send(bytes).catch(() => undefined)
    return Promise.resolve()
  }

  /** Its own way to close waits for the broker, which may be frozen. */
  end(why: Error): void {
    if (this.why !== undefined) return
    this.why = why
    for (const channel of this.channels) channel?.setClosed(why)
    this.closeSocket()
    for (const listener of [...this.listeners]) listener(why)
    this.listeners.clear()
    this.blockedListeners.clear()
  }
}

/** The address with what the library takes from there. */
function settled(url: string, name: string): string {
  const full = new URL(url)
  full.searchParams.set('name', name)
  full.searchParams.set('heartbeat', String(heartbeatSeconds))
  full.searchParams.set('frameMax', String(frameBytes))
  return full.href
}

class Unanswered extends Error {}

/** A promise's result, if it comes in time; what comes later is nobody's any more. */
export function answered<T>(
  clock: Clock,
  promise: Promise<T>,
  what: string | (() => string),
  atMostMs = answerMs,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = (): Unanswered => new Unanswered(`${typeof what === 'string' ? what : what()} for ${atMostMs} ms`)
    const timer = clock.setTimer(atMostMs, () => reject(late()))
    promise.then(resolve, reject).finally(() => timer.cancel())
  })
}

/** Never the library's own error: it holds the connection with all its buffers, which would end up in a log line. */
export function unavailable(error: unknown, what: string): ReplicaError {
  if (error instanceof ReplicaError) return error
  const said = error instanceof Error ? error.message : String(error)
  return new ReplicaError('LOG_UNAVAILABLE', `${what}: ${said}`, true)
}
