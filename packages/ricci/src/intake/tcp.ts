import { createServer, type AddressInfo, type Server as NetServer, type Socket } from 'node:net'
import type { Timer } from '@ricci/replica'
import { listenError } from '../server/listen-error.ts'
import { Connection, type ConnectionHost } from './connection.ts'

/** How often connections are looked after. */
const sweepMs = 5_000

/** The Riemann TCP listener. */
export class TcpListener {
  private readonly server: NetServer
  private readonly connections = new Set<Connection>()
  private sweeper: Timer | undefined
  private closing: Promise<void> | undefined

  constructor(
    private readonly host: ConnectionHost,
    private readonly maxConnections: number,
  ) {
    // half-open: a client may close its side after its last message and still wants the answers
    this.server = createServer({ allowHalfOpen: true }, (socket) => this.accept(socket))
  }

  /** Listens; gives the port. */
  async listen(host: string, port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', (error) => reject(listenError(error, 'Riemann TCP', host, port)))
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

  /** Makes room by closing whoever holds most of a message that is not whole. */
  closeLargest(): void {
    let largest: Connection | undefined
    for (const connection of this.connections) {
      if (connection.begunBytes > (largest?.begunBytes ?? 0)) largest = connection
    }
    largest?.giveWay('half-sent', 'messages that are not whole')
  }

  /** Makes room by closing whoever has most of the answers that are not read yet. */
  closeSlowest(): void {
    let largest: Connection | undefined
    for (const connection of this.connections) {
      if (connection.answerBytes > (largest?.answerBytes ?? 0)) largest = connection
    }
    largest?.giveWay('slow-reader', 'answers that are not read')
  }

  forget(connection: Connection): void {
    this.connections.delete(connection)
  }

  /** Takes nothing more; what was taken in is answered, at most for `graceMs`. */
  close(graceMs: number): Promise<void> {
    return (this.closing ??= new Promise((resolve) => {
      this.sweeper?.cancel()
      const timer = this.host.clock.setTimer(graceMs, () => {
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
    const peer = `${socket.remoteAddress}:${socket.remotePort}`
    if (this.connections.size >= this.maxConnections) {
      this.host.telemetry.connectionClosed('too-many', peer, `${this.maxConnections} connections are open already`)
      socket.destroy()
      return
    }
    const connection = new Connection(socket, peer, this.host)
    this.connections.add(connection)
    if (this.host.full()) connection.steer()
  }

  private readonly sweep = (): void => {
    const nowMs = this.host.clock.monotonicMs()
    for (const connection of this.connections) connection.sweep(nowMs)
    this.sweeper = this.host.clock.setTimer(sweepMs, this.sweep)
  }
}
