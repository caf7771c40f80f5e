import { type BrokerClient } from 'ricci/cluster'
import { machineOf, Pipe } from '../network.ts'
import type { Process } from '../process.ts'
import type { SimBroker, SimBrokers } from './brokers.ts'
import { SimChannel } from './channel.ts'

type Channel = Awaited<ReturnType<BrokerClient['channel']>>

/** A dead link is noticed after this: heartbeats are 2 s apart. */
const heartbeatMs = { least: 2_000, most: 5_500 }

/** A process' connection to one broker, in place of the library's: through a network that cuts, to a broker that freezes and dies. */
export class SimClient implements BrokerClient {
  readonly listeners = new Set<(why: Error) => void>()
  readonly blockedListeners = new Set<(why: string | undefined) => void>()
  closed = true
  why: Error | undefined
  readonly toBroker: Pipe
  readonly toClient: Pipe
  readonly machine: string
  readonly #channels = new Set<SimChannel>()

  constructor(
    readonly brokers: SimBrokers,
    readonly broker: SimBroker,
    readonly process: Process,
  ) {
    this.machine = machineOf(process)
    const { network, world } = brokers
    const random = world.random.fork(`client/${process.name}/${broker.name}/${world.nowMs}`)
    // One that is started anew knows nothing of older connections.
    const { process: other } = broker
    this.toBroker = new Pipe(network, random, this.machine, broker.name, (callback) => other.deliver(callback))
    this.toClient = new Pipe(network, random, broker.name, this.machine, (callback) => process.deliver(callback))
    this.#watchLink(random.between(heartbeatMs.least, heartbeatMs.most), random.chance(0.7))
  }

  get called(): string {
    return this.broker.name
  }

  get blocked(): string | undefined {
    return this.brokers.blocked
  }

  connect(): Promise<void> {
    return new Promise((resolve, reject) => {
      const refuse = (why: string): void => this.process.deliverAfter(1, () => reject(new Error(why)))
      if (!this.broker.process.alive) return refuse('connect ECONNREFUSED')
      this.broker.clients.add(this)
      this.toBroker.send(() => {
        const isPaused = this.broker.pausedUntilMs > this.brokers.world.nowMs
        this.toClient.send(() => {
          if (isPaused) return reject(new Error('connect ECONNREFUSED'))
          if (this.why !== undefined) return reject(this.why)
          this.closed = false
          resolve()
        })
      })
    })
  }

  channel(): Promise<Channel> {
    const channel = new SimChannel(this)
    this.#channels.add(channel)
    // The product uses of the library's channel what this one has.
    return channel.open().then(() => channel as unknown as Channel)
  }

  close(): Promise<void> {
    this.closed = true
    return new Promise((resolve) => this.toBroker.send(() => this.toClient.send(resolve)))
  }

  end(why: Error): void {
    if (this.why !== undefined) return
    this.why = why
    this.closed = true
    this.broker.clients.delete(this)
    this.toBroker.close()
    this.toClient.close()
    for (const channel of this.#channels) channel.setClosed(why)
    for (const listener of [...this.listeners]) listener(why)
    this.listeners.clear()
  }

  /** The broker ended it, or is no more. What it had sent before may arrive or not. */
  dropped(why: string): void {
    this.broker.clients.delete(this)
    const told = (): void => this.process.deliver(() => this.end(new Error(why)))
    const { network, world } = this.brokers
    // Behind a cut link nobody hears of it; heartbeats may tell.
    if (!network.isCut(this.broker.name, this.machine)) world.after(1, told)
  }

  forget(channel: SimChannel): void {
    this.#channels.delete(channel)
  }

  /** Heartbeats that do not come end a connection, or do not: whoever writes much may not notice. */
  #watchLink(afterMs: number, notices: boolean): void {
    const { world, network } = this.brokers
    let deadSinceMs: number | undefined
    const look = (): void => {
      if (this.why !== undefined || !this.process.alive) return
      const isDead = !this.broker.process.running || network.isCut(this.broker.name, this.machine)
      deadSinceMs = isDead ? (deadSinceMs ?? world.nowMs) : undefined
      if (notices && deadSinceMs !== undefined && world.nowMs - deadSinceMs > afterMs) {
        return this.process.deliver(() => this.end(new Error('no heartbeat came')))
      }
      world.after(1_000, look)
    }
    look()
  }
}
