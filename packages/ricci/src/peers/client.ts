/** Asks other instances of the cluster. Connections are kept; whoever does not prove to be one of the cluster is told nothing. */
import type { IncomingMessage } from 'node:http'
import { Agent, request as secureRequest } from 'node:https'
import { ReplicaError, type Clock, type SnapshotInfo } from '@ricci/replica'
import type { AuditEntry } from '../access/audit.ts'
import { RicciError } from '../errors.ts'
import type { WatchPage } from '../http/backend.ts'
import { crc32 } from '../log/crc32.ts'
import { revivedError, type PlainError } from '../server/worker-protocol.ts'
import { Part, readFrames, type Frame } from './frames.ts'
import * as limits from './limits.ts'
import { checksumHeader } from './listener.ts'
import type {
  PeerAnswer,
  PeerBackend,
  PeerCommanded,
  PeerCommands,
  PeerListed,
  PeerListing,
  PeerQuery,
  PeerRules,
  PeerWatch,
} from './protocol.ts'
import { askSecurity, type PeerSecurity } from './security.ts'

export interface PeerClientOptions {
  readonly security: PeerSecurity
  readonly clock: Clock
  /** Told of each that was reached whether we know each other. */
  readonly onMet?: (address: string, answered: boolean) => void
}

interface Question {
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly path: string
  readonly body?: unknown
  /** After so long without an answer's beginning it is given up. */
  readonly answerMs: number
  readonly signal?: AbortSignal
}

/** How long people's questions wait. */
const peopleMs = 5_000

/** Asks other instances; `close` ends all that is asked. */
export class PeerClient {
  private readonly agent: Agent
  private readonly closing = new AbortController()

  /** @throws RicciError `CONFIG_INVALID` for a secret that is too short */
  constructor(private readonly options: PeerClientOptions) {
    this.agent = new Agent({
      ...askSecurity(options.security),
      keepAlive: true,
      maxSockets: limits.maxSockets,
      maxFreeSockets: limits.maxFreeSockets,
      timeout: limits.idleMs,
    })
  }

  /** The instance that listens at an address, `host:port`. */
  at(address: string): PeerBackend {
    return new RemotePeer(address, this.options.clock, (question) => this.ask(address, question))
  }

  /** Idempotent. */
  close(): void {
    this.closing.abort()
    this.agent.destroy()
  }

  /** @throws RicciError `PEER_UNREACHABLE`; what the peer refused with */
  private async ask(address: string, question: Question): Promise<IncomingMessage> {
    for (let again = true; ; again = false) {
      try {
        const response = await this.send(address, question)
        if (response.statusCode === 200) return response
        throw revivedError(JSON.parse(await textOf(response, address, this.options.clock)) as PlainError)
      } catch (error) {
        // closed by the other end while it was kept: all that is asked may be asked twice
        if (!(again && error instanceof RicciError && error.cause instanceof KeptTooLong)) throw error
      }
    }
  }

  private send(address: string, { method, path, body, answerMs, signal }: Question): Promise<IncomingMessage> {
    const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(address) ?? []
    const text = body === undefined ? undefined : JSON.stringify(body)
    const signals = signal === undefined ? this.closing.signal : AbortSignal.any([signal, this.closing.signal])
    return new Promise((resolve, reject) => {
      if (host === undefined) return reject(unreachable(address, new Error('it is not host:port')))
      const request = secureRequest({
        agent: this.agent,
        host,
        port: Number(port),
        method,
        path,
        signal: signals,
        headers:
          text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) },
      })
      const timer = this.options.clock.setTimer(answerMs, () => {
        request.destroy(new Error(`no answer came within ${answerMs / 1000} s`))
      })
      request.once('response', (response) => {
        timer.cancel()
        this.options.onMet?.(address, true)
        // how it went on is seen by who reads it
        response.on('error', () => undefined)
        resolve(response)
      })
      request.on('error', (error: NodeJS.ErrnoException) => {
        timer.cancel()
        if (isStrange(error)) this.options.onMet?.(address, false)
        reject(
          unreachable(address, request.reusedSocket && error.code === 'ECONNRESET' ? new KeptTooLong(error) : error),
        )
      })
      request.end(text)
    })
  }
}

