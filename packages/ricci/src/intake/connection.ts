/**
 * One Riemann client's connection. Each Msg gets one reply, in order. An ack says that the events are durable; a query is answered
 * from all that was in the log when it arrived (DESIGN 11.1). Of pipelined Msgs the valid ones before an invalid one are answered,
 * then the connection is closed; one that is too large is refused in words before.
 */
import type { Socket } from 'node:net'
import { encodeMsg, FrameReader, refusalAsTooLarge, refusalForNow, type CodecError, type MsgFacts } from '@ricci/client'
import type { Clock } from '@ricci/replica'
import type { CloseReason } from '../telemetry/internal-events.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import type { Appended } from './appender.ts'
import type { Distributor } from './distributor.ts'
import {
  maxConnectionBytes,
  maxConnectionMessages,
  maxQueriesAtOnce,
  maxUnreadReplyBytes,
  stalledFrameMs,
  stalledWriteMs,
} from './limits.ts'
import type { QueryPort } from './queries.ts'
import { passes } from './refused.ts'
import { UnreadReplies } from './unread-replies.ts'

/** What all connections share. */
export interface ConnectionHost {
  readonly distributor: Distributor
  readonly queries: QueryPort
  readonly telemetry: Telemetry
  readonly clock: Clock
  readonly maxFrameBytes: number
  readonly idleConnectionMs: number
  /** Whether who marks what it sends is told to go elsewhere with what comes next. */
  draining(): boolean
  /** Whether all connections together hold as much as intake may. */
  full(): boolean
  /** Bytes of messages that are not whole, or of questions that wait, came, or went (below 0). Whoever holds most of them may be closed. */
  begun(bytes: number): void
  /** Bytes of answers came from the engine, or went to the kernel (below 0). Whoever holds most of them may be closed. */
  answers(bytes: number): void
}

/** `ok: true` as a frame, and many of them in a row: acks of one group go out as one slice of it. */
const ackFrame = Buffer.from([0, 0, 0, 2, 0x10, 1])
const acksInARow = 4096
const ackRow = Buffer.alloc(ackFrame.length * acksInARow, ackFrame)

/** An ack that sends who understands it elsewhere. */
const drainingAck = frames([encodeMsg({ ok: true, draining: true })])

/** After our last byte the peer may take this long to close its side. */
const lingerMs = 5_000

export class Connection {
  private readonly reader: FrameReader
  /** Msgs without a reply yet, oldest first; from `head` on. */
  private slots: Slot[] = []
  private head = 0
  /** Bytes of Msgs taken in whose ack has not been written. */
  inFlightBytes = 0
  /** Msgs of this connection handed to the log and not settled. */
  appending = 0
  /** Bytes of a message that is not whole, and of questions that wait for their turn. */
  begunBytes = 0
  private questionBytes = 0
  /** Bytes of answers, from the engine's pages until the kernel has them. */
  answerBytes = 0
  /** Queries that wait until the engine may be asked, oldest first; how many it is answering; since when there is room for more. */
  private questions: Slot[] = []
  private asking = 0
  private roomSinceMs = 0
  private paused = false
  /** No more is taken in; close when everything before is answered. */
  private ending = false
  private closed = false
  private lastByteMs: number
  private readonly unread: UnreadReplies

