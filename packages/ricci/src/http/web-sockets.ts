/**
 * WebSockets in Riemann's shapes: `/index` (what matches a query, with `subscribe=true` what changes from then on), `/pubsub/index` (changes alone), `/events`
 * (an event a message, each answered). A wrong question is answered with a closed connection that says why; who does not read is waited for, and is let go of
 * when it answers no ping.
 */
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { maxQueryBytes } from '@ricci/client'
import { WebSocketServer, type RawData, type WebSocket } from 'ws'
import { eventOfText } from '../intake/json/json-body.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import type { HttpBackend, PagePlaces } from './backend.ts'
import { placedText, Places } from './places.ts'
import { answerRaw } from './connections.ts'
import type { Refusal } from './rebinding.ts'
import { heartbeatMs } from './streams.ts'
import { states, statesAndChanges, tell, tooSlow, watchFrom, type Outlet } from './watching.ts'

export interface WebSocketOptions {
  readonly backend: Pick<HttpBackend, 'query' | 'watch' | 'take' | 'logId'>
  readonly telemetry: Telemetry
  /** Why a request may not open one; undefined where it may. */
  readonly refusalOf: (request: IncomingMessage) => Refusal | undefined
  /** Seconds since 1970: the time of events that name none. */
  readonly nowSeconds: () => number
  /** See {@link stalledReadMs}. */
  readonly stalledReadMs: number
}

/** An event as JSON: the largest that may be sent, as a body over HTTP may be. */
const maxMessageBytes = 1 << 20

/** A message may come in so many frames: programs send one, and each costs more than its bytes. */
const maxFragments = 128

/** A frame may come in so many pieces, of which each costs more than its bytes: twice those of the longest over Ethernet. */
const maxPieces = 2_048

/** WebSockets at once: each may hold the most of a message. What comes beyond is answered 503. */
const maxWebSockets = 1_024

/** Events of one connection that are taken in and not yet answered; then it is not read any more. */
const maxUnanswered = 1_000

/** Whoever is told that the server ends has so long to take leave. */
const leaveMs = 1_000

/** Codes of a closed connection: RFC 6455, section 7.4, and the registry it begins. */
const Close = { done: 1000, away: 1001, refused: 1008, failed: 1011, later: 1013 } as const

/** Errors of who asked, and those that pass. */
const closeCodes: Readonly<Record<string, number>> = {
  QUERY_SYNTAX: Close.refused,
  QUERY_REGEX: Close.refused,
  NOT_EVALUATED: Close.later,
  ENGINE_AWAY: Close.later,
  NOT_RUNNING: Close.later,
  TOO_MANY_WATCHES: Close.later,
  TOO_MANY_QUERIES: Close.later,
}

const isFull = (error: unknown): boolean => /^TOO_MANY_/.test((error as { code?: string }).code ?? '')

type Serve = (socket: WebSocket, peer: string) => Promise<void> | void

/** The path by which a WebSocket is opened; role and route are told by the same. */
export function pathOf(url = '/'): string {
  return URL.canParse(url, 'http://here') ? new URL(url, 'http://here').pathname : ''
}

/** Takes over connections of an HTTP server by {@link WebSockets.upgrade}; `close` ends them. */
export class WebSockets {
  private readonly server = new WebSocketServer({
    noServer: true,
    maxPayload: maxMessageBytes,
    maxFragments,
    maxBufferedChunks: maxPieces,
    perMessageDeflate: false,
  })
  private readonly closing = new AbortController()
  /** Those that answered the last ping, or were not sent one yet. */
  private readonly alive = new WeakSet<WebSocket>()
  private readonly timer: NodeJS.Timeout

  constructor(private readonly options: WebSocketOptions) {
    this.timer = setInterval(() => this.ping(), heartbeatMs)
    this.timer.unref()
    this.server.on('wsClientError', ({ message }, connection, { socket }) => {
      this.options.telemetry.malformed('http', `${socket.remoteAddress}:${socket.remotePort}`, message)
      this.refuse(connection, { status: 400, code: 'USAGE', error: `No WebSocket can be opened so: ${message}.` })
    })
  }

  get size(): number {
    return this.server.clients.size
  }

