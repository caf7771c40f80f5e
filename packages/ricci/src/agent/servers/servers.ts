/**
 * The servers that an agent sends to: one at a time, and the next one as soon as that does not do what it should.
 *
 * A server is left when its connection ends or cannot be made, when it refuses for now, when it says that it drains, and when it is slow: what has had no
 * answer for {@link slowMs} is sent through another one as well, and who answers first is the one. Under a producer mark that is harmless. Where all
 * are slow nothing is gained by going elsewhere, and nobody goes.
 */
import { connect as netConnect, Socket } from 'node:net'
import { ClientError, isRefusedForNow, RiemannTcpClient, takenBytes, type Msg } from '@ricci/client'
import type { Clock, Random, Timer } from '@ricci/replica'
import { systemResolver, type Resolver } from '../../resolver.ts'
import { findPlaces, nameOf, needsDns, type Place, type ServerName } from './places.ts'

export interface ServersOptions {
  /** At least one. */
  readonly names: readonly ServerName[]
  readonly clock: Clock
  readonly random: Random
  /** Told in sentences when another server is sent to, and why. */
  readonly onChange: (text: string) => void
  /** The machine's unless told. */
  readonly resolver?: Resolver
  /** Plain TCP unless told. */
  readonly connect?: (place: Place) => Socket
}

interface Server {
  readonly place: Place
  /** Of those with the same priority, the lower goes first: each agent has an order of its own, so that servers get equally many. */
  readonly lot: number
  /** One after another. */
  failures: number
  avoidUntilMs: number
}

/** A server and a connection to it. */
interface Line {
  readonly server: Server
  readonly client: RiemannTcpClient
  /** When what is on its way was sent, the oldest first. */
  readonly sent: Set<Sent>
  /** Why it was left: what was under way is told by the client only that it was closed. */
  why?: string
}

interface Sent {
  readonly msg: Msg | Uint8Array
  readonly atMs: number
}

/** No answer for so long, and another server is asked as well. */
const slowMs = 2_000

/** A connection that is not made within this is none. */
const connectTimeoutMs = 2_000

/** Acks are held back while a cluster is behind (DESIGN section 6): only beyond this is a server without any other to ask taken for dead. */
const timeoutMs = 30_000

/** After a failure a server is tried after the others for so long, doubled with each further one … */
const avoidMs = 1_000
/** … up to this. One that drains is avoided for as long: a restart takes less. */
const avoidAtMostMs = 30_000

/** How often names are looked up again, and how often where nobody could be reached. */
const resolveEveryMs = 60_000
const resolveAgainMs = 2_000

/** DNS that says nothing: what it said before counts. */
const resolveMs = 5_000

export class Servers {
  readonly #options: ServersOptions
  #servers: readonly Server[] = []
  #line: Line | undefined
  /** All connections that are not closed yet. */
  readonly #open = new Set<RiemannTcpClient>()
  readonly #found = new Map<ServerName, readonly Place[]>()
  #resolving: Promise<void> | undefined
  #resolvedMs = -Infinity
  #unreachable = false
  #slow: Timer | undefined
  #asking: RiemannTcpClient | undefined
  #closed: Promise<void> | undefined

  constructor(options: ServersOptions) {
    this.#options = options
  }

  /** The server that is sent to, for people; undefined while there is none. */
  get current(): string | undefined {
    return this.#line?.client.state === 'connected' ? nameOf(this.#line.server.place) : undefined
  }

