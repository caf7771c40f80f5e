/** What listeners of streams have in common, plain or over TLS: connections are accepted up to a limit, looked after, and end together. */
import type { AddressInfo, Server as NetServer, Socket } from 'node:net'
import type { Clock, Timer } from '@ricci/replica'
import { listenError } from '../server/listen-error.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'

/** One connection, as its listener sees it. */
export interface StreamConnection {
  /** Reads on, or not, as the bounds say. */
  steer(): void
  /** Looks after what no event tells. */
  sweep(nowMs: number): void
  /** Takes nothing more; closes when what was taken is settled. */
  end(): void
  destroy(): void
}

export interface StreamListenerOptions<C extends StreamConnection> {
  /** For people: who cannot listen. */
  readonly name: string
  /** Makes the server, which hands sockets on. Half-open: a client may close its side after its last message and still wants the answers. */
  readonly serve: (accept: (socket: Socket) => void) => NetServer
  readonly open: (socket: Socket, peer: string) => C
  readonly maxConnections: number
  readonly telemetry: Pick<Telemetry, 'connectionClosed'>
  readonly clock: Clock
}

/** How often connections are looked after. */
const sweepMs = 5_000

/** `listen` once; `close` ends its connections. */
export class StreamListener<C extends StreamConnection> {
  readonly connections = new Set<C>()
  private readonly server: NetServer
  private sweeper: Timer | undefined
  private closing: Promise<void> | undefined

  constructor(private readonly options: StreamListenerOptions<C>) {
    this.server = options.serve((socket) => this.accept(socket))
  }

  /** Listens; gives the port. @throws RicciError `LISTEN` */
  async listen(host: string, port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', (error) => reject(listenError(error, this.options.name, host, port)))
      this.server.listen({ host, port }, resolve)
    })
    this.sweep()
    return (this.server.address() as AddressInfo).port
  }

  get size(): number {
    return this.connections.size
  }

  /** There is room again: reads on where reading was stopped. */
  steer(): void {
    for (const connection of this.connections) connection.steer()
  }

  /** Takes nothing more; what was taken in is settled, at most for `graceMs`. */
  close(graceMs: number): Promise<void> {
    return (this.closing ??= new Promise((resolve) => {
      this.sweeper?.cancel()
      const timer = this.options.clock.setTimer(graceMs, () => {
        for (const connection of this.connections) connection.destroy()
      })
      const done = (): void => {
        timer.cancel()
        resolve()
      }
      if (this.server.listening) this.server.close(done)
      else done()
      for (const connection of this.connections) connection.end()
    }))
  }

  private accept(socket: Socket): void {
    const { maxConnections, telemetry, open } = this.options
    const peer = `${socket.remoteAddress}:${socket.remotePort}`
    if (this.connections.size >= maxConnections) {
      telemetry.connectionClosed('too-many', peer, `${maxConnections} connections are open already`)
      socket.destroy()
      return
    }
    const connection = open(socket, peer)
    this.connections.add(connection)
    socket.on('close', () => this.connections.delete(connection))
    connection.steer()
  }

  private readonly sweep = (): void => {
    const nowMs = this.options.clock.monotonicMs()
    for (const connection of this.connections) connection.sweep(nowMs)
    this.sweeper = this.options.clock.setTimer(sweepMs, this.sweep)
  }
}
