import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer, type ClientRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it, type TestContext } from 'node:test'
import {
  electionStoreConformance,
  EtcdCluster,
  HttpMeddler,
  without,
  type EtcdOptions as Cluster,
  type MeddledRequest,
} from '@ricci/testkit'
import { systemClock, type Clock } from '../clock.ts'
import { Election } from '../election.ts'
import type { LeaseStore, NameView, SessionOptions, StoreSession } from '../store.ts'
import { etcd, type EtcdOptions } from './etcd.ts'

/** No wait of a test takes longer. */
const soon = (): AbortSignal => AbortSignal.timeout(20_000)

const base64 = (text: string): string => Buffer.from(text).toString('base64')

/** A member of the group `pager`, silent unless told otherwise; whoever opens it closes it. */
function open(store: LeaseStore, id: string, more: Partial<SessionOptions> = {}): Promise<StoreSession> {
  const asked = {
    group: 'pager',
    id,
    data: null,
    leaseMs: 500,
    detectMs: 2000,
    clock: systemClock,
    random: Math.random,
  }
  return store.open({ ...asked, signal: soon(), warn: () => undefined, ...more })
}

/** Calls back with the path of each request that this process begins, until the test's end. */
function observe(context: TestContext, begun: (path: string) => void): void {
  const channel = 'http.client.request.start'
  const note = (message: unknown): void => begun((message as { request: ClientRequest }).request.path)
  subscribe(channel, note)
  context.after(() => unsubscribe(channel, note))
}

/** A member of the group `pager` that gives signs of life until the test's end. */
async function join(
  context: TestContext,
  store: LeaseStore,
  id: string,
  more: Partial<SessionOptions> = {},
): Promise<StoreSession> {
  const session = await open(store, id, more)
  const beat = setInterval(() => session.keepAlive!(soon()).catch(() => undefined), session.keepAliveMs)
  context.after(async () => {
    clearInterval(beat)
    await session.close(soon()).catch(() => undefined)
  })
  return session
}

async function nameOf(session: StoreSession, name: string): Promise<NameView | undefined> {
  return (await session.read(soon())).names.get(name)
}

/** Acquires a name that is free; gives its token. */
async function acquire(session: StoreSession, name: string): Promise<bigint> {
  for (;;) {
    const seen = await nameOf(session, name)
    assert.equal(seen?.holder, undefined)
    const answer = await session.acquire(seen, name, soon())
    if (answer.kind === 'acquired') return answer.token
  }
}

/** Waits until an election leads, and the store has confirmed it since; gives its token. */
async function confirmed(election: Election): Promise<bigint | undefined> {
  for await (const { role } of election) {
    if (role !== 'leader') continue
    const token = await election.term!.act('check', (its) => its, { gate: 'confirm' }).catch(() => undefined)
    if (token !== undefined) return token
  }
  return undefined
}

/** Reads after each change of which it is told, until that shows what is wanted; begins before `change`, if there is one. */
async function told(
  session: StoreSession,
  wanted: () => Promise<boolean>,
  change?: () => Promise<unknown>,
): Promise<void> {
  const within = soon()
  const follow = async (): Promise<void> => {
    do await session.changed(within)
    while (!(await wanted()))
  }
  await Promise.all([follow(), change?.()])
}

/** Whether the member with this id publishes this, as another sees it. */
const publishes = (reader: StoreSession, id: string, data: unknown) => async (): Promise<boolean> =>
  (await reader.read(soon())).members.some((member) => member.id === id && member.data === data)

/** What ends its watch. */
async function watchEnd(session: StoreSession): Promise<unknown> {
  const within = soon()
  try {
    for (;;) await session.changed(within)
  } catch (error) {
    return (error as { code?: string }).code ?? error
  }
}