  /**
   * Sends a Msg, or its bytes, and gives the answer of the server that took it or refused it for good. Each server is tried once.
   * @throws ClientError retriable when none could be had; not retriable, or CodecError, for a Msg that none will ever take
   */
  async sendMsg(msg: Msg | Uint8Array): Promise<Msg> {
    for (let tries = 1; ; tries++) {
      const line = await this.#choose()
      try {
        const reply = await this.#send(line, msg)
        line.server.failures = 0
        if (isRefusedForNow(reply.error)) throw new ClientError('REFUSED', reply.error!, true)
        this.#unreachable = false
        if (reply.draining === true) this.#moveOn(line, 'it drains')
        if (takenBytes(reply.error) !== undefined) this.#hangUp(line)
        return reply
      } catch (error) {
        if (this.#closed !== undefined || !isOfServer(error)) throw error
        const why = (error.code === 'CLOSED' ? line.why : undefined) ?? error.message
        if (error.code === 'REFUSED') this.#moveOn(line, why)
        else this.#leave(line, why)
        if (tries < this.#servers.length) continue
        this.#unreachable = true
        throw error.retriable ? error : new ClientError('UNREACHABLE', why, true, { cause: error })
      }
    }
  }

  /** Closes all connections at once; what was not answered rejects. Idempotent. */
  destroy(): Promise<void> {
    return (this.#closed ??= this.#end())
  }

  async #end(): Promise<void> {
    this.#slow?.cancel()
    await Promise.all([...this.#open].map((client) => client.destroy()))
  }

  async #choose(): Promise<Line> {
    await this.#find()
    if (this.#closed !== undefined) throw new ClientError('CLOSED', 'the agent stops', false)
    return (this.#line ??= this.#connect(this.#order()[0]))
  }

  /** The servers, in the order in which they are to be tried. */
  #order(): Server[] {
    const nowMs = this.#options.clock.monotonicMs()
    const badness = ({ avoidUntilMs }: Server): number => Math.max(0, avoidUntilMs - nowMs)
    return [...this.#servers].sort(
      (a, b) => badness(a) - badness(b) || a.place.priority - b.place.priority || a.lot - b.lot,
    )
  }

  #connect(server: Server): Line {
    const { connect = plain, clock, random } = this.#options
    const { place } = server
    const client = new RiemannTcpClient({
      host: place.address,
      port: place.port,
      ...{ connectTimeoutMs, timeoutMs, clock, random },
      connect: () => orFailed(() => connect(place)),
      onState: (state, cause) => {
        if (state === 'closed') this.#open.delete(client)
        else if (state === 'waiting') this.#leave(line, cause?.message ?? 'its connection ended')
      },
    })
    const line: Line = { server, client, sent: new Set() }
    this.#open.add(client)
    return line
  }

  async #send(line: Line, msg: Msg | Uint8Array): Promise<Msg> {
    const sent: Sent = { msg, atMs: this.#options.clock.monotonicMs() }
    line.sent.add(sent)
    if (line.sent.size === 1) this.#watch(line)
    try {
      return await line.client.sendMsg(msg)
    } finally {
      line.sent.delete(sent)
    }
  }

  /** Looks whether the oldest has its answer in time. */
  #watch(line: Line): void {
    const [oldest] = line.sent
    if (oldest === undefined || this.#line !== line || this.#closed !== undefined) return
    const { clock } = this.#options
    this.#slow?.cancel()
    const waitMs = Math.max(1, oldest.atMs + slowMs - clock.monotonicMs())
    this.#slow = clock.setTimer(waitMs, () => {
      if (line.sent.has(oldest)) void this.#askAnother(line, oldest)
      else this.#watch(line)
    })
  }

  /** Whether another server answers before the one that is slow. */
  async #askAnother(slow: Line, sent: Sent): Promise<void> {
    const nowMs = this.#options.clock.monotonicMs()
    const server = this.#order().find((other) => other !== slow.server && other.avoidUntilMs <= nowMs)
    if (server === undefined || this.#asking !== undefined) return this.#again(slow)
    const line = this.#connect(server)
    this.#asking = line.client
    try {
      const reply = await line.client.sendMsg(sent.msg)
      if (this.#line === slow && slow.sent.has(sent) && !isRefusedForNow(reply.error)) {
        this.#leave(slow, `it did not answer for ${slowMs / 1000} s, and ${nameOf(server.place)} did`, line)
      }
    } catch (error) {
      if (isOfServer(error)) this.#avoid(server)
    } finally {
      this.#asking = undefined
      if (this.#line !== line) void line.client.destroy()
      this.#again(slow)
    }
  }

  #again(slow: Line): void {
    const { clock } = this.#options
    this.#slow?.cancel()
    if (this.#line !== slow || this.#closed !== undefined) return
    this.#slow = clock.setTimer(slowMs, () => this.#watch(slow))
  }

  /** It failed: what is under way there rejects, and is sent elsewhere. */
  #leave(line: Line, why: string, next?: Line): void {
    line.why ??= why
    if (this.#line === line) {
      this.#avoid(line.server)
      this.#line = next
      this.#tell(line, why)
    }
    void line.client.destroy()
  }

  /** It works, and is better not sent to for a while; what is under way has its answers. */
  #moveOn(line: Line, why: string): void {
    if (this.#line !== line) return
    const nowMs = this.#options.clock.monotonicMs()
    line.server.avoidUntilMs = nowMs + avoidAtMostMs
    const other = this.#order()[0]
    // all of them drain, or nobody knows better
    if (other.avoidUntilMs > nowMs) return
    this.#line = this.#connect(other)
    this.#tell(line, why)
    void line.client.close()
  }

  /** A message was too large for it, and it reads no more of this connection: what comes next goes over another one. */
  #hangUp(line: Line): void {
    line.why ??= 'a message was too large for it'
    if (this.#line === line) this.#line = undefined
    void line.client.destroy()
  }

  #avoid(server: Server): void {
    const forMs = Math.min(avoidMs * 2 ** server.failures, avoidAtMostMs)
    server.failures++
    server.avoidUntilMs = this.#options.clock.monotonicMs() + forMs
  }

