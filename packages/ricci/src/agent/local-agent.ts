/** An agent as a process runs it: what measures this machine, what takes responsibility for its programs, and the servers that both send to. */
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { maxFrameBytes, maxMarkBytes, readMark } from '@ricci/client'
import type { Clock, Random } from '@ricci/replica'
import type { Address } from '../config/units.ts'
import { RicciError } from '../errors.ts'
import { Intake } from '../intake/intake.ts'
import { nodeDisk } from '../log/index.ts'
import type { BrokersOptions } from '../log/rabbitmq/brokers.ts'
import type { Resolver } from '../resolver.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import { startAgent, type Agent } from './agent.ts'
import type { AgentStatus } from './local-http.ts'
import type { Survey } from './probe.ts'
import { DiskSpool } from './relay/disk-spool.ts'
import { PlacesFile } from './relay/places-file.ts'
import { Relay } from './relay/relay.ts'
import { MemorySpool, type Spool } from './relay/spool.ts'
import type { Exchange } from './servers/exchange.ts'
import type { Place, ServerName } from './servers/places.ts'
import { Servers } from './servers/servers.ts'
import type { EventSource } from './sources.ts'

export interface LocalAgentOptions {
  /** Name of this machine in its events. */
  readonly host: string
  readonly version: string
  readonly to: Destination
  readonly intervalMs: number
  /** What is measured besides the machine's files: see the agent's options. */
  readonly surveys?: readonly Survey[]
  readonly sources?: readonly EventSource[]
  /** For this machine's programs; none where absent. */
  readonly local?: LocalOptions
  readonly telemetry: Telemetry
  readonly clock: Clock
  readonly random: Random
  readonly resolver?: Resolver
}

/** Where it sends: servers, over plain TCP unless told how they are connected to; or brokers of RabbitMQ. */
export type Destination =
  | { readonly servers: readonly ServerName[]; readonly connect?: (place: Place) => Socket }
  | { readonly brokers: readonly string[]; readonly tls?: BrokersOptions['tls'] }

/** Where is listened. */
export interface Door extends Address {
  /** Somebody else may listen there already: then nothing is listened for, and it is said. */
  readonly yields: boolean
}

export interface LocalOptions {
  /** Riemann's protocol, TCP and UDP. */
  readonly riemann?: Door
  readonly http?: Door
  /** What an ack means: in memory, or on the disk of this folder. Beyond so many bytes the oldest is dropped, and counted. */
  readonly keep: { readonly maxBytes: number; readonly folder?: string }
}

/** A stopping agent waits so long for what its programs sent to reach a server; less where the next one finds it on the disk. */
const stopLimitMs = 5_000
const stopOnDiskMs = 1_000

/** Of this machine's programs. */
const maxConnections = 1_024

/** Bytes of all programs that wait for the disk; then none is read any more. */
const maxQueuedBytes = 16 << 20

/** A message grows by a mark here, and a server must still take it: one that it hangs up on would keep up all others. */
const maxRelayedBytes = maxFrameBytes - maxMarkBytes

/** A program's own mark grows by what a part of a message is known by. */
const maxProducerBytes = 500

/** A program that says nothing for a day has forgotten its connection. */
const idleConnectionMs = 24 * 3_600_000

export class LocalAgent {
  readonly #options: LocalAgentOptions
  #servers: Servers | Exchange | undefined
  #agent: Agent | undefined
  #relay: Relay | undefined
  #trouble: string | undefined
  /** What closes what was opened, in the reverse order. */
  readonly #open: (() => unknown)[] = []
  #stopped: Promise<void> | undefined
  /** Where it listens. */
  listens: { readonly riemann?: number; readonly http?: number } = {}

  constructor(options: LocalAgentOptions) {
    this.#options = options
  }