describe('etcd: options', () => {
  const refused: [options: EtcdOptions, says: RegExp][] = [
    [{ addresses: [] }, /0 addresses/],
    [{ addresses: 'ftp://10.0.0.1' }, /begins with ftp/],
    [{ addresses: 'http://10.0.0.1', prefix: '' }, /prefix is ""/],
    [{ addresses: 'http://10.0.0.1', prefix: 'a//b' }, /prefix/],
    [{ addresses: 'http://10.0.0.1', prefix: '/a' }, /prefix/],
    [{ addresses: 'http://10.0.0.1', prefix: 'å' }, /prefix/],
    [{ addresses: 'http://10.0.0.1', user: 'root' }, /user and password/],
    [{ addresses: 'http://10.0.0.1', tls: { cert: 'c' } }, /go together/],
    [{ addresses: 'http://10.0.0.1', tls: { ca: '/nowhere' } }, /tls.ca/],
  ]
  for (const [options, says] of refused)
    it(JSON.stringify(options), () => {
      assert.throws(() => etcd(options), { code: 'OPTION_INVALID', message: says })
    })

  it('are told without secrets', () => {
    const store = etcd({ addresses: ['http://10.0.0.1', 'https://b:1'], user: 'u', password: 'very secret' })
    assert.equal(store.description, 'etcd at http://10.0.0.1:2379, https://b:1')
  })
})

describe('etcd: what it answers instead', () => {
  const answers: [status: number, body: unknown, code: string, says: RegExp][] = [
    [
      503,
      { error: 'etcdserver: no leader', code: 14, message: 'etcdserver: no leader' },
      'STORE_UNAVAILABLE',
      /leader/,
    ],
    [
      400,
      { code: 14, message: 'etcdserver: no leader' },
      'STORE_UNAVAILABLE',
      /cannot answer now: etcdserver: no leader/,
    ],
    [200, { error: { grpc_code: 14, message: 'no leader' } }, 'STORE_UNAVAILABLE', /cannot answer now: no leader/],
    [
      403,
      { code: 7, message: 'permission denied' },
      'STORE_REFUSED',
      /needs a user .* begin with election\/groups\/pager\//,
    ],
    [400, { error: 'no such thing', code: 3 }, 'STORE_REFUSED', /no such thing/],
    [404, { code: 5, message: 'etcdserver: requested lease not found' }, 'SESSION_LOST', /lease/],
    [404, '404 page not found', 'BAD_REPLY', /no JSON/],
    [404, {}, 'BAD_REPLY', /answered 404; is it etcd/],
    [200, {}, 'BAD_REPLY', /lease without an ID/],
    [200, { ID: '1' }, 'BAD_REPLY', /lease of NaN s/],
  ]
  for (const [status, body, code, message] of answers)
    it(`${status} ${JSON.stringify(body)}: ${code}`, async (context) => {
      const server = createServer((request, response) => {
        request.resume()
        response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body))
      })
      context.after(() => server.close())
      await once(server.listen(0, '127.0.0.1'), 'listening')
      const store = etcd(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
      await assert.rejects(join(context, store, 'a'), { code, message })
    })
})

