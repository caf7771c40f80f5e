/**
 * HTTP on 5556: health, metrics and the API the commands use. Each route says which role it takes (`caller.ts`); one that changes something
 * answers callers on this machine alone, until there are tokens.
 */
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { maxQueryBytes } from '@ricci/client'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { listenError } from '../server/listen-error.ts'
import { betweenTexts } from '../server/worker-protocol.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import { maxCursorLength } from '../peers/query-cursor.ts'
import type { HttpBackend, IncidentsRequest, QueryAnswer, QueryRequest, WatchPage } from './backend.ts'
import { RicciError } from '../errors.ts'
import { admin, fromThisMachine, needsCaller, operator, probe, viewer, type Role } from './caller.ts'
import { HttpConnections, maxHeaderBytes, requestMs } from './connections.ts'
import { errorAnswer, type HttpErrorCode } from './errors.ts'
import { addEventRoutes } from './event-routes.ts'
import { maxTokenLength, Places } from './places.ts'
import { corsOf, mayStream, refusalOf, type Refusal } from './rebinding.ts'
import { stream, streamHeaders, type StreamForm } from './streams.ts'
import { statesAndChanges, stalledReadMs, watchFrom } from './watching.ts'
import { WebSockets } from './web-sockets.ts'

export interface HttpOptions {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** Names by which it may be asked besides loopback's own, where it listens there. */
  readonly allowedHosts?: readonly string[]
  readonly backend: HttpBackend
  readonly telemetry: Telemetry
  /** Seconds since 1970: the time of events that name none. */
  readonly nowSeconds: () => number
  /** Nothing is answered but `/index`, as by Riemann's SSE server. */
  readonly indexAlone?: boolean
  /** See {@link stalledReadMs}, the default. */
  readonly stalledReadMs?: number
}

/** Queries answered at once: whoever does not read its answer holds some 4 MB of it, in pages that wait here and with the engine. */
const maxQueries = 64

const queryString = {
  type: 'object',
  required: ['query'],
  properties: {
    query: { type: 'string', minLength: 1 },
    limit: { type: 'integer', minimum: 1, maximum: 1_000_000 },
    cursor: { type: 'string', maxLength: maxCursorLength },
  },
} as const

const watchQueryString = {
  type: 'object',
  required: ['query'],
  properties: { query: queryString.properties.query, from: { type: 'string', maxLength: maxTokenLength } },
} as const

type WatchRequest = FastifyRequest<{ Querystring: { query: string; from?: string } }>

/** Incidents and pages of one answer: with the longest provenance, which is seldom, the answer ends earlier. */
const maxIncidents = 1_000
const usualIncidents = 200

const incidentsQueryString = {
  type: 'object',
  properties: {
    cursor: { type: 'string', minLength: 1, maxLength: 100 },
    limit: { type: 'integer', minimum: 1, maximum: maxIncidents, default: usualIncidents },
  },
} as const

const explainQueryString = {
  type: 'object',
  properties: { partition: { type: 'integer', minimum: 0 }, key: { type: 'string', maxLength: 1_000 } },
  oneOf: [{ required: ['partition'] }, { required: ['key'] }],
} as const

const recordsQueryString = {
  type: 'object',
  properties: {
    from: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
    last: { type: 'integer', minimum: 0, maximum: 1_000_000, default: 0 },
    kind: { type: 'string', pattern: '^[a-z-]+(,[a-z-]+)*$', maxLength: 200 },
    follow: { type: 'boolean', default: true },
  },
} as const

interface RecordsRoute {
  Params: { partition: number }
  Querystring: { from?: number; last: number; kind?: string; follow: boolean }
}

/** Tails at once: each is a reader of the log of its own, and decodes on the thread that takes events in. */
const maxTails = 4

const drainBody = {
  type: 'object',
  required: ['instance', 'drain'],
  properties: { instance: { type: 'string', minLength: 1, maxLength: 255 }, drain: { type: 'boolean' } },
} as const

/** The HTTP listener: `listen` once, `close` ends watchers too. */
export class HttpServer {
  private readonly app: FastifyInstance
  /** Role by address and method. */
  private readonly roles = new Map<string, Role | undefined>()
  private readonly closing = new AbortController()
  private readonly sockets: WebSockets | undefined
  private readonly connections: HttpConnections
  private readonly stalledReadMs: number
  /** Queries being answered. */
  private queries = 0
  private tails = 0
  private listening: Promise<number> | undefined
  private closed: Promise<void> | undefined