  /** @throws RicciError `LISTEN`, `AGENT_UNSUPPORTED`; ReplicaError where the disk cannot be used */
  async start(): Promise<void> {
    const { host, intervalMs, clock, random, local, surveys, sources } = this.#options
    const servers = (this.#servers = await this.#destination())
    this.#open.push(() => servers.destroy())
    // a name of its own in each life, so that its marks never meet those of an earlier one
    const life = [random.next(), random.next()].map((part) => Math.floor(part * 2 ** 32).toString(36)).join('')
    try {
      if (local !== undefined) await this.#listen(local, servers, `${host}/relay-${life}`)
      const onProblem = (text: string): void => this.#say(text)
      this.#agent = startAgent({
        ...{ client: servers, host, producer: `${host}/agent-${life}`, intervalMs, clock, onProblem },
        ...{ surveys, sources },
        own: () => this.#own(),
      })
    } catch (error) {
      await this.stop()
      throw error
    }
    this.#open.push(() => this.#agent!.stop())
  }

  get status(): AgentStatus {
    const { version, host } = this.#options
    const server = this.#servers?.current
    return {
      ...{ version, host },
      ...(server === undefined ? { trouble: this.#trouble ?? 'no server was connected to yet' } : { server }),
      relayed: { ...this.#relay?.stats },
      measured: { ...this.#agent?.stats },
    }
  }

  /** Takes nothing more, waits a little for what waits, and closes everything. Idempotent. */
  stop(): Promise<void> {
    return (this.#stopped ??= this.#close())
  }

  async #close(): Promise<void> {
    for (const close of this.#open.splice(0).reverse()) await close()
  }

  async #destination(): Promise<Servers | Exchange> {
    const { to, host, telemetry, clock, random, resolver } = this.#options
    if ('servers' in to) {
      const { servers: names, connect } = to
      const onChange = (text: string): void => telemetry.log.warn(text)
      return new Servers({ names, clock, random, connect, resolver, onChange })
    }
    const { Exchange } = await import('./servers/exchange.ts')
    return new Exchange({ urls: to.brokers, tls: to.tls, name: `agent of ${host}`, clock, resolver })
  }

  async #listen({ riemann, http, keep }: LocalOptions, servers: Servers | Exchange, producer: string): Promise<void> {
    const { telemetry, clock, host } = this.#options
    const { spool, places } = await this.#spool(keep)
    this.#open.push(() => spool.close())
    const relay = new Relay({
      ...{ spool, servers, clock, producer },
      unsent: places?.read(),
      keep: (unsent) => places?.keep(unsent),
      onProblem: (text) => this.#say(text),
    })
    this.#relay = relay
    const intake = new Intake({
      log: spool,
      progress: () => undefined,
      queries: relay,
      ...{ telemetry, clock, markingAs: relay.markingAs, tcp: riemann, udp: riemann },
      refusalOf: (msg) => refusalOfMark(msg) ?? ('refusalOf' in servers ? servers.refusalOf(msg) : undefined),
      ...{ maxConnections, maxQueuedBytes, idleConnectionMs, maxFrameBytes: maxRelayedBytes },
    })
    this.#open.push(async () => {
      await intake.close()
      await this.#within(places === undefined ? stopLimitMs : stopOnDiskMs, relay.sentSoFar())
      relay.stop()
      await places?.written()
    })
    relay.start(() => intake.renew())
    this.listens = {
      riemann: await this.#unlessTaken(riemann, async () => (await intake.listen()).tcp),
      http: await this.#unlessTaken(http, async ({ host, port }) => {
        const { listenForHttp } = await import('./local-http.ts')
        const listener = await listenForHttp({
          ...{ host, port, telemetry },
          backend: intake,
          nowSeconds: () => clock.wallMs() / 1000,
          status: () => this.status,
        })
        this.#open.push(() => listener.close())
        return listener.port
      }),
    }
    telemetry.log.info({ host, ...this.listens }, 'takes what programs of this machine send')
  }

  async #spool({ maxBytes, folder }: LocalOptions['keep']): Promise<{ spool: Spool; places?: PlacesFile }> {
    const { clock, telemetry } = this.#options
    if (folder === undefined) return { spool: new MemorySpool({ maxBytes, id: 'memory' }) }
    const onProblem = (text: string): void => this.#say(text)
    const spool = await DiskSpool.open({ directory: folder, maxBytes, clock, onProblem })
    const places = new PlacesFile({
      ...{ disk: nodeDisk, path: join(folder, 'places.json'), spool: spool.id },
      // a full disk, say: after a crash more is sent twice; what then lies more than 8,192 messages back counts twice
      onProblem: (err) => telemetry.log.debug({ err }, 'how far what waits was sent could not be written down'),
    })
    return { spool, places }
  }

  async #unlessTaken(
    door: Door | undefined,
    listen: (door: Door) => Promise<number | undefined>,
  ): Promise<number | undefined> {
    if (door === undefined) return undefined
    try {
      return await listen(door)
    } catch (error) {
      if (!door.yields || !(error instanceof RicciError)) throw error
      this.#options.telemetry.log.info(`${error.message} The agent measures, and listens nowhere there.`)
      return undefined
    }
  }

  async #within(ms: number, work: Promise<void>): Promise<void> {
    let resolve = (): void => undefined
    const late = new Promise<void>((done) => (resolve = done))
    const timer = this.#options.clock.setTimer(ms, resolve)
    await Promise.race([work, late])
    timer.cancel()
  }

  /** What is said about what programs sent, with each sample. */
  #own(): { service: string; metric: number }[] {
    if (this.#relay === undefined) return []
    const { waiting, dropped, refused } = this.#relay.stats
    return [
      { service: 'ricci agent relay waiting', metric: waiting },
      { service: 'ricci agent relay dropped', metric: dropped },
      { service: 'ricci agent relay refused', metric: refused },
    ]
  }

  #say(text: string): void {
    this.#trouble = text
    this.#options.telemetry.log.warn(text)
  }
}

/** Why a message will not get on as it is marked: a server would hang up on it each time, and what comes after it would wait for ever. */
function refusalOfMark(msg: Uint8Array): string | undefined {
  const bytes = Buffer.byteLength(readMark(msg)?.producer ?? '')
  return bytes <= maxProducerBytes
    ? undefined
    : `the producer of a mark has ${bytes} bytes, and agents take ${maxProducerBytes}; shorten its name`
}
