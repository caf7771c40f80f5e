import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import type { Event } from '@ricci/client'
import { RicciError } from '../errors.ts'
import { silentLogger } from '../telemetry/logger.ts'
import { Telemetry } from '../telemetry/telemetry.ts'
import { listenForHttp } from './local-http.ts'

const event = (service: string): string => JSON.stringify({ host: 'a', service })

const cases: readonly [what: string, path: string, init: RequestInit, status: number, answer: RegExp][] = [
  ['one event', '/api/v1/events', { method: 'POST', body: event('a') }, 200, /^\{"taken":1\}$/],
  ['by PUT, query ignored', '/api/v1/events?x=1', { method: 'PUT', body: event('b') }, 200, /"taken":1/],
  [
    "Riemann's, a line each",
    '/events',
    { method: 'POST', body: `${event('c')}\n${event('d')}` },
    200,
    /^\{\}\n\{\}\n$/,
  ],
  ['no event', '/events', { method: 'POST' }, 200, /^$/],
  ['no JSON', '/api/v1/events', { method: 'POST', body: '{' }, 400, /"code":"EVENT_MALFORMED"/],
  ['the log is full', '/api/v1/events', { method: 'POST', body: event('full') }, 503, /"INTAKE_FULL"/],
  ['too large', '/events', { method: 'POST', body: 'x'.repeat((1 << 20) + 1) }, 413, /"code":"USAGE"/],
  ['no such path', '/nothing', {}, 404, /nothing at \/nothing for GET.*"NOT_FOUND"/],
  ['the wrong method', '/events', {}, 404, /nothing at \/events for GET/],
  ['a page of elsewhere', '/events', { method: 'POST', headers: { origin: 'http://evil' } }, 403, /ORIGIN_NOT/],
  ['health', '/healthz', {}, 200, /^\{"ok":true\}$/],
  ['health, without a body', '/healthz', { method: 'HEAD' }, 200, /^$/],
  ['readiness', '/readyz', {}, 503, /^\{"ready":false,"trouble":"nobody is there"\}$/],
  ['its state', '/api/v1/status', {}, 200, /^\{"version":"1","host":"h","trouble":/],
  ['its metrics', '/metrics', {}, 200, /^ricci_agent_connected 0\nricci_agent_relayed_sent 1\n$/],
]

test('the HTTP of an agent', async (t) => {
  const taken: Event[] = []
  const listener = await listenForHttp({
    ...{ host: '127.0.0.1', port: 0, nowSeconds: () => 1 },
    telemetry: new Telemetry(silentLogger(), () => 0),
    backend: {
      take: async (events) => {
        if (events.some(({ service }) => service === 'full')) throw new RicciError('INTAKE_FULL', 'full')
        taken.push(...events)
      },
    },
    status: () => ({ version: '1', host: 'h', trouble: 'nobody is there', relayed: { sent: 1 }, measured: {} }),
  })
  t.after(() => listener.close())
  const { port } = listener
  for (const [what, path, init, status, answer] of cases) {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, init)
    assert.equal(response.status, status, what)
    assert.match(await response.text(), answer, what)
  }
  assert.deepEqual(
    taken.map(({ service }) => service),
    ['a', 'b', 'c', 'd'],
  )
  const chunked = 'POST /events HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n'
  for (const [head, status] of [
    ['GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n', 421],
    ['GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n', 200],
    [`${chunked}100001\r\n${'x'.repeat(1_048_577)}\r\n`, 413],
  ] as const) {
    assert.match(await answerOn(port, head), new RegExp(`^HTTP/1.1 ${status} `), head.slice(0, 100))
  }
  await assert.rejects(listenForHttp({ host: '127.0.0.1', port } as Parameters<typeof listenForHttp>[0]), {
    code: 'LISTEN',
  })
})

/** What is answered to these bytes, until the first of it is there. */
function answerOn(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    socket.on('error', reject)
    socket.once('data', (answer) => {
      resolve(answer.toString())
      socket.destroy()
    })
  })
}