/** A kept connection turned out to have been closed. */
class KeptTooLong extends Error {
  constructor(cause: Error) {
    super(cause.message, { cause })
  }
}

type Ask = (question: Question) => Promise<IncomingMessage>

/** Another instance, by its address. */
class RemotePeer implements PeerBackend {
  constructor(
    private readonly address: string,
    private readonly clock: Clock,
    private readonly ask: Ask,
  ) {}

  async query(request: PeerQuery, signal: AbortSignal): Promise<PeerAnswer> {
    const frames = await this.frames({
      method: 'POST',
      path: '/v1/query',
      body: request,
      answerMs: limits.connectMs,
      signal,
    })
    const { fresh, missing } = await this.begin<Pick<PeerAnswer, 'fresh' | 'missing'>>(frames)
    return { fresh, missing, pages: this.pages(frames) }
  }

  async incidents(request: PeerListing, signal: AbortSignal): Promise<PeerListed> {
    const answerMs = request.waitMs + limits.marginMs
    return this.json<PeerListed>({ method: 'POST', path: '/v1/incidents', body: request, answerMs, signal })
  }

  async commands(request: PeerCommands, signal: AbortSignal): Promise<PeerCommanded> {
    const answerMs = request.waitMs + limits.marginMs
    return this.json<PeerCommanded>({ method: 'POST', path: '/v1/commands', body: request, answerMs, signal })
  }

  async watch(request: PeerWatch, signal: AbortSignal): Promise<AsyncIterable<WatchPage>> {
    const frames = await this.frames({
      method: 'POST',
      path: '/v1/watch',
      body: request,
      answerMs: limits.connectMs,
      signal,
    })
    await this.begin(frames)
    return this.watchPages(frames)
  }

  snapshots(partition: number): Promise<readonly SnapshotInfo[]> {
    return this.json({ method: 'GET', path: `/v1/snapshots/${partition}`, answerMs: limits.listSnapshotsMs })
  }

  async snapshot({ partition, name, bytes }: SnapshotInfo, signal: AbortSignal): Promise<Uint8Array> {
    const path = `/v1/snapshots/${partition}/${encodeURIComponent(name)}`
    // it is read whole, and checked, before its first byte is sent
    const response = await this.ask({ method: 'GET', path, answerMs: limits.silentPeerMs, signal })
    const length = Number(response.headers['content-length'])
    const checksum = Number(response.headers[checksumHeader])
    if (!(length <= limits.maxSnapshotBytes) || length !== bytes) {
      response.destroy()
      throw this.unreadable(name, `it has ${length} bytes, not ${bytes}`)
    }
    const whole = new Uint8Array(length)
    let at = 0
    let sum = 0
    const silence = this.silence(response)
    try {
      for await (const part of response as AsyncIterable<Buffer>) {
        silence.heard()
        if (at + part.length > length) break
        whole.set(part, at)
        sum = crc32(part, 0, part.length, sum)
        at += part.length
      }
    } catch (error) {
      throw this.unreadable(name, 'it broke off', error)
    } finally {
      silence.end()
    }
    if (at !== length || sum !== checksum) throw this.unreadable(name, 'what arrived is not what was sent')
    return whole
  }

  status(): Promise<unknown> {
    return this.json({ method: 'GET', path: '/v1/status', answerMs: peopleMs })
  }

  async tryRules(rules: PeerRules): Promise<void> {
    await this.json({ method: 'POST', path: '/v1/rules', body: rules, answerMs: limits.tryRulesMs })
  }

  async drain(on: boolean): Promise<void> {
    await this.json({ method: 'PUT', path: '/v1/drain', body: { on }, answerMs: peopleMs })
  }

  tokens(known: readonly unknown[]): Promise<readonly unknown[]> {
    return this.json({ method: 'POST', path: '/v1/tokens', body: known, answerMs: peopleMs })
  }

