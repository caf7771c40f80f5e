/** Another Riemann, or another Ricci, over TCP or TLS: `forward`. */
import { connect as connectPlainly, type Socket } from 'node:net'
import { connect as connectSecurely } from 'node:tls'
import {
  decodeMsg,
  encodeMark,
  FrameReader,
  isRefusedForNow,
  maxFrameBytes,
  maxReplyBytes,
  passedOn,
} from '@ricci/client'
import type { Clock, FlowRequest, FlowResult } from '@ricci/replica'
import { z } from 'zod'
import { failed, notBegun, type OpenSink, sinkKind } from './kind.ts'

/** Events that two servers send to each other end there. */
const mostHops = 4
/** Connections kept while nothing is sent: one for each partition that sends at once, up to this. */
const mostIdle = 8

interface Target {
  readonly host: string
  readonly port: number
}

export const riemannSinkKind = sinkKind({
  type: 'riemann',
  settings: (fields) => ({
    addresses: z
      .array(fields.requiredAddress('where it is'))
      .min(1, { error: 'at least one address is needed' })
      .describe(
        'where it is, each `host:port`; of several, instances of one cluster, the next is taken where one fails',
      ),
    tls: z.boolean().default(false).describe("over TLS; Riemann's port for that is 5554"),
    ca: fields.authority(),
    cert: fields.pem('file with the certificate that is shown to it, where it wants one').optional(),
    key: fields.pem('file with its key').optional(),
  }),
  sink: ({ addresses, tls, ca, cert, key }, { clock }) =>
    new RiemannSink(
      addresses,
      ({ host, port }) => {
        if (!tls) return { socket: connectPlainly({ host, port, noDelay: true }), ready: 'connect' }
        const servername = /^[\d.]+$|:/.test(host) ? undefined : host
        return { socket: connectSecurely({ host, port, servername, ca, cert, key }), ready: 'secureConnect' }
      },
      clock,
    ),
})

/** A socket that connects, and the event that says when it has. */
type Connect = (target: Target) => { readonly socket: Socket; readonly ready: string }

/**
 * A batch is a Msg, with the flow as its producer and the batch's position as its sequence: a Ricci takes each once, whoever sends it and
 * how often. All of a request go out together, and are answered in order.
 */
class RiemannSink implements OpenSink {
  readonly gatherMs = 0
  readonly requestEvents = 4_096
  private readonly idle: Idle[] = []
  private closed = false
  /** Which of the addresses is used. */
  private at = 0

  constructor(
    private readonly targets: readonly Target[],
    private readonly connect: Connect,
    private readonly clock: Clock,
  ) {}

  close(): void {
    this.closed = true
    this.letGo()
  }

  async send(request: FlowRequest, mayStart: () => boolean, signal: AbortSignal): Promise<FlowResult> {
    const { at } = this
    const target = this.targets[at]
    const name = `${target.host}:${target.port}`
    const next = (): void => {
      if (this.at === at) this.at = (at + 1) % this.targets.length
    }
    let socket: Socket
    try {
      socket = this.take() ?? (await connected(this.connect(target), signal))
    } catch (error) {
      next()
      return failed(`no connection to ${name}: ${(error as Error).message}`)
    }
    if (!mayStart()) {
      this.keep(socket)
      return notBegun
    }
    const { result, isUsable, isLeaving } = await exchange(socket, messagesOf(request, this.clock.wallMs()), signal)
    if (isUsable && !isLeaving) this.keep(socket)
    else socket.destroy()
    if (result.failure !== undefined || isLeaving) {
      next()
      this.letGo()
    }
    return result
  }

  /** For the next request. One that the other side closes meanwhile is let go. */
  private keep(socket: Socket): void {
    if (this.closed || socket.destroyed || this.idle.length >= mostIdle) return void socket.destroy()
    const gone = (): void => {
      const place = this.idle.findIndex((idle) => idle.socket === socket)
      if (place >= 0) this.idle.splice(place, 1)
      socket.destroy()
    }
    this.idle.push({ socket, gone })
    // it keeps no process from ending
    socket.unref().on('end', gone).on('close', gone)
  }

  private take(): Socket | undefined {
    const idle = this.idle.pop()
    if (idle === undefined) return undefined
    const { socket, gone } = idle
    return socket.off('end', gone).off('close', gone).ref()
  }

  private letGo(): void {
    for (const { socket } of this.idle.splice(0)) socket.destroy()
  }
}

