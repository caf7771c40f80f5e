import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { ConsulCluster, HttpMeddler, without, type MeddledRequest } from '@ricci/testkit'
import { Election, ElectionGroup, systemClock, type Clock, type StoreSession, type Term } from '../index.ts'
import { consul } from './consul.ts'

const live = (): AbortSignal => AbortSignal.timeout(20_000)

/** Resolves with the value of the next such event. */
function next(election: Election, event: 'elected' | 'deposed' | 'suspended'): Promise<unknown> {
  return new Promise((resolve) => election.once(event, resolve))
}

describe('Consul, where it or something before it behaves oddly', { skip: without('consul'), timeout: 60_000 }, () => {
  let cluster: ConsulCluster
  let meddler: HttpMeddler
  let prefix: string
  let tests = 0
  const warnings: string[] = []
  before(async () => {
    cluster = await ConsulCluster.start({ dev: true })
    meddler = await HttpMeddler.start(cluster.agents[0].url)
  })
  beforeEach(() => {
    prefix = `trap-${++tests}`
    warnings.length = 0
    meddler.onRequest = (request) => request
    meddler.onAnswer = (_request, answer) => answer
  })
  after(async () => {
    await meddler.close()
    await cluster.stop()
  })

  const store = () => consul({ addresses: meddler.url, prefix })
  const asked = (id: string, clock: Clock = systemClock) => ({
    group: 'g',
    id,
    data: null,
    leaseMs: 1000,
    detectMs: 1000,
    clock,
    random: Math.random,
    signal: live(),
    warn: (message: string) => void warnings.push(message),
  })
  const open = (id = 'a', clock?: Clock): Promise<StoreSession> => store().open(asked(id, clock))
  const election = (id: string): Election =>
    new Election({ name: 'g', id, store: store(), lease: '500ms', detect: '1s' })
  const key = (name: string): string => `/v1/kv/${prefix}/groups/g/${name}`
  const consulJson = async <T>(path: string): Promise<T> => (await cluster.request(0, path)).json<T>()
  /** Services and sessions of this test's that Consul still knows. */
  const left = async (): Promise<string[]> => [
    ...Object.keys(await consulJson<object>('/v1/agent/services')).filter((id) => id.startsWith(`${prefix}:`)),
    ...(await consulJson<{ Name: string; ServiceChecks: { ID: string }[] | null }[]>('/v1/session/list'))
      .filter(({ ServiceChecks }) => ServiceChecks?.some(({ ID }) => ID.startsWith(`${prefix}:`)))
      .map(({ Name }) => Name),
  ]

  it('a session that is made as it was asked for gives no warning, and closing leaves nothing behind', async () => {
    const session = await open()
    assert.equal((await left()).length, 2)
    await session.close(live())
    assert.deepEqual(await left(), [])
    assert.deepEqual(await consulJson(`/v1/kv/${prefix}/?keys`).catch(() => []), [])
    assert.deepEqual(warnings, [])
  })

  it('a body whose length got lost on its way, and which Consul therefore passes over, is noticed', async () => {
    meddler.onRequest = (request) => ({ ...request, chunked: request.path.startsWith('/v1/session/create') })
    await assert.rejects(open(), { code: 'STORE_REFUSED', message: /did not bind the session to our check/ })
    assert.deepEqual(await left(), [])
  })

  it('an older Consul, which knows no ServiceChecks, binds the session through Checks', async () => {
    meddler.onRequest = (request) => {
      if (!request.path.startsWith('/v1/session/create')) return request
      const { NodeChecks: _, ServiceChecks: __, ...known } = JSON.parse(request.body)
      return { ...request, body: JSON.stringify(known) }
    }
    const session = await open()
    assert.deepEqual(warnings, [])
    const [info] = await consulJson<{ Checks: string[] }[]>(`/v1/session/info/${session.id}`)
    assert.ok(info.Checks.some((check) => check.startsWith(`${prefix}:`)))
    await session.close(live())
  })

  it('another lock-delay than was asked for is a warning, and so is another time to live', async () => {
    meddler.onRequest = (request) =>
      request.path.startsWith('/v1/session/create')
        ? { ...request, body: JSON.stringify({ ...JSON.parse(request.body), LockDelay: '3s', TTL: '20s' }) }
        : request
    const session = await open()
    assert.match(warnings.join(), /time to live is "20s".*nobody gets its names for 3000 ms/)
    const free = async () => (await session.read(live())).names.get('x')
    await session.acquire(undefined, 'x', live())
    assert.equal((await session.acquire(await free(), 'x', live())).kind, 'acquired')
    await session.close(live())
    // It gave its names up before it ended: the delay applies to nobody.
    meddler.onRequest = (request) => request
    const other = await open('b')
    const answer = await other.acquire((await other.read(live())).names.get('x'), 'x', live())
    assert.equal(answer.kind, 'acquired')
    await other.close(live())
  })

  it('a member whose check or session somebody removed is told so by its next signs of life', async () => {
    const deeds = [
      { what: 'check', path: (id: string) => `/v1/agent/service/deregister/${id}` },
      { what: 'session', path: (_: string, session: string) => `/v1/session/destroy/${session}` },
    ]
    for (const { what, path } of deeds) {
      let passedMs = 0
      const clock: Clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + passedMs }
      const session = await open(what, clock)
      await session.keepAlive!(live())
      const services = await consulJson<object>('/v1/agent/services')
      const service = Object.keys(services).find((id) => id.startsWith(`${prefix}:${what}:`))!
      await cluster.request(0, path(encodeURIComponent(service), session.id), { method: 'PUT' })
      // The session is renewed every 3 s.
      passedMs = 3000
      await assert.rejects(session.keepAlive!(live()), { code: 'SESSION_LOST' }, what)
      await session.close(live())
    }
    assert.deepEqual(await left(), [])
  })

  it('a session that a new leader of Consul does not know yet is not lost, and is renewed at the next sign of life', async () => {
    let passedMs = 0
    const session = await open('a', { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + passedMs })
    const renewals = (): number => meddler.asked.filter((path) => path.includes(`renew/${session.id}`)).length
    meddler.onAnswer = ({ path }, answer) =>
      path.startsWith('/v1/session/renew') && renewals() === 1 ? { ...answer, status: 404, body: 'not found' } : answer
    passedMs = 3000
    await session.keepAlive!(live())
    assert.equal(renewals(), 1)
    await session.keepAlive!(live())
    assert.equal(renewals(), 2)
    await session.close(live())
  })

  it('the lock-delay of another client is waited out', async () => {
    const a = election('a')
    const events: string[] = []
    a.on('elected', () => events.push('elected'))
    const elected = next(a, 'elected')
    a.stand()
    await elected
    await a.close()
    const created = await cluster.request(0, '/v1/session/create', { body: { LockDelay: '1s' } })
    const foreign = created.json<{ ID: string }>().ID
    await cluster.request(0, `${key('names/leader')}?acquire=${foreign}`, { body: 'mine' })
    const b = election('b')
    const again = next(b, 'elected')
    b.stand()
    const holder = (await store().look('g', live())).names.get('leader')?.holder
    assert.deepEqual(holder, { session: foreign, id: foreign })
    await cluster.request(0, `/v1/session/destroy/${foreign}`, { method: 'PUT' })
    const c = await open('c')
    const answer = await c.acquire((await c.read(live())).names.get('leader'), 'leader', live())
    assert.deepEqual(answer, { kind: 'delayed' })
    await c.close(live())
    await again
    assert.ok(b.isLeader)
    await b.close()
  })

  it('a leader whose key an operator edits, deletes or breaks is deposed at once, and leads again under a higher token', async () => {
    const a = election('a')
    const terms: bigint[] = []
    a.on('elected', ({ token }) => terms.push(token))
    let elected = next(a, 'elected')
    a.stand()
    await elected
    const deeds = [
      () => cluster.request(0, key('names/leader'), { body: 'not even JSON' }),
      () => cluster.request(0, key('names/leader'), { method: 'DELETE' }),
      () => cluster.request(0, key('?recurse'), { method: 'DELETE' }),
      () =>
        cluster.request(0, `${key('names/leader')}?release=${a.state.leader!.session}`, { body: '{"settled":true}' }),
    ]
    for (const deed of deeds) {
      const [deposed] = [next(a, 'deposed'), (elected = next(a, 'elected'))]
      await deed()
      await deposed
      await elected
    }
    assert.deepEqual(
      terms,
      terms.toSorted((x, y) => (x < y ? -1 : 1)),
    )
    assert.equal(new Set(terms).size, deeds.length + 1)
    await a.close()
  })

  it('what an operator puts back from a backup does not say that all is quiet', async () => {
    const session = await open()
    const acquire = async (): Promise<bigint> => {
      const answer = await session.acquire((await session.read(live())).names.get('x'), 'x', live())
      return answer.kind === 'acquired' ? answer.token : acquire()
    }
    await session.release('x', await acquire(), { settled: true }, live())
    const [{ Value }] = await consulJson<{ Value: string }[]>(key('names/x'))
    const backup = Buffer.from(Value, 'base64').toString()
    assert.equal((await session.read(live())).names.get('x')?.settled, true)
    await acquire()
    await cluster.request(0, key('names/x'), { body: backup })
    await session.close(live())
    assert.equal((await store().look('g', live())).names.get('x')?.settled, false)
    await cluster.request(0, key('names/x'), { method: 'DELETE' })
    await cluster.request(0, key('names/x'), { body: backup })
    assert.equal((await store().look('g', live())).names.get('x')?.settled, false)
  })

  it('an acquisition whose answer is lost is found by the next read', async () => {
    let lost = 0
    meddler.onAnswer = ({ path, body }, answer) =>
      path.startsWith('/v1/txn') && body.includes('"lock"') && body.includes('names/') && lost++ === 0 ? 'lost' : answer
    const a = election('a')
    const elected = next(a, 'elected')
    a.stand()
    const { token } = (await elected) as Term
    assert.equal(lost > 0, true)
    assert.equal((await store().look('g', live())).names.get('leader')?.token, token)
    await a.close()
  })

  it('what was published and given up has no effect after what was published later', async () => {
    // Nobody gives signs of life here.
    const a = await store().open({ ...asked('a'), detectMs: 20_000 })
    const reads = async (): Promise<unknown> => (await a.read(live())).members[0].data
    const late: MeddledRequest[] = []
    meddler.onRequest = (request) => {
      if (request.path !== '/v1/txn') return request
      late.push(request)
      throw new Error('held on its way')
    }
    await assert.rejects(a.publish('first', live()), { code: 'STORE_UNAVAILABLE' })
    meddler.onRequest = (request) => request
    meddler.onAnswer = (request, answer) => (request.path === '/v1/txn' ? 'lost' : answer)
    await assert.rejects(a.publish('second', live()), { code: 'STORE_UNAVAILABLE' })
    assert.equal(await reads(), 'second', 'only its answer was lost')
    meddler.onAnswer = (_request, answer) => answer
    await a.publish('third', live())
    for (const { method, path, body } of late) await fetch(cluster.agents[0].url + path, { method, body })
    assert.deepEqual([late.length, await reads()], [1, 'third'])
    await a.publish('fourth', live())
    assert.equal(await reads(), 'fourth')
    await fetch(`${cluster.agents[0].url}${key(`members/${a.id}`)}`, { method: 'DELETE' })
    await assert.rejects(a.publish('back', live()), { code: 'SESSION_LOST' })
    assert.deepEqual((await a.read(live())).members, [])
    await a.close(live())
  })

  it('an agent that has lost its servers is left for another', async () => {
    meddler.onAnswer = ({ path }, answer) =>
      path.startsWith('/v1/session/create') ? { ...answer, status: 500, body: 'No known Consul servers' } : answer
    const addresses = [meddler.url, cluster.agents[0].url]
    const a = new Election({ name: 'g', id: 'a', store: consul({ addresses, prefix }), lease: '500ms' })
    const warned = new Promise<Error>((resolve) => a.once('warning', resolve))
    const elected = next(a, 'elected')
    a.stand()
    assert.match((await warned).message, /makes no session now \(No known Consul servers\)/)
    await elected
    await a.close()
    // So is one that loses them later, though it still takes our signs of life.
    meddler.onAnswer = (_request, answer) => answer
    const b = await consul({ addresses, prefix }).open(asked('b'))
    meddler.onAnswer = ({ path }, answer) =>
      path.startsWith('/v1/kv/') ? { ...answer, status: 500, body: 'No cluster leader' } : answer
    await assert.rejects(b.read(live()), { code: 'STORE_UNAVAILABLE' })
    await b.keepAlive!(live())
    await b.read(live())
    await b.close(live())
  })

  it('what dead members and old requests left behind is removed', async () => {
    const [a, b] = [new ElectionGroup({ name: 'g', id: 'a', store: store() }), await open('b')]
    await b.acquire(undefined, 'x', live())
    const answer = await b.acquire((await b.read(live())).names.get('x'), 'x', live())
    assert.ok(answer.kind === 'acquired')
    await store().request('g', 'x', answer.token, { by: 'a' }, live())
    await cluster.request(0, `/v1/session/destroy/${b.id}`, { method: 'PUT' })
    const removed = new Promise<void>((resolve) => {
      meddler.onAnswer = ({ body }, answer) => {
        if (body.includes('delete-cas') && answer.status === 200) resolve()
        return answer
      }
    })
    a.join()
    await removed
    const keys = await consulJson<string[]>(`/v1/kv/${prefix}/?keys`)
    assert.deepEqual(
      keys.filter((found) => !found.includes(`members/${a.self.session}`)),
      [`${prefix}/groups/g/names/x`],
    )
    await Promise.all([a.close(), b.close(live()).catch(() => undefined)])
  })

  describe('an index', () => {
    const waits = (): string[] =>
      meddler.asked.flatMap((asked) => (asked.includes(`/${prefix}/`) ? (/index=\d+/.exec(asked) ?? []) : []))
    const meddle = (index: (real: number) => number) => {
      meddler.onAnswer = ({ path }, answer) => {
        if (!path.includes('&wait=')) return answer
        const real = Number(answer.headers['x-consul-index'])
        return { ...answer, headers: { ...answer.headers, 'x-consul-index': String(index(real)) } }
      }
    }

    it('that goes back is as good as none', async () => {
      const session = await open()
      const answers = [1_000_000]
      meddle((real) => answers.shift() ?? real)
      meddler.onRequest = (request) => ({ ...request, path: request.path.replace('index=1000000', 'index=1') })
      await session.changed(live())
      // It waits for a number that is long in coming, and a lower one comes.
      await session.changed(live())
      await session.changed(live())
      assert.deepEqual(waits(), ['index=0', 'index=1000000', 'index=0'])
      await session.close(live())
    })

    it('that is answered at once over and over makes no hot loop', async () => {
      const pauses: (() => void)[] = []
      let paused!: () => void
      const atPause = () => new Promise<void>((resolve) => (paused = resolve))
      const clock: Clock = {
        ...systemClock,
        setTimer(delayMs, callback) {
          // Of all timers only that of the pause is set for so long.
          if (delayMs !== 1500) return systemClock.setTimer(delayMs, callback)
          pauses.push(callback)
          paused()
          return { cancel: () => undefined }
        },
      }
      const session = await open('a', clock)
      // What is between us does not let anything wait.
      meddler.onRequest = (request) => ({ ...request, path: request.path.replace(/&index=\d+/, '') })
      meddle(() => 7)
      await session.changed(live())
      const abort = new AbortController()
      let pause = atPause()
      const waiting = session.changed(abort.signal)
      await pause
      assert.deepEqual(waits(), ['index=0', 'index=7'])
      pause = atPause()
      pauses.shift()!()
      await pause
      assert.deepEqual(waits(), ['index=0', 'index=7', 'index=7'])
      abort.abort(new Error('enough'))
      await assert.rejects(waiting, /enough/)
      await session.close(live())
    })
  })
})