describe('etcd: three members', { skip: without('etcd') }, () => {
  let cluster: EtcdCluster
  let prefixes = 0
  before(async () => {
    cluster = await EtcdCluster.start()
  })
  after(() => cluster.stop())

  /** Their addresses, this one in front. */
  const from = (first: number): string[] =>
    cluster.members.map((_, at) => cluster.members[(first + at) % cluster.members.length].url)
  /** A part of it that no other test sees. */
  const own = (more: Partial<EtcdOptions> = {}): EtcdOptions => ({
    addresses: from(0),
    prefix: `test/${++prefixes}`,
    ...more,
  })
  const remove = (options: EtcdOptions, kind: string, name: string, group = 'pager') =>
    cluster.request(0, '/v3/kv/deleterange', { key: base64(`${options.prefix}/groups/${group}/${kind}/${name}`) })
  const put = (options: EtcdOptions, kind: string, name: string, value: string) =>
    cluster.request(0, '/v3/kv/put', {
      key: base64(`${options.prefix}/groups/pager/${kind}/${name}`),
      value: base64(value),
    })
  const revoke = (session: string) => cluster.request(0, '/v3/lease/revoke', { ID: session })

  for (const trustLease of [false, 'unfixed'] as const)
    electionStoreConformance(`etcd, trustLease ${trustLease}`, async () => {
      const options = own({ trustLease })
      let stores = 0
      return {
        servers: () => cluster.about(),
        // What is asked grows with names as little with a lease that is trusted: each read has its own sign of life.
        ...(trustLease === false && {
          counted: {
            url: cluster.members[0].url,
            protocol: 'http',
            reach: (addresses) => etcd({ ...options, addresses }),
          },
        }),
        // Each client asks another member first.
        store: () => etcd({ ...options, addresses: from(stores++) }),
        detectMs: 2000,
        async removeName(group, name) {
          for (const kind of ['leader', 'tenure', 'request']) await remove(options, kind, name, group)
        },
        // What looks like an end by itself is what trusting is about.
        ...(trustLease === false && {
          async endSession(_group: string, session: string) {
            await revoke(session)
          },
        }),
      }
    })

  it('a leader whose key an operator removes: free, not settled, and what it held is not released', async (context) => {
    const options = own()
    const [a, b] = [await join(context, etcd(options), 'a'), await join(context, etcd(options), 'b')]
    const first = await acquire(a, 'x')
    const held = await nameOf(a, 'x')
    await remove(options, 'leader', 'x')
    await told(a, async () => (await nameOf(a, 'x'))?.holder === undefined)
    const free = await nameOf(b, 'x')
    assert.deepEqual([free?.settled, free?.token, free?.version], [false, first, held?.version])
    await a.release('x', first, { settled: true }, soon())
    assert.deepEqual(await nameOf(b, 'x'), free)
    assert.ok((await acquire(b, 'x')) > first)
  })

  it('a leader whose key an operator writes: free, and the next token is higher', async (context) => {
    const options = own()
    const [a, b] = [await join(context, etcd(options), 'a'), await join(context, etcd(options), 'b')]
    const first = await acquire(a, 'x')
    for (const value of ['me', '{"id":7}', '[]']) await put(options, 'leader', 'x', value)
    const { leaseMs } = a
    assert.deepEqual(await nameOf(a, 'x'), { name: 'x', version: String(first), token: first, settled: false, leaseMs })
    const second = await acquire(b, 'x')
    assert.ok(second > first)
    assert.deepEqual((await nameOf(a, 'x'))?.holder, { session: b.id, id: 'b' })
    await put(options, 'tenure', 'x', 'no JSON')
    const edited = (await nameOf(a, 'x'))!
    assert.deepEqual([edited.token, edited.holder?.id], [second, 'b'])
    await b.release('x', second, { settled: true }, soon())
    assert.equal((await nameOf(a, 'x'))?.settled, true)
  })

  it('what was published and given up has no effect after what was published later', async (context) => {
    const [url] = from(0)
    const meddler = await HttpMeddler.start(url)
    context.after(() => meddler.close())
    const a = await join(context, etcd(own({ addresses: meddler.url })), 'a')
    const reads = async (): Promise<unknown> => (await a.read(soon())).members[0].data
    const late: MeddledRequest[] = []
    meddler.onRequest = (request) => {
      if (request.path !== '/v3/kv/txn') return request
      late.push(request)
      throw new Error('held on its way')
    }
    await assert.rejects(a.publish('first', soon()), { code: 'STORE_UNAVAILABLE' })
    meddler.onRequest = (request) => request
    meddler.onAnswer = (request, answer) => (request.path === '/v3/kv/txn' ? 'lost' : answer)
    await assert.rejects(a.publish('second', soon()), { code: 'STORE_UNAVAILABLE' })
    assert.equal(await reads(), 'second', 'only its answer was lost')
    meddler.onAnswer = (_request, answer) => answer
    await a.publish('third', soon())
    for (const { method, path, body } of late) await fetch(url + path, { method, body })
    assert.deepEqual([late.length, await reads()], [1, 'third'])
    await a.publish('fourth', soon())
    assert.equal(await reads(), 'fourth')
  })

  it('a member whose key an operator removes: its session is lost', async (context) => {
    const options = own()
    const a = await join(context, etcd(options), 'a')
    await remove(options, 'member', a.id)
    assert.deepEqual((await a.read(soon())).members, [])
    await assert.rejects(a.publish('back', soon()), { code: 'SESSION_LOST' })
    assert.deepEqual((await a.read(soon())).members, [])
  })

  it('a lease that an operator revokes: its session is lost, whatever it asks', async (context) => {
    const options = own()
    const [a, b] = [await join(context, etcd(options), 'a'), await join(context, etcd(options), 'b')]
    const token = await acquire(a, 'x')
    await revoke(a.id)
    await told(b, async () => (await nameOf(b, 'x'))?.holder === undefined)
    const free = (await nameOf(b, 'x'))!
    assert.equal(free.settled, false)
    await assert.rejects(a.keepAlive!(soon()), { code: 'SESSION_LOST' })
    await assert.rejects(a.acquire(free, 'x', soon()), { code: 'SESSION_LOST' })
    await assert.rejects(a.publish('back', soon()), { code: 'SESSION_LOST' })
    assert.deepEqual(await nameOf(b, 'x'), free)
    assert.ok((await acquire(b, 'x')) > token)
  })

  it('a watch whose revisions were compacted begins anew, and misses nothing after that', async (context) => {
    const options = own()
    const [a, b] = [await join(context, etcd(options), 'a'), await join(context, etcd(options), 'b')]
    await b.publish('first', soon())
    const { header } = (await put(options, 'other', 'x', '')).json<{ header: { revision: string } }>()
    await cluster.request(0, '/v3/kv/compaction', { revision: header.revision, physical: true })
    // Its watch was to begin before that.
    for (const data of ['second', 'third']) await told(a, publishes(a, 'b', data), () => b.publish(data, soon()))
  })

  it('what changes between two calls is told by the next', async (context) => {
    const options = own()
    const [a, b] = [await join(context, etcd(options), 'a'), await join(context, etcd(options), 'b')]
    await told(a, publishes(a, 'b', 1), () => b.publish(1, soon()))
    await b.publish(2, soon())
    await told(a, publishes(a, 'b', 2))
  })

  it('marks of names that nobody wants any more are removed by who joins', async (context) => {
    const options = own()
    const weekAgo: Clock = { ...systemClock, wallMs: () => systemClock.wallMs() - 8 * 24 * 3_600_000 }
    const a = await join(context, etcd(options), 'a', { clock: weekAgo })
    await a.release('old', await acquire(a, 'old'), { settled: true }, soon())
    const free = (await nameOf(a, 'old'))!
    const held = await acquire(a, 'held')
    const b = await join(context, etcd(options), 'b')
    await b.release('new', await acquire(b, 'new'), { settled: true }, soon())
    const c = await join(context, etcd(options), 'c')
    const { names } = await c.read(soon())
    assert.deepEqual([...names.keys()].toSorted(), ['held', 'new'])
    assert.equal(names.get('held')?.token, held)
    assert.equal((await a.acquire(free, 'old', soon())).kind, 'changed')
    assert.ok((await acquire(c, 'old')) > held)
  })

  it('requests are removed by the next acquisition, and one to an earlier tenure is none', async (context) => {
    const options = own()
    const store = etcd(options)
    const a = await join(context, store, 'a')
    const first = await acquire(a, 'x')
    await store.request('pager', 'x', first - 1n, { by: 'b' }, soon())
    assert.equal((await nameOf(a, 'x'))?.request, undefined)
    await store.request('pager', 'x', first, { by: 'b', to: 'c' }, soon())
    assert.deepEqual((await nameOf(a, 'x'))?.request, { by: 'b', to: 'c' })
    await a.release('x', first, { settled: true }, soon())
    await acquire(a, 'x')
    const range = { key: base64(`${options.prefix}/`), range_end: base64(`${options.prefix}0`), keys_only: true }
    const { kvs } = (await cluster.request(0, '/v3/kv/range', range)).json<{ kvs: { key: string }[] }>()
    const kinds = kvs.map(({ key }) => Buffer.from(key, 'base64').toString().split('/').at(-2))
    assert.deepEqual(kinds.toSorted(), ['leader', 'member', 'tenure'])
  })

  describe('a lease that is trusted', () => {
    it('is worth 0.9 of what was granted, which is told when it is longer than asked for', async (context) => {
      const warnings: string[] = []
      const warn = (message: string): void => void warnings.push(message)
      const store = etcd(own({ trustLease: 'unfixed' }))
      const a = await join(context, store, 'a', { warn, detectMs: 5000 })
      assert.deepEqual([a.leaseMs, a.keepAliveMs, warnings], [4500, 2500, []])
      const b = await join(context, store, 'b', { warn, detectMs: 500 })
      assert.deepEqual([b.leaseMs, b.keepAliveMs], [1800, 1500])
      assert.match(warnings.join(), /no lease shorter than 2 s/)
    })

    it('is not, where etcd has the bug', async (context) => {
      const { version } = (await cluster.request(0, '/v3/maintenance/status', {})).json<{ version: string }>()
      const warnings: string[] = []
      const store = etcd(own({ trustLease: true }))
      const a = await join(context, store, 'a', { warn: (message) => void warnings.push(message) })
      const [, minor, patch] = version.split('.').map(Number)
      const fixed = (minor === 4 && patch >= 31) || (minor === 5 && patch >= 13) || minor > 5
      assert.equal(a.leaseMs, fixed ? 1800 : 500)
      assert.match(warnings.join(), fixed ? /^$/ : /may revoke leases that are alive/)
    })

    it('has settled once it has ended by itself; a key that was removed has not', async (context) => {
      const options = own({ trustLease: 'unfixed' })
      const a = await open(etcd(options), 'a')
      const b = await join(context, etcd(options), 'b')
      const doubting = await join(context, etcd({ ...options, trustLease: false }), 'c')
      for (const name of ['x', 'removed']) await acquire(a, name)
      await remove(options, 'leader', 'removed')
      assert.equal((await nameOf(b, 'removed'))?.settled, false)
      // From here on it is silent.
      await told(b, async () => (await nameOf(b, 'x'))?.holder === undefined)
      for (const name of ['x', 'removed']) {
        assert.equal((await nameOf(b, name))?.settled, true)
        assert.equal((await nameOf(doubting, name))?.settled, false)
      }
      await a.close(soon())
    })

    it('has not where its holder held it without trust, or left without a word', async (context) => {
      const options = own({ trustLease: 'unfixed' })
      const b = await join(context, etcd(options), 'b')
      for (const trustLease of [false, 'unfixed'] as const) {
        const a = await join(context, etcd({ ...options, trustLease }), 'a')
        await acquire(a, 'x')
        await a.close(soon())
        const { holder, settled } = (await nameOf(b, 'x'))!
        assert.deepEqual([holder, settled], [undefined, false])
      }
    })

    it('is renewed by whatever confirms', async (context) => {
      const requests: string[] = []
      observe(context, (path) => requests.push(path))
      const a = await open(etcd(own({ trustLease: 'unfixed' })), 'a')
      await acquire(a, 'x')
      requests.length = 0
      const seen = await nameOf(a, 'x')
      assert.deepEqual(requests.splice(0).toSorted(), ['/v3/kv/range', '/v3/lease/keepalive'])
      await a.acquire(seen, 'x', soon())
      assert.deepEqual(requests.splice(0).toSorted(), ['/v3/kv/txn', '/v3/lease/keepalive'])
      await a.close(soon())
    })
  })

  it('the leader is killed: who leads goes on under the same token, and nobody else does', async (context) => {
    const leader = await cluster.leader()
    const elections = ['a', 'b'].map(
      (id) => new Election({ name: 'killed', id, store: etcd({ addresses: from(leader) }), lease: '1s', detect: '5s' }),
    )
    context.after(() => Promise.all(elections.map((election) => election.close())))
    const [a, b] = elections
    const term = await a.campaign()
    const events: string[] = []
    for (const name of ['deposed', 'elected'] as const)
      for (const election of elections) election.on(name, () => events.push(`${election.group.id} ${name}`))
    b.stand()
    await cluster.signal(leader, 'SIGKILL')
    await cluster.leader()
    // Confirmed by a majority without it.
    assert.equal(await confirmed(a), term.token)
    assert.deepEqual(events, [])
    await cluster.restart(leader)
    await cluster.healthy()
    await a.resign()
    for await (const state of b) if (state.role === 'leader') break
    assert.deepEqual(events, ['b elected'])
  })

  it('a member is frozen: others are asked, and the watch is begun anew there', async (context) => {
    const follower = ((await cluster.leader()) + 1) % 3
    const a = await join(context, etcd({ addresses: from(follower) }), 'a')
    const b = await join(context, etcd({ addresses: from((await cluster.leader()) + 3) }), 'b')
    await told(a, publishes(a, 'b', 'before'), () => b.publish('before', soon()))
    await cluster.signal(follower, 'SIGSTOP')
    try {
      await b.publish('after', soon())
      // Its watch says nothing: reads find that out, and end it.
      const ended = watchEnd(a)
      const isOver = ended.then(() => true)
      const next = (): Promise<false> =>
        a.read(AbortSignal.timeout(250)).then(
          () => false,
          () => false,
        )
      while (!(await Promise.race([isOver, next()])));
      assert.equal(await ended, 'STORE_UNAVAILABLE')
      await told(a, publishes(a, 'b', 'again'), () => b.publish('again', soon()))
    } finally {
      await cluster.signal(follower, 'SIGCONT')
    }
  })

  it('a member goes away and another answers', async (context) => {
    const follower = ((await cluster.leader()) + 1) % 3
    const a = await join(context, etcd({ addresses: from(follower) }), 'a')
    const token = await acquire(a, 'y')
    const ended = watchEnd(a)
    await cluster.signal(follower, 'SIGKILL')
    assert.equal(await ended, 'STORE_UNAVAILABLE')
    const read = async (): Promise<NameView | undefined> => nameOf(a, 'y').catch(() => read())
    assert.equal((await read())?.token, token)
    await told(a, publishes(a, 'a', 'here'), () => a.publish('here', soon()))
    await cluster.restart(follower)
    await cluster.healthy()
  })
})