  /** For the server's event of that name. */
  readonly upgrade = (request: IncomingMessage, connection: Duplex, head: Buffer): void => {
    // a reset is the peer's business
    connection.on('error', () => undefined)
    const ended: Refusal = { status: 503, code: 'NOT_RUNNING', error: 'The server ends; ask another.' }
    const full: Refusal = {
      status: 503,
      code: 'TOO_MANY_WATCHES',
      error: `${maxWebSockets} WebSockets are open already.`,
    }
    const serve = this.closing.signal.aborted ? ended : this.size >= maxWebSockets ? full : this.routeOf(request)
    if ('status' in serve) return this.refuse(connection, serve)
    this.server.handleUpgrade(request, connection, head, (socket) => {
      const peer = `${request.socket.remoteAddress}:${request.socket.remotePort}`
      this.alive.add(socket)
      socket.on('pong', () => this.alive.add(socket))
      socket.on('error', ({ message }) => {
        const { telemetry } = this.options
        telemetry.malformed('http', peer, message)
        telemetry.connectionClosed('malformed', peer, message)
      })
      this.count(101)
      void serve.with(socket, peer)
    })
  }

  /** Idempotent. */
  async close(): Promise<void> {
    clearInterval(this.timer)
    this.closing.abort()
    const clients = [...this.server.clients]
    const gone = Promise.all(clients.map((socket) => once(socket, 'close')))
    for (const socket of clients) socket.close(Close.away, 'the server ends')
    const timer = setTimeout(() => {
      for (const socket of clients) socket.terminate()
    }, leaveMs)
    await gone
    clearTimeout(timer)
    this.server.close()
  }

  private routeOf(request: IncomingMessage): { readonly with: Serve } | Refusal {
    const refusal = this.options.refusalOf(request)
    if (refusal !== undefined) return refusal
    const { url = '/' } = request
    if (!URL.canParse(url, 'http://here'))
      return { status: 400, code: 'USAGE', error: `The address ${url} cannot be read.` }
    const { searchParams } = new URL(url, 'http://here')
    const pathname = pathOf(url)
    if (pathname === '/events') return { with: (socket, peer) => this.takeEvents(socket, peer) }
    const asked = { query: searchParams.get('query') ?? undefined, from: searchParams.get('from') ?? undefined }
    if (pathname === '/index') {
      const subscribe = searchParams.get('subscribe') === 'true'
      return { with: (socket, peer) => this.answer(socket, peer, asked, subscribe ? 'states and changes' : 'states') }
    }
    const [, topic] = /^\/pubsub\/([^/]+)\/?$/.exec(pathname) ?? []
    if (topic === 'index') return { with: (socket, peer) => this.answer(socket, peer, asked, 'changes') }
    const error =
      topic === undefined
        ? `There is no WebSocket at ${pathname}; there are /index, /pubsub/index and /events.`
        : `There is no topic ${topic}; index is the one there is.`
    return { status: 404, code: 'NOT_FOUND', error }
  }

  private async answer(
    socket: WebSocket,
    peer: string,
    { query, from }: { readonly query: string | undefined; readonly from: string | undefined },
    what: 'states' | 'states and changes' | 'changes',
  ): Promise<void> {
    // what is said on it means nothing here
    socket.resume()
    if (query === undefined) return end(socket, Close.refused, 'a query is needed: ?query=true')
    const bytes = Buffer.byteLength(query)
    if (bytes > maxQueryBytes)
      return end(socket, Close.refused, `the query has ${bytes} bytes, at most ${maxQueryBytes} are taken`)
    const gone = new AbortController()
    socket.once('close', () => gone.abort())
    const until = AbortSignal.any([gone.signal, this.closing.signal])
    const { backend, telemetry, stalledReadMs } = this.options
    try {
      const places = new Places(backend.logId(), from)
      const pages =
        what === 'states'
          ? states(backend, query)
          : what === 'changes'
            ? await watchFrom(backend, query, 'riemann-json', until, places)
            : await statesAndChanges(backend, query, until, places)
      const outlet = new SocketOutlet(socket, places, from !== undefined)
      const slow = await tell(pages, outlet, 'riemann-json', until, stalledReadMs)
      if (slow) {
        telemetry.connectionClosed('slow-reader', peer, 'changes were not read, or came faster')
        end(socket, Close.later, tooSlow)
      } else end(socket, Close.done)
    } catch (error) {
      // who takes its leave meanwhile is owed nothing more
      if (until.aborted || socket.readyState !== socket.OPEN) return
      const code = closeCodes[(error as { code?: string }).code ?? ''] ?? Close.failed
      if (code === Close.failed) telemetry.log.error({ err: error }, 'a WebSocket failed')
      if (isFull(error)) telemetry.connectionClosed('too-many', peer, (error as Error).message)
      end(socket, code, (error as Error).message)
    }
  }

