/** The brokers of a cluster as one side of the log sees them: connections as they are needed, bad ones tried last. */
import { ReplicaError, type Clock } from '@ricci/replica'
import { BrokerConnection, type ConnectionSettings } from './connection.ts'
import { avoidAtMostMs, avoidMs } from './limits.ts'

export interface BrokersOptions {
  /** A URL for each broker; all lead to the same virtual host. */
  readonly urls: readonly string[]
  readonly tls?: ConnectionSettings['tls']
  /** What operators see connections called. */
  readonly name: string
  readonly clock: Clock
  readonly makeClient?: ConnectionSettings['makeClient']
}

interface Broker {
  readonly url: string
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
  private readonly brokers: readonly Broker[]
  private closed = false

  constructor(private readonly options: BrokersOptions) {
    if (options.urls.length === 0) throw new RangeError('A log on RabbitMQ needs the address of a broker.')
    this.brokers = options.urls.map((url) => ({ url, connection: undefined, failures: 0, avoidUntilMs: 0 }))
  }

  get size(): number {
    return this.brokers.length
  }

  /**
   * A connection to the first broker, from `from` on, that gives one; those that failed lately come last.
   * @throws ReplicaError `LOG_UNAVAILABLE` when none does, with what each said
   */
  async connect(from: number): Promise<Connected> {
    const said: string[] = []
    for (const broker of this.inOrder(from)) {
      try {
        return { broker, connection: await this.open(broker) }
      } catch (error) {
        said.push((error as Error).message)
        this.avoid(broker)
      }
      if (this.closed) throw new ReplicaError('LOG_CLOSED', 'the log is closed', false)
    }
    throw new ReplicaError('LOG_UNAVAILABLE', `no broker can be used: ${said.join('; ')}`, true)
  }

  /** A broker did not do what it should: others are tried first for a while. */
  avoid(broker: number): void {
    const bad = this.brokers[broker]
    const forMs = Math.min(avoidMs * 2 ** bad.failures, avoidAtMostMs)
    bad.failures++
    bad.avoidUntilMs = this.options.clock.monotonicMs() + forMs
  }

  /** Ends every connection: in order where a broker answers. */
  async close(): Promise<void> {
    this.closed = true
    await Promise.all(
      this.brokers.map(async ({ connection }) => {
        const open = await connection?.catch(() => undefined)
        await open?.close()
      }),
    )
  }

  private inOrder(from: number): number[] {
    const nowMs = this.options.clock.monotonicMs()
    const order = this.brokers.map((_broker, index) => (from + index) % this.brokers.length)
    const badness = (index: number): number => Math.max(0, this.brokers[index].avoidUntilMs - nowMs)
    // stable: those that are not avoided stay in their order
    return order.sort((a, b) => badness(a) - badness(b))
  }

  private open(index: number): Promise<BrokerConnection> {
    const broker = this.brokers[index]
    if (this.closed) return Promise.reject(new ReplicaError('LOG_CLOSED', 'the log is closed', false))
    if (broker.connection !== undefined) return broker.connection
    const { tls, name, clock, makeClient } = this.options
    const opening = BrokerConnection.open({ url: broker.url, tls, name, clock, makeClient })
    broker.connection = opening
    const forget = (): void => {
      if (broker.connection === opening) broker.connection = undefined
    }
    opening.then((connection) => {
      // it answers again: its next failure is a first one
      broker.failures = 0
      connection.onLost(forget)
      if (this.closed) connection.end()
    }, forget)
    return opening
  }
}