  constructor(
    private readonly socket: Socket,
    readonly peer: string,
    readonly host: ConnectionHost,
  ) {
    this.reader = new FrameReader(host.maxFrameBytes)
    this.unread = new UnreadReplies(socket)
    this.lastByteMs = host.clock.monotonicMs()
    socket.setNoDelay(true)
    socket.setKeepAlive(true, 60_000)
    socket.on('data', (chunk) => this.onData(chunk))
    socket.on('drain', () => this.steer())
    socket.on('end', () => this.end())
    // a reset is the peer's business; 'close' follows
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.closed = true
      this.forgetAnswers()
      this.begin(0)
      this.slots = []
      this.head = 0
    })
  }

  /** Looks after what no event tells: idle peers, frames that stop in the middle, replies nobody reads. */
  sweep(nowMs: number): void {
    if (this.closed) return
    if (this.unread.stalled(nowMs))
      return this.drop('slow-reader', `its replies were not read for ${stalledWriteMs / 1000} s`)
    if (this.ending || this.paused || this.waiting > 0) return
    const silentMs = nowMs - this.lastByteMs
    if (this.reader.pendingBytes > 0 && silentMs > stalledFrameMs) {
      this.drop('stalled', `a message stopped in the middle for ${stalledFrameMs / 1000} s`)
    } else if (silentMs > this.host.idleConnectionMs) {
      this.drop('idle', `nothing came for ${this.host.idleConnectionMs / 1000} s`)
    }
  }

  /** Reads on, or not, as the bounds say. */
  steer(): void {
    if (this.closed) return
    const stop =
      this.inFlightBytes > maxConnectionBytes ||
      this.waiting > maxConnectionMessages ||
      this.socket.writableLength > maxUnreadReplyBytes ||
      this.host.full()
    if (stop === this.paused) return
    this.paused = stop
    if (stop) {
      this.host.telemetry.tally.pauses++
      this.socket.pause()
    } else {
      this.lastByteMs = this.host.clock.monotonicMs()
      this.socket.resume()
    }
  }

  /** Takes nothing more in, answers what was taken in, closes. */
  end(): void {
    if (this.ending) return
    this.ending = true
    this.flush()
  }

  /** Closes at once, for holding more of something than any other. */
  giveWay(reason: CloseReason, what: string): void {
    this.forgetAnswers()
    this.begin(0)
    this.drop(reason, `${what} fill the room there is, and it has most of them`)
  }

  /** Asks the engine in its turn: not while many of its answers are on their way, or it does not read them. */
  ask(slot: Slot): void {
    if (this.closed || this.socket.destroyed) return
    this.questions.push(slot)
    this.askOn()
  }

  /** The engine is done with a query. */
  asked(evaluated: boolean): void {
    this.asking--
    // those that waited for this one have not waited for the engine
    if (evaluated) this.roomSinceMs = this.host.clock.monotonicMs()
    this.askOn()
  }

  /** Bytes of an answer came, or are on their way to the peer (below 0); false: nobody waits for them. */
  answers(bytes: number): boolean {
    if (this.closed || this.socket.destroyed) return false
    this.answerBytes += bytes
    this.host.answers(bytes)
    if (bytes < 0) {
      this.roomSinceMs = this.host.clock.monotonicMs()
      this.askOn()
    }
    return !this.socket.destroyed
  }

  private askOn(): void {
    while (!this.closed && this.asking < maxQueriesAtOnce && this.answerBytes <= maxUnreadReplyBytes) {
      const slot = this.questions.shift()
      if (slot === undefined) return
      this.asking++
      this.wait(-slot.bytes)
      slot.ask(this.roomSinceMs)
    }
  }

  private forgetAnswers(): void {
    this.questions = []
    this.questionBytes = 0
    this.host.answers(-this.answerBytes)
    this.answerBytes = 0
  }

  /** Closes at once. */
  destroy(): void {
    this.socket.destroy()
  }

  /** Writes the replies that are ready, as far as their order allows. */
  flush(): void {
    if (this.closed) return
    const { slots } = this
    let acks = 0
    let wrote = false
    while (this.head < slots.length && slots[this.head].reply !== undefined) {
      const slot = slots[this.head++]
      this.inFlightBytes -= slot.bytes
      if (slot.reply === ackFrame) {
        if (++acks < acksInARow) continue
      }
      if (!wrote) this.socket.cork()
      wrote = true
      if (acks > 0) this.socket.write(acks === acksInARow ? ackRow : ackRow.subarray(0, acks * ackFrame.length))
      acks = 0
      if (slot.reply === ackFrame) continue
      const parts = slot.reply as readonly Uint8Array[]
      const { answerBytes } = slot
      const gone = answerBytes === 0 ? undefined : () => void this.answers(-answerBytes)
      for (const [i, part] of parts.entries()) this.socket.write(part, i === parts.length - 1 ? gone : undefined)
    }
    if (acks > 0) this.socket.write(ackRow.subarray(0, acks * ackFrame.length))
    if (wrote) this.socket.uncork()
    if (this.head === slots.length) {
      slots.length = 0
      this.head = 0
    } else if (this.head > 1024) {
      slots.splice(0, this.head)
      this.head = 0
    }
    if (this.ending && this.waiting === 0 && !this.socket.writableEnded) {
      this.socket.end()
      this.socket.resume() // or its end is never seen
      this.socket.once('finish', () => {
        const timer = this.host.clock.setTimer(lingerMs, () => this.socket.destroy())
        this.socket.once('close', () => timer.cancel())
      })
    }
    this.steer()
  }

  private get waiting(): number {
    return this.slots.length - this.head
  }

  private onData(chunk: Buffer): void {
    if (this.ending || this.closed || this.socket.destroyed) return
    this.lastByteMs = this.host.clock.monotonicMs()
    this.host.telemetry.tally.tcpBytes += chunk.length
    // once for all Msgs of a chunk: asking the clock costs as much as the rest of a small one's head
    const nowMs = this.host.clock.wallMs()
    try {
      this.reader.push(chunk)
      for (let frame = this.reader.next(); frame !== undefined; frame = this.reader.next()) this.take(frame, nowMs)
    } catch (error) {
      this.refuse(error as CodecError)
      return
    }
    this.begin(this.reader.pendingBytes)
    if (this.head < this.slots.length && this.slots[this.head].reply !== undefined) this.flush()
    else this.steer()
  }

  /** Bytes of questions wait, or no more (below 0). */
  private wait(bytes: number): void {
    this.questionBytes += bytes
    this.begunBytes += bytes
    this.host.begun(bytes)
  }

  /** So many bytes of a message that is not whole are there. */
  private begin(bytes: number): void {
    const more = bytes + this.questionBytes - this.begunBytes
    if (more === 0) return
    this.begunBytes += more
    this.host.begun(more)
  }

  /** @throws CodecError for bytes that are no Msg, or one beyond a limit */
  private take(frame: Uint8Array, nowMs: number): void {
    const { host } = this
    const { tally } = host.telemetry
    const facts = this.inspect(frame)
    if (facts === undefined) return
    const { events, asks } = facts
    const query = asks ? host.distributor.queryOf(frame) : undefined
    tally.tcpMessages++
    tally.tcpEvents += events
    if (query !== undefined) {
      tally.queries++
      this.wait(frame.length)
    }
    const slot = new Slot(this, frame.length, query, facts)
    this.slots.push(slot)
    this.inFlightBytes += frame.length
    if (events > 0) {
      this.appending++
      host.distributor.add(frame, slot, nowMs)
    } else if (asks) {
      // what this client sent before is to be in the answer
      if (this.appending === 0) this.ask(slot)
      else void host.distributor.settledSoFar().then(() => this.ask(slot))
    } else slot.reply = ackFrame
  }

  /** What a Msg is; undefined for one whose query is too long, which is answered: whoever asked would not know why it was cut off. */
  private inspect(frame: Uint8Array): MsgFacts | undefined {
    try {
      return this.host.distributor.inspect(frame)
    } catch (error) {
      const { code, message } = error as CodecError
      if (code !== 'QUERY_TOO_LONG') throw error
      this.answerOnly(frame.length, `${message}; nothing of this message was taken`)
      return undefined
    }
  }

  /** The reply, in its turn, to a message that nothing is taken of. */
  private answerOnly(bytes: number, error: string): void {
    const slot = new Slot(this, bytes, undefined)
    slot.reply = frames([encodeMsg({ ok: false, error })])
    this.slots.push(slot)
    this.inFlightBytes += bytes
  }

  /** Of what cannot be read Riemann says nothing; it takes whatever size there is, and who meets a limit here is told of it. */
  private refuse(error: CodecError): void {
    if (error.code === 'FRAME_TOO_LARGE') this.answerOnly(0, refusalAsTooLarge(this.host.maxFrameBytes))
    this.host.telemetry.malformed('tcp', this.peer, error.message)
    this.host.telemetry.connectionClosed('malformed', this.peer, error.message)
    this.end()
  }

  private drop(reason: CloseReason, why: string): void {
    this.host.telemetry.connectionClosed(reason, this.peer, why)
    this.socket.destroy()
  }
}