describe('etcd: with certificates', { skip: without('etcd', 'openssl') }, () => {
  let cluster: EtcdCluster
  before(async () => {
    cluster = await EtcdCluster.start({ members: 1, tls: 'mutual' })
  })
  after(() => cluster.stop())

  it('lets in who shows one, and is let in by who signed its own', async (context) => {
    const { authority, members } = cluster
    const { cert, key } = await authority!.issue('candidate')
    const tls = { ca: authority!.certificate, cert, key }
    const [a, b] = await Promise.all(
      ['a', 'b'].map((id) => join(context, etcd({ addresses: members[0].url, tls }), id)),
    )
    const token = await acquire(a, 'x')
    await told(b, async () => (await nameOf(b, 'x'))?.token === token)
    for (const other of [{ ca: authority!.certificate }, { cert, key }])
      await assert.rejects(join(context, etcd({ addresses: members[0].url, tls: other }), 'c'), {
        code: 'STORE_UNAVAILABLE',
      })
  })
})

describe('etcd: with users', { skip: without('etcd') }, () => {
  const user = { user: 'elect', password: 'a secret of a test' }
  let cluster: EtcdCluster
  before(async () => {
    const auth: Cluster['auth'] = { name: user.user, password: user.password, prefix: 'election/groups/pager/' }
    cluster = await EtcdCluster.start({ members: 1, auth })
  })
  after(() => cluster.stop())

  it('needs no right but READWRITE on the keys of its group', async (context) => {
    const store = etcd({ addresses: cluster.members[0].url, ...user })
    const [a, b] = [await join(context, store, 'a'), await join(context, store, 'b')]
    const token = await acquire(a, 'x')
    await told(b, async () => (await nameOf(b, 'x'))?.token === token)
    await store.request('pager', 'x', token, { by: 'b' }, soon())
    assert.deepEqual((await store.look('pager', soon())).names.get('x')?.request, { by: 'b' })
    await a.release('x', token, { settled: true }, soon())
    await told(b, async () => (await nameOf(b, 'x'))?.settled === true)
    await b.publish(1, soon())
    await b.close(soon())
  })

  it('refuses another group, a wrong password and nobody, and says what is needed', async (context) => {
    const { url: addresses } = cluster.members[0]
    const refused = {
      code: 'STORE_REFUSED',
      message: /READWRITE on all keys that begin with election\/groups\/(pager|other)\//,
    }
    await assert.rejects(join(context, etcd({ addresses, ...user }), 'a', { group: 'other' }), refused)
    await assert.rejects(join(context, etcd({ addresses, user: 'elect', password: 'a guess' }), 'a'), refused)
    await assert.rejects(join(context, etcd({ addresses }), 'a'), refused)
  })

  it('is told anew who we are, once it has forgotten', async (context) => {
    const a = await join(context, etcd({ addresses: cluster.members[0].url, ...user }), 'a')
    const token = await acquire(a, 'y')
    const ended = watchEnd(a)
    await cluster.restart(0)
    assert.match(String(await ended), /^STORE_/)
    const read = async (): Promise<NameView | undefined> => nameOf(a, 'y').catch(() => read())
    const answers = await Promise.all(Array.from({ length: 8 }, read))
    assert.deepEqual(new Set(answers.map((view) => view?.token)), new Set([token]))
    await told(a, publishes(a, 'a', 'here'), () => a.publish('here', soon()))
  })

  it('is asked without, where etcd does not want to know', async (context) => {
    const other = await EtcdCluster.start({ members: 1 })
    context.after(() => other.stop())
    const a = await join(context, etcd({ addresses: other.members[0].url, ...user }), 'a')
    assert.equal((await a.read(soon())).members.length, 1)
  })
})
