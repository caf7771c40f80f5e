import { createSocket, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import { maxDatagramBytes } from '@ricci/client'
import type { Telemetry } from '../telemetry/telemetry.ts'
import { listenError } from '../server/listen-error.ts'
import type { Appended } from './appender.ts'
import type { Distributor } from './distributor.ts'
import { maxQueuedDatagramBytes } from './limits.ts'

/** Room for bursts in the kernel; its default of 212,992 bytes holds 25 datagrams of full size. */
const receiveBufferBytes = 4 << 20

/** The Riemann UDP listener: one datagram is one Msg, nothing is ever answered, what cannot be taken is dropped and counted. */
export class UdpListener {
  private socket: Socket | undefined
  private queuedBytes = 0

  constructor(
    private readonly distributor: Distributor,
    private readonly telemetry: Telemetry,
  ) {}

  /** Listens; gives the port. */
  async listen(host: string, port: number): Promise<number> {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4')
    this.socket = socket
    await new Promise<void>((resolve, reject) => {
      socket.once('error', (error) => {
        socket.close()
        this.socket = undefined
        reject(listenError(error, 'Riemann UDP', host, port))
      })
      socket.bind({ address: host, port, exclusive: true }, resolve)
    })
    socket.removeAllListeners('error')
    socket.on('error', (error) => this.telemetry.log.error({ err: error }, 'the UDP socket reported an error'))
    try {
      socket.setRecvBufferSize(receiveBufferBytes)
    } catch {
      // the kernel's limit is lower: then it is as it is
    }
    socket.on('message', (datagram, { address, port: from }) => this.take(datagram, () => `${address}:${from}`))
    return socket.address().port
  }

  async close(): Promise<void> {
    const { socket } = this
    this.socket = undefined
    if (socket !== undefined) await new Promise<void>((resolve) => socket.close(resolve))
  }

  private take(datagram: Buffer, peer: () => string): void {
    const { tally } = this.telemetry
    if (datagram.length > maxDatagramBytes) {
      this.telemetry.dropped(
        'too-large',
        `${datagram.length} bytes from ${peer()}, at most ${maxDatagramBytes} are taken`,
      )
      return
    }
    try {
      this.distributor.inspect(datagram)
    } catch (error) {
      this.telemetry.malformed('udp', peer(), (error as Error).message)
      return
    }
    const { events } = this.distributor.facts
    tally.udpMessages++
    tally.udpEvents += events
    tally.udpBytes += datagram.length
    if (events === 0) return // a query by datagram has never had an answer
    if (this.queuedBytes + datagram.length > maxQueuedDatagramBytes) {
      const wait = 'wait for the log, or for the engine to catch up'
      this.telemetry.dropped('queue-full', `${maxQueuedDatagramBytes} bytes of datagrams already ${wait}`)
      return
    }
    this.queuedBytes += datagram.length
    this.distributor.add(datagram, new Datagram(this, datagram.length))
  }

  settled(bytes: number, refused: boolean): void {
    this.queuedBytes -= bytes
    if (refused) this.telemetry.dropped('log-refused', 'the log refused it')
  }
}

class Datagram implements Appended {
  constructor(
    private readonly listener: UdpListener,
    private readonly bytes: number,
  ) {}
  durable(): void {}
  /** Nobody is told; but where the engine lags datagrams wait like messages over TCP do, or the log would grow ahead of it. */
  acknowledge(): void {
    this.listener.settled(this.bytes, false)
  }
  refused(): void {
    this.listener.settled(this.bytes, true)
  }
  groupEnd(): void {}
}
