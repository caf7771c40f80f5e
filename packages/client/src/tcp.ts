import { connect as netConnect, type Socket } from 'node:net'
import { systemClock, systemRandom, type ClientClock, type ClientRandom } from './clock.ts'
import { ClientError } from './errors.ts'
import { FrameReader } from './frame.ts'
import { maxReplyBytes } from './limits.ts'
import { decodeMsg, writeMsg } from './message.ts'
import { MsgWriter } from './writer.ts'
import { checkAddress, checkOption } from './options.ts'
import { isRefusedForNow } from './refusal.ts'
import type { Event, Msg } from './event.ts'

/** Where a TCP client connects, and its bounds. */
export interface TcpClientOptions {
  /** Default 127.0.0.1. */
  readonly host?: string
  /** Default 5555. */
  readonly port?: number
  /** From the call to the answer; Riemann's own clients wait 5 s. */
  readonly timeoutMs?: number
  readonly connectTimeoutMs?: number
  /** Messages without an answer, sent or not, before `OVERLOADED`: 8,192, as in Riemann's Java client. */
  readonly maxOutstanding?: number
  /** Their bytes together: 64 MiB. */
  readonly maxOutstandingBytes?: number
  /** Pause before the first attempt to connect again; doubled with each that fails, up to `backoffMaxMs`, and jittered. */
  readonly backoffMs?: number
  readonly backoffMaxMs?: number
  /** Told of each change, for logs; `cause` is why a connection ended. */
  readonly onState?: (state: ConnectionState, cause?: Error) => void
  readonly clock?: ClientClock
  readonly random?: ClientRandom
  readonly connect?: (host: string, port: number) => Socket
}

/** See {@link RiemannTcpClient}. */
export type ConnectionState = 'idle' | 'connecting' | 'connected' | 'waiting' | 'closed'

/** What one call may say about itself. */
export interface CallOptions {
  /** Gives up: the promise rejects with the signal's reason. A message on its way may still be taken. */
  readonly signal?: AbortSignal
}

interface Request {
  readonly frame: Uint8Array
  readonly deadlineMs: number
  resolve: (reply: Msg) => void
  reject: (error: unknown) => void
  written: boolean
  settled: boolean
}

/**
 * A client of Riemann's TCP protocol: any number of messages on their way at once over one connection, answered in order.
 *
 *     idle ──message──▶ connecting ──connected──▶ connected ──closed by the server, error, unanswered for timeoutMs──▶
 *       ▲                   │ ▲                        └── idle (nothing waits) or waiting
 *       │            failed ▼ │ pause over, something waits
 *       └── nothing waits ── waiting                       close() from any state: closed
 *
 * - **idle**: no connection, nothing waits. **connecting**: until the socket connects or `connectTimeoutMs` is over.
 * - **connected**: messages are written as they come, those of one turn of the event loop together.
 * - **waiting**: between two attempts. Messages that were not written yet wait along, each until its own time is over.
 * - When a connection ends, what was written and not answered rejects with `CONNECTION_LOST`: whether the server has taken it
 *   nobody knows, so it is for the caller (who may have marked it) to send it again.
 * - The pause starts over once a server has *answered*: one that takes connections and drops them is not tried in a tight loop.
 */
export class RiemannTcpClient {
  readonly host: string
  readonly port: number
  private readonly timeoutMs: number
  private readonly connectTimeoutMs: number
  private readonly maxOutstanding: number
  private readonly maxOutstandingBytes: number
  private readonly backoffMs: number
  private readonly backoffMaxMs: number
  private readonly clock: ClientClock
  private readonly random: ClientRandom
  private readonly openSocket: (host: string, port: number) => Socket
  private readonly onState: TcpClientOptions['onState']

  private current: ConnectionState = 'idle'
  private socket: Socket | undefined
  /** In the order of the calls: first what is written, then what is not. Deadlines ascend, since all wait equally long. */
  private requests: Request[] = []
  private outstandingBytes = 0
  private failures = 0
  private lastFailure: Error | undefined
  private deadlineTimer: { cancel(): void } | undefined
  private stateTimer: { cancel(): void } | undefined
  private flushing = false
  private closing: { promise: Promise<void>; done: () => void } | undefined
  private readonly writer = new MsgWriter(16 * 1024)

