/** A TCP listener for protocols of text lines: each line is an event, good ones are not answered, a sender that is too fast is not read for a while. */
import { createServer, type Socket } from 'node:net'
import { CodecError, encodeMsg, type Event } from '@ricci/client'
import type { Clock, Timer } from '@ricci/replica'
import type { LineTransport } from '../../telemetry/internal-events.ts'
import type { Telemetry } from '../../telemetry/telemetry.ts'
import type { Appended } from '../appender.ts'
import type { Distributor } from '../distributor.ts'
import {
  maxConnectionBytes,
  maxHeldLineBytes,
  maxLineBytes,
  maxLinesPerMsg,
  maxUnreadReplyBytes,
  refusedLinesRetryMs,
  stalledFrameMs,
  stalledWriteMs,
} from '../limits.ts'
import { passes } from '../refused.ts'
import { StreamListener, type StreamConnection } from '../stream-listener.ts'
import { UnreadReplies } from '../unread-replies.ts'
import { LineError } from './line-parser.ts'

/** What a protocol makes of a line: an event, or something to be said. @throws LineError */
export type LineParser = (line: string) => Event | { readonly answer: string }

export interface LineProtocol {
  readonly transport: LineTransport
  /** For people. */
  readonly name: string
  readonly parse: LineParser
  /** What a sender is told of a line that cannot be taken; undefined where nobody would read it. */
  readonly complaint?: (why: string) => string
}

/** What all connections of all line protocols share. */
export interface LineHost {
  readonly distributor: Distributor
  readonly telemetry: Telemetry
  readonly clock: Clock
  readonly maxConnections: number
  readonly idleConnectionMs: number
  /** Whether all connections together hold as much as intake may. */
  full(): boolean
}

/** `listen` once; `close` ends its connections. */
export class LineListener {
  private readonly listener: StreamListener<LineConnection>
  /** What the log refused for now, of senders that are still there and of others: they rarely stay. */
  private readonly retries = new Set<Timer>()
  private heldBytes = 0
  private closing: Promise<void> | undefined

  constructor(
    protocol: LineProtocol,
    private readonly host: LineHost,
  ) {
    const { telemetry, clock, maxConnections } = host
    const retry = (bytes: number, again: () => void): boolean => this.retry(bytes, again)
    this.listener = new StreamListener({
      name: protocol.name,
      serve: (accept) => createServer({ allowHalfOpen: true }, accept),
      open: (socket, peer) => new LineConnection(socket, peer, protocol, host, retry),
      telemetry,
      clock,
      maxConnections,
    })
  }

  /** Listens; gives the port. @throws RicciError `LISTEN` */
  listen(host: string, port: number): Promise<number> {
    return this.listener.listen(host, port)
  }

  get size(): number {
    return this.listener.size
  }

  /** There is room again: reads on where reading was stopped. */
  steer(): void {
    this.listener.steer()
  }

  /** Reads nothing more; resolves once what was read is settled, at most after `graceMs`. */
  close(graceMs: number): Promise<void> {
    return (this.closing ??= this.shut(graceMs))
  }

  private async shut(graceMs: number): Promise<void> {
    await this.listener.close(graceMs)
    if (this.retries.size > 0)
      this.host.telemetry.dropped('log-refused', `lines of ${this.heldBytes} bytes, at the end`)
    for (const retry of this.retries) retry.cancel()
  }

  /** Has it tried again in a while; false where no more can be kept. */
  private retry(bytes: number, again: () => void): boolean {
    if (this.closing !== undefined || this.heldBytes + bytes > maxHeldLineBytes) return false
    this.heldBytes += bytes
    const timer = this.host.clock.setTimer(refusedLinesRetryMs, () => {
      this.retries.delete(timer)
      this.heldBytes -= bytes
      again()
    })
    this.retries.add(timer)
    return true
  }
}

const newline = 10
const noBytes: Buffer = Buffer.alloc(0)

/** A line, or how long one was of which nothing is kept. */
type Line = string | { readonly tooLong: number }

class LineConnection implements StreamConnection {
  /** The line that is not whole; of one that is too long nothing is kept. */
  private partial = noBytes
  private partialBytes = 0
  private readonly unread: UnreadReplies
  private inFlightBytes = 0
  private paused = false
  private ending = false
  private lastByteMs: number

  constructor(
    private readonly socket: Socket,
    private readonly peer: string,
    private readonly protocol: LineProtocol,
    private readonly host: LineHost,
    private readonly retry: (bytes: number, again: () => void) => boolean,
  ) {
    this.lastByteMs = host.clock.monotonicMs()
    this.unread = new UnreadReplies(socket)
    socket.setKeepAlive(true, 60_000)
    socket.on('data', (chunk) => this.onData(chunk))
    socket.on('drain', () => this.steer())
    // the last line needs no end, and may have an answer
    socket.on('end', () => {
      this.take([this.whole(noBytes)])
      socket.end()
    })
    // a reset is the peer's business; 'close' follows
    socket.on('error', () => undefined)
  }

  /** Reads on, or not, as the bounds say. */
  steer(): void {
    const stop =
      this.inFlightBytes > maxConnectionBytes || this.socket.writableLength > maxUnreadReplyBytes || this.host.full()
    if (stop === this.paused || this.socket.destroyed) return
    this.paused = stop
    if (stop) {
      this.host.telemetry.tally.pauses++
      this.socket.pause()
    } else {
      this.lastByteMs = this.host.clock.monotonicMs()
      this.socket.resume()
    }
  }

