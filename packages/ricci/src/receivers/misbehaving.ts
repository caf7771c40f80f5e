/** For tests: the other end of a receiver that does to its request what the table of faults in `contract.test.ts` names. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { TLSSocket } from 'node:tls'
import { bodyOf, type TestClock } from './testing.ts'

/** What befalls a request. Every kind of receiver meets each of them. */
export const faults = [
  '2xx',
  '400',
  '408',
  '429 with Retry-After',
  '500',
  'connection refused',
  'reset after accept',
  'accepted and the answer dropped',
  'hang beyond 10 s',
  'slow body',
  'oversize',
  'TLS: unknown CA',
  'TLS: wrong name',
] as const
export type Fault = (typeof faults)[number]

/** A certificate and key for 127.0.0.1 and localhost. */
export interface Identity {
  readonly cert: string
  readonly key: string
}

/** The other end of one receiver. */
export interface Peer {
  readonly host: string
  readonly port: number
  /** Everything that came, request by request (message by message). */
  readonly received: readonly string[]
}

export interface PeerOptions {
  readonly fault: Fault
  readonly clock: TestClock
  /** Speaks TLS with it. */
  readonly identity: Identity
  /** What a request that is taken is answered: the body of 200. */
  readonly yes: string
}

/** A request has ten seconds; then it must have ended. */
const sendMs = 10_000

/** An HTTP server. Whoever is told no is shown all that it sent: what is told of that must hold no secret. */
export async function httpPeer(t: TestContext, { fault, clock, identity, yes }: PeerOptions): Promise<Peer> {
  const received: string[] = []
  const listener: RequestListener = async (request, response) => {
    const { socket, headers, url } = request
    if (fault === 'reset after accept') return void (socket as Socket).resetAndDestroy()
    const text = await bodyOf(request)
    received.push(text)
    const all = JSON.stringify([url, headers, text])
    switch (fault) {
      case '400':
      case '408':
      case '500':
        return void response.writeHead(Number(fault)).end(all)
      case '429 with Retry-After':
        return void response.writeHead(429, { 'retry-after': '120' }).end(all)
      case 'accepted and the answer dropped':
        return void socket.destroy()
      case 'hang beyond 10 s':
        return clock.advance(sendMs)
      case 'slow body':
        response.writeHead(200)
        whenAnswered(() => clock.advance(sendMs))
        return void response.write(yes.slice(0, 1))
      default:
        return void response.writeHead(200).end(yes)
    }
  }
  const server = fault.startsWith('TLS') ? createHttpsServer({ ...identity }, listener) : createHttpServer(listener)
  return peerOf(t, server, fault, received)
}

/** Once the status line is at its asker. */
function whenAnswered(then: () => void): void {
  const onHeaders = (): void => {
    unsubscribe('undici:request:headers', onHeaders)
    setImmediate(then)
  }
  subscribe('undici:request:headers', onHeaders)
}

/** An SMTP server, as far as it is needed to misbehave; what behaves is npm's `smtp-server` in `email.test.ts`. */
export async function smtpPeer(t: TestContext, { fault, clock, identity }: PeerOptions): Promise<Peer> {
  const received: string[] = []
  const replies: Partial<Record<Fault, string>> = {
    '400': '550 5.7.1 no such thing here',
    '408': '421 4.4.2 timeout',
    // SMTP has no Retry-After: the usual pauses hold
    '429 with Retry-After': '452 4.5.3 too much mail',
    '500': '451 4.3.0 local error',
  }
  const takeMessage = (socket: Socket): void => {
    switch (fault) {
      case 'accepted and the answer dropped':
        return void socket.destroy()
      case 'hang beyond 10 s':
        return clock.advance(sendMs)
      case 'slow body':
        return void socket.write('250-it is\r\n250-', () => setImmediate(() => clock.advance(sendMs)))
      default:
        return void socket.write(`${replies[fault] ?? '250 2.0.0 taken'}\r\n`)
    }
  }
  const talk = (socket: Socket, isSecure: boolean): void => {
    let text = ''
    let isData = false
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      text += chunk.toString()
      if (isData && fault === 'reset after accept') return socket.resetAndDestroy()
      for (let end = endOf(text, isData); end > 0; end = endOf(text, isData)) {
        const line = text.slice(0, end)
        text = text.slice(end)
        if (isData) {
          isData = false
          received.push(line)
          takeMessage(socket)
        } else if (/^EHLO/i.test(line)) {
          socket.write(`250-peer\r\n${isSecure ? '' : '250-STARTTLS\r\n'}250 8BITMIME\r\n`)
        } else if (/^STARTTLS/i.test(line)) {
          socket.removeAllListeners('data')
          socket.write('220 2.0.0 go on\r\n')
          return talk(new TLSSocket(socket, { isServer: true, ...identity }), true)
        } else if (/^DATA/i.test(line)) {
          isData = true
          socket.write('354 go on\r\n')
        } else socket.write('250 2.0.0 ok\r\n')
      }
    })
  }
  const server = createTcpServer((socket) => {
    socket.write('220 peer ESMTP\r\n')
    talk(socket, false)
  })
  return peerOf(t, server, fault, received)
}

/** Where a line ends, or a message. */
function endOf(text: string, isData: boolean): number {
  const mark = isData ? '\r\n.\r\n' : '\r\n'
  const at = text.indexOf(mark)
  return at < 0 ? 0 : at + mark.length
}

async function peerOf(t: TestContext, server: Server, fault: Fault, received: string[]): Promise<Peer> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
  })
  const close = () =>
    new Promise<void>((resolve) => {
      for (const socket of sockets) socket.destroy()
      server.close(() => resolve())
    })
  // all of 127 is this machine, and the certificate names one address of it
  const host = fault === 'TLS: wrong name' ? '127.0.0.2' : '127.0.0.1'
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  const { port } = server.address() as AddressInfo
  if (fault === 'connection refused') await close()
  else t.after(close)
  return { host, port, received }
}
