/** What tests of HTTP share: a server around a backend that does as it is told. */
import assert from 'node:assert/strict'
import { afterEach } from 'node:test'
import { Registry } from 'prom-client'
import { silentLogger } from '../telemetry/logger.ts'
import { Telemetry } from '../telemetry/telemetry.ts'
import type { HttpBackend, QueryAnswer, WatchPage } from './backend.ts'
import { HttpServer } from './server.ts'

const open: HttpServer[] = []
afterEach(async () => {
  for (const server of open.splice(0)) await server.close()
})

export async function* none(): AsyncGenerator<WatchPage> {}
export async function* nothing(): AsyncGenerator<Uint8Array> {}

export const answerOf = (pages: AsyncIterable<Uint8Array>): QueryAnswer => ({
  pages,
  missing: [],
  fresh: [],
  cursor: () => undefined,
})

export const aborted = (signal: AbortSignal): Promise<unknown> =>
  new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))

/** A server around a scripted backend; gives its address. */
export async function serve(
  script: Partial<HttpBackend>,
  more: { readonly stalledReadMs?: number } = {},
): Promise<{ url: string; telemetry: Telemetry; server: HttpServer }> {
  const telemetry = new Telemetry(silentLogger(), () => 0)
  const backend: HttpBackend = {
    metrics: new Registry(),
    refresh: async () => undefined,
    readiness: () => ({ ready: true, degraded: [] }),
    status: async () => ({ instance: 'here' }),
    overview: () => assert.fail(),
    query: async () => answerOf(nothing()),
    incidents: async () => '{"pages":[]}',
    watch: async () => none(),
    logId: () => 'log',
    take: async () => undefined,
    records: () => assert.fail(),
    receivers: () => [],
    tryReceiver: () => assert.fail(),
    cluster: () => assert.fail(),
    ...script,
  }
  const server = new HttpServer({ host: '127.0.0.1', port: 0, backend, telemetry, nowSeconds: () => 1_000, ...more })
  open.push(server)
  return { url: `http://127.0.0.1:${await server.listen()}`, telemetry, server }
}
