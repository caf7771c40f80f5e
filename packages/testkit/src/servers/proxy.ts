/**
 * A TCP proxy on loopback that is as awkward as networks are, on demand and while connections run: slow, silent, cut, half open. It
 * also counts what passes, so that a test can say what a client costs its server.
 */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { requestReader, type CountedProtocol, type OnRequest, type RequestReader } from './requests.ts'

/** Held back of a direction at most; beyond, its sender is no longer read from and its own kernel holds the rest. */
export const maxHeldBytes = 256 * 1024

/** `up` is from the client to the server. */
export type Direction = 'up' | 'down'

/** What the proxy does to bytes that it is given from now on. */
export interface ProxyBehaviour {
  /** Each byte arrives so much later, in ms. */
  readonly delayMs: Readonly<Record<Direction, number>>
  /** Connections are accepted and stay open, and nothing passes in this direction until it is let again. */
  readonly stalled: Readonly<Record<Direction, boolean>>
  /** New connections are reset at once. */
  readonly refusing: boolean
  /** A connection is reset when so many bytes of it have passed in this direction: in the middle of an answer, if need be. */
  readonly cutAfterBytes: Readonly<Record<Direction, number>>
}

/** What has passed since the start or since {@link TcpProxy.resetCounts}. */
export interface ProxyCounts {
  connections: number
  /** Of HTTP each request; of PostgreSQL each message that is answered as a whole: simple queries, Sync, function calls. */
  requests: number
  upBytes: number
  downBytes: number
}

export interface ProxyOptions {
  /** What its clients speak, so that their requests can be counted. Of what is encrypted only connections and bytes are. */
  readonly protocol?: CountedProtocol
  /** Called with each request before the server sees it: what it changes about the proxy goes for its answer already. */
  readonly onRequest?: OnRequest
}

const honest: ProxyBehaviour = {
  delayMs: { up: 0, down: 0 },
  stalled: { up: false, down: false },
  refusing: false,
  cutAfterBytes: { up: Infinity, down: Infinity },
}

export class TcpProxy {
  /** May be read and added to at any time. */
  counts: ProxyCounts = noCounts()
  private behaviour = honest
  private readonly links = new Set<Link>()
  private closing: Promise<void> | undefined

  private constructor(
    private readonly server: Server,
    private readonly targetPort: number,
    private readonly options: ProxyOptions,
  ) {
    server.on('connection', (client) => this.accept(client))
  }

  /** Starts one before a port of 127.0.0.1. */
  static async start(targetPort: number, options: ProxyOptions = {}): Promise<TcpProxy> {
    // a client that has ended its side may still be answered
    const server = createServer({ allowHalfOpen: true })
    await new Promise<void>((resolve, reject) => server.on('error', reject).listen(0, '127.0.0.1', resolve))
    return new TcpProxy(server, targetPort, options)
  }

  /** Where clients connect, of 127.0.0.1. */
  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  /** Connections that are open. */
  get open(): number {
    return this.links.size
  }

  /** Bytes that are held back, of all connections. */
  get heldBytes(): number {
    return Array.from(this.links, (link) => link.heldBytes).reduce((sum, bytes) => sum + bytes, 0)
  }

  /** A URL of the server's with the proxy in its place. */
  through(url: string): string {
    return url.replace(/(?<=@|\/\/)127\.0\.0\.1:\d+/, `127.0.0.1:${this.port}`)
  }

  /** Behaves like this from now on, where something is said of it; bytes that are held back are looked at anew. */
  set(change: Partial<ProxyBehaviour>): void {
    this.behaviour = { ...this.behaviour, ...change }
    for (const link of this.links) link.reconsider()
  }

  /** Behaves as if it were not there. What is cut or half open stays so. */
  heal(): void {
    this.set(honest)
  }

  /** Nothing passes any more, in either direction, and nobody is told: {@link heal} lets it pass. */
  stall(): void {
    this.set({ stalled: { up: true, down: true } })
  }

  /** Resets all connections, on both sides. */
  cut(): void {
    for (const link of this.links) link.cut()
  }

  /**
   * Leaves this side of all connections open, and silent for good, while the other side is reset: as after a crash of a peer's machine
   * of which no word came.
   */
  halfOpen(unaware: 'client' | 'server'): void {
    for (const link of this.links) link.abandon(unaware)
  }

  /** Counts from zero again. */
  resetCounts(): void {
    this.counts = noCounts()
  }

  /** Ends all connections and takes no more. May be called again. */
  close(): Promise<void> {
    this.closing ??= new Promise((resolve) => {
      this.server.close(() => resolve())
      this.cut()
    })
    return this.closing
  }

  private accept(client: Socket): void {
    this.counts.connections++
    if (this.behaviour.refusing || this.closing !== undefined) {
      reset(client.on('error', () => {}))
      return
    }
    const { protocol, onRequest } = this.options
    const reader =
      protocol &&
      requestReader(protocol, (request) => {
        this.counts.requests++
        onRequest?.(request)
      })
    const server = connect({ port: this.targetPort, host: '127.0.0.1', allowHalfOpen: true })
    const passed = (direction: Direction, bytes: number) => {
      if (direction === 'up') this.counts.upBytes += bytes
      else this.counts.downBytes += bytes
    }
    const link = new Link(client, server, { behaviour: () => this.behaviour, passed, reader })
    this.links.add(link)
    link.onGone = () => this.links.delete(link)
  }
}

