import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, it } from 'node:test'
import { Secret } from '../config/secret.ts'
import { RicciError } from '../errors.ts'
import type { Asker, CommandRequest } from '../incidents/incident-commands.ts'
import { pagerDutyInbound } from '../receivers/pagerduty-inbound.ts'
import type { Inbound } from '../receivers/inbound.ts'
import { slackInbound } from '../receivers/slack-inbound.ts'
import { serve } from './testing.ts'

const nowMs = 1_000_000
const inbounds: ReadonlyMap<string, Inbound> = new Map([
  ['oncall', pagerDutyInbound(new Secret('a secret'))],
  ['room', slackInbound(new Secret('a secret'))],
])

const message = (more: object = {}) => ({
  event: {
    id: 'e1',
    event_type: 'incident.acknowledged',
    occurred_at: new Date(nowMs - 1_000).toISOString(),
    agent: { type: 'user_reference', summary: 'Ann\u001b' },
    data: { type: 'incident', incident_key: 'the key' },
    ...more,
  },
})

const sign = (body: string, secret = 'a secret') => `v1=${createHmac('sha256', secret).update(body).digest('hex')}`

const slackSign = (body: string, seconds: number, secret = 'a secret') =>
  `v0=${createHmac('sha256', secret).update(`v0:${seconds}:${body}`).digest('hex')}`

const form = (payload: unknown) => new URLSearchParams({ payload: JSON.stringify(payload) }).toString()

/** What Slack says of a button that was pressed. */
const pressed = (action: object = {}, more: object = {}) =>
  form({
    type: 'block_actions',
    user: { id: 'U0ANN', username: 'ann', name: 'ann', team_id: 'T1' },
    container: { type: 'message', message_ts: '1700000000.000100', channel_id: 'C0123ABCD' },
    actions: [
      {
        ...{ type: 'button', action_id: 'ricci_acknowledge', block_id: 'x7', value: 'the key' },
        action_ts: '1700000042.840180',
        ...action,
      },
    ],
    ...more,
  })

async function started(fails?: Error) {
  const asked: (CommandRequest & Asker)[] = []
  const { url, telemetry } = await serve({
    inbound: (receiver) => inbounds.get(receiver),
    command: async (request, asker) => {
      asked.push({ ...request, ...asker })
      if (fails !== undefined) throw fails
      return { id: request.id, results: [{ ref: request.incidents[0], did: 'acknowledged' }] }
    },
  })
  const send = async (receiver: string, headers: Record<string, string>, body: string) => {
    const response = await fetch(`${url}/hooks/${receiver}`, { method: 'POST', headers, body })
    return [response.status, (await response.json()) as { did?: string; code?: string; error?: string }] as const
  }
  const post = async (body: string, signature: string | undefined, receiver = 'oncall') => {
    const signed: Record<string, string> = signature === undefined ? {} : { 'x-pagerduty-signature': signature }
    return send(receiver, { 'content-type': 'application/json', ...signed }, body)
  }
  /** As Slack sends it, but for what is changed. */
  const press = async (body: string, change: Record<string, string> = {}, seconds = nowMs / 1_000) => {
    const headers = {
      'content-type': 'application/x-www-form-urlencoded',
      'x-slack-request-timestamp': String(seconds),
      'x-slack-signature': slackSign(body, seconds),
    }
    return send('room', { ...headers, ...change }, body)
  }
  return { asked, post, press, telemetry, url }
}

describe('what people did at PagerDuty', () => {
  it('becomes a command, in the name of who did it, once for each message', async () => {
    const { asked, post } = await started()
    const body = JSON.stringify(message())
    assert.deepEqual(await post(body, `${sign(body, 'an old one')},${sign(body)}`), [200, { did: 'acknowledged' }])
    assert.deepEqual(asked, [
      {
        ...{ command: 'acknowledge', id: 'hook/oncall/e1', incidents: ['the key'], why: 'at oncall', via: 'oncall' },
        ...{ who: 'Ann ', from: asked[0].from },
      },
    ])
    const resolved = JSON.stringify(message({ event_type: 'incident.resolved' }))
    await post(resolved, sign(resolved))
    assert.equal(asked[1].command, 'resolve')
  })

  it('is nothing where no person did it, it is old, or no concern of ours', async () => {
    const { asked, post } = await started()
    for (const more of [
      { event_type: 'incident.triggered' },
      { agent: { type: 'integration_reference', summary: 'Ricci' } },
      { agent: null },
      { occurred_at: new Date(nowMs - 25 * 3_600_000).toISOString() },
      { occurred_at: new Date(nowMs + 3_600_000).toISOString() },
      { occurred_at: 'nonsense' },
      { data: {} },
      { id: 7 },
    ]) {
      const body = JSON.stringify(message(more))
      assert.deepEqual(await post(body, sign(body)), [200, { did: 'nothing' }], body)
    }
    for (const body of ['{}', '[]', 'null', '"x"'])
      assert.deepEqual(await post(body, sign(body)), [200, { did: 'nothing' }])
    assert.equal(asked.length, 0)
  })

  it('is refused without the signature of its bytes, and where nothing is set up', async () => {
    const { asked, post } = await started()
    const body = JSON.stringify(message())
    for (const signature of [
      undefined,
      '',
      'v1=',
      sign(body, 'wrong'),
      sign(`${body} `),
      sign(body).toUpperCase(),
      'v1=é',
    ]) {
      const encoded = signature === undefined ? undefined : encodeURI(signature)
      const [status, { code }] = await post(body, encoded)
      assert.deepEqual([status, code], [401, 'NOT_SIGNED'], signature)
    }
    assert.equal((await post(body, sign(body), 'other'))[0], 404)
    assert.equal((await post('not json', sign('not json')))[0], 400)
    const large = JSON.stringify({ x: 'x'.repeat(300_000) })
    assert.equal((await post(large, sign(large)))[0], 413)
    assert.equal(asked.length, 0)
  })

  it('is answered so that it is told again where that may help, and only there', async () => {
    const body = JSON.stringify(message())
    for (const [code, status] of [
      ['NO_INCIDENT', 200],
      ['INCIDENT_CLOSED', 200],
      ['ENGINE_AWAY', 503],
      ['NOT_RUNNING', 503],
    ] as const) {
      const { post } = await started(new RicciError(code, 'no'))
      assert.equal((await post(body, sign(body)))[0], status, code)
    }
  })
})