  constructor(private readonly options: HttpOptions) {
    this.connections = new HttpConnections(options.telemetry)
    this.stalledReadMs = options.stalledReadMs ?? stalledReadMs
    this.app = Fastify({
      forceCloseConnections: true,
      // the schemas are ours, and right: to hold them against JSON Schema's own takes a tenth of a second of a start
      ajv: { customOptions: { meta: false, validateSchema: false } },
      http: { maxHeaderSize: maxHeaderBytes },
      bodyLimit: 1 << 20,
      routerOptions: { maxParamLength: 200 },
      // a peer that opens a connection and says nothing
      connectionTimeout: 0,
      requestTimeout: requestMs,
      clientErrorHandler: this.connections.clientError,
      // before any route or hook: a path that cannot be decoded
      frameworkErrors: (_error, request, reply) => {
        const error = `The path ${request.url.split('?')[0]} cannot be read: %XX must be bytes of UTF-8; mend the address.`
        this.sendError({ statusCode: 400, code: 'USAGE' satisfies HttpErrorCode, message: error }, reply)
        this.count(400)
      },
    })
    this.connections.of(this.app.server)
    this.app.addHook('onRoute', ({ url, method, config }) => {
      for (const one of [method].flat()) this.roles.set(`${one} ${url}`, config?.role)
    })
    this.addHooks()
    this.addIndex()
    if (options.indexAlone === true) return
    this.addRoutes()
    const { backend, telemetry, nowSeconds } = options
    addEventRoutes(this.app, { backend, telemetry, nowSeconds })
    this.sockets = new WebSockets({
      ...{ backend, telemetry, nowSeconds, stalledReadMs: this.stalledReadMs },
      refusalOf: (request) => this.refusalOf(request),
    })
    this.app.server.on('upgrade', this.sockets.upgrade)
  }

  /** Connections that are open now, WebSockets among them. */
  get size(): number {
    return this.connections.size
  }

  /** What it answers at, `GET /healthz`, and the role that each takes. */
  get routes(): ReadonlyMap<string, Role | undefined> {
    return this.roles
  }

  /** Listens; gives the port. Idempotent. */
  listen(): Promise<number> {
    return (this.listening ??= this.begin())
  }

  private async begin(): Promise<number> {
    try {
      await this.app.listen({ host: this.options.host, port: this.options.port })
    } catch (error) {
      throw listenError(error, 'HTTP', this.options.host, this.options.port)
    }
    return (this.app.server.address() as AddressInfo).port
  }

  /** Idempotent. */
  close(): Promise<void> {
    this.closing.abort()
    return (this.closed ??= this.end())
  }

  private async end(): Promise<void> {
    await this.sockets?.close()
    await this.app.close()
  }

  /** Why a WebSocket is not opened. */
  private refusalOf({ headers }: IncomingMessage): Refusal | undefined {
    const { host, allowedHosts = [] } = this.options
    const refusal = refusalOf(headers, 'GET', host, allowedHosts)
    if (refusal !== undefined || mayStream(headers, host, allowedHosts)) return refusal
    const error = `A page of ${JSON.stringify(headers.origin)} may not read what is here; add its host to http.allowedHosts in the configuration.`
    return { status: 403, code: 'ORIGIN_NOT_ALLOWED', error }
  }

  private addHooks(): void {
    const { app } = this
    app.addHook('onRequest', async (request, reply) => {
      if (!this.connections.begin(request.raw, reply.raw)) return reply.hijack()
      const { host, allowedHosts = [] } = this.options
      const refusal = refusalOf(request.headers, request.method, host, allowedHosts)
      if (refusal !== undefined) {
        const { status, code, error } = refusal
        await reply.code(status).send({ error, code })
      } else if (needsCaller(request) && !fromThisMachine(request)) {
        await reply.code(403).send({
          error: 'What changes something is taken from this machine only (127.0.0.1); ask there.',
          code: 'LOOPBACK_ONLY' satisfies HttpErrorCode,
        })
      }
    })
    // not by the schema: it counts characters, and has words of its own
    app.addHook<{ Querystring: { query?: unknown } }>('preHandler', async ({ query: { query } }, reply) => {
      // a route that takes no query may be given several
      const bytes = typeof query === 'string' ? Buffer.byteLength(query) : 0
      if (bytes <= maxQueryBytes) return
      const error = `The query has ${bytes} bytes; at most ${maxQueryBytes} are taken.`
      await reply.code(400).send({ error, code: 'USAGE' satisfies HttpErrorCode })
    })
    app.addHook('onSend', async (request, reply) => this.cutWhenUnread(request, reply))
    app.addHook('onResponse', async (_request, reply) => this.count(reply.statusCode))
    app.setNotFoundHandler((request, reply) => {
      void reply
        .code(404)
        .send({ error: `There is nothing at ${request.url.split('?')[0]}.`, code: 'NOT_FOUND' satisfies HttpErrorCode })
    })
    app.setErrorHandler((error, _request, reply) => this.sendError(error, reply))
  }