  audit(limit: number): Promise<readonly AuditEntry[]> {
    return this.json({ method: 'POST', path: '/v1/audit', body: { limit }, answerMs: peopleMs })
  }

  private async json<T>(question: Question): Promise<T> {
    return JSON.parse(await textOf(await this.ask(question), this.address, this.clock)) as T
  }

  private async frames(question: Question): Promise<AsyncGenerator<Frame, void, undefined>> {
    return readFrames(await this.ask(question), this.address, this.clock)
  }

  /** What the first part says. */
  private async begin<T>(frames: AsyncGenerator<Frame, void, undefined>): Promise<T> {
    const { value } = await frames.next()
    if (value?.part === Part.begin) return JSON.parse(textIn(value.bytes)) as T
    await frames.return()
    if (value?.part === Part.error) throw revivedError(JSON.parse(textIn(value.bytes)) as PlainError)
    throw new RicciError('PEER_REFUSED', `${this.address} answered something that is not understood`)
  }

  private async *pages(frames: AsyncIterable<Frame>): AsyncGenerator<Uint8Array> {
    for await (const { part, bytes } of frames) {
      if (part === Part.page) yield bytes
      else if (part === Part.error) throw revivedError(JSON.parse(textIn(bytes)) as PlainError)
    }
  }

  private async *watchPages(frames: AsyncIterable<Frame>): AsyncGenerator<WatchPage> {
    let notice: Omit<WatchPage, 'lines'> = {}
    for await (const { part, bytes } of frames) {
      if (part === Part.error) throw revivedError(JSON.parse(textIn(bytes)) as PlainError)
      if (part === Part.notice) notice = JSON.parse(textIn(bytes)) as Omit<WatchPage, 'lines'>
      if (part !== Part.page) continue
      yield { ...notice, lines: bytes }
      notice = {}
    }
  }

  private unreadable(name: string, why: string, cause?: unknown): ReplicaError {
    const message = `the snapshot ${name} could not be had from ${this.address}: ${why}; another is taken`
    return new ReplicaError('SNAPSHOT_UNREADABLE', message, true, { cause })
  }

  /** Cuts the answer off when nothing comes of it for {@link limits.silentPeerMs}. */
  private silence(response: IncomingMessage): { heard(): void; end(): void } {
    const begin = () => this.clock.setTimer(limits.silentPeerMs, () => response.destroy(new Error('nothing came')))
    let timer = begin()
    return {
      heard: () => {
        timer.cancel()
        timer = begin()
      },
      end: () => timer.cancel(),
    }
  }
}

async function textOf(response: IncomingMessage, address: string, clock: Clock): Promise<string> {
  const parts: Buffer[] = []
  let bytes = 0
  const timer = clock.setTimer(limits.silentPeerMs, () => response.destroy(new Error('it did not end in time')))
  try {
    for await (const part of response as AsyncIterable<Buffer>) {
      bytes += part.length
      if (bytes > limits.maxTextBytes) throw new Error(`its answer is longer than ${limits.maxTextBytes} bytes`)
      parts.push(part)
    }
  } catch (error) {
    throw unreachable(address, error as Error)
  } finally {
    timer.cancel()
  }
  return Buffer.concat(parts).toString()
}

function textIn(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString()
}

/** One of the two did not prove to be of the cluster. What expired did once, and is told in its own words. */
function isStrange({ code = '' }: NodeJS.ErrnoException): boolean {
  return code === 'EPROTO' || /^ERR_(SSL|TLS)|^SELF_SIGNED|^UNABLE_TO|_SELF_SIGNED_/.test(code)
}

function unreachable(address: string, error: NodeJS.ErrnoException): RicciError {
  const { code = '' } = error
  const why = isStrange(error)
    ? 'it does not know us, or we do not know it: have both the same secret, or certificates of the same authority?'
    : code === 'ECONNREFUSED'
      ? 'nobody listens there'
      : error.message
  return new RicciError('PEER_UNREACHABLE', `another server of the cluster, at ${address}, cannot be asked: ${why}`, {
    cause: error,
  })
}
