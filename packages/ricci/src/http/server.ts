/**
 * HTTP on 5556: health, metrics and the API the commands use. Each route says which role it takes (`caller.ts`), and what is sent and answered (`schemas.ts`);
 * who asks is judged before (`guard.ts`), and what changes something is written down after (`audit-hook.ts`).
 */
import type { IncomingMessage, Server, ServerOptions } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import type { SecureContextOptions, Server as SecureServer } from 'node:tls'
import { maxQueryBytes } from '@ricci/client'
import type { Clock } from '@ricci/replica'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Access } from '../access/access.ts'
import { Certificates, handshakeMs, type PemFiles, type Pems } from '../server/certificates.ts'
import { listenError } from '../server/listen-error.ts'
import { betweenTexts } from '../server/worker-protocol.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import type { HttpBackend, QueryAnswer, QueryRequest, WatchPage } from './backend.ts'
import { RicciError } from '../errors.ts'
import type { Role } from '../access/role.ts'
import { addAccessRoutes } from './access-routes.ts'
import { auditHook, changesSomething } from './audit-hook.ts'
import { admin, operator, probe, scraper, sender, viewer } from './caller.ts'
import { HttpConnections, maxHeaderBytes, requestMs } from './connections.ts'
import { errorAnswer, type HttpErrorCode } from './errors.ts'
import { addEventRoutes } from './event-routes.ts'
import { addExplainRoutes } from './explain-routes.ts'
import { Guard } from './guard.ts'
import { addHookRoutes } from './hook-routes.ts'
import { addIncidentRoutes } from './incident-routes.ts'
import { describeRoutes } from './openapi.ts'
import { Places } from './places.ts'
import { limitCallers } from './rate-limit.ts'
import { addRulesRoutes } from './rules-routes.ts'
import * as schemas from './schemas.ts'
import { corsOf, mayStream, refusalOf, type Refusal } from './rebinding.ts'
import { stream, streamHeaders, type StreamForm } from './streams.ts'
import { statesAndChanges, stalledReadMs, watchFrom } from './watching.ts'
import { pathOf, WebSockets } from './web-sockets.ts'

export interface HttpOptions {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** Names by which it may be asked besides loopback's own, where it listens there. */
  readonly allowedHosts?: readonly string[]
  readonly backend: HttpBackend
  readonly telemetry: Telemetry
  readonly access: Access
  /** For how often somebody asks; see `http.requestsPerMinute`. */
  readonly requestsPerMinute: number
  readonly clock: Clock
  readonly version: string
  /** Certificates, where it speaks TLS. */
  readonly pems?: PemFiles
  /** Nothing is answered but `/index`, as by Riemann's SSE server. */
  readonly indexAlone?: boolean
  /** See {@link stalledReadMs}, the default. */
  readonly stalledReadMs?: number
}

/** Queries answered at once: whoever does not read its answer holds some 4 MB of it, in pages that wait here and with the engine. */
const maxQueries = 64

type WatchRequest = FastifyRequest<{ Querystring: { query: string; from?: string } }>

interface RecordsRoute {
  Params: { partition: number }
  Querystring: { from?: number; last: number; kind?: string; follow: boolean }
}

/** Tails at once: each is a reader of the log of its own, and decodes on the thread that takes events in. */
const maxTails = 4

/** The HTTP listener: `listen` once, `close` ends watchers too. */
export class HttpServer {
  private readonly app: FastifyInstance
  /** Role by address and method. */
  private readonly roles = new Map<string, Role | undefined>()
  private readonly closing = new AbortController()
  private readonly sockets: WebSockets | undefined
  private readonly connections: HttpConnections
  private readonly guard: Guard
  private readonly certificates: Certificates | undefined
  private readonly stalledReadMs: number
  /** Seconds since 1970: the time of events that name none. */
  private readonly nowSeconds = (): number => this.options.clock.wallMs() / 1000
  /** Queries being answered. */
  private queries = 0
  private tails = 0
  private listening: Promise<number> | undefined
  private closed: Promise<void> | undefined

