import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfig } from '../config/config.ts'
import { datadogEvent } from './datadog.ts'
import { createReceivers } from './receivers.ts'
import { bodyOf, httpServer, page, TestClock } from './testing.ts'

test('an event of the stream, grouped by its incident', async (t) => {
  let seen: unknown
  const url = await httpServer(t, async (request, response) => {
    seen = { key: request.headers['dd-api-key'], body: JSON.parse(await bodyOf(request)) }
    response.writeHead(202).end('{"status":"ok"}')
  })
  const yaml = `receivers: { dd: { type: datadog, url: "${url}", apiKey: { env: KEY } } }`
  const config = parseConfig(yaml, 'test.yaml', { env: { KEY: 'key-of-datadog' } })
  const clock = new TestClock()
  clock.advance(2_000)
  const { transport, class: receiverClass } = createReceivers(config, { clock, write: () => assert.fail() }).get('dd')!
  assert.equal(receiverClass, 'C')
  assert.equal((await transport.send(page, () => true, new AbortController().signal)).kind, 'delivered')
  assert.deepEqual(seen, {
    key: 'key-of-datadog',
    body: {
      title: 'PAGE: 0.97 for 30 s',
      text: '0.97 for 30 s\nhost: web-7\nservice: cpu\nstate: critical\nrule: cpu-high\ndecided: 2026-11-21T12:00:01.500Z',
      aggregation_key: page.dedupKey,
      alert_type: 'error',
      date_happened: 1_795_262_401,
      host: 'web-7',
      source_type_name: 'ricci',
      tags: ['service:cpu', 'state:critical', 'rule:cpu-high'],
    },
  })
})

test('its limits, its types, and what is too old for it', () => {
  const clock = new TestClock()
  const event = (change: object) => datadogEvent({ ...page, ...change }, clock) as Record<string, string>
  assert.equal(event({ summary: 'x'.repeat(9_000), possibleRepeat: true }).title.length, 100)
  assert.match(event({ summary: 'x'.repeat(9_000), possibleRepeat: true }).title, /… \(possible repeat\)$/)
  assert.ok(event({ summary: 'x'.repeat(9_000), host: 'h'.repeat(9_000) }).text.length <= 4_000)
  assert.match(event({ dedupKey: 'x'.repeat(101) }).aggregation_key, /^[0-9a-f]{64}$/)
  assert.equal(event({ action: 'notify' }).aggregation_key, page.idempotencyKey)
  assert.equal(event({ host: ' ' }).host, undefined)
  assert.deepEqual(
    ['ok', 'info', 'warning', 'critical', 'constructor'].map((severity) => event({ severity }).alert_type),
    ['success', 'info', 'warning', 'error', 'error'],
  )
  assert.equal(event({ action: 'resolve' }).alert_type, 'success')
  clock.advance(17 * 3_600_000)
  assert.ok(event({}).date_happened !== undefined)
  clock.advance(60_000)
  assert.equal(event({}).date_happened, undefined, 'Datadog refuses an event of so long ago')
})