/** A Msg that waits for its reply. */
class Slot implements Appended {
  /** Frames to write; {@link ackFrame} itself for a plain ack. Undefined until it is known. */
  reply: readonly Uint8Array[] | typeof ackFrame | undefined
  /** Bytes of the answer, as they came. */
  answerBytes = 0
  private readonly hadEvents: boolean
  private readonly marked: boolean
  private readonly arrivedMs: number

  constructor(
    private readonly connection: Connection,
    readonly bytes: number,
    private readonly query: string | undefined,
    facts?: MsgFacts,
  ) {
    this.hadEvents = facts !== undefined && facts.events > 0
    this.marked = facts?.marked === true
    this.arrivedMs = query === undefined ? 0 : connection.host.clock.monotonicMs()
  }

  durable(): void {
    this.connection.appending--
    if (this.query !== undefined) this.connection.ask(this)
  }

  acknowledge(): void {
    if (this.query !== undefined) return
    this.reply = this.marked && this.connection.host.draining() ? drainingAck : ackFrame
  }

  refused(error: Error): void {
    this.connection.appending--
    this.reply = frames([encodeMsg({ ok: false, error: passes(error) ? refusalForNow(error.message) : error.message })])
  }

  groupEnd(): void {
    this.connection.flush()
  }

  /**
   * Asks the engine; everything before is durable.
   * @param roomSinceMs until then it was not the engine that it waited for
   */
  ask(roomSinceMs: number): void {
    const { connection } = this
    const { queries, telemetry } = connection.host
    const took = (bytes: number): boolean => {
      if (!connection.answers(bytes)) return false
      this.answerBytes += bytes
      return true
    }
    queries.ask(this.query!, Math.max(this.arrivedMs, roomSinceMs), took).then(
      (pages) => {
        this.answer(frames([okTrue, ...pages]))
        connection.asked(true)
      },
      (error: Error & { code?: string }) => {
        const notEvaluated = error.code === 'NOT_EVALUATED'
        if (notEvaluated) telemetry.notEvaluated()
        // the events are durable all the same: only a Msg that held nothing but the query failed
        if (notEvaluated && this.hadEvents) this.answer(ackFrame)
        else this.answer(frames([encodeMsg({ ok: false, error: error.message })]))
        connection.asked(!notEvaluated)
      },
    )
  }

  private answer(reply: NonNullable<Slot['reply']>): void {
    this.reply = reply
    this.connection.flush()
  }
}

/** Field `ok` of a Msg, true. Protobuf messages concatenate: pages of events that follow belong to the same Msg. */
const okTrue = Uint8Array.of(0x10, 1)

function frames(parts: readonly Uint8Array[]): Uint8Array[] {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(parts.reduce((sum, part) => sum + part.length, 0))
  return [length, ...parts]
}