  /** @throws ClientError `OPTION_INVALID` */
  constructor(options: TcpClientOptions = {}) {
    checkOptions(options)
    this.host = options.host ?? '127.0.0.1'
    this.port = options.port ?? 5555
    this.timeoutMs = options.timeoutMs ?? 5_000
    this.connectTimeoutMs = options.connectTimeoutMs ?? 5_000
    this.maxOutstanding = options.maxOutstanding ?? 8_192
    this.maxOutstandingBytes = options.maxOutstandingBytes ?? 64 * 1024 * 1024
    this.backoffMs = options.backoffMs ?? 100
    this.backoffMaxMs = options.backoffMaxMs ?? 10_000
    this.clock = options.clock ?? systemClock
    this.random = options.random ?? systemRandom
    this.openSocket = options.connect ?? ((host, port) => netConnect({ host, port, noDelay: true, keepAlive: true }))
    this.onState = options.onState
  }

  get state(): ConnectionState {
    return this.current
  }

  /** Messages without an answer. */
  get outstanding(): number {
    return this.requests.length
  }

  /**
   * Sends events; resolves once the server has acknowledged them.
   * @throws ClientError `REFUSED` when it answers `ok: false`, otherwise see {@link sendMsg}
   */
  async send(events: Event | readonly Event[], options?: CallOptions): Promise<void> {
    accepted(await this.sendMsg({ events: Array.isArray(events) ? events : [events as Event] }, options))
  }

  /**
   * Asks the server's index.
   * @throws ClientError `REFUSED` with the server's text, e.g. for a query it cannot read; otherwise see {@link sendMsg}
   */
  async query(query: string, options?: CallOptions): Promise<readonly Event[]> {
    return accepted(await this.sendMsg({ query }, options)).events ?? []
  }

  /**
   * Sends a Msg, or the bytes of one, and resolves with the server's answer, whatever it says.
   * @throws ClientError `CLOSED`, `OVERLOADED`, `UNREACHABLE`, `TIMEOUT`, `CONNECTION_LOST`, `BAD_REPLY`; CodecError `UNENCODABLE`
   */
  sendMsg(msg: Msg | Uint8Array, options: CallOptions = {}): Promise<Msg> {
    return new Promise<Msg>((resolve, reject) => {
      const { signal } = options
      signal?.throwIfAborted()
      if (this.closing !== undefined) throw closedError()
      const frame = this.encode(msg)
      if (
        this.requests.length >= this.maxOutstanding ||
        (this.requests.length > 0 && this.outstandingBytes + frame.length > this.maxOutstandingBytes)
      ) {
        throw new ClientError(
          'OVERLOADED',
          `${this.requests.length} messages wait for an answer of ${this.name}; wait for some of them before sending more`,
          true,
        )
      }
      const deadlineMs = this.clock.monotonicMs() + this.timeoutMs
      const request: Request = { frame, deadlineMs, resolve, reject, written: false, settled: false }
      if (signal !== undefined) this.watch(request, signal)
      this.requests.push(request)
      this.outstandingBytes += frame.length
      if (this.requests.length === 1) this.armDeadline()
      if (this.current === 'idle') this.connect()
      else this.flushSoon()
    })
  }

  /** Takes no more messages, waits for the answers of those under way (each has its timeout), and closes the connection. */
  close(): Promise<void> {
    if (this.closing === undefined) {
      let done!: () => void
      const promise = new Promise<void>((resolve) => (done = resolve))
      this.closing = { promise, done }
      this.closeIfDone()
    }
    return this.closing.promise
  }

  /** Closes at once; what was not answered rejects with `CLOSED`. */
  destroy(): Promise<void> {
    const closed = this.close()
    this.rejectAll(closedError())
    this.closeIfDone()
    return closed
  }

  private get name(): string {
    return `${this.host}:${this.port}`
  }

  private encode(msg: Msg | Uint8Array): Uint8Array {
    const { writer } = this
    writer.reset()
    const start = writer.beginFrame()
    if (msg instanceof Uint8Array) writer.raw(msg)
    else writeMsg(msg, writer)
    writer.endFrame(start)
    return writer.finish()
  }