  constructor(private readonly options: HttpOptions) {
    const { backend, telemetry, access, clock, pems } = options
    this.connections = new HttpConnections(telemetry)
    this.stalledReadMs = options.stalledReadMs ?? stalledReadMs
    this.guard = new Guard({ access, telemetry, monotonicMs: () => clock.monotonicMs() })
    this.certificates = pems && new Certificates({ files: pems, clock, telemetry })
    this.app = Fastify({
      forceCloseConnections: true,
      // the schemas are ours, and right: to hold them against JSON Schema's own takes a tenth of a second of a start
      ajv: { customOptions: { meta: false, validateSchema: false } },
      ...listening(this.certificates),
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
    const { app } = this
    this.connections.of(app.server)
    if (this.certificates !== undefined) {
      const secure = app.server as Server & SecureServer
      this.certificates.serve(secure, maxHandshakes, (shown) => secure.setSecureContext(secured(shown)))
    }
    app.addHook('onRoute', ({ url, method, config }) => {
      for (const one of [method].flat()) this.roles.set(`${one} ${url}`, config?.role)
    })
    this.addHooks()
    describeRoutes(app, options.version)
    limitCallers(app, options.requestsPerMinute)
    void app.register(async (scope) => {
      this.addIndex(scope)
      if (options.indexAlone === true) return
      this.addRoutes(scope)
      addRulesRoutes(scope, backend.rules)
      addAccessRoutes(scope, access)
      addEventRoutes(scope, { backend, telemetry, nowSeconds: this.nowSeconds })
      addExplainRoutes(scope, backend)
      addIncidentRoutes(scope, { backend, nowSeconds: this.nowSeconds })
      addHookRoutes(scope, { backend, telemetry, nowSeconds: this.nowSeconds })
    })
    if (options.indexAlone === true) return
    this.sockets = new WebSockets({
      ...{ backend, telemetry, nowSeconds: this.nowSeconds, stalledReadMs: this.stalledReadMs },
      refusalOf: (request) => this.refusalOf(request),
    })
    const { sockets, connections } = this
    app.server.on('upgrade', (request, socket, head) => {
      if (request.headers.upgrade?.toLowerCase() === 'websocket') sockets.upgrade(request, socket, head)
      else connections.goOn(app.server, request, socket, head)
    })
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
    this.certificates?.close()
    await this.sockets?.close()
    await this.app.close()
  }

  /** Why a WebSocket is not opened. */
  private refusalOf(request: IncomingMessage): Refusal | undefined {
    const { headers, url } = request
    const { host, allowedHosts = [] } = this.options
    const refusal = refusalOf(headers, 'GET', host, allowedHosts)
    if (refusal !== undefined) return refusal
    if (!mayStream(headers, host, allowedHosts)) {
      const error = `A page of ${JSON.stringify(headers.origin)} may not read what is here; add its host to http.allowedHosts in the configuration.`
      return { status: 403, code: 'ORIGIN_NOT_ALLOWED', error }
    }
    const takesEvents = pathOf(url) === '/events'
    return this.guard.judge(request, (takesEvents ? sender : viewer).config).refusal
  }

  private addHooks(): void {
    const { app } = this
    app.decorateRequest('token', undefined)
    app.decorateRequest('isAudited', false)
    app.addHook('onRequest', async (request, reply) => {
      if (!this.connections.begin(request.raw, reply.raw)) return reply.hijack()
      const { host, allowedHosts = [] } = this.options
      const { config } = request.routeOptions
      const refusal = refusalOf(request.headers, request.method, host, allowedHosts)
      if (refusal !== undefined) return refuse(reply, refusal)
      const verdict = this.guard.judge(request, config)
      request.token = verdict.token
      request.isAudited = changesSomething(config) && (verdict.refusal === undefined || verdict.token !== undefined)
      if (verdict.refusal !== undefined) return refuse(reply, verdict.refusal)
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
    app.addHook('onSend', auditHook(this.options.access))
    app.addHook('onResponse', async (_request, reply) => this.count(reply.statusCode))
    app.setNotFoundHandler((request, reply) => {
      void reply
        .code(404)
        .send({ error: `There is nothing at ${request.url.split('?')[0]}.`, code: 'NOT_FOUND' satisfies HttpErrorCode })
    })
    app.setErrorHandler((error, _request, reply) => this.sendError(error, reply))
  }

  private addIndex(app: FastifyInstance): void {
    app.get<{ Querystring: { query: string; from?: string } }>(
      '/index',
      { ...viewer, schema: schemas.index },
      (request, reply) => this.index(request, reply),
    )
  }

  private addRoutes(app: FastifyInstance): void {
    const { backend } = this.options
    app.get('/healthz', { ...probe, schema: schemas.health }, async () => ({ ok: true }))
    app.get('/readyz', { ...probe, schema: schemas.readiness }, async (_request, reply) => {
      const readiness = backend.readiness()
      return reply.code(readiness.ready ? 200 : 503).send(readiness)
    })
    app.get('/metrics', { ...scraper, schema: schemas.metrics }, async (_request, reply) => {
      await backend.refresh()
      return reply.type(backend.metrics.contentType).send(await backend.metrics.metrics())
    })
    app.get('/api/v1/status', { ...viewer, schema: schemas.status }, async () => backend.status())
    app.get('/api/v1/overview', { ...viewer, schema: schemas.overview }, async () => backend.overview())
    app.get<{ Querystring: Omit<QueryRequest, 'shape'> }>(
      '/api/v1/query',
      { ...viewer, schema: schemas.queryIndex },
      async (request, reply) => {
        this.countQuery(reply)
        const { query, limit, cursor } = request.query
        const answer = await backend.query({ query, limit, cursor, shape: 'json' })
        const pages = answer.pages[Symbol.asyncIterator]()
        const first = await pages.next() // errors come before the first byte
        return reply.type('application/json; charset=utf-8').send(Readable.from(queryBody(first, pages, answer)))
      },
    )
    app.get('/api/v1/receivers', { ...viewer, schema: schemas.receivers }, async () => ({
      receivers: backend.receivers(),
    }))
    app.post<{ Params: { name: string } }>(
      '/api/v1/receivers/:name/test',
      { ...operator, schema: schemas.receiverTest },
      async ({ params: { name } }) => backend.tryReceiver(name),
    )
    app.get('/api/v1/cluster', { ...viewer, schema: schemas.cluster }, async () => backend.cluster().status())
    app.get<{ Querystring: { partition: number } | { key: string } }>(
      '/api/v1/cluster/explain',
      { ...viewer, schema: schemas.explain },
      async ({ query }) => backend.cluster().explain(query),
    )
    app.post<{ Body: { instance: string; drain: boolean } }>(
      '/api/v1/cluster/drain',
      { ...admin, schema: schemas.drain },
      async ({ body: { instance, drain } }) => {
        await backend.cluster().drain(instance, drain)
        return { instance, drain }
      },
    )
    app.get<{ Querystring: { query: string; from?: string } }>(
      '/api/v1/watch',
      { ...viewer, schema: schemas.watch },
      (request, reply) => this.watch(request, reply),
    )
    app.get<RecordsRoute>('/api/v1/log/:partition', { ...viewer, schema: schemas.records }, (request, reply) =>
      this.records(request, reply),
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

/** Connections in their handshake: whoever says nothing may fill these, and no more. */
const maxHandshakes = 256

/** Nobody is asked for a certificate: callers are known by their tokens. */
function secured({ cert, key }: Pems): SecureContextOptions {
  return { cert, key, minVersion: 'TLSv1.2' }
}

/** What Fastify makes its server of. */
function listening(certificates: Certificates | undefined): { readonly http: ServerOptions } {
  const http = { maxHeaderSize: maxHeaderBytes }
  if (certificates === undefined) return { http }
  // the server of either kind is used alike
  return { https: { ...http, ...secured(certificates.shown), handshakeTimeout: handshakeMs } } as never
}

async function refuse(reply: FastifyReply, { status, error, code, headers = {} }: Refusal): Promise<void> {
  await reply.code(status).headers(headers).send({ error, code })
}
