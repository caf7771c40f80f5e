/**
 * Answers the other instances of the cluster, and nobody else: whoever does not prove to be one is cut off before a request of its is read.
 * Its own listener, apart from that for people: nothing of it may be asked without proof, from this machine neither.
 */
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { ReplicaError } from '@ricci/replica'
import { RicciError } from '../errors.ts'
import type { WatchPage } from '../http/backend.ts'
import { crc32 } from '../log/crc32.ts'
import { Handshakes } from '../server/handshakes.ts'
import { listenError } from '../server/listen-error.ts'
import { plainError, type PlainError } from '../server/worker-protocol.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import { Part, writeFrame, writeJsonFrame } from './frames.ts'
import * as limits from './limits.ts'
import type { PeerAnswer, PeerBackend, PeerCommands, PeerListing, PeerQuery, PeerRules, PeerWatch } from './protocol.ts'
import { reasonOf, sentenceOf, type RefusedReason } from './refusals.ts'
import { listenSecurity, strangeness, type PeerSecurity } from './security.ts'

export interface PeerListenerOptions {
  readonly listen: { readonly host: string; readonly port: number }
  readonly security: PeerSecurity
  readonly backend: PeerBackend
  readonly telemetry: Pick<Telemetry, 'peerRefused'>
  /** See {@link limits.handshakeMs}, the default. */
  readonly handshakeMs?: number
}

/** A header that goes with a snapshot: CRC-32 of its bytes. */
export const checksumHeader = 'x-ricci-crc32'

/** Written at a time: between two of them others have their turn. */
const sliceBytes = 1 << 20

/** `listen` once; `close` ends what is being answered. */
export class PeerListener {
  private readonly server: Server
  private readonly closing = new AbortController()
  private readonly handshakes: Handshakes
  private readonly answering = { query: 0, watch: 0, snapshot: 0, rules: 0 }