  private watch(request: Request, signal: AbortSignal): void {
    const onAbort = () => {
      if (this.settle(request)) request.reject(signal.reason)
      // What was written keeps its place: its answer still comes, and answers come in order.
      if (!request.written) this.drop(request)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    // A signal may outlive many messages: each takes its listener away when it is settled.
    const { resolve, reject } = request
    request.resolve = (reply) => {
      signal.removeEventListener('abort', onAbort)
      resolve(reply)
    }
    request.reject = (error) => {
      signal.removeEventListener('abort', onAbort)
      reject(error)
    }
  }

  private settle(request: Request): boolean {
    if (request.settled) return false
    return (request.settled = true)
  }

  private drop(request: Request): void {
    const at = this.requests.indexOf(request)
    if (at < 0) return
    this.requests.splice(at, 1)
    this.outstandingBytes -= request.frame.length
    this.closeIfDone()
  }

  /** The one place where the state changes. Whoever listens is told once all that belongs to the change is done: it may close the client. */
  private enter(state: ConnectionState): void {
    if (this.current === 'closed') throw new Error('a closed client changes no more')
    this.stateTimer?.cancel()
    this.stateTimer = undefined
    this.current = state
  }

  private connect(): void {
    this.enter('connecting')
    const socket = (this.socket = this.openSocket(this.host, this.port))
    const frames = new FrameReader(maxReplyBytes)
    let failure: Error | undefined
    this.stateTimer = this.clock.setTimer(this.connectTimeoutMs, () => {
      failure = new Error(`no connection to ${this.name} within ${this.connectTimeoutMs} ms`)
      socket.destroy()
    })
    socket.on('connect', () => {
      if (this.socket !== socket) return
      this.enter('connected')
      this.flush()
      this.onState?.('connected')
    })
    socket.on('data', (chunk: Uint8Array) => {
      if (this.socket !== socket) return
      try {
        frames.push(chunk)
        for (let frame = frames.next(); frame !== undefined; frame = frames.next()) this.answer(frame)
      } catch (error) {
        const why = (error as Error).message
        failure = new ClientError('BAD_REPLY', `${this.name} sent what is no Riemann message: ${why}`, true, {
          cause: error,
        })
        socket.destroy()
      }
    })
    socket.on('error', (error) => (failure ??= error))
    socket.on('close', () => {
      if (this.socket === socket) this.disconnected(failure)
    })
    this.onState?.('connecting')
  }

  private answer(frame: Uint8Array): void {
    const request = this.requests[0]
    if (request === undefined || !request.written) throw new Error('an answer to no message')
    // Nearly all answers are this one.
    const reply = frame.length === 2 && frame[0] === 0x10 && frame[1] === 1 ? okReply : decodeMsg(frame)
    this.failures = 0
    this.requests.shift()
    this.outstandingBytes -= request.frame.length
    if (this.settle(request)) request.resolve(reply)
    this.closeIfDone()
  }

  private disconnected(failure: Error | undefined): void {
    this.socket = undefined
    this.failures++
    this.lastFailure = failure
    const lost = this.requests.filter((request) => request.written)
    this.requests = this.requests.filter((request) => !request.written)
    this.outstandingBytes = this.requests.reduce((sum, request) => sum + request.frame.length, 0)
    const why = failure === undefined ? '' : `: ${failure.message}`
    const error =
      failure instanceof ClientError && failure.code === 'BAD_REPLY'
        ? failure
        : new ClientError(
            'CONNECTION_LOST',
            `the connection to ${this.name} ended before the answer${why}; the message may have been taken or not`,
            true,
            { cause: failure },
          )
    for (const request of lost) if (this.settle(request)) request.reject(error)
    this.armDeadline()
    this.pause(failure)
    this.closeIfDone()
  }

  private pause(cause: Error | undefined): void {
    this.enter('waiting')
    // Half of the pause is certain, half is chance: clients that lost one server do not come back together.
    const full = Math.min(this.backoffMaxMs, this.backoffMs * 2 ** Math.min(this.failures - 1, 20))
    const delayMs = full / 2 + (this.random.next() * full) / 2
    this.stateTimer = this.clock.setTimer(delayMs, () => {
      if (this.requests.length > 0) return this.connect()
      this.enter('idle')
      this.onState?.('idle')
    })
    this.onState?.('waiting', cause)
  }

  /** Messages of one turn of the event loop leave in one write. */
  private flushSoon(): void {
    if (this.flushing || this.current !== 'connected') return
    this.flushing = true
    process.nextTick(() => {
      this.flushing = false
      if (this.current === 'connected') this.flush()
    })
  }

  private flush(): void {
    const socket = this.socket!
    // From the end: what is written stands before what is not.
    let from = this.requests.length
    while (from > 0 && !this.requests[from - 1].written) from--
    if (from === this.requests.length) return
    socket.cork()
    for (; from < this.requests.length; from++) {
      this.requests[from].written = true
      socket.write(this.requests[from].frame)
    }
    socket.uncork()
  }

  private armDeadline(): void {
    this.deadlineTimer?.cancel()
    this.deadlineTimer = undefined
    if (this.requests.length === 0) return
    const delayMs = Math.max(0, this.requests[0].deadlineMs - this.clock.monotonicMs())
    this.deadlineTimer = this.clock.setTimer(delayMs, () => this.onDeadline())
  }

  private onDeadline(): void {
    const now = this.clock.monotonicMs()
    // The timer was set for a message that may long be answered: rather than setting it anew with each, it looks here.
    while (this.requests.length > 0 && this.requests[0].deadlineMs <= now) {
      const request = this.requests[0]
      if (request.written) {
        const error = new ClientError(
          'TIMEOUT',
          `${this.name} did not answer within ${this.timeoutMs} ms; the message may have been taken or not`,
          true,
        )
        // A server that owes an answer for so long is taken for dead; what was sent after it shares its fate.
        if (this.settle(request)) request.reject(error)
        this.socket!.destroy()
        this.disconnected(error)
        return
      }
      this.requests.shift()
      this.outstandingBytes -= request.frame.length
      if (this.settle(request)) {
        const why = this.lastFailure === undefined ? '' : `: ${this.lastFailure.message}`
        request.reject(
          new ClientError('UNREACHABLE', `no connection to ${this.name} within ${this.timeoutMs} ms${why}`, true, {
            cause: this.lastFailure,
          }),
        )
      }
    }
    this.armDeadline()
    this.closeIfDone()
  }

  private rejectAll(error: ClientError): void {
    const { requests } = this
    this.requests = []
    this.outstandingBytes = 0
    for (const request of requests) if (this.settle(request)) request.reject(error)
  }

  private closeIfDone(): void {
    if (this.closing === undefined || this.requests.length > 0 || this.current === 'closed') return
    this.deadlineTimer?.cancel()
    const { socket } = this
    this.socket = undefined
    this.enter('closed')
    if (socket === undefined || socket.destroyed) this.closing.done()
    else {
      socket.once('close', this.closing.done)
      socket.destroy()
    }
    this.onState?.('closed')
  }
}

const okReply: Msg = { ok: true }

function accepted(reply: Msg): Msg {
  const { ok, error } = reply
  if (ok !== false) return reply
  throw new ClientError('REFUSED', error ?? 'the server refused without a reason', isRefusedForNow(error))
}

function checkOptions(options: TcpClientOptions): void {
  checkAddress(options)
  for (const name of ['timeoutMs', 'connectTimeoutMs', 'backoffMs', 'backoffMaxMs'] as const) {
    const value = options[name]
    checkOption(name, value, `milliseconds above 0, up to ${longestTimerMs}`, value! > 0 && value! <= longestTimerMs)
  }
  for (const name of ['maxOutstanding', 'maxOutstandingBytes'] as const) {
    checkOption(name, options[name], 'a number from 1 on', options[name]! >= 1)
  }
}

/** 24 days: Node's timers fire at once for more. */
const longestTimerMs = 2 ** 31 - 1

function closedError(): ClientError {
  return new ClientError('CLOSED', 'this client was closed', false)
}
