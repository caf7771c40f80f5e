import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { CommandRequest } from '../incidents/incident-commands.ts'
import type { IncidentsRequest } from './backend.ts'
import { serve } from './testing.ts'

describe('incidents over HTTP', () => {
  it('are listed by what is asked for', async () => {
    const asked: IncidentsRequest[] = []
    const { url } = await serve({
      incidents: async (request) => {
        asked.push(request)
        return '{}'
      },
    })
    const get = async (query: string) => (await fetch(`${url}/api/v1/incidents?${query}`)).status
    assert.equal(await get(''), 200)
    assert.equal(await get('incident=0.1.0&kind=closed'), 200)
    assert.equal(await get('rule=cpu&host=h&severity=critical&words=a+b&brief=true&limit=5'), 200)
    assert.deepEqual(asked, [
      { limit: 200, cursor: undefined },
      { limit: 200, cursor: undefined, filter: { refs: ['0.1.0'] }, kinds: ['closed'] },
      {
        limit: 5,
        cursor: undefined,
        filter: { rule: 'cpu', host: 'h', severity: 'critical', words: ['a', 'b'], brief: true },
      },
    ])
    for (const wrong of ['kind=x', 'limit=0', 'incident=', `words=${'a+'.repeat(11)}`]) {
      assert.equal(await get(wrong), 400, wrong)
    }
  })

  it('take commands that make sense, in the name of who asks', async () => {
    const asked: CommandRequest[] = []
    let did: 'acknowledged' | 'pending' = 'acknowledged'
    const { url } = await serve({
      command: async (request, asker) => {
        asked.push(request)
        return { id: asker.who, results: request.incidents.map((ref) => ({ ref, did })) }
      },
    })
    const post = async (body: object) => {
      const response = await fetch(`${url}/api/v1/incidents/commands`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-ricci-user': 'ann' },
        body: JSON.stringify(body),
      })
      return [response.status, (await response.json()) as { id?: string; error?: string; code?: string }] as const
    }
    const good = { command: 'acknowledge', incidents: ['x'], id: 'mine' }
    assert.deepEqual(await post(good), [200, { id: 'local:ann', results: [{ ref: 'x', did }] }])
    assert.deepEqual(asked, [{ ...good, why: '' }])
    did = 'pending'
    assert.equal((await post({ command: 'resolve', incidents: ['x'], why: 'because' }))[0], 202)
    assert.match(asked[1].id, /^[\da-f-]{36}$/, 'who gives no id gets one')
    const nowMs = 1_000_000
    for (const [wrong, sentence] of [
      [{ ...good, command: 'destroy' }, /allowed values/],
      [{ ...good, incidents: [] }, /fewer than 1/],
      [{ ...good, incidents: Array.from({ length: 1_001 }, String) }, /more than 1000/],
      [{ ...good, id: 'a b' }, /pattern/],
      [{ ...good, forMs: 1, untilMs: nowMs + 1 }, /not both/],
      [{ ...good, untilMs: nowMs - 1 }, /has passed/],
      [{ ...good, untilMs: nowMs + 31 * 86_400_000 }, /30 days/],
      [{ ...good, command: 'snooze', why: 'x' }, /needs an end/],
      [{ ...good, command: 'snooze', forMs: 1 }, /say why/],
      [{ ...good, command: 'resolve', why: ' ' }, /say why/],
      [{ ...good, command: 'resolve', why: 'x', forMs: 1 }, /holds for no time/],
    ] as const) {
      const [status, { error = '' }] = await post(wrong)
      assert.equal(status, 400, error)
      assert.match(error, sentence)
    }
    assert.equal(asked.length, 2)
  })
})
