/** HTTP of an agent, for this machine's own programs: events as a server takes them, and how the agent is. */
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import { answerError } from '../http/errors.ts'
import { addEventRoutes, type EventRoutesOptions } from '../http/event-routes.ts'
import { refusalOf } from '../http/rebinding.ts'
import { listenError } from '../server/listen-error.ts'

export interface LocalHttpOptions extends EventRoutesOptions {
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

/** Listens; gives the port, and what ends it. @throws RicciError `LISTEN` */
export async function listenForHttp(options: LocalHttpOptions): Promise<{ port: number; close(): Promise<void> }> {
  const { host, port, status, telemetry } = options
  const app = Fastify({ forceCloseConnections: true, bodyLimit: 1 << 20, requestTimeout: 30_000 })
  app.server.maxConnections = maxConnections
  app.addHook('onRequest', async ({ headers, method }, reply) => {
    const refusal = refusalOf(headers, method, host, [])
    if (refusal !== undefined) await reply.code(refusal.status).send({ error: refusal.error, code: refusal.code })
  })
  app.setErrorHandler((error, _request, reply) => answerError(error, reply, telemetry.log))
  // takes events whatever becomes of servers: that is what it is there for
  app.get('/healthz', async () => ({ ok: true }))
  app.get('/readyz', async (_request, reply) => {
    const { server, trouble } = status()
    return reply.code(server === undefined ? 503 : 200).send({ ready: server !== undefined, server, trouble })
  })
  app.get('/api/v1/status', async () => status())
  app.get('/metrics', async (_request, reply) => reply.type('text/plain; version=0.0.4').send(metricsOf(status())))
  addEventRoutes(app, options)
  try {
    await app.listen({ host, port })
  } catch (error) {
    throw listenError(error, 'HTTP', host, port)
  }
  return { port: (app.server.address() as AddressInfo).port, close: () => app.close() }
}

/** In Prometheus' text form. */
function metricsOf({ server, relayed, measured }: AgentStatus): string {
  const lines = [`ricci_agent_connected ${server === undefined ? 0 : 1}`]
  for (const [kind, figures] of Object.entries({ relayed, measured })) {
    for (const [name, value] of Object.entries(figures)) lines.push(`ricci_agent_${kind}_${name} ${value}`)
  }
  return `${lines.join('\n')}\n`
}
