import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { WebSocket } from 'ws'
import type { AuditEntry } from '../access/audit.ts'
import type { Role } from '../access/role.ts'
import { hashOf } from '../access/token.ts'
import type { ClusterBackend } from './backend.ts'
import { Guard } from './guard.ts'
import { serve, testAccess } from './testing.ts'

const tokens = (['viewer', 'operator', 'admin'] as const).map((role) => ({
  name: `a-${role}`,
  role,
  sha256: hashOf(`secret of ${role}`),
}))

/** A proxy on this machine asks for somebody elsewhere. */
const elsewhere = { 'x-forwarded-for': '10.0.0.1' }
const bearer = (role: string) => ({ authorization: `Bearer secret of ${role}` })
const json = { 'content-type': 'application/json' }

describe('who may ask', () => {
  const local = '127.0.0.1'
  const far = '10.0.0.1'
  type Case = readonly [from: string, shown: Role | 'wrong' | undefined, route: object, plain: number, required: number]
  const cases: readonly Case[] = [
    [local, undefined, { role: 'viewer' }, 200, 401],
    [local, undefined, { role: 'admin' }, 200, 401],
    [far, undefined, { role: 'viewer' }, 200, 401],
    [far, undefined, { role: 'operator' }, 401, 401],
    [far, undefined, { role: 'operator', takesEvents: true }, 200, 401],
    [far, undefined, { role: 'viewer', isOpen: true }, 200, 200],
    [far, 'wrong', { role: 'viewer', isOpen: true }, 200, 200],
    [far, undefined, {}, 200, 401],
    [far, 'viewer', { role: 'viewer' }, 200, 200],
    [far, 'viewer', { role: 'operator' }, 403, 403],
    [far, 'viewer', { role: 'operator', takesEvents: true }, 200, 403],
    [far, 'operator', { role: 'operator' }, 200, 200],
    [far, 'operator', { role: 'admin' }, 403, 403],
    [far, 'admin', { role: 'operator' }, 200, 200],
    // who shows a token is who it says, from this machine too
    [local, 'viewer', { role: 'admin' }, 403, 403],
    [local, 'wrong', { role: 'viewer' }, 401, 401],
    [far, 'wrong', { role: 'viewer' }, 401, 401],
  ]
  for (const [remoteAddress, shown, route, ...statuses] of cases) {
    it(`from ${remoteAddress} with ${shown ?? 'no'} token at ${JSON.stringify(route)}: ${statuses.join(', ')}`, () => {
      for (const [i, requireToken] of [false, true].entries()) {
        const access = testAccess({ tokens, requireToken })
        const guard = new Guard({ access, telemetry: { callerRefused: () => undefined }, monotonicMs: () => 0 })
        const headers = { host: '127.0.0.1:5556', ...(shown === undefined ? {} : bearer(shown)) }
        const { refusal } = guard.judge({ headers, socket: { remoteAddress } }, route)
        assert.equal(refusal?.status ?? 200, statuses[i], String(requireToken))
      }
    })
  }

  for (const [headers, isLocal] of [
    [{ host: 'localhost:5556' }, true],
    [{ host: '[::1]:5556', origin: 'http://localhost:3000' }, true],
    [{ host: 'evil.example:5556' }, false],
    [{ host: '127.0.0.1:5556', origin: 'https://evil.example' }, false],
    [{ host: '127.0.0.1:5556', origin: 'null' }, false],
    [{}, false],
  ] as const) {
    it(`${JSON.stringify(headers)} from this machine ${isLocal ? 'is a program here' : 'is a page of elsewhere, or nobody knows'}`, () => {
      const options = { telemetry: { callerRefused: () => undefined }, monotonicMs: () => 0 }
      const guard = new Guard({ access: testAccess({ tokens }), ...options })
      const { refusal } = guard.judge({ headers, socket: { remoteAddress: '127.0.0.1' } }, { role: 'admin' })
      assert.equal(refusal === undefined, isLocal)
    })
  }

  it('counts wrong tokens of an address, and locks nobody out who shows a right one', () => {
    let nowMs = 0
    const refused: string[] = []
    const guard = new Guard({
      access: testAccess({ tokens }),
      telemetry: { callerRefused: (reason) => refused.push(reason) },
      monotonicMs: () => nowMs,
    })
    const ask = (shown: string, remoteAddress = far) =>
      guard.judge({ headers: bearer(shown), socket: { remoteAddress } }, { role: 'viewer' }).refusal
    for (let i = 0; i < 20; i++) assert.equal(ask('wrong')?.status, 401)
    const { status, code, headers } = ask('wrong')!
    assert.deepEqual([status, code, headers?.['retry-after']], [429, 'TOO_MANY_ATTEMPTS', '60'])
    assert.equal(ask('viewer'), undefined)
    assert.equal(ask('wrong', '10.0.0.2')?.status, 401)
    nowMs = 60_000
    assert.equal(ask('wrong')?.status, 401)
    assert.deepEqual([refused.length, refused[20]], [23, 'too-many'])
  })

  it('takes only what is shown as a bearer token, and a proxy’s own login as nothing', () => {
    const guard = new Guard({
      access: testAccess({ tokens }),
      telemetry: { callerRefused: () => undefined },
      monotonicMs: () => 0,
    })
    const ask = (authorization: string) =>
      guard.judge({ headers: { authorization }, socket: { remoteAddress: far } }, { role: 'viewer' })
    assert.deepEqual(ask('Basic YTpi'), {})
    for (const text of ['bearer secret of admin', 'Bearer  secret of admin '])
      assert.deepEqual(ask(text), { token: { name: 'a-admin', role: 'admin' } })
    for (const text of ['Bearer', 'Bearer ', 'Bearer é']) assert.equal(ask(text).refusal?.code, 'TOKEN_INVALID')
  })
})