describe('a button at Slack', () => {
  it('becomes a command, in the name and under the id of who pressed it, and the room is to be told', async () => {
    const { asked, press } = await started()
    const body = pressed()
    assert.deepEqual(await press(body), [200, { did: 'acknowledged' }])
    assert.deepEqual(asked, [
      {
        ...{ command: 'acknowledge', id: 'hook/room/U0ANN/1700000042.840180', incidents: ['the key'], why: 'at room' },
        ...{ who: 'ann (U0ANN)', from: asked[0].from },
      },
    ])
    await press(pressed({ action_id: 'ricci_resolve' }, { user: { id: 'W1', name: `b\n${'o'.repeat(200)}b` } }))
    assert.equal(asked[1].command, 'resolve')
    assert.match(asked[1].who, /^b o{57}… \(W1\)$/)
    // somebody's recording: the same command, which acts once
    await press(body)
    assert.equal(asked[2].id, asked[0].id)
  })

  it('is nothing where it is none of ours', async () => {
    const { asked, press } = await started()
    for (const body of [
      pressed({ action_id: 'another_apps' }),
      pressed({ value: '' }),
      pressed({ value: 7 }),
      pressed({ value: 'k'.repeat(2_001) }),
      pressed({ action_ts: 'now' }),
      pressed({}, { type: 'view_submission' }),
      pressed({}, { actions: [] }),
      pressed({}, { user: { name: 'nobody' } }),
      pressed({}, { user: { id: 'U0 <!channel>', name: 'x' } }),
      ...[null, 7, 'x', []].map(form),
      ...['', 'payload=', 'payload=%7B', 'ssl_check=1', '__proto__=1'],
    ]) {
      assert.deepEqual(await press(body), [200, { did: 'nothing' }], body)
    }
    assert.equal(asked.length, 0)
  })

  it('is refused where it is forged, changed, stale or of a time to come', async () => {
    const { asked, press } = await started()
    const body = pressed()
    const now = nowMs / 1_000
    const cases: [what: string, change: Record<string, string>, seconds?: number][] = [
      ['another secret', { 'x-slack-signature': slackSign(body, now, 'wrong') }],
      ['other bytes', { 'x-slack-signature': slackSign(`${body}&a=1`, now) }],
      ['another time', { 'x-slack-request-timestamp': String(now + 1) }],
      ['another version', { 'x-slack-signature': slackSign(body, now).replace('v0', 'v1') }],
      ['no signature', { 'x-slack-signature': '' }],
      ['no time', { 'x-slack-request-timestamp': '' }],
    ]
    for (const [what, change] of cases) {
      const [status, { code, error }] = await press(body, change)
      assert.deepEqual([status, code], [401, 'NOT_SIGNED'], what)
      assert.match(error!, /^The signature is missing/, what)
    }
    for (const [seconds, said] of [
      [now - 301, /of 301 s ago.*clock/],
      [now + 301, /of 301 s to come/],
      [NaN, /^The signature/],
    ] as const) {
      const [status, { code, error }] = await press(body, {}, seconds)
      assert.deepEqual([status, code], [401, 'NOT_SIGNED'])
      assert.match(error!, said)
    }
    assert.equal((await press(body, {}, now - 299))[0], 200)
    assert.equal((await press(form('x'.repeat(300_000))))[0], 413)
    assert.equal(asked.length, 1)
  })

  it('says to who pressed it when nothing was done', async () => {
    for (const [code, status] of [
      ['NO_INCIDENT', 404],
      ['INCIDENT_CLOSED', 409],
      ['ENGINE_AWAY', 503],
    ] as const) {
      const { press } = await started(new RicciError(code, 'no'))
      assert.equal((await press(pressed()))[0], status, code)
    }
  })

  it('takes forms at hooks alone: a page of anybody could have a browser send one', async () => {
    const { url } = await started()
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    for (const route of ['drill', 'incidents/commands'])
      assert.equal((await fetch(`${url}/api/v1/${route}`, { method: 'POST', headers, body: pressed() })).status, 415)
  })
})
