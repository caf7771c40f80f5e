/**
 * HTTP of an agent, for this machine's own programs: events as a server takes them, and how the agent is. Over Node's own server: the framework that a server of Ricci
 * answers by takes 12 MB, a sixth of what an agent may have.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { errorAnswer, type HttpErrorCode } from '../http/errors.ts'
import { EventBodies, maxBodyBytes, type EventBodiesOptions } from '../http/event-bodies.ts'
import { refusalOf } from '../http/rebinding.ts'
import { listenError } from '../server/listen-error.ts'

export interface LocalHttpOptions extends EventBodiesOptions {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** How it is, for people and programs. */
  readonly status: () => AgentStatus
}

/** What an agent says of itself. */
export interface AgentStatus {
  readonly version: string
  readonly host: string
  /** The server that it sends to; absent while there is none. */
  readonly server?: string
  /** Why not, in a sentence. */
  readonly trouble?: string
  /** Messages of this machine's programs, and events that were measured here. */
  readonly relayed: Readonly<Record<string, number>>
  readonly measured: Readonly<Record<string, number>>
}

/** Programs of one machine. */
const maxConnections = 256

/** A request must come whole within this. */
const requestMs = 30_000

/** A connection is kept for so long after an answer: longer than the minute after which clients let go of theirs. */
const keepMs = 72_000

interface Answer {
  readonly status?: number
  readonly type?: string
  readonly body: string
}

/** Listens; gives the port, and what ends it. @throws RicciError `LISTEN` */
export async function listenForHttp(options: LocalHttpOptions): Promise<{ port: number; close(): Promise<void> }> {
  const { host, port, telemetry } = options
  const bodies = new EventBodies(options)
  const server = createServer({ requestTimeout: requestMs, keepAliveTimeout: keepMs })
  server.maxConnections = maxConnections
  server.on('request', (request, response) => {
    answerTo(request, response, bodies, options)
      .catch((error: unknown): Answer => {
        const { status, body } = errorAnswer(error, telemetry.log)
        return json(body, status)
      })
      .then((answer) => send(request, response, answer))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, 'HTTP', host, port)))
    server.listen({ host, port }, resolve)
  })
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return { port: (server.address() as AddressInfo).port, close }
}

async function answerTo(
  request: IncomingMessage,
  response: ServerResponse,
  bodies: EventBodies,
  { host, status }: LocalHttpOptions,
): Promise<Answer> {
  const { method = '', headers } = request
  const refusal = refusalOf(headers, method, host, [])
  if (refusal !== undefined) return json({ error: refusal.error, code: refusal.code }, refusal.status)
  const [path] = request.url!.split('?')
  if (method === 'GET' || method === 'HEAD') {
    // takes events whatever becomes of servers: that is what it is there for
    if (path === '/healthz') return json({ ok: true })
    if (path === '/api/v1/status') return json(status())
    if (path === '/metrics') return { type: 'text/plain; version=0.0.4', body: metricsOf(status()) }
    if (path === '/readyz') {
      const { server, trouble } = status()
      return json({ ready: server !== undefined, server, trouble }, server === undefined ? 503 : 200)
    }
  } else if ((method === 'POST' || method === 'PUT') && (path === '/events' || path === '/api/v1/events')) {
    const peer = request.socket.remoteAddress ?? ''
    bodies.begin(response, peer)
    const body = await bodyOf(request)
    bodies.came(response)
    return path === '/events' ? { body: await bodies.takeEach(body, peer) } : json(await bodies.takeAll(body, peer))
  }
  return json({ error: `There is nothing at ${path} for ${method}.`, code: 'NOT_FOUND' satisfies HttpErrorCode }, 404)
}

async function bodyOf(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  const tooLarge = `The body has more than ${maxBodyBytes} bytes; send fewer events at a time.`
  if (Number(request.headers['content-length'] ?? 0) > maxBodyBytes) throw misused(413, tooLarge)
  return new Promise((resolve, reject) => {
    let length = 0
    request.on('data', (chunk: Buffer) => {
      length += chunk.length
      chunks.push(chunk)
      if (length <= maxBodyBytes) return
      request.pause()
      reject(misused(413, tooLarge))
    })
    request.on('end', () => resolve(Buffer.concat(chunks)))
    // nobody is left to be told
    request.on('error', ({ message }) => reject(misused(400, `The body broke off: ${message}.`)))
  })
}

function misused(statusCode: number, message: string): Error {
  return Object.assign(new Error(message), { statusCode, code: 'USAGE' satisfies HttpErrorCode })
}

function json(body: unknown, status = 200): Answer {
  return { status, body: JSON.stringify(body) }
}

function send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  const { status = 200, type = 'application/json; charset=utf-8', body } = answer
  response.statusCode = status
  response.setHeader('content-type', type)
  // what is not read of a request would stand before the next one
  if (!request.complete) response.setHeader('connection', 'close')
  response.end(body)
}

/** In Prometheus' text form. */
function metricsOf({ server, relayed, measured }: AgentStatus): string {
  const lines = [`ricci_agent_connected ${server === undefined ? 0 : 1}`]
  for (const [kind, figures] of Object.entries({ relayed, measured })) {
    for (const [name, value] of Object.entries(figures)) lines.push(`ricci_agent_${kind}_${name} ${value}`)
  }
  return `${lines.join('\n')}\n`
}
