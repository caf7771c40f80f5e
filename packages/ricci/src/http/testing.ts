/** What tests of HTTP share: a server around a backend that does as it is told. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'node:test'
import { Registry } from 'prom-client'
import { Access } from '../access/access.ts'
import { defaultConfig, type Config } from '../config/config.ts'
import { nodeClock } from '../server/node-clock.ts'
import { silentLogger } from '../telemetry/logger.ts'
import { Telemetry } from '../telemetry/telemetry.ts'
import type { HttpBackend, QueryAnswer, WatchPage } from './backend.ts'
import { HttpServer, type HttpOptions } from './server.ts'

const open: HttpServer[] = []
const folders: string[] = []
afterEach(async () => {
  for (const server of open.splice(0)) await server.close()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
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

/** Tokens and audit in a folder that goes with the test. */
export function testAccess(
  http: Partial<Config['http']> = {},
  telemetry = new Telemetry(silentLogger(), () => 0),
): Access {
  const folder = mkdtempSync(join(tmpdir(), 'ricci-access-'))
  folders.push(folder)
  const config = { ...defaultConfig(folder), dataFolder: folder, instance: 'here' }
  return new Access({
    config: { ...config, http: { ...config.http, ...http } },
    clock: nodeClock,
    telemetry,
    randomBytes,
  })
}

/** A server at any port of this machine. */
export function httpServer(options: Partial<HttpOptions> & Pick<HttpOptions, 'backend' | 'telemetry'>): HttpServer {
  return new HttpServer({
    ...{ host: '127.0.0.1', port: 0, version: '0.0.0', requestsPerMinute: 6_000 },
    clock: { ...nodeClock, wallMs: () => 1_000_000 },
    access: testAccess(),
    ...options,
  })
}

/** A server around a scripted backend; gives its address. */
export async function serve(
  script: Partial<HttpBackend>,
  more: Partial<HttpOptions> = {},
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
    command: () => assert.fail(),
    drill: () => assert.fail(),
    watch: async () => none(),
    logId: () => 'log',
    take: async () => undefined,
    records: () => assert.fail(),
    inbound: () => undefined,
    receivers: () => [],
    tryReceiver: () => assert.fail(),
    rules: { status: () => assert.fail(), diff: () => assert.fail(), reload: () => assert.fail() },
    cluster: () => assert.fail(),
    explainer: () => assert.fail(),
    ...script,
  }
  const server = httpServer({ backend, telemetry, ...more })
  open.push(server)
  return { url: `http://127.0.0.1:${await server.listen()}`, telemetry, server }
}