function noCounts(): ProxyCounts {
  return { connections: 0, requests: 0, upBytes: 0, downBytes: 0 }
}

/** What a connection sees of its proxy. */
interface LinkContext {
  readonly behaviour: () => ProxyBehaviour
  readonly passed: (direction: Direction, bytes: number) => void
  readonly reader: RequestReader | undefined
}

/** A client's connection and the one to the server that belongs to it. */
class Link {
  onGone = () => {}
  private readonly flows: readonly Flow[]

  constructor(
    private readonly client: Socket,
    private readonly server: Socket,
    context: LinkContext,
  ) {
    const cut = () => this.cut()
    this.flows = [
      new Flow('up', client, server, context, cut),
      new Flow('down', server, client, { ...context, reader: undefined }, cut),
    ]
    for (const socket of [client, server]) {
      socket.setNoDelay(true)
      // one that ended in error ends the other likewise, unless that is not to know
      socket.on('error', () => reset(this.other(socket)))
      socket.on('close', () => {
        if (client.destroyed && server.destroyed) this.onGone()
      })
    }
  }

  get heldBytes(): number {
    return this.flows.reduce((sum, flow) => sum + flow.heldBytes, 0)
  }

  reconsider(): void {
    for (const flow of this.flows) flow.pump()
  }

  cut(): void {
    for (const socket of [this.client, this.server]) reset(socket)
    for (const flow of this.flows) flow.stop()
  }

  abandon(unaware: 'client' | 'server'): void {
    for (const flow of this.flows) flow.stop()
    const kept = unaware === 'client' ? this.client : this.server
    reset(
      this.other(kept)
        .removeAllListeners('error')
        .on('error', () => {}),
    )
    kept.resume()
    // its peer may give up on its own
    kept.on('end', () => kept.destroy())
  }

  private other(socket: Socket): Socket {
    return socket === this.client ? this.server : this.client
  }
}

/**
 * Ends a connection by a reset. One that is just being shut down cannot be reset: libuv refuses, and Node then forgets the handle without closing it, so that the
 * process never ends; it is closed instead.
 */
function reset(socket: Socket): void {
  if (socket.writableEnded && !socket.writableFinished) socket.destroy()
  else socket.resetAndDestroy()
}

/** One direction of a connection: what was read and may not pass yet, in order. */
class Flow {
  private readonly held: { readonly bytes: Buffer | 'end'; readonly dueMs: number }[] = []
  heldBytes = 0
  private passedBytes = 0
  private timer: NodeJS.Timeout | undefined
  private stopped = false

  constructor(
    private readonly direction: Direction,
    private readonly from: Socket,
    private readonly to: Socket,
    private readonly context: LinkContext,
    private readonly cut: () => void,
  ) {
    from.on('data', (bytes) => this.hold(bytes))
    from.on('end', () => this.hold('end'))
    to.on('drain', () => this.pump())
    to.on('close', () => this.stop())
  }

  /** Nothing passes any more; what still comes is read and forgotten. */
  stop(): void {
    this.stopped = true
    clearTimeout(this.timer)
    this.held.length = 0
    this.heldBytes = 0
    this.from.resume()
  }

  /** Lets pass what may. */
  pump(): void {
    clearTimeout(this.timer)
    while (this.held.length > 0 && !this.stopped) {
      const { stalled, delayMs } = this.context.behaviour()
      if (stalled[this.direction] || this.to.writableNeedDrain) break
      const waitMs = Math.min(this.held[0].dueMs - performance.now(), delayMs[this.direction])
      if (waitMs > 0) {
        this.timer = setTimeout(() => this.pump(), Math.ceil(waitMs))
        break
      }
      const { bytes } = this.held.shift()!
      if (bytes === 'end') this.to.end()
      else this.pass(bytes)
    }
    if (this.stopped || this.heldBytes < maxHeldBytes) this.from.resume()
  }

  private hold(bytes: Buffer | 'end'): void {
    if (this.stopped) return
    if (bytes !== 'end') {
      this.heldBytes += bytes.length
      this.context.reader?.read(bytes)
      if (this.heldBytes >= maxHeldBytes) this.from.pause()
    }
    this.held.push({ bytes, dueMs: performance.now() + this.context.behaviour().delayMs[this.direction] })
    this.pump()
  }

  private pass(bytes: Buffer): void {
    this.heldBytes -= bytes.length
    const left = this.context.behaviour().cutAfterBytes[this.direction] - this.passedBytes
    const passing = bytes.length < left ? bytes : bytes.subarray(0, Math.max(0, left))
    this.passedBytes += passing.length
    this.context.passed(this.direction, passing.length)
    if (passing.length === bytes.length && bytes.length < left) this.to.write(bytes)
    else {
      // a reset throws away what the kernel still has: the last bytes go first
      this.to.write(passing, () => this.cut())
      this.stop()
    }
  }
}
