import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sendOnce, type SendResult } from '@ricci/replica'
import { parseConfig } from '../config/config.ts'
import { pageLine } from './console.ts'
import { pagerDutyEvent } from './pagerduty.ts'
import { createReceivers } from './receivers.ts'
import { bodyOf, httpServer, page, TestClock } from './testing.ts'
import { webhookBody } from './webhook.ts'

/** Receivers of a configuration, with what the console was told. */
function receiversOf(yaml: string) {
  const lines: string[] = []
  const config = parseConfig(yaml, 'test.yaml', { env: { KEY: 'secret-key' } })
  return {
    lines,
    receivers: createReceivers(config, { clock: new TestClock(), write: (line) => void lines.push(line) }),
  }
}

test('console: a page is one line, without control characters', async () => {
  const { lines, receivers } = receiversOf('')
  const { transport, class: receiverClass, blindPolicy } = receivers.get('console')!
  assert.deepEqual([receiverClass, blindPolicy], ['C', 'repeat'])
  const evil = { ...page, summary: 'a\nb \u001b[2J\u009bc', host: 'h\r\n' }
  assert.equal((await transport.send(evil, () => true, new AbortController().signal)).kind, 'delivered')
  assert.deepEqual(lines, ['PAGE      critical  a b  [2J c [cpu-high h  cpu]'])
  assert.equal((await transport.send(page, () => false, new AbortController().signal)).kind, 'failed')
  assert.equal(lines.length, 1)
})

test('console: a line that nobody takes is a page that was not sent', async () => {
  const write = () => Promise.reject(new Error('write EPIPE'))
  const { transport } = createReceivers(parseConfig('', 'test.yaml'), { clock: new TestClock(), write }).get('console')!
  assert.deepEqual(await transport.send(page, () => true, new AbortController().signal), {
    kind: 'failed',
    detail: 'nothing was printed: write EPIPE',
  })
})

test('console: a line that is neither taken nor refused leaves it in doubt', async () => {
  const clock = new TestClock()
  const write = () => new Promise<void>(() => undefined)
  const { transport } = createReceivers(parseConfig('', 'test.yaml'), { clock, write }).get('console')!
  const sending = sendOnce(transport, page, clock)
  clock.advance(10_000)
  assert.deepEqual(await sending, { kind: 'unknown', detail: 'written, and nobody took the line in time' })
  assert.equal(clock.pendingTimers, 0)
})

test('what became of a request is told by the name of its receiver', async () => {
  const told: unknown[] = []
  const surroundings = {
    clock: new TestClock(),
    write: () => undefined,
    onResult: (receiver: string, result: SendResult) => void told.push([receiver, result]),
  }
  const receivers = createReceivers(parseConfig('receivers: { desk: { type: console } }', 'test.yaml'), surroundings)
  const result = await receivers.get('desk')!.transport.send(page, () => false, new AbortController().signal)
  assert.equal(result.kind, 'failed')
  assert.deepEqual(told, [['desk', result]])
})

test('console: what kinds of pages look like', () => {
  assert.equal(pageLine(page), 'PAGE      critical  0.97 for 30 s [cpu-high web-7 cpu]')
  assert.equal(
    pageLine({ ...page, summary: 'cpu-high: web\n7 cpu', host: 'web\n7' }),
    'PAGE      critical  cpu-high: web 7 cpu',
  )
  assert.equal(
    pageLine({ ...page, summary: 'cpu-high: web-7 cpu critical (0.97)' }),
    'PAGE      critical  cpu-high: web-7 cpu critical (0.97)',
  )
  assert.equal(
    pageLine({ ...page, action: 'resolve', severity: 'ok', possibleRepeat: true }),
    'RESOLVED  ok        0.97 for 30 s (possible repeat) [cpu-high web-7 cpu]',
  )
  assert.equal(
    pageLine({ ...page, action: 'notify', host: '', service: '', members: ['a', 'b'] }),
    'NOTICE    critical  0.97 for 30 s (2 pages in one) [cpu-high]',
  )
  assert.equal(
    pageLine({ ...page, members: ['a', 'b'], memberCount: 5_000 }),
    'PAGE      critical  0.97 for 30 s (5000 pages in one) [cpu-high web-7 cpu]',
  )
  assert.equal(pageLine({ ...page, action: 'acknowledge' }), 'TAKEN ON  critical  0.97 for 30 s [cpu-high web-7 cpu]')
  assert.equal(pageLine({ ...page, summary: '\n' }), 'PAGE      critical  cpu-high: web-7 cpu')
})

test('webhook: headers, key and body', async (t) => {
  let seen: { headers: Record<string, unknown>; body: unknown } | undefined
  const url = await httpServer(t, async (request, response) => {
    seen = { headers: request.headers, body: JSON.parse(await bodyOf(request)) }
    response.writeHead(200).end()
  })
  const { receivers } = receiversOf(`
receivers:
  hook:
    type: webhook
    url: ${url}
    class: C
    inDoubt: miss
    headers: { Authorization: { env: KEY }, Idempotency-Key: mine }
`)
  const { transport, ...rest } = receivers.get('hook')!
  assert.deepEqual(rest, { class: 'C', blindPolicy: 'miss' })
  const result = await transport.send({ ...page, possibleRepeat: true }, () => true, new AbortController().signal)
  assert.deepEqual(result, { kind: 'delivered', detail: 'HTTP 200' })
  assert.equal(seen!.headers['authorization'], 'secret-key')
  assert.equal(seen!.headers['idempotency-key'], page.idempotencyKey)
  assert.deepEqual(seen!.body, {
    version: 1,
    id: 'log-1/0/17/0/9a8b',
    action: 'trigger',
    dedupKey: 'log-1/0/12/0/1234',
    severity: 'critical',
    summary: '0.97 for 30 s (possible repeat)',
    host: 'web-7',
    service: 'cpu',
    rule: 'cpu-high',
    decidedAt: '2026-11-21T12:00:01.500Z',
    possibleRepeat: true,
    members: [],
    memberCount: 0,
    provenance: { events: [{ host: 'web-7' }] },
  })
})