  #tell({ server }: Line, why: string): void {
    if (this.#closed !== undefined || this.#servers.length < 2) return
    this.#options.onChange(`${nameOf(server.place)} is sent to no more: ${why}`)
  }

  /** Looks names up when it is time. Waits for that only while nothing is known. @throws ClientError `UNREACHABLE` */
  async #find(): Promise<void> {
    const { names, clock, resolver = systemResolver } = this.#options
    const dueMs = this.#unreachable ? resolveAgainMs : resolveEveryMs
    const isDue = clock.monotonicMs() - this.#resolvedMs >= dueMs && needsDns(names)
    if (this.#servers.length > 0 && !isDue) return
    this.#resolving ??= atMost(clock, resolveMs, findPlaces(names, resolver, this.#found))
      .then((places) => this.#place(places))
      .finally(() => {
        this.#resolvedMs = clock.monotonicMs()
        this.#resolving = undefined
      })
    if (this.#servers.length > 0) return void this.#resolving.catch(() => undefined)
    try {
      await this.#resolving
    } catch (error) {
      throw new ClientError('UNREACHABLE', (error as Error).message, true, { cause: error })
    }
  }

  #place(places: readonly Place[]): void {
    const known = new Map(this.#servers.map((server) => [nameOf(server.place), server]))
    this.#servers = places.map(
      (place) =>
        known.get(nameOf(place)) ?? { place, lot: this.#options.random.next(), failures: 0, avoidUntilMs: -Infinity },
    )
    const line = this.#line
    if (line !== undefined && !this.#servers.includes(line.server)) this.#moveOn(line, 'DNS names it no more')
  }
}

/** Whether it is the server's fault, or the way's, and another may do better. */
function isOfServer(error: unknown): error is ClientError {
  // CLOSED: by us, when it was left
  return error instanceof ClientError && (error.retriable ? error.code !== 'OVERLOADED' : error.code === 'CLOSED')
}

/** What cannot even be begun (a certificate that is being replaced, say) fails as a connection does. */
function orFailed(connect: () => Socket): Socket {
  try {
    return connect()
  } catch (error) {
    return new Socket().destroy(error as Error)
  }
}

function plain({ address, port }: Place): Socket {
  return netConnect({ host: address, port, noDelay: true, keepAlive: true })
}

async function atMost<T>(clock: Clock, ms: number, work: Promise<T>): Promise<T> {
  let timer: Timer | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = clock.setTimer(ms, () => reject(new Error(`DNS has not answered within ${ms / 1000} s`)))
  })
  try {
    return await Promise.race([work, late])
  } finally {
    timer?.cancel()
  }
}