  private addIndex(): void {
    this.app.get<{ Querystring: { query: string; from?: string } }>(
      '/index',
      { ...viewer, schema: { querystring: watchQueryString } },
      (request, reply) => this.index(request, reply),
    )
  }

  private addRoutes(): void {
    const { app } = this
    const { backend } = this.options
    app.get('/healthz', probe, async () => ({ ok: true }))
    app.get('/readyz', probe, async (_request, reply) => {
      const readiness = backend.readiness()
      return reply.code(readiness.ready ? 200 : 503).send(readiness)
    })
    app.get('/metrics', viewer, async (_request, reply) => {
      await backend.refresh()
      return reply.type(backend.metrics.contentType).send(await backend.metrics.metrics())
    })
    app.get('/api/v1/status', viewer, async () => backend.status())
    app.get('/api/v1/overview', viewer, async () => backend.overview())
    app.get<{ Querystring: IncidentsRequest }>(
      '/api/v1/incidents',
      { ...viewer, schema: { querystring: incidentsQueryString } },
      async ({ query: { limit, cursor } }, reply) =>
        reply.type('application/json; charset=utf-8').send(await backend.incidents({ limit, cursor })),
    )
    app.get<{ Querystring: Omit<QueryRequest, 'shape'> }>(
      '/api/v1/query',
      { ...viewer, schema: { querystring: queryString } },
      async (request, reply) => {
        this.countQuery(reply)
        const { query, limit, cursor } = request.query
        const answer = await backend.query({ query, limit, cursor, shape: 'json' })
        const pages = answer.pages[Symbol.asyncIterator]()
        const first = await pages.next() // errors come before the first byte
        return reply.type('application/json; charset=utf-8').send(Readable.from(queryBody(first, pages, answer)))
      },
    )
    app.get('/api/v1/receivers', viewer, async () => ({ receivers: backend.receivers() }))
    app.post<{ Params: { name: string } }>('/api/v1/receivers/:name/test', operator, async ({ params: { name } }) =>
      backend.tryReceiver(name),
    )
    app.get('/api/v1/cluster', viewer, async () => backend.cluster().status())
    app.get<{ Querystring: { partition: number } | { key: string } }>(
      '/api/v1/cluster/explain',
      { ...viewer, schema: { querystring: explainQueryString } },
      async ({ query }) => backend.cluster().explain(query),
    )
    app.post<{ Body: { instance: string; drain: boolean } }>(
      '/api/v1/cluster/drain',
      { ...admin, schema: { body: drainBody } },
      async ({ body: { instance, drain } }) => {
        await backend.cluster().drain(instance, drain)
        return { instance, drain }
      },
    )
    app.get<{ Querystring: { query: string; from?: string } }>(
      '/api/v1/watch',
      { ...viewer, schema: { querystring: watchQueryString } },
      (request, reply) => this.watch(request, reply),
    )
    app.get<RecordsRoute>(
      '/api/v1/log/:partition',
      {
        ...viewer,
        schema: {
          params: { type: 'object', properties: { partition: { type: 'integer', minimum: 0 } } },
          querystring: recordsQueryString,
        },
      },
      (request, reply) => this.records(request, reply),
    )
  }

  /** Server-sent events for who asks for `text/event-stream`, else one JSON event a line. */
  private async watch(request: WatchRequest, reply: FastifyReply): Promise<FastifyReply> {
    const sse = (request.headers.accept ?? '').includes('text/event-stream')
    const form: StreamForm = { sse, shape: 'json', ...this.placesOf(request) }
    // who wants no events takes no watcher's place
    if (request.method === 'HEAD') return reply.headers(streamHeaders(form)).send()
    const until = this.until(reply)
    const pages = await watchFrom(this.options.backend, request.query.query, form.shape, until, form.places)
    return this.streamed(request, reply, pages, form, until)
  }