test('webhook: a 502 leaves it open whether a receiver acted, of whichever class', async (t) => {
  const url = await httpServer(t, (_request, response) => response.writeHead(502).end())
  const { receivers } = receiversOf(`
receivers:
  blind: { type: webhook, url: "${url}", class: C }
  keyed: { type: webhook, url: "${url}" }
`)
  const kind = async (name: string) =>
    (await receivers.get(name)!.transport.send(page, () => true, new AbortController().signal)).kind
  assert.deepEqual([await kind('blind'), await kind('keyed')], ['unknown', 'unknown'])
})

test('the examples in docs/receivers.md are valid', async () => {
  const { readFileSync } = await import('node:fs')
  const examples = [...readFileSync('docs/receivers.md', 'utf8').matchAll(/```yaml\n([^]*?)```/g)]
  const env = { SLACK_TOKEN: 'xoxb-1', MATRIX_HOOK: 'https://matrix.example/hook' }
  const types = examples.flatMap(([, yaml]) => {
    const { receivers } = parseConfig(yaml, 'receivers.md', { env, readFile: () => 'password' })
    return [...receivers.values()].map(({ type }) => type)
  })
  assert.deepEqual(
    types.filter((type) => type !== 'console'),
    ['webhook', 'slack', 'email'],
  )
})

test('webhook: docs/receivers.md names every field of the body', async () => {
  const { readFileSync } = await import('node:fs')
  const doc = readFileSync('docs/receivers.md', 'utf8')
  for (const field of Object.keys(webhookBody(page))) assert.ok(doc.includes(`\`${field}\``), field)
})

test('pagerduty: trigger, resolve, notify and acknowledge', async (t) => {
  const bodies: Record<string, unknown>[] = []
  const url = await httpServer(t, async (request, response) => {
    bodies.push(JSON.parse(await bodyOf(request)))
    response.writeHead(202).end('{"status":"success"}')
  })
  const { receivers } = receiversOf(`
receivers:
  pd: { type: pagerduty, url: "${url}", routingKey: { env: KEY } }
self: pd
`)
  const { transport, class: receiverClass } = receivers.get('pd')!
  assert.equal(receiverClass, 'A')
  assert.equal(receivers.get('self')!.transport, transport)
  for (const action of ['trigger', 'resolve', 'notify', 'acknowledge'] as const) {
    const result = await transport.send({ ...page, action }, () => true, new AbortController().signal)
    assert.equal(result.kind, 'delivered')
  }
  assert.deepEqual(bodies[0], {
    routing_key: 'secret-key',
    event_action: 'trigger',
    dedup_key: page.dedupKey,
    client: 'Ricci',
    payload: {
      summary: '0.97 for 30 s',
      source: 'web-7',
      severity: 'critical',
      timestamp: '2026-11-21T12:00:01.500Z',
      component: 'cpu',
      class: 'cpu-high',
      custom_details: {
        state: 'critical',
        decision: page.idempotencyKey,
        provenance: { events: [{ host: 'web-7' }] },
      },
    },
  })
  assert.deepEqual(bodies[1], { routing_key: 'secret-key', event_action: 'resolve', dedup_key: page.dedupKey })
  assert.equal(bodies[2].event_action, 'trigger')
  assert.equal(bodies[2].dedup_key, page.idempotencyKey)
  assert.deepEqual(bodies[3], { routing_key: 'secret-key', event_action: 'acknowledge', dedup_key: page.dedupKey })
})

test('pagerduty: its limits and its severities', () => {
  const event = (change: object) =>
    pagerDutyEvent({ ...page, ...change }, 'k') as { dedup_key: string; payload: Record<string, string> }
  assert.match(event({ dedupKey: 'x'.repeat(256) }).dedup_key, /^[0-9a-f]{64}$/)
  assert.equal(event({ dedupKey: 'x'.repeat(255) }).dedup_key.length, 255)
  assert.equal(event({ summary: 'x'.repeat(2_000) }).payload.summary.length, 1_024)
  assert.match(event({ summary: 'x'.repeat(2_000), members: ['a'] }).payload.summary, /… \(1 pages in one\)$/)
  assert.equal(event({ host: '' }).payload.source, 'ricci')
  assert.deepEqual(event({ members: ['a', 'b'] }).payload.custom_details, {
    state: 'critical',
    decision: page.idempotencyKey,
    members: ['a', 'b'],
    memberCount: 2,
    provenance: page.provenance,
  })
  assert.equal(event({ summary: ' ' }).payload.summary, 'cpu-high: web-7 cpu', 'PagerDuty refuses a blank one')
  assert.equal(event({ host: ' ' }).payload.source, 'ricci')
  assert.equal(event({ summary: '🔥'.repeat(600) }).payload.summary, `${'🔥'.repeat(511)}…`, 'no half of a character')
  const severities = ['critical', 'expired', 'error', 'warning', 'ok', 'info', 'on fire', 'constructor']
  assert.deepEqual(
    severities.map((severity) => event({ severity }).payload.severity),
    ['critical', 'critical', 'error', 'warning', 'info', 'info', 'error', 'error'],
  )
})
