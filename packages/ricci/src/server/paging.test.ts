// From an event through a server's rules to receivers of every kind, and what is told of that on the way.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, it } from 'node:test'
import { SMTPServer } from 'smtp-server'
import { CertificateAuthority, without } from '@ricci/testkit'
import { parseConfig } from '../config/config.ts'
import { receiverKinds } from '../receivers/kinds.ts'
import { bodyOf, httpServer } from '../receivers/testing.ts'
import { Bench } from './testing.ts'

let bench: Bench
beforeEach(() => (bench = new Bench()))
afterEach(() => bench.close())

const pages = (to: string): string => `import { incident, index, rules } from 'ricci'
export default rules(index(), incident('bad', { bad: 'state = "bad"', to: ${to} }))
`

async function serve(receivers: object, env: Record<string, string>) {
  const { receivers: configured, engine } = parseConfig(JSON.stringify({ receivers }), 'test.json', { env })
  const server = bench.server({ config: bench.config({ receivers: configured, engine }) })
  const { tcp, http } = await server.start()
  await server.ready()
  return { server, client: bench.client(tcp), url: `http://${http}` }
}

const whatever = 'whatever a receiver says back, no secret is in the log, the log of records, a page or an answer'
it(whatever, { skip: without('openssl') }, async (t) => {
  const secrets = ['bearer', 'signing', 'routing', 'token', 'hook', 'password', 'apikey']
  const env = Object.fromEntries(secrets.map((name) => [name, `S3CRET-of-${name}-4711`]))
  const echo = await httpServer(t, async (request, response) => {
    const all = JSON.stringify([request.url, request.headers, await bodyOf(request)])
    // the part of the message that is kept, where the secrets are
    const found = Object.values(env).filter((secret) => all.includes(secret))
    response.writeHead(400).end(`${found.join(' ')} ${all}`)
  })
  const authority = await CertificateAuthority.create(bench.folder)
  const { cert, key } = await authority.issue('mail')
  const mail = new SMTPServer({
    ...{ cert, key },
    onAuth: ({ password }, _session, done) => done(Object.assign(new Error(`no, ${password}`), { responseCode: 535 })),
  })
  mail.on('error', () => undefined)
  await new Promise<void>((resolve) => void mail.listen(0, '127.0.0.1', resolve))
  t.after(() => new Promise<void>((resolve) => mail.close(resolve)))
  const { port } = mail.server.address() as AddressInfo
  const receivers: Record<string, Record<string, unknown> & { type: string }> = {
    a: { type: 'webhook', url: echo, headers: { Authorization: { env: 'bearer' } }, signingSecret: { env: 'signing' } },
    b: { type: 'pagerduty', url: echo, routingKey: { env: 'routing' } },
    c: { type: 'slack', url: echo, token: { env: 'token' }, channel: 'C0123ABCD' },
    d: { type: 'slack-webhook', url: `${new URL('/', echo).href}${env.hook}` },
    e: {
      ...{ type: 'email', host: '127.0.0.1', port, user: 'ricci', password: { env: 'password' }, ca: authority.file },
      ...{ from: 'ricci@example.com', to: ['ops@example.com'] },
    },
    f: { type: 'datadog', url: echo, apiKey: { env: 'apikey' } },
  }
  assert.deepEqual(
    Object.values(receivers).map(({ type }) => type),
    receiverKinds.map(({ type }) => type).filter((type) => type !== 'console'),
  )
  bench.writeRules(pages(JSON.stringify(Object.keys(receivers))))
  const { server, client, url } = await serve(receivers, env)
  await client.send([{ host: 'web', service: 's', state: 'bad' }])
  for (const name of Object.keys(receivers))
    await bench.said(new RegExp(`page refused: trigger.*receiver=${name}$`, 'm'))
  const answers = await Promise.all(
    ['api/v1/incidents', 'api/v1/status', 'api/v1/receivers', 'metrics'].map(async (path) =>
      (await fetch(`${url}/${path}`)).text(),
    ),
  )
  await server.stop()
  const written = readdirSync(bench.folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('rules'))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
  assert.ok(
    written.some((text) => text.includes('(secret)')),
    'what was said is written',
  )
  const told = [...bench.logged, ...bench.lines, ...answers, ...written].join('\n')
  assert.doesNotMatch(told, /S3CRET/)
  for (const secret of Object.values(env)) assert.ok(!told.includes(Buffer.from(secret).toString('base64')))
})

it('an incident of many hosts is one message in Slack, which its buttons and its end change', async (t) => {
  const calls: { method: string; text: string; ts: string | undefined; button: string | undefined }[] = []
  let answered = (): void => undefined
  const url = await httpServer(t, async (request, response) => {
    const { text, ts, blocks } = JSON.parse(await bodyOf(request)) as {
      text: string
      ts?: string
      blocks: { elements?: { value: string }[] }[]
    }
    calls.push({ method: request.url!.slice(1), text, ts, button: blocks[1]?.elements?.[0].value })
    response.writeHead(200).end('{"ok":true,"ts":"1.000001"}', () => answered())
  })
  const next = () => new Promise<void>((resolve) => (answered = resolve))
  bench.writeRules(pages(`'room', key: 'host', group: 'service'`))
  const room = {
    ...{ type: 'slack', url: new URL('/', url).href, channel: 'C0123ABCD' },
    ...{ token: { env: 'TOKEN' }, signingSecret: { env: 'SIGNS' } },
  }
  const { client, url: here } = await serve({ room }, { TOKEN: 'xoxb-1', SIGNS: 'a secret' })
  const press = async (actionId: string, key: string, at: string) => {
    const action = { type: 'button', action_id: actionId, value: key, action_ts: at }
    const pressed = { type: 'block_actions', user: { id: 'U0ANN', name: 'ann' }, actions: [action] }
    const body = new URLSearchParams({ payload: JSON.stringify(pressed) }).toString()
    const seconds = String(Math.floor(Date.now() / 1_000))
    const signature = createHmac('sha256', 'a secret').update(`v0:${seconds}:${body}`).digest('hex')
    const headers = {
      'content-type': 'application/x-www-form-urlencoded',
      ...{ 'x-slack-request-timestamp': seconds, 'x-slack-signature': `v0=${signature}` },
    }
    const answer = await fetch(`${here}/hooks/room`, { method: 'POST', headers, body })
    return [answer.status, ((await answer.json()) as { did?: string; code?: string }).did]
  }
  const steps = [
    () => client.send(['web-1', 'web-2'].map((host) => ({ host, service: 'web', state: 'bad' }))),
    async () =>
      assert.deepEqual(await press('ricci_acknowledge', calls[0].button!, '1700000042.840180'), [200, 'acknowledged']),
    () => client.send(['web-1', 'web-2'].map((host) => ({ host, service: 'web', state: 'ok' }))),
  ]
  for (const step of steps) {
    const came = next()
    await step()
    await came
  }
  const button = calls[0].button!
  assert.deepEqual(calls, [
    { method: 'chat.postMessage', text: 'PAGE: bad: web-1 web bad', ts: undefined, button },
    { method: 'chat.update', text: 'TAKEN ON: taken on by ann (U0ANN): bad: web-1 web bad', ts: '1.000001', button },
    {
      ...{ method: 'chat.update', ts: '1.000001', button: undefined },
      text: 'RESOLVED: none of its 2 is bad any more: bad: web-2 web ok',
    },
  ])
  assert.deepEqual(await press('ricci_resolve', button, '1700000050.5'), [409, undefined], 'it is over')
})