  /** Looks after what no event tells: senders that are gone, lines that stop in the middle, complaints nobody reads. */
  sweep(nowMs: number): void {
    if (this.unread.stalled(nowMs))
      return this.drop('slow-reader', `its answers were not read for ${stalledWriteMs / 1000} s`)
    if (this.socket.destroyed || this.ending || this.paused || this.inFlightBytes > 0) return
    const silentMs = nowMs - this.lastByteMs
    if (this.partialBytes > 0 && silentMs > stalledFrameMs)
      this.drop('stalled', `a line stopped in the middle for ${stalledFrameMs / 1000} s`)
    else if (silentMs > this.host.idleConnectionMs)
      this.drop('idle', `nothing came for ${this.host.idleConnectionMs / 1000} s`)
  }

  /** Takes nothing more; closes when what was taken is settled. */
  end(): void {
    this.ending = true
    this.socket.pause()
    this.endIfSettled()
  }

  destroy(): void {
    this.socket.destroy()
  }

  private drop(reason: 'stalled' | 'idle' | 'slow-reader', why: string): void {
    this.host.telemetry.connectionClosed(reason, this.peer, why)
    this.socket.destroy()
  }

  private endIfSettled(): void {
    if (this.ending && this.inFlightBytes === 0) this.socket.end(() => this.socket.destroy())
  }

  private onData(chunk: Buffer): void {
    if (this.ending) return
    this.lastByteMs = this.host.clock.monotonicMs()
    const lines: Line[] = []
    let from = 0
    for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, from)) {
      lines.push(this.whole(chunk.subarray(from, at)))
      from = at + 1
    }
    this.keep(chunk.subarray(from))
    this.take(lines)
    this.steer()
  }

  /** The line whose last bytes these are. */
  private whole(last: Buffer): Line {
    const bytes = this.partialBytes + last.length
    const line = bytes > maxLineBytes ? { tooLong: bytes } : this.text(last)
    this.partial = noBytes
    this.partialBytes = 0
    return line
  }

  private text(last: Buffer): string {
    return (this.partialBytes === 0 ? last : Buffer.concat([this.partial, last])).toString('utf8')
  }

  private keep(bytes: Buffer): void {
    this.partialBytes += bytes.length
    // copied: who sends byte by byte makes no object of each, and none of the chunks they came in is kept
    this.partial = this.partialBytes > maxLineBytes ? noBytes : Buffer.concat([this.partial, bytes])
  }

  private take(lines: readonly Line[]): void {
    const events: Event[] = []
    for (const line of lines) {
      if (typeof line === 'string' && line.trim() === '') continue
      try {
        const taken = this.parsed(line)
        if ('answer' in taken) this.socket.write(taken.answer)
        else events.push(taken)
      } catch (error) {
        if (!(error instanceof LineError)) throw error
        this.refuse(error.message)
      }
    }
    for (let at = 0; at < events.length; at += maxLinesPerMsg) this.append(events.slice(at, at + maxLinesPerMsg))
  }

  private parsed(line: Line): ReturnType<LineParser> {
    if (typeof line === 'string') return this.protocol.parse(line)
    throw new LineError(`a line of ${line.tooLong} bytes, at most ${maxLineBytes} are taken`)
  }

  /** One that is beyond what an event may hold keeps none of the others out. */
  private append(events: readonly Event[]): void {
    try {
      const msg = encodeMsg({ events })
      this.add(msg)
      this.inFlightBytes += msg.length
      this.host.telemetry.tally[`${this.protocol.transport}Events`] += events.length
    } catch (error) {
      if (!(error instanceof CodecError)) throw error
      if (events.length === 1) return this.refuse(error.message)
      const half = events.length >> 1
      this.append(events.slice(0, half))
      this.append(events.slice(half))
    }
  }

  private add(msg: Uint8Array): void {
    const { distributor } = this.host
    distributor.inspect(msg)
    distributor.add(msg, new Lines(this, msg))
  }

  settled(msg: Uint8Array): void {
    this.inFlightBytes -= msg.length
    this.endIfSettled()
    this.steer()
  }

  /** Who sends lines is told nothing, and sends none again: what may be taken later is kept until then. */
  refused(msg: Uint8Array, error: Error): void {
    if (passes(error) && this.retry(msg.length, () => this.add(msg))) return
    this.host.telemetry.dropped('log-refused', `lines of ${this.peer}: ${error.message}`)
    this.settled(msg)
  }

  private refuse(why: string): void {
    const { transport, complaint } = this.protocol
    this.host.telemetry.malformed(transport, this.peer, why)
    if (complaint !== undefined) this.socket.write(complaint(why))
  }
}

/** Lines that were handed to the log. */
class Lines implements Appended {
  constructor(
    private readonly connection: LineConnection,
    private readonly msg: Uint8Array,
  ) {}

  durable(): void {}

  /** Nobody is told; but where the engine lags lines wait as messages do. */
  acknowledge(): void {
    this.connection.settled(this.msg)
  }

  refused(error: Error): void {
    this.connection.refused(this.msg, error)
  }

  groupEnd(): void {}
}
