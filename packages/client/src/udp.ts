import { createSocket, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import { ClientError, CodecError } from './errors.ts'
import { maxDatagramBytes } from './limits.ts'
import { checkAddress, checkOption } from './options.ts'
import { MsgWriter } from './writer.ts'
import type { Event } from './event.ts'

/** The most that a datagram of IPv4 can hold. */
const largestDatagramBytes = 65_507

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
  private readonly sending = new Set<Promise<void>>()
  private closed: Promise<void> | undefined

  /** @throws ClientError `OPTION_INVALID` */
  constructor(options: UdpClientOptions = {}) {
    checkAddress(options)
    const most = options.maxDatagramBytes
    checkOption(
      'maxDatagramBytes',
      most,
      `a number from 1 to ${largestDatagramBytes}`,
      most! >= 1 && most! <= largestDatagramBytes,
    )
    this.host = options.host ?? '127.0.0.1'
    this.port = options.port ?? 5555
    this.maxBytes = options.maxDatagramBytes ?? maxDatagramBytes
    this.socket = createSocket(isIPv6(this.host) ? 'udp6' : 'udp4')
    // Without a listener a datagram that bounced off a closed port (ICMP) would end the process.
    this.socket.on('error', () => {})
  }

  /**
   * Sends events in as few datagrams as hold them; resolves once the kernel has taken the last one.
   * @throws ClientError `CLOSED`, `UNREACHABLE` (the host's name is unknown, there is no way to it); CodecError `FRAME_TOO_LARGE` for an event that fits no datagram (nothing is sent then), `UNENCODABLE`
   */
  async send(events: Event | readonly Event[]): Promise<void> {
    if (this.closed !== undefined) throw new ClientError('CLOSED', 'this client was closed', false)
    const datagrams = this.pack(Array.isArray(events) ? events : [events as Event])
    await Promise.all(datagrams.map((datagram) => this.sendDatagram(datagram)))
  }

  /** Takes no more events, hands those of earlier calls to the kernel, and closes the socket. */
  close(): Promise<void> {
    this.closed ??= this.shut()
    return this.closed
  }

  private async shut(): Promise<void> {
    // a socket closed while a name is looked up would never say what became of the datagram
    await Promise.allSettled(this.sending)
    await new Promise<void>((resolve) => this.socket.close(resolve))
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
    const { host, port } = this
    const sent = new Promise<void>((resolve, reject) => {
      this.socket.send(datagram, port, host, (error) => {
        this.sending.delete(sent)
        if (error === null) return resolve()
        const message = `a datagram to ${host}:${port} could not be sent: ${error.message}`
        reject(new ClientError('UNREACHABLE', message, true, { cause: error }))
      })
    })
    this.sending.add(sent)
    return sent
  }
}
