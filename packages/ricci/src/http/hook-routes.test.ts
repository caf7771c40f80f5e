import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, it } from 'node:test'
import { Secret } from '../config/secret.ts'
import { RicciError } from '../errors.ts'
import type { Asker, CommandRequest } from '../incidents/incident-commands.ts'
import { pagerDutyInbound } from '../receivers/inbound.ts'
import { serve } from './testing.ts'

const nowMs = 1_000_000
const inbound = pagerDutyInbound(new Secret('a secret'))

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

async function started(fails?: Error) {
  const asked: (CommandRequest & Asker)[] = []
  const { url, telemetry } = await serve({
    inbound: (receiver) => (receiver === 'oncall' ? inbound : undefined),
    command: async (request, asker) => {
      asked.push({ ...request, ...asker })
      if (fails !== undefined) throw fails
      return { id: request.id, results: [{ ref: request.incidents[0], did: 'acknowledged' }] }
    },
  })
  const post = async (body: string, signature: string | undefined, receiver = 'oncall') => {
    const headers = {
      'content-type': 'application/json',
      ...(signature !== undefined && { 'x-pagerduty-signature': signature }),
    }
    const response = await fetch(`${url}/hooks/${receiver}`, { method: 'POST', headers, body })
    return [response.status, (await response.json()) as { did?: string; code?: string }] as const
  }
  return { asked, post, telemetry }
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
