/**
 * What the connections of an HTTP server are held to, beside what Node holds them to: so many at once, so many requests of each, and whatever is closed is
 * counted by its reason.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import { maxQueryBytes } from '@ricci/client'
import type { Telemetry } from '../telemetry/telemetry.ts'
import type { Refusal } from './rebinding.ts'

/**
 * Connections at once: who watches, who asks, and dashboards and probes that keep theirs for later, some 20 kB each. A head that is on its way may
 * hold {@link maxHeaderBytes} more. What comes beyond is closed.
 */
const maxConnections = 4_096

/** The request line and all headers: Node takes 16 KiB, too few for the longest query, each of whose bytes may stand as %XX. */
export const maxHeaderBytes = 3 * maxQueryBytes + 16 * 1024

/** A request must come whole within this. */
export const requestMs = 30_000

/**
 * Requests of one connection that are being answered at once: browsers and proxies ask one after the other, and each that waits for its turn holds a whole
 * answer.
 */
const maxRequestsAtOnce = 16

/** Counts those of one server, from its making on. */
export class HttpConnections {
  /** Of each the answers that are not over. */
  private readonly open = new Map<Duplex, Set<ServerResponse>>()

  constructor(private readonly telemetry: Pick<Telemetry, 'connectionClosed' | 'malformed' | 'metrics'>) {}

  get size(): number {
    return this.open.size
  }

  /** Looks after the connections of a server that does not listen yet. */
  of(server: Server): void {
    server.maxConnections = maxConnections
    server.on('drop', (data) => {
      const peer = `${data?.remoteAddress}:${data?.remotePort}`
      this.telemetry.connectionClosed('too-many', peer, `${maxConnections} connections are open already`)
    })
    // over TLS requests come by another socket than the one that was connected
    server.on(server instanceof TlsServer ? 'secureConnection' : 'connection', (socket: Socket) => {
      const answers = new Set<ServerResponse>()
      this.open.set(socket, answers)
      socket.once('close', () => {
        this.open.delete(socket)
        for (const answer of answers) neverSent(answer)
      })
    })
  }

  /** One more request is being answered; false where that was one too many, and its connection is closed. */
  begin({ socket }: IncomingMessage, response: ServerResponse): boolean {
    const answers = this.open.get(socket)
    // closed meanwhile
    if (answers === undefined || socket.destroyed) return false
    if (answers.size >= maxRequestsAtOnce) {
      const why = `${maxRequestsAtOnce} of its requests are being answered already`
      this.telemetry.connectionClosed('too-many', peerOf(socket), why)
      socket.destroy()
      return false
    }
    answers.add(response)
    response.once('close', () => answers.delete(response))
    return true
  }

  /**
   * Answers a request as if it had not asked for another protocol, which RFC 9110 (section 7.8) lets a server do. Node gives a connection away that asks for any, with who may
   * take it: so it is given back, the request before what came behind it.
   */
  goOn(
    server: Server,
    { method, url, httpVersion, rawHeaders }: IncomingMessage,
    connection: Duplex,
    rest: Buffer,
  ): void {
    // who did not await the answer before gets none: nobody who asks for another protocol does that
    if ((this.open.get(connection)?.size ?? 0) > 0) return void connection.destroy()
    const lines = [`${method} ${url} HTTP/${httpVersion}`]
    for (let i = 0; i < rawHeaders.length; i += 2) {
      if (/^(upgrade|http2-settings|connection)$/i.test(rawHeaders[i])) continue
      lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`)
    }
    connection.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), rest]))
    // over TLS the handshake is behind it
    server.emit(server instanceof TlsServer ? 'secureConnection' : 'connection', connection)
  }

  /** For the server's event of that name: what came is no HTTP, or did not come whole. */
  readonly clientError = (error: NodeJS.ErrnoException, connection: Duplex): void => {
    const socket = connection as Socket
    const { code = '' } = error
    const reason = reasons[code] ?? (code.startsWith('HPE_') ? notHttp(error) : undefined)
    // all else is a connection that broke: the peer's business
    if (reason === undefined || socket.destroyed) return void socket.destroy()
    const { status, sentence } = reason
    if (status === 408) this.telemetry.connectionClosed('stalled', peerOf(socket), sentence)
    else {
      this.telemetry.malformed('http', peerOf(socket), sentence)
      this.telemetry.connectionClosed('malformed', peerOf(socket), sentence)
    }
    // in the middle of an answer nothing else can be said
    if (!socket.writable || (this.open.get(socket)?.size ?? 0) > 0) return void socket.destroy()
    this.telemetry.metrics.httpRequests.inc({ status: String(status) })
    answerRaw(socket, status, { error: sentence, code: 'USAGE' })
  }
}

/** Its connection is gone before its turn came: Node tells only the answer whose turn it is, and the others would be worked on for ever. */
function neverSent(answer: ServerResponse): void {
  if (answer.socket !== null || answer.closed) return
  answer.destroy()
  answer.emit('close')
}

interface Reason {
  readonly status: number
  readonly sentence: string
}

const reasons: Readonly<Record<string, Reason | undefined>> = {
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, sentence: `The request did not come whole within ${requestMs / 1000} s.` },
  HPE_HEADER_OVERFLOW: { status: 431, sentence: `Request line and headers have more than ${maxHeaderBytes} bytes.` },
}

function notHttp({ message }: Error): Reason {
  return { status: 400, sentence: `What came is no HTTP/1.1: ${message}.` }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress}:${remotePort}`
}

/** Answers what no route can, and closes the connection: whatever the peer does, it does not stay. */
export function answerRaw(
  connection: Duplex,
  status: number,
  { error, code, headers = {} }: Omit<Refusal, 'status'>,
): void {
  const body = `${JSON.stringify({ error, code })}\n`
  const head = [
    `HTTP/1.1 ${status} Refused`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ]
  connection.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => connection.destroy())
}
