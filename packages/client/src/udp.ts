import { createSocket, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import { ClientError, CodecError } from './errors.ts'
import { maxDatagramBytes } from './limits.ts'
import { checkAddress, checkOption } from './options.ts'
import { MsgWriter } from './writer.ts'
import type { Event } from './event.ts'

/** Where a UDP client sends, and its bounds. */
export interface UdpClientOptions {
  /** Default 127.0.0.1. */
  readonly host?: string
  /** Default 5555. */
  readonly port?: number
  /** The most bytes of a datagram; Riemann's server takes 16,384. */
  readonly maxDatagramBytes?: number
}

/**
 * A client of Riemann's UDP protocol: a datagram is a Msg. Nothing is ever answered, so nobody knows what arrived; for events
 * that may be lost.
 */
export class RiemannUdpClient {
  private readonly host: string
  private readonly port: number
  private readonly maxBytes: number
  private readonly socket: Socket
  private readonly writer = new MsgWriter(2 * maxDatagramBytes)
  private closed: Promise<void> | undefined

  /** @throws ClientError `OPTION_INVALID` */
  constructor(options: UdpClientOptions = {}) {
    checkAddress(options)
    checkOption('maxDatagramBytes', options.maxDatagramBytes, 'a number from 1 on', options.maxDatagramBytes! >= 1)
    this.host = options.host ?? '127.0.0.1'
    this.port = options.port ?? 5555
    this.maxBytes = options.maxDatagramBytes ?? maxDatagramBytes
    this.socket = createSocket(isIPv6(this.host) ? 'udp6' : 'udp4')
    // Without a listener a datagram that bounced off a closed port (ICMP) would end the process.
    this.socket.on('error', () => {})
  }

  /**
   * Sends events in as few datagrams as hold them; resolves once the kernel has taken the last one.
   * @throws ClientError `CLOSED`; CodecError `FRAME_TOO_LARGE` for an event that fits no datagram (nothing is sent then), `UNENCODABLE`
   */
  async send(events: Event | readonly Event[]): Promise<void> {
    if (this.closed !== undefined) throw new ClientError('CLOSED', 'this client was closed', false)
    const datagrams = this.pack(Array.isArray(events) ? events : [events as Event])
    await Promise.all(datagrams.map((datagram) => this.sendDatagram(datagram)))
  }

  /** Closes the socket; what the kernel has taken is still sent. */
  close(): Promise<void> {
    this.closed ??= new Promise((resolve) => this.socket.close(() => resolve()))
    return this.closed
  }

  private pack(events: readonly Event[]): Uint8Array[] {
    const { writer, maxBytes } = this
    const datagrams: Uint8Array[] = []
    writer.reset()
    let start = 0
    for (const event of events) {
      const before = writer.length
      writer.event(event)
      if (writer.length - before > maxBytes) {
        throw new CodecError(
          'FRAME_TOO_LARGE',
          `an event of ${writer.length - before} bytes fits no datagram (${maxBytes} bytes); send it over TCP`,
        )
      }
      if (writer.length - start > maxBytes) {
        datagrams.push(writer.bytes.slice(start, before))
        start = before
      }
    }
    if (writer.length > start) datagrams.push(writer.bytes.slice(start, writer.length))
    return datagrams
  }

  private sendDatagram(datagram: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.socket.send(datagram, this.port, this.host, (error) => (error === null ? resolve() : reject(error)))
    })
  }
}