describe('tokens over HTTP', () => {
  const cluster = (): ClusterBackend => ({
    status: () => assert.fail(),
    explain: () => assert.fail(),
    drain: async () => undefined,
  })

  it('says how to come by one, which role is wanted, and that one does not hold', async () => {
    const { url, telemetry } = await serve({ cluster }, { access: testAccess({ tokens }) })
    const drain = async (headers: Record<string, string>) => {
      const body = JSON.stringify({ instance: 'here', drain: true })
      const answer = await fetch(`${url}/api/v1/cluster/drain`, {
        ...{ method: 'POST', body },
        headers: { ...json, ...elsewhere, ...headers },
      })
      const { error, code } = (await answer.json()) as { error?: string; code?: string }
      return [answer.status, code, answer.headers.get('www-authenticate'), error] as const
    }
    const [status, code, challenge, error] = await drain({})
    assert.deepEqual([status, code, challenge], [401, 'TOKEN_REQUIRED', 'Bearer realm="ricci"'])
    assert.match(error!, /ricci token create/)
    assert.deepEqual((await drain(bearer('nobody'))).slice(0, 2), [401, 'TOKEN_INVALID'])
    const weak = await drain(bearer('operator'))
    assert.deepEqual(weak.slice(0, 2), [403, 'ROLE_TOO_WEAK'])
    assert.match(weak[3]!, /role admin; that of "a-operator" is of role operator/)
    assert.equal((await drain(bearer('admin')))[0], 200)
    const { values } = await telemetry.metrics.callersRefused.get()
    assert.deepEqual(
      values.map(({ labels, value }) => [labels.reason, value]),
      [
        ['none', 1],
        ['unknown', 1],
        ['weak', 1],
      ],
    )
  })

  it('makes one, lists it without its secret, and refuses it once it is revoked', async () => {
    const { url } = await serve({}, { access: testAccess({ tokens }) })
    const headers = { ...json, ...elsewhere, ...bearer('admin') }
    const post = (path: string, body: object) =>
      fetch(`${url}/api/v1/${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    const made = await post('tokens', { name: 'ci', role: 'viewer', expiresInMs: 3_600_000 })
    assert.equal(made.headers.get('cache-control'), 'no-store')
    const { token } = (await made.json()) as { token: string }
    const status = (authorization: string) =>
      fetch(`${url}/api/v1/receivers`, { headers: { authorization } }).then((answer) => answer.status)
    assert.equal(await status(`Bearer ${token}`), 200)
    const list = await (await fetch(`${url}/api/v1/tokens`, { headers })).text()
    assert.ok(list.includes('"name":"ci"') && !list.includes(token) && !list.includes(hashOf(token)))
    assert.equal((await post('tokens', { name: 'ci', role: 'viewer' })).status, 409)
    for (const wrong of [
      { name: 'a b', role: 'viewer' },
      { name: 'local', role: 'viewer' },
      { name: 'x', role: 'root' },
    ])
      assert.equal((await post('tokens', wrong)).status, 400)
    assert.equal((await post('tokens/ci/revoke', { why: 'leaked' })).status, 200)
    assert.equal(await status(`Bearer ${token}`), 401)
    assert.equal((await post('tokens/ci/revoke', {})).status, 404)
  })

  it('writes down what was asked, by whom, from where, why and what came of it', async () => {
    const { url } = await serve({ cluster }, { access: testAccess({ tokens }) })
    const ask = (path: string, body: object | string, headers: object) =>
      fetch(`${url}${path}`, {
        ...{ method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) },
        headers: { ...json, ...headers },
      })
    const drain = { instance: 'here', drain: true, why: 'a new disk' }
    await ask('/api/v1/cluster/drain', drain, { 'x-ricci-user': 'ana' })
    await ask('/api/v1/cluster/drain', drain, { ...elsewhere, ...bearer('operator') })
    await ask('/api/v1/cluster/drain', { instance: '', drain: true }, bearer('admin'))
    // who is not known leaves a metric and a line of the log, and no entry
    await ask('/api/v1/cluster/drain', drain, elsewhere)
    await ask('/api/v1/events', '{', {})
    const answer = await fetch(`${url}/api/v1/audit`, { headers: bearer('operator') })
    const { entries, unreached } = (await answer.json()) as { entries: AuditEntry[]; unreached: string[] }
    assert.deepEqual(unreached, [])
    const what = 'POST /api/v1/cluster/drain'
    const given = { arguments: { instance: 'here', drain: true }, why: 'a new disk' }
    assert.deepEqual(
      entries.toReversed().map(({ atMs, ...entry }) => [atMs > 0, entry]),
      [
        [true, { instance: 'here', who: 'local:ana', from: '127.0.0.1', what, ...given, status: 200 }],
        [
          true,
          {
            ...{ instance: 'here', who: 'a-operator', from: '127.0.0.1', role: 'operator', what, status: 403 },
            code: 'ROLE_TOO_WEAK',
          },
        ],
        [
          true,
          {
            ...{ instance: 'here', who: 'a-admin', from: '127.0.0.1', role: 'admin', what, status: 400, code: 'USAGE' },
            arguments: { instance: '', drain: true },
          },
        ],
      ],
    )
    assert.equal((await fetch(`${url}/api/v1/audit`, { headers: bearer('viewer') })).status, 403)
  })

  it('answers nothing but health where a token is required', async () => {
    const { url } = await serve({}, { access: testAccess({ tokens, requireToken: true }) })
    for (const [path, headers, status] of [
      ['/healthz', {}, 200],
      ['/readyz', {}, 200],
      ['/metrics', {}, 401],
      ['/metrics', bearer('viewer'), 200],
      ['/api/v1/status', {}, 401],
      ['/nothing', {}, 401],
    ] as const)
      assert.equal((await fetch(url + path, { headers })).status, status, path)
    const events = (headers: object) =>
      fetch(`${url}/events`, { method: 'POST', body: '[]', headers: { ...headers } }).then(({ status }) => status)
    assert.deepEqual(
      [await events({}), await events(bearer('viewer')), await events(bearer('operator'))],
      [401, 403, 200],
    )
    for (const [path, headers, refused] of [
      ['/index?query=true', {}, /401/],
      ['/index?query=true', bearer('viewer'), undefined],
      ['/events', bearer('viewer'), /403/],
      ['/events', bearer('operator'), undefined],
    ] as const) {
      const socket = new WebSocket(url.replace('http', 'ws') + path, { headers })
      const error = await new Promise<Error | undefined>((resolve) => {
        socket.on('open', () => resolve(undefined))
        socket.on('error', resolve)
      })
      if (refused === undefined) assert.equal(error, undefined)
      else assert.match(String(error), refused)
      socket.close()
    }
  })

  it('answers so many requests of a caller a minute, and health and metrics always', async () => {
    const { url } = await serve({}, { access: testAccess({ tokens }), requestsPerMinute: 2 })
    const ask = async (path: string, headers: object = {}) => {
      const answer = await fetch(url + path, { headers: { ...headers } })
      return [answer.status, answer.headers.has('retry-after'), await answer.text()] as const
    }
    for (let i = 0; i < 2; i++) assert.equal((await ask('/api/v1/receivers'))[0], 200)
    const [status, hasRetryAfter, text] = await ask('/api/v1/receivers')
    assert.deepEqual([status, hasRetryAfter], [429, true])
    assert.match(text, /"RATE_LIMITED"/)
    assert.equal((await ask('/healthz'))[0], 200)
    assert.equal((await ask('/metrics'))[0], 200)
    // a token is another caller
    assert.equal((await ask('/api/v1/receivers', bearer('viewer')))[0], 200)
  })
})