  /** @throws RicciError `CONFIG_INVALID` for a secret that is too short */
  constructor(private readonly options: PeerListenerOptions) {
    const server = createServer({
      ...listenSecurity(options.security),
      handshakeTimeout: options.handshakeMs ?? limits.handshakeMs,
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: limits.requestMs,
      requestTimeout: limits.requestMs,
      keepAliveTimeout: limits.keptMs,
      connectionsCheckingInterval: limits.requestMs / 2,
    })
    this.server = server
    server.maxConnections = limits.maxConnections
    this.handshakes = new Handshakes(server, limits.maxHandshakes, ({ remoteAddress }) =>
      this.refused('too-many', remoteAddress),
    )
    server.on('drop', (data) => this.refused('too-many', data?.remoteAddress))
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      this.refused(reasonOf(error.code, 'secret' in options.security ? 'secret' : 'certificate'), socket.remoteAddress)
    })
    server.prependListener('secureConnection', (socket: TLSSocket) => {
      // resets are the peer's business
      socket.on('error', () => undefined)
      if (strangeness(options.security, socket) === undefined) return
      this.refused('certificate', socket.remoteAddress)
      socket.destroy()
    })
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      // the others are told by `tlsClientError`, or are of connections that ended
      if (error.code?.startsWith('HPE_') === true) this.refused('malformed', (socket as TLSSocket).remoteAddress)
      socket.destroy()
    })
    server.on('request', (request: IncomingMessage, response: ServerResponse) => void this.answer(request, response))
  }

  /** Listens; gives the port. @throws RicciError `LISTEN` */
  async listen(): Promise<number> {
    const { host, port } = this.options.listen
    try {
      await once(this.server.listen(port, host), 'listening')
    } catch (error) {
      throw listenError(error, 'The listener for other servers', host, port)
    }
    return (this.server.address() as AddressInfo).port
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.closing.abort()
    this.handshakes.cut()
    if (!this.server.listening) return
    const closed = once(this.server, 'close')
    this.server.close()
    this.server.closeAllConnections()
    await closed
  }

  private refused(reason: RefusedReason, address: string | undefined): void {
    this.options.telemetry.peerRefused(reason, address, sentenceOf(reason))
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController()
    response.on('error', () => undefined)
    response.once('close', () => gone.abort())
    const signal = AbortSignal.any([gone.signal, this.closing.signal])
    try {
      if (strangeness(this.options.security, request.socket as TLSSocket) !== undefined) {
        request.socket.destroy()
        return
      }
      await this.route(request, response, signal)
    } catch (error) {
      if (response.destroyed) return
      // what of the request was not read is in the way of the next
      if (!request.complete) response.shouldKeepAlive = false
      if (response.headersSent) response.destroy()
      else sendJson(response, statusOf(error), withoutTrace(error))
    }
  }

  private async route(request: IncomingMessage, response: ServerResponse, signal: AbortSignal): Promise<void> {
    const { backend } = this.options
    const { pathname } = new URL(request.url ?? '/', 'https://peer')
    const [, version, noun, partition, name] = pathname.split('/')
    const what = version === 'v1' ? `${request.method} ${noun}` : ''
    switch (what) {
      case 'POST query': {
        const query = await bodyOf<PeerQuery>(request)
        return this.stream('query', limits.maxQueries, response, signal, async () => {
          const answer = await backend.query(query, signal)
          await this.sendAnswer(response, answer, signal)
        })
      }
      case 'POST watch': {
        const watch = await bodyOf<PeerWatch>(request)
        return this.stream('watch', limits.maxWatches, response, signal, () => this.sendWatch(response, watch, signal))
      }
      case 'POST incidents':
        return sendJson(response, 200, await backend.incidents(await bodyOf<PeerListing>(request), signal))
      case 'POST commands':
        return sendJson(response, 200, await backend.commands(await bodyOf<PeerCommands>(request), signal))
      case 'GET snapshots': {
        const infos = await backend.snapshots(Number(partition))
        if (name === undefined) return sendJson(response, 200, infos)
        // only what is listed: a name from outside is no path
        const info = infos.find((one) => one.name === name)
        if (info === undefined) throw new ReplicaError('SNAPSHOT_UNREADABLE', `there is no snapshot ${name}`, false)
        return this.counted('snapshot', limits.maxSnapshots, async () => {
          await sendBytes(response, await backend.snapshot(info, signal), signal)
        })
      }
      case 'GET status':
        return sendJson(response, 200, await backend.status())
      case 'POST rules': {
        const rules = await bodyOf<PeerRules>(request, limits.maxRulesBytes)
        return this.counted('rules', limits.maxTriedRules, async () => {
          await backend.tryRules(rules)
          sendJson(response, 200, {})
        })
      }
      case 'PUT drain': {
        const { on } = await bodyOf<{ on: boolean }>(request)
        await backend.drain(on)
        return sendJson(response, 200, {})
      }
      case 'POST tokens':
        return sendJson(response, 200, await backend.tokens(await bodyOf<readonly unknown[]>(request)))
      case 'POST audit': {
        const { limit } = await bodyOf<{ limit: number }>(request)
        return sendJson(response, 200, await backend.audit(limit))
      }
      default:
        throw new RicciError(
          'PEER_REFUSED',
          `nothing is known of ${request.method} ${pathname}; are both of the same version?`,
        )
    }
  }

  /** At most so many of a kind are answered at a time. @throws RicciError `TOO_MANY_QUERIES` */
  private async counted(kind: keyof PeerListener['answering'], most: number, run: () => Promise<void>): Promise<void> {
    if (this.answering[kind] >= most) {
      throw new RicciError('TOO_MANY_QUERIES', `${most} of this kind are being answered already; ask again in a moment`)
    }
    this.answering[kind]++
    try {
      await run()
    } finally {
      this.answering[kind]--
    }
  }

  /** An answer in parts: that the question was taken is said at once, what goes wrong from then on is its last part. */
  private async stream(
    kind: keyof PeerListener['answering'],
    most: number,
    response: ServerResponse,
    signal: AbortSignal,
    run: () => Promise<void>,
  ): Promise<void> {
    await this.counted(kind, most, async () => {
      response.setTimeout(limits.stalledReadMs, () => response.destroy())
      response.writeHead(200, { 'content-type': 'application/octet-stream' })
      response.flushHeaders()
      try {
        await run()
        writeFrame(response, Part.end, nothing)
      } catch (error) {
        if (signal.aborted || response.destroyed) return void response.destroy()
        writeJsonFrame(response, Part.error, withoutTrace(error))
      }
      response.end()
    })
  }

  private async sendAnswer(response: ServerResponse, answer: PeerAnswer, signal: AbortSignal): Promise<void> {
    const { fresh, missing, pages } = answer
    writeJsonFrame(response, Part.begin, { fresh, missing })
    for await (const page of pages) {
      if (!writeFrame(response, Part.page, page)) await once(response, 'drain', { signal })
    }
  }

  private async sendWatch(response: ServerResponse, watch: PeerWatch, signal: AbortSignal): Promise<void> {
    const pages: AsyncIterable<WatchPage> = await this.options.backend.watch(watch, signal)
    writeJsonFrame(response, Part.begin, {})
    const timer = setInterval(() => {
      // who does not read what there is need not be kept awake, and each sign would stay in memory
      if (!response.writableNeedDrain) writeFrame(response, Part.alive, nothing)
    }, limits.heartbeatMs)
    try {
      for await (const { lines, ...notice } of pages) {
        writeJsonFrame(response, Part.notice, notice)
        if (!writeFrame(response, Part.page, lines)) await once(response, 'drain', { signal })
      }
    } finally {
      clearInterval(timer)
    }
  }
}

const nothing = new Uint8Array()

/** Where it happened stays here. */
function withoutTrace(error: unknown): PlainError {
  return { ...plainError(error), stack: undefined }
}

function statusOf(error: unknown): number {
  switch ((error as { code?: string }).code) {
    case 'SNAPSHOT_UNREADABLE':
    case 'PEER_REFUSED':
      return 404
    case 'TOO_MANY_QUERIES':
    case 'NOT_EVALUATED':
      return 503
    default:
      return 500
  }
}

async function bodyOf<T>(request: IncomingMessage, mostBytes = limits.maxBodyBytes): Promise<T> {
  const length = Number(request.headers['content-length'])
  if (!(length <= mostBytes)) {
    throw new RicciError('PEER_REFUSED', `a request of more than ${mostBytes} bytes is not taken`)
  }
  const parts: Buffer[] = []
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part)
  return JSON.parse(Buffer.concat(parts).toString()) as T
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

async function sendBytes(response: ServerResponse, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  response.setTimeout(limits.silentPeerMs, () => response.destroy())
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': bytes.length,
    [checksumHeader]: crc32(bytes),
  })
  for (let at = 0; at < bytes.length; at += sliceBytes) {
    if (!response.write(bytes.subarray(at, at + sliceBytes))) await once(response, 'drain', { signal })
  }
  response.end()
}