  /** What a partition's log holds, a JSON text a line. */
  private async records(request: FastifyRequest<RecordsRoute>, reply: FastifyReply): Promise<FastifyReply> {
    const { from, last, kind, follow } = request.query
    const places = new Places(this.options.backend.logId())
    const form: StreamForm = { sse: false, shape: 'json', places, saysPlaces: false }
    if (request.method === 'HEAD') return reply.headers(streamHeaders(form)).send()
    if (this.tails >= maxTails) {
      throw new RicciError('TOO_MANY_TAILS', `${maxTails} readers are given the log already; end one of them first`)
    }
    this.tails++
    reply.raw.once('close', () => this.tails--)
    const until = this.until(reply)
    const { partition } = request.params
    const lines = await this.options.backend.records({ partition, from, last, kinds: kind?.split(','), follow }, until)
    return this.streamed(request, reply, pagesOf(lines), form, until)
  }

  /** As Riemann's SSE server: what matches, then what changes. */
  private async index(request: WatchRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { host, allowedHosts = [], backend } = this.options
    const headers = corsOf(request.headers, host, allowedHosts)
    const form: StreamForm = { sse: true, shape: 'riemann-json', headers, ...this.placesOf(request) }
    if (request.method === 'HEAD') return reply.headers(streamHeaders(form)).send()
    const until = this.until(reply)
    const pages = await statesAndChanges(backend, request.query.query, until, form.places)
    return this.streamed(request, reply, pages, form, until)
  }

  private async streamed(
    { ip }: FastifyRequest,
    reply: FastifyReply,
    pages: AsyncIterable<WatchPage>,
    form: StreamForm,
    until: AbortSignal,
  ): Promise<FastifyReply> {
    const slow = await stream(reply, pages, form, until, this.stalledReadMs)
    if (slow) this.options.telemetry.connectionClosed('slow-reader', ip, 'changes were not read, or came faster')
    return reply
  }

  /** Where a watch begins: a browser that connects again says the id of the last event that it was given. */
  private placesOf({ headers, query: { from } }: WatchRequest): Pick<StreamForm, 'places' | 'saysPlaces'> {
    const last = headers['last-event-id']
    const places = new Places(this.options.backend.logId(), typeof last === 'string' && last !== '' ? last : from)
    return { places, saysPlaces: from !== undefined }
  }

  /** One more is answered, until its reply is read or its peer gone. @throws RicciError `TOO_MANY_QUERIES` */
  private countQuery({ raw }: FastifyReply): void {
    if (this.queries >= maxQueries) {
      throw new RicciError(
        'TOO_MANY_QUERIES',
        `${maxQueries} queries are being answered already; ask again in a moment, and read the answers`,
      )
    }
    this.queries++
    raw.once('close', () => this.queries--)
  }

  /** Whoever does not read its answer on is let go of. */
  private cutWhenUnread({ ip }: FastifyRequest, { raw }: FastifyReply): void {
    const { telemetry } = this.options
    const ms = this.stalledReadMs
    raw.setTimeout(ms, () => {
      telemetry.connectionClosed('slow-reader', ip, `an answer was not read for ${ms / 1000} s`)
      raw.destroy()
    })
  }

  /** Aborts when the peer is gone or the server closes. */
  private until(reply: FastifyReply): AbortSignal {
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    return AbortSignal.any([gone.signal, this.closing.signal])
  }

  private count(status: number): void {
    this.options.telemetry.metrics.httpRequests.inc({ status: String(status) })
  }

  private sendError(error: unknown, reply: FastifyReply): void {
    const { status, body } = errorAnswer(error, this.options.telemetry.log)
    void reply.code(status).send(body)
  }
}

async function* pagesOf(all: AsyncIterable<Uint8Array>): AsyncGenerator<WatchPage> {
  for await (const lines of all) yield { lines }
}

async function* queryBody(
  first: IteratorResult<Uint8Array>,
  rest: AsyncIterator<Uint8Array>,
  { missing, fresh, cursor }: Pick<QueryAnswer, 'missing' | 'fresh' | 'cursor'>,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield Buffer.from('{"events":[')
    for (let step = first; step.done !== true;) {
      yield step.value
      step = await rest.next()
      if (step.done !== true) yield comma
    }
    const next = cursor()
    yield Buffer.from(`],${JSON.stringify({ cursor: next, missing, fresh }).slice(1)}\n`)
  } finally {
    await rest.return?.() // who asked went away: the engine need not go on
  }
}

const comma = Buffer.from(betweenTexts)