  private takeEvents(socket: WebSocket, peer: string): void {
    let unanswered = 0
    let answered = Promise.resolve()
    socket.on('message', (data: RawData) => {
      if (++unanswered >= maxUnanswered && !socket.isPaused) {
        this.options.telemetry.tally.pauses++
        socket.pause()
      }
      const taken = this.taken(data, peer)
      // in the order of the events, whichever is durable first
      answered = answered.then(async () => {
        const error = await taken
        if (socket.readyState !== socket.OPEN) return
        // until the network has it: who does not read its answers is not read either
        socket.send(error === undefined ? '{}' : JSON.stringify({ error }), () => {
          unanswered--
          if (socket.isPaused) socket.resume()
        })
      })
    })
  }

  /** Resolves when an event is taken; with a sentence where it is not. */
  private async taken(data: RawData, peer: string): Promise<string | undefined> {
    const { backend, telemetry, nowSeconds } = this.options
    const parsed = eventOfText((data as Buffer).toString(), nowSeconds())
    if ('error' in parsed) {
      telemetry.malformed('http', peer, parsed.error)
      return parsed.error
    }
    try {
      await backend.take([parsed.event])
      telemetry.tally.httpEvents++
    } catch (error) {
      return (error as Error).message
    }
  }

  /** Who answered none since the last is gone, or does not read. */
  private ping(): void {
    for (const socket of this.server.clients) {
      // of whom we do not read for now the answer may be on its way
      const unread = socket.isPaused && socket.bufferedAmount === 0
      if (!this.alive.has(socket) && !unread) {
        this.options.telemetry.connectionClosed(
          'slow-reader',
          'a WebSocket',
          `no ping was answered for ${heartbeatMs / 1000} s`,
        )
        socket.terminate()
        continue
      }
      this.alive.delete(socket)
      socket.ping()
    }
  }

  private refuse(connection: Duplex, { status, ...why }: Refusal): void {
    this.count(status)
    answerRaw(connection, status, why)
  }

  private count(status: number): void {
    this.options.telemetry.metrics.httpRequests.inc({ status: String(status) })
  }
}

/** Bytes that a socket may hold unread before it is waited for: some frames, so that the network is never idle. */
const unreadBytes = 64 << 10

/** Each line a message. */
class SocketOutlet implements Outlet {
  private read: Promise<void> = Promise.resolve()

  constructor(
    private readonly socket: WebSocket,
    private readonly places: Places,
    private readonly saysPlaces: boolean,
  ) {}

  write(lines: Uint8Array, at?: PagePlaces): boolean {
    const { socket, places, saysPlaces } = this
    const told = places.along(lines, saysPlaces ? at : undefined)
    const texts = told.map((one) => Buffer.from(saysPlaces ? placedText(one) : one.line!, 'latin1'))
    const last = texts.pop()
    for (const text of texts) socket.send(text, { binary: false }, nobody)
    if (last !== undefined) {
      this.read = new Promise((resolve, reject) => {
        socket.send(last, { binary: false }, (error) => (error ? reject(error) : resolve()))
      })
      // may be asked for or not
      this.read.catch(nobody)
    }
    return socket.bufferedAmount < unreadBytes
  }

  drained(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const aborted = (): void => reject(signal.reason as Error)
      if (signal.aborted) return aborted()
      signal.addEventListener('abort', aborted, { once: true })
      this.read.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted))
    })
  }
}

function nobody(): void {}

/** Reasons have at most 123 bytes: RFC 6455, section 5.5. */
const maxReasonBytes = 123

function end(socket: WebSocket, code: number, why = ''): void {
  let reason = why
  while (Buffer.byteLength(reason) > maxReasonBytes) reason = `${reason.slice(0, -2)}…`
  socket.close(code, reason)
}