/** A connection that nobody uses, and what ends it. */
interface Idle {
  readonly socket: Socket
  readonly gone: () => void
}

/** A frame to be sent, or undefined where nothing of the batch is. */
interface Message {
  readonly position: number
  readonly events: number
  readonly frame: Uint8Array | undefined
  /** Events that are not sent. */
  readonly left: number
  readonly why: string
}

function messagesOf({ producer, incarnation, batches }: FlowRequest, sentAtMs: number): Message[] {
  return batches.map(({ position, msg }) => {
    const { msg: passed, events, looped } = passedOn(msg, mostHops)
    const mark = encodeMark({ producer, incarnation, sequence: position, sentAtMs })
    const length = passed.length + mark.length
    const why = `they have made ${mostHops} hops: servers send them in a circle`
    if (length > maxFrameBytes) {
      return { position, events, frame: undefined, left: events, why: `they take ${length} bytes together` }
    }
    // a Msg without events keeps the sequence whole
    const frame = new Uint8Array(4 + length)
    new DataView(frame.buffer).setUint32(0, length)
    frame.set(passed, 4)
    frame.set(mark, 4 + passed.length)
    return { position, events, frame, left: looped, why }
  })
}

interface Exchange {
  readonly result: FlowResult
  /** Whether the connection may be used again. */
  readonly isUsable: boolean
  /** It will close its connections soon. */
  readonly isLeaving: boolean
}

/** Sends messages together, and hears an answer to each. Never rejects. */
function exchange(socket: Socket, messages: readonly Message[], signal: AbortSignal): Promise<Exchange> {
  return new Promise((resolve) => {
    const waiting = messages.filter(({ frame }) => frame !== undefined)
    const frames = new FrameReader(maxReplyBytes)
    let through = 0
    let refusedEvents = 0
    let refusedWhy = ''
    let isLeaving = false
    let heard = 0
    const refuse = (events: number, why: string): void => {
      refusedEvents += events
      if (events > 0) refusedWhy = why
    }
    const end = (failure?: string): void => {
      socket.off('data', onData).off('error', onError).off('close', onClose).off('end', onClose)
      signal.removeEventListener('abort', onAbort)
      // those that are not sent lie behind the last that was answered
      const isWhole = heard === waiting.length
      for (const { position, left, why } of messages) {
        if (!isWhole && position > through) break
        refuse(left, why)
      }
      if (isWhole) through = messages[messages.length - 1].position
      resolve({
        result: {
          through,
          ...(failure !== undefined && { failure: { detail: failure } }),
          ...(refusedEvents > 0 && { refused: { events: refusedEvents, detail: refusedWhy } }),
        },
        isUsable: failure === undefined,
        isLeaving,
      })
    }
    const onError = (error: Error): void => end(error.message)
    const onClose = (): void => end('it closed the connection before it had answered')
    const onAbort = (): void => end('no answer in time')
    const onData = (chunk: Uint8Array): void => {
      try {
        frames.push(chunk)
        for (let frame = frames.next(); frame !== undefined; frame = frames.next()) {
          const { ok, error, draining } = decodeMsg(frame)
          if (draining === true) isLeaving = true
          const message = waiting[heard]
          if (message === undefined) return end('it answered what nobody had asked')
          if (ok !== true && isRefusedForNow(error)) return end(error)
          if (ok !== true) refuse(message.events, error ?? 'it said no')
          through = message.position
          heard++
        }
      } catch (error) {
        return end(`it answers with what is no Riemann message: ${(error as Error).message}`)
      }
      if (heard === waiting.length) end()
    }
    socket.on('data', onData).on('error', onError).on('close', onClose).on('end', onClose)
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) return onAbort()
    if (socket.destroyed) return onClose()
    if (waiting.length === 0) return end()
    socket.write(Buffer.concat(waiting.map(({ frame }) => frame!)))
  })
}

/** @throws what kept it from connecting */
function connected({ socket, ready }: ReturnType<Connect>, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      signal.removeEventListener('abort', onAbort)
      socket.destroy()
      reject(error)
    }
    const onAbort = (): void => fail(new Error('no connection in time'))
    const onClose = (): void => fail(new Error('it closed the connection'))
    signal.addEventListener('abort', onAbort)
    // an error ends a socket, which is what matters of it once it is connected
    socket.on('error', () => undefined)
    socket.on('error', fail).on('close', onClose)
    socket.once(ready, () => {
      signal.removeEventListener('abort', onAbort)
      socket.off('error', fail).off('close', onClose)
      resolve(socket)
    })
  })
}
