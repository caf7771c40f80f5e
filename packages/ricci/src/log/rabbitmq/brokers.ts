/** The brokers of a cluster as one side of the log sees them: connections as they are needed, bad ones tried last. */
import { ReplicaError, type Clock } from '@ricci/replica'
import { distinct, findBrokers, needsDns, sameAddress, type Address } from './addresses.ts'
import { systemResolver, type Resolver } from '../../resolver.ts'
import { answered, BrokerConnection, type ConnectionSettings } from './connection.ts'
import { answerMs, avoidAtMostMs, avoidMs, resolveAgainMs, resolveEveryMs } from './limits.ts'

export interface BrokersOptions {
  /**
   * Each `amqp://USER:PASSWORD@HOST/VHOST` or `amqps://…`: the broker there, or all that the name has addresses of; or `amqp+srv://…`, `amqps+srv://…`
   * without a port: those that DNS names. All lead to the same virtual host.
   */
  readonly urls: readonly string[]
  readonly tls?: ConnectionSettings['tls']
  /** What operators see connections called. */
  readonly name: string
  readonly clock: Clock
  /** The machine's unless told. */
  readonly resolver?: Resolver
  readonly makeClient?: ConnectionSettings['makeClient']
}

interface Broker {
  at: Address
  connection: Promise<BrokerConnection> | undefined
  /** Failures one after another. */
  failures: number
  avoidUntilMs: number
}

/** A connection, and to which of the brokers. */
export interface Connected {
  readonly broker: number
  readonly connection: BrokerConnection
}

export class Brokers {
  /** A place keeps its number: who goes from one broker to the next counts by it. One that DNS names no more makes room for a new one. */
  private brokers: readonly Broker[] = []
  /** Those that DNS names no more, and that somebody is still connected to. */
  private gone: readonly Broker[] = []
  private found: ReadonlyMap<string, readonly Address[]> = new Map()
  private readonly isNamed: boolean
  private resolving: Promise<void> | undefined
  private resolvedMs = -Infinity
  /** None could be used: DNS may know others by now. */
  private wanted = false
  private closed = false
  /** Told why a broker, by its name, takes no records, and (undefined) when it does again, or is lost. */
  onBlocked: ((name: string, why: string | undefined) => void) | undefined

  constructor(private readonly options: BrokersOptions) {
    if (options.urls.length === 0) throw new RangeError('A log on RabbitMQ needs the address of a broker.')
    this.isNamed = needsDns(options.urls)
  }

  /**
   * A connection to the first broker, from `from` on, that gives one; those that failed lately come last.
   * @throws ReplicaError `LOG_UNAVAILABLE` when none does, with what each said
   */
  async connect(from: number): Promise<Connected> {
    await this.find()
    const said: string[] = []
    for (const [index, broker] of this.inOrder(from)) {
      try {
        return { broker: index, connection: await this.open(broker) }
      } catch (error) {
        said.push((error as Error).message)
        this.leave(broker)
      }
      if (this.closed) throw new ReplicaError('LOG_CLOSED', 'the log is closed', false)
    }
    this.wanted = true
    throw new ReplicaError('LOG_UNAVAILABLE', `no broker can be used: ${said.join('; ')}`, true)
  }

  /** A broker did not do what it should: others are tried first for a while. */
  avoid(broker: number): void {
    this.leave(this.brokers[broker % this.brokers.length])
  }

  private leave(bad: Broker): void {
    const forMs = Math.min(avoidMs * 2 ** bad.failures, avoidAtMostMs)
    bad.failures++
    bad.avoidUntilMs = this.options.clock.monotonicMs() + forMs
  }

  /** Ends every connection: in order where a broker answers. */
  async close(): Promise<void> {
    this.closed = true
    await Promise.all(
      [...this.brokers, ...this.gone].map(async ({ connection }) => {
        const open = await connection?.catch(() => undefined)
        await open?.close()
      }),
    )
  }

  /** Looks names up again when it is time. Waits for that only while nothing is known. @throws ReplicaError `LOG_UNAVAILABLE` */
  private async find(): Promise<void> {
    const { clock, urls, resolver = systemResolver } = this.options
    const dueMs = this.wanted ? resolveAgainMs : resolveEveryMs
    const isDue = this.isNamed && clock.monotonicMs() - this.resolvedMs >= dueMs
    if (this.brokers.length > 0 && !isDue) return
    this.resolving ??= answered(clock, findBrokers(urls, resolver, this.found), 'DNS has not answered', answerMs)
      .then((found) => {
        this.found = found
        this.place(distinct(found))
      })
      .finally(() => {
        this.resolvedMs = clock.monotonicMs()
        this.wanted = false
        this.resolving = undefined
      })
    if (this.brokers.length > 0) return void this.resolving.catch(() => undefined)
    try {
      await this.resolving
    } catch (error) {
      throw new ReplicaError('LOG_UNAVAILABLE', `no broker is known: ${(error as Error).message}`, true)
    }
  }

  /** Gives each address a place: the one it had, one that became free, or a new one. */
  private place(addresses: readonly Address[]): void {
    if (addresses.length === 0) throw new Error('DNS names no addresses')
    const fresh = addresses.filter((address) => !this.brokers.some(({ at }) => sameAddress(at, address)))
    const kept: Broker[] = []
    const gone = [...this.gone]
    for (const broker of this.brokers) {
      if (addresses.some((address) => sameAddress(address, broker.at))) kept.push(broker)
      else {
        // whoever is still connected there goes on until that ends by itself
        gone.push(broker)
        const next = fresh.shift()
        if (next !== undefined) kept.push(placeFor(next))
      }
    }
    this.gone = gone.filter(({ connection }) => connection !== undefined)
    this.brokers = [...kept, ...fresh.map(placeFor)]
  }

  private inOrder(from: number): [number, Broker][] {
    const { brokers } = this
    const nowMs = this.options.clock.monotonicMs()
    const order = brokers.map((_broker, at): [number, Broker] => {
      const index = (from + at) % brokers.length
      return [index, brokers[index]]
    })
    const badness = ({ avoidUntilMs }: Broker): number => Math.max(0, avoidUntilMs - nowMs)
    // stable: those that are not avoided stay in their order
    return order.sort(([, a], [, b]) => badness(a) - badness(b))
  }

  private open(broker: Broker): Promise<BrokerConnection> {
    if (this.closed) return Promise.reject(new ReplicaError('LOG_CLOSED', 'the log is closed', false))
    if (broker.connection !== undefined) return broker.connection
    const { tls, name, clock, makeClient } = this.options
    const opening = BrokerConnection.open({ ...broker.at, tls, name, clock, makeClient })
    broker.connection = opening
    const forget = (): void => {
      if (broker.connection === opening) broker.connection = undefined
    }
    opening.then((connection) => {
      // it answers again: its next failure is a first one
      broker.failures = 0
      const { name } = connection
      connection.onBlocked((why) => this.onBlocked?.(name, why))
      connection.onLost(() => {
        forget()
        if (connection.blocked !== undefined) this.onBlocked?.(name, undefined)
      })
      if (this.closed) connection.end()
    }, forget)
    return opening
  }
}

function placeFor(at: Address): Broker {
  return { at, connection: undefined, failures: 0, avoidUntilMs: 0 }
}
