// What users make of a webhook: bodies of their own, signatures.
import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import { describe, it, type TestContext } from 'node:test'
import type { SendRequest } from '@ricci/replica'
import { parseConfig } from '../config/config.ts'
import { createReceivers } from './receivers.ts'
import { templateOf } from './template.ts'
import { bodyOf, httpServer, page, TestClock } from './testing.ts'

async function hook(t: TestContext, settings: object) {
  const seen: { headers: IncomingHttpHeaders; text: string }[] = []
  const url = await httpServer(t, async (request, response) => {
    seen.push({ headers: request.headers, text: await bodyOf(request) })
    response.writeHead(200).end()
  })
  const it = { type: 'webhook', url, ...settings }
  const env = { KEY: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', PLAIN: 'a secret of its own 4711' }
  const config = parseConfig(JSON.stringify({ receivers: { it } }), 'test.json', { env })
  const { transport } = createReceivers(config, { clock: new TestClock(), write: () => assert.fail() }).get('it')!
  const send = async (change: Partial<SendRequest> = {}) => {
    const result = await transport.send({ ...page, ...change }, () => true, new AbortController().signal)
    assert.equal(result.kind, 'delivered', result.detail)
    return seen.at(-1)!
  }
  return send
}

it('hears who takes something on where it wants to', async (t) => {
  const url = 'https://hook.example/'
  const receivers = { told: { type: 'webhook', url, acknowledgements: true }, plain: { type: 'webhook', url } }
  const config = parseConfig(JSON.stringify({ receivers }), 'test.json', { env: {} })
  assert.deepEqual(config.engine.acknowledging, ['told'])
  assert.deepEqual(config.receivers.get('told')!.test, ['trigger', 'acknowledge', 'resolve'])
  assert.deepEqual(config.receivers.get('plain')!.test, ['trigger', 'resolve'])
  const send = await hook(t, { acknowledgements: true })
  const { action, dedupKey, summary } = JSON.parse(
    (await send({ action: 'acknowledge', summary: 'taken on by ann: cpu is high' })).text,
  ) as SendRequest
  assert.deepEqual([action, dedupKey, summary], ['acknowledge', page.dedupKey, 'taken on by ann: cpu is high'])
})

describe('a body of one’s own', () => {
  it('is data whose texts are filled in, and JSON whatever an event holds', async (t) => {
    const body = {
      text: '{{severity}}: {{ summary }}',
      blocks: [{ type: 'section', count: 3, on: true, none: null, of: '{{memberCount}} pages of {{host}}' }],
      raw: '{{provenance}}',
      members: '{{members}}',
    }
    const send = await hook(t, { body })
    const { text, headers } = await send({ summary: '"}\n{{host}} \\ $& 🔥' })
    assert.deepEqual(JSON.parse(text), {
      text: 'critical: "} {{host}} \\ $& 🔥',
      blocks: [{ type: 'section', count: 3, on: true, none: null, of: '0 pages of web-7' }],
      raw: page.provenance,
      members: [],
    })
    assert.equal(headers['content-type'], 'application/json')
    assert.equal(headers['idempotency-key'], page.idempotencyKey)
  })

  it('a text goes as text, or as its user’s header says', async (t) => {
    const plain = await (await hook(t, { body: '{{action}} {{summary}}' }))()
    assert.deepEqual(
      [plain.text, plain.headers['content-type']],
      ['trigger 0.97 for 30 s', 'text/plain; charset=utf-8'],
    )
    const form = { body: 'x={{action}}', headers: { 'Content-Type': 'application/x-www-form-urlencoded' } }
    assert.equal((await (await hook(t, form))()).headers['content-type'], 'application/x-www-form-urlencoded')
  })

  it('one that grows too large is given up for the plain one, never the page', async (t) => {
    const body = { all: Array.from({ length: 300 }, () => '{{summary}}{{host}}') }
    const send = await hook(t, { body })
    const { text } = await send({ summary: 'x'.repeat(60_000), host: 'h'.repeat(5_000) })
    assert.ok(text.length < 512_000, `${text.length}`)
    assert.equal((JSON.parse(text) as { id: string }).id, page.idempotencyKey)
    assert.deepEqual(Object.keys(JSON.parse((await send()).text) as object), ['all'], 'the next page has its own again')
    const line = await hook(t, { body: '{{summary}}'.repeat(20) })
    const long = await line({ summary: 'x'.repeat(60_000) })
    assert.match(long.text, /^x{999}…x/, 'what is cut fits')
    const never = await hook(t, { body: '{{summary}}'.repeat(1_000) })
    const plain = await never({ summary: 'x'.repeat(60_000) })
    assert.match(plain.text, /^trigger critical: x{60000} \(log-1\/0\/17\/0\/9a8b\)$/)
    assert.equal(plain.headers['content-type'], 'text/plain; charset=utf-8')
  })

  it('has each field of the plain body, and bounds', () => {
    assert.throws(() => templateOf({ a: [{ b: '{{nope}}' }] }, ['summary']), /there is no field \{\{nope\}\}/)
    let deep: unknown = 'x'
    for (let depth = 0; depth < 30; depth++) deep = [deep]
    assert.throws(() => templateOf(deep, []), /more than 20 blocks/)
    assert.throws(() => templateOf('{{constructor}}', ['summary']), /there is no field/)
  })
})

describe('signatures', () => {
  it('are those of Standard Webhooks', async (t) => {
    const send = await hook(t, { signingSecret: { env: 'KEY' }, body: '{{severity}}: {{summary}}' })
    const { text, headers } = await send()
    assert.equal(text, 'critical: 0.97 for 30 s')
    assert.equal(headers['webhook-id'], page.idempotencyKey)
    assert.equal(headers['webhook-timestamp'], '1795262400')
    // by the library standardwebhooks 1.1.1, from the same secret, id, time and body
    assert.equal(headers['webhook-signature'], 'v1,T47v/5H3GRbVhChEU1nQpr2cw+d7Ex5hzfNIMolrTKo=')
  })

  it('any text is a secret', async (t) => {
    const { headers } = await (await hook(t, { signingSecret: { env: 'PLAIN' } }))()
    assert.match(headers['webhook-signature'] as string, /^v1,[A-Za-z0-9+/]{43}=$/)
  })
})

it('a key with letters that a header cannot have is written so that it can', async (t) => {
  // the name of an instance stands in the keys of alarms about the log
  const { headers } = await (await hook(t, {}))({ idempotencyKey: 'log-1.cannot-own.сервер 1\r\nX: y' })
  assert.equal(headers['idempotency-key'], `log-1.cannot-own.${encodeURIComponent('сервер')}%201%0D%0AX:%20y`)
  assert.equal(headers.x, undefined)
})
