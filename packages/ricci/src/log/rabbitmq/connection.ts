/** A connection to one broker that ends within a bound, whatever the broker does: a frozen one accepts everything and answers nothing. */
import type { ConnectionOptions } from 'node:tls'
import { AMQPClient, type AMQPChannel } from '@cloudamqp/amqp-client'
import { ReplicaError, type Clock } from '@ricci/replica'
import { answerMs, frameBytes, heartbeatSeconds } from './limits.ts'

export interface ConnectionSettings {
  /** E.g. `amqps://user:password@host:5671/vhost`. */
  readonly url: string
  readonly tls?: Pick<ConnectionOptions, 'ca' | 'cert' | 'key'>
  /** What operators see it called. */
  readonly name: string
  readonly clock: Clock
  /** The library's, unless told. */
  readonly makeClient?: ClientMaker
}

/** A client of one broker as the library makes it, which a simulated broker has to offer, too. */
export interface BrokerClient {
  readonly host: string
  readonly port: number
  readonly closed: boolean
  /** Why the broker takes no records now, in its own words. */
  readonly blocked?: string
  /** Why it ended, once it has, and who is to be told. */
  readonly why: Error | undefined
  readonly listeners: Set<(why: Error) => void>
  connect(): Promise<unknown>
  channel(): Promise<AMQPChannel>
  /** Ends it in order, which the broker has to answer. */
  close(): Promise<unknown>
  end(why: Error): void
}

/** Makes a client that is not connected yet. */
export type ClientMaker = (url: string, tls: ConnectionSettings['tls'], name: string) => BrokerClient

const ofTheLibrary: ClientMaker = (url, tls, name) => new Client(url, tls, name)

/** A connection that was opened. Whoever opens one ends it. */
export class BrokerConnection {
  private constructor(
    private readonly client: BrokerClient,
    private readonly clock: Clock,
  ) {}

  /** @throws ReplicaError `LOG_UNAVAILABLE` when the broker refuses, or does not answer in time */
  static async open({
    url,
    tls,
    name,
    clock,
    makeClient = ofTheLibrary,
  }: ConnectionSettings): Promise<BrokerConnection> {
    const client = makeClient(url, tls, name)
    try {
      await answered(clock, client.connect(), `${client.host}:${client.port} has not taken a connection`)
    } catch (error) {
      client.end(unavailable(error, `${client.host}:${client.port} cannot be used`))
      throw unavailable(error, `${client.host}:${client.port} cannot be used`)
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
  async ask<T>(request: () => Promise<T>, what: string): Promise<T> {
    const broker = `${this.client.host}:${this.client.port}`
    try {
      return await answered(this.clock, request(), `${broker} ${what}`)
    } catch (error) {
      const failed = unavailable(error, broker)
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
  /** Why it ended, once it has. */
  why: Error | undefined

  constructor(url: string, tls: ConnectionSettings['tls'], name: string) {
    super(settled(url, name), { ...tls })
    this.onerror = () => undefined
    this.ondisconnect = (error) => this.end(error ?? new Error('the broker closed the connection'))
  }

  /** Its own way to close waits for the broker, which may be frozen. */
  end(why: Error): void {
    if (this.why !== undefined) return
    this.why = why
    for (const channel of this.channels) channel?.setClosed(why)
    this.closeSocket()
    for (const listener of [...this.listeners]) listener(why)
    this.listeners.clear()
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
export function answered<T>(clock: Clock, promise: Promise<T>, what: string, atMostMs = answerMs): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(atMostMs, () => reject(new Unanswered(`${what} for ${atMostMs} ms`)))
    promise.then(resolve, reject).finally(() => timer.cancel())
  })
}

/** Never the library's own error: it holds the connection with all its buffers, which would end up in a log line. */
export function unavailable(error: unknown, what: string): ReplicaError {
  if (error instanceof ReplicaError) return error
  const said = error instanceof Error ? error.message : String(error)
  return new ReplicaError('LOG_UNAVAILABLE', `${what}: ${said}`, true)
}
