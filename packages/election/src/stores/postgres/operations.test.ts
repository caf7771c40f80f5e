// What happens to a server in operation: restarts, promotions, broken and half-open connections, clocks, roles, certificates.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { PostgresServer, TcpProxy, without } from '@ricci/testkit'
import {
  Election,
  ElectionError,
  ElectionGroup,
  postgres,
  postgresSchema,
  systemClock,
  type ElectionErrorCode,
  type LeaseStore,
  type PostgresOptions,
  type Role,
  type StoreSession,
} from '../../index.ts'

const soon = (): AbortSignal => AbortSignal.timeout(20_000)
const coded =
  (code: ElectionErrorCode, message = /./) =>
  (error: unknown): boolean =>
    error instanceof ElectionError && error.code === code && message.test(error.message)

let schemas = 0
let closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.toReversed()) await close()
  closing = []
})

/** A server for a group of tests. */
function serverFor(options: Parameters<typeof PostgresServer.start>[0] = {}): () => PostgresServer {
  let server: PostgresServer
  before(async () => {
    server = await PostgresServer.start({ fsync: false, ...options })
  })
  after(() => server.stop())
  return () => server
}

async function open(store: LeaseStore, id: string, warnings: string[] = []): Promise<StoreSession> {
  const warn = (message: string): unknown => warnings.push(message)
  const pace = { leaseMs: 1000, detectMs: 1000, clock: systemClock, random: Math.random }
  const session = await store.open({ group: 'g', id, data: null, ...pace, signal: soon(), warn })
  closing.push(() => session.close(soon()).catch(() => undefined))
  return session
}

async function acquire(session: StoreSession): Promise<bigint> {
  for (;;) {
    const answer = await session.acquire((await session.read(soon())).names.get('x'), 'x', soon())
    if (answer.kind === 'acquired') return answer.token
  }
}

/** One candidate, and what became of it. */
function stand(store: LeaseStore, id: string, lease: number): { election: Election; events: string[] } {
  const election = new Election({ name: 'g', store, id, lease, detect: lease })
  closing.push(() => election.close())
  const events: string[] = []
  for (const event of ['elected', 'resumed', 'suspended', 'deposed'] as const) {
    election.on(event, () => events.push(event))
  }
  election.stand()
  return { election, events }
}

async function until(election: Election, role: Role): Promise<void> {
  for await (const state of election) if (state.role === role) return
}

/** Lets what is under way go on. */
const turn = (): Promise<void> => new Promise((resolve) => systemClock.setTimer(2, resolve))

/** Resolves once it knows who leads. */
async function informed(election: Election): Promise<void> {
  for await (const { leader } of election) if (leader !== undefined) return
}

/** Resolves once the store has confirmed so many times what the election is. */
async function confirmed(election: Election, times = 1): Promise<void> {
  const { reads } = election.stats()
  while (election.stats().reads < reads + times) {
    const error = await election.group.confirm().catch((thrown: unknown) => thrown)
    if (error !== undefined) assert.ok(coded('STORE_UNAVAILABLE')(error) || coded('SESSION_LOST')(error), `${error}`)
    // Without a session there is nothing to ask.
    await turn()
  }
}

/** Resolves once it has read so often by itself: a quarter of a lease each. */
async function watched(election: Election, times: number): Promise<void> {
  const { reads } = election.stats()
  while (election.stats().reads < reads + times) await turn()
}

describe('postgres in operation', { skip: without('postgres') }, () => {
  const server = serverFor()
  let schema: string
  let store: LeaseStore
  beforeEach(() => {
    schema = `operations_${++schemas}`
    store = postgres({ url: server().url, schema })
  })

  it('goes on under the same token after an immediate restart', async () => {
    const a = stand(store, 'a', 1000)
    await until(a.election, 'leader')
    const b = stand(store, 'b', 1000)
    await informed(b.election)
    const { token } = a.election.state
    await server().restart('immediate')
    await confirmed(a.election)
    await until(a.election, 'leader')
    assert.equal(a.election.state.token, token)
    assert.ok(!a.events.includes('deposed'))
    assert.deepEqual(b.events, [])
  })

  it('a connection that the server ends is replaced, for reads and for what is told', async () => {
    const [a, b] = [stand(store, 'a', 2000), stand(store, 'b', 2000)]
    await Promise.race([until(a.election, 'leader'), until(b.election, 'leader')])
    const [leader, other] = a.election.isLeader ? [a, b] : [b, a]
    const { token } = leader.election.state
    const ended = await server().query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'election'",
    )
    assert.ok(ended.length >= 4, `${ended.length} connections`)
    await confirmed(leader.election)
    assert.deepEqual([leader.election.state.token, leader.events], [token, ['elected']])
    await confirmed(other.election)
    await Promise.all([leader.election.resign(), until(other.election, 'leader')])
  })

  it('who loses its row to an operator is deposed; the name is free without being settled', async () => {
    const [a, b] = [await open(store, 'a'), await open(store, 'b')]
    const token = await acquire(a)
    await server().query(`delete from ${schema}.members where session = ${a.id}`)
    const seen = (await b.read(soon())).names.get('x')!
    assert.deepEqual([seen.holder, seen.settled, seen.token], [undefined, false, token])
    assert.equal((await b.read(soon())).names.get('x')!.version, seen.version)
    await assert.rejects(a.read(soon()), coded('SESSION_LOST'))
    await assert.rejects(a.publish(1, soon()), coded('SESSION_LOST'))
    await assert.rejects(a.acquire(seen, 'x', soon()), coded('SESSION_LOST'))
    assert.deepEqual(await b.acquire({ ...seen, version: '1' }, 'x', soon()), { kind: 'changed' })
    assert.ok((await acquire(b)) > token)
    await a.release('x', token, { settled: true }, soon())
    assert.equal((await b.read(soon())).names.get('x')!.holder?.id, 'b')
  })

  it('makes its tables again when they are dropped, and tokens do not fall back unless the sequence does', async () => {
    const a = await open(store, 'a')
    const token = await acquire(a)
    await server().query(`drop table ${schema}.members, ${schema}.names, ${schema}.journal`)
    await assert.rejects(a.read(soon()), coded('SESSION_LOST'))
    assert.deepEqual((await store.look('g', soon())).members, [])
    assert.ok((await acquire(await open(store, 'b'))) > token)
  })

  it('refuses the tables of another version', async () => {
    await server().query(`${postgresSchema(schema)} comment on table ${schema}.members is 'ricci election, layout 0'`)
    await assert.rejects(open(store, 'a'), coded('STORE_REFUSED', /layout 0.*layout 2/))
  })

  it('tells that the leases of a group differ', async () => {
    await open(store, 'a')
    const warnings: string[] = []
    const about = { group: 'g', id: 'b', data: null, clock: systemClock, random: Math.random, signal: soon() }
    const warn = (message: string): unknown => warnings.push(message)
    const b = await store.open({ ...about, leaseMs: 500, detectMs: 2000, warn })
    closing.push(() => b.close(soon()))
    assert.deepEqual([b.leaseMs, warnings.length], [500, 1])
    assert.match(warnings[0], /1000 ms.*2000 ms/)
  })

  it('reads 256 names in one round trip', async () => {
    let count: () => void = () => undefined
    const proxy = await TcpProxy.start(server().port, { protocol: 'postgres', onRequest: () => count() })
    closing.push(() => proxy.close())
    const reach = postgres({ url: proxy.through(server().url), schema })
    const group = new ElectionGroup({ name: 'g', store: reach, lease: 400, detect: 400, fenced: true })
    closing.push(() => group.close())
    await Promise.all(Array.from({ length: 256 }, (_, at) => group.candidate(`name-${at}`).campaign()))
    proxy.resetCounts()
    const before = group.stats().reads
    const reads = (): number => group.stats().reads - before
    await new Promise<void>((resolve) => {
      count = () => reads() < 20 || resolve()
    })
    assert.ok(proxy.counts.requests <= 1.15 * reads(), `${proxy.counts.requests} requests for ${reads()} reads`)
  })

  it('keeps the lead while connections are half open', async () => {
    const proxy = await TcpProxy.start(server().port)
    closing.push(() => proxy.close())
    const a = stand(postgres({ url: proxy.through(server().url), schema }), 'a', 3000)
    await until(a.election, 'leader')
    // Both connections for statements are there, and one is idle.
    await Promise.all([confirmed(a.election), confirmed(a.election)])
    proxy.halfOpen('client')
    await watched(a.election, 6)
    assert.ok(a.election.isLeader)
    assert.deepEqual(a.events, ['elected'])
  })

  it('is left by its socket alone: nothing keeps a process that only watches', async () => {
    const session = await open(store, 'a')
    await session.changed(soon())
    const resources = process.getActiveResourcesInfo().filter((name) => name.startsWith('TCPSocket'))
    assert.deepEqual(resources, [])
  })
})

describe('postgres and its roles', { skip: without('postgres') }, () => {
  const server = serverFor()
  const withRole = (role: string, more: Partial<PostgresOptions> = {}): LeaseStore =>
    postgres({ url: server().url.replace(/\/\/.*@/, `//${role}:secret@`), ...more })
  before(async () => {
    await server().query(`create role worker login password 'secret'; create role reader login password 'secret'`)
  })

  it('says what to run where it may not make its tables, and needs no more than it says', async () => {
    const store = withRole('worker')
    const refused = await open(store, 'a').then(
      () => assert.fail('it may not'),
      (error: ElectionError) => error,
    )
    assert.equal(refused.code, 'STORE_REFUSED')
    const [, sql] = refused.message.split(':\n')
    assert.equal(sql, postgresSchema())
    await server().query(sql)
    await assert.rejects(open(store, 'a'), coded('STORE_REFUSED', /grant the role/))
    await server()
      .query(`grant usage on schema election to worker, reader; grant usage on sequence election.numbers to worker;
      grant select, insert, update, delete on election.members, election.names, election.journal to worker;
      grant select on election.members, election.names to reader`)
    const [a, b] = [await open(store, 'a'), await open(store, 'b')]
    const token = await acquire(a)
    await store.request('g', 'x', token, { by: 'b' }, soon())
    assert.equal((await a.journal!.begin('x', token, 'act', '1', soon())).kind, 'begun')
    await a.journal!.finish('x', 'act', '1', soon())
    assert.equal(await a.journal!.prune('x', -60_000, soon()), 1)
    await a.publish({ now: true }, soon())
    assert.equal((await withRole('reader').look('g', soon())).names.get('x')?.request?.by, 'b')
    await assert.rejects(open(withRole('reader'), 'c'), coded('STORE_REFUSED', /permission denied/))
    await a.release('x', token, { settled: true }, soon())
    assert.ok((await acquire(b)) > token)
  })

  it('waits for the disk whatever the role is used to, and commits under its own rules', async () => {
    await server().query(`alter role worker set synchronous_commit = off;
      alter role worker set default_transaction_isolation = 'serializable'`)
    const [a, b] = [await open(withRole('worker', { schema: 'election' }), 'a'), await open(withRole('worker'), 'b')]
    await Promise.all(Array.from({ length: 8 }, (_, at) => (at % 2 === 0 ? a : b).read(soon())))
    // The statement's own setting, as the transaction saw it.
    await server().query(`create function election.seen() returns trigger language plpgsql as $$ begin
        perform set_config('test.seen', '', false);
        insert into election.journal values ('seen', current_setting('synchronous_commit'), current_setting('transaction_isolation'), 0, '', true, now())
          on conflict do nothing;
        return new; end $$;
      create trigger seen after update on election.members execute function election.seen()`)
    await a.read(soon())
    const seen = await server().query("select name, id from election.journal where grp = 'seen'")
    await server().query('drop function election.seen() cascade')
    assert.deepEqual(seen, ['on|read committed'])
  })

  it('says so where it may not read the timeline', async () => {
    const warnings: string[] = []
    await server().query('revoke execute on function pg_walfile_name(pg_lsn) from public')
    const a = await open(withRole('worker'), 'a', warnings)
    const b = await open(postgres(server().url), 'b')
    assert.match(warnings.join(), /Grant execute on the functions pg_current_wal_lsn\(\) and pg_walfile_name/)
    // Who knows the timeline and who does not see each other all the same.
    const members = await Promise.all([a, b].map(async (one) => (await one.read(soon())).members.map(({ id }) => id)))
    assert.deepEqual(
      members.map((ids) => ids.toSorted()),
      [
        ['a', 'b'],
        ['a', 'b'],
      ],
    )
  })

  it('names what is wrong with user, password and database, and keeps secrets', async () => {
    const wrong = server().url.replace(/:[^:@]*@/, ':wrong-secret@')
    const error = await open(postgres(wrong), 'a').catch((thrown: ElectionError) => thrown as ElectionError)
    assert.ok(error instanceof ElectionError)
    assert.deepEqual([error.code, error.message.includes('wrong-secret')], ['STORE_REFUSED', false])
    const none = open(postgres(server().url.replace(/\/postgres$/, '/nowhere')), 'a')
    await assert.rejects(none, coded('STORE_REFUSED', /name a database/))
    const asked = postgres({ url: wrong, password: async () => new URL(server().url).password })
    assert.equal((await open(asked, 'a')).leaseMs, 1000)
  })
})

describe('postgres on several servers', { skip: without('postgres') }, () => {
  const server = serverFor()
  const readOnly = serverFor({ settings: { default_transaction_read_only: 'on' } })

  it('is wherever writes are taken', async () => {
    const nobody = createServer().listen(0, '127.0.0.1')
    await once(nobody, 'listening')
    const { port } = nobody.address() as AddressInfo
    nobody.close()
    const hosts = [port, readOnly().port, server().port].map((each) => `127.0.0.1:${each}`).join(',')
    const store = postgres(server().url.replace(/127\.0\.0\.1:\d+/, hosts))
    assert.equal(store.description, `PostgreSQL at ${hosts.replaceAll(',', ', ')}`)
    assert.ok((await acquire(await open(store, 'a'))) > 0n)
    const none = postgres(server().url.replace(/127\.0\.0\.1:\d+/, hosts.split(',').slice(0, 2).join()))
    await assert.rejects(
      open(none, 'a'),
      coded('STORE_UNAVAILABLE', /no server takes writes: .*ECONNREFUSED.*it takes no writes/),
    )
  })

  it('goes on to the next host while one does not answer', async () => {
    const proxy = await TcpProxy.start(server().port)
    closing.push(() => proxy.close())
    proxy.stall()
    const url = proxy.through(server().url).replace(/(127\.0\.0\.1:\d+)/, `$1,127.0.0.1:${server().port}`)
    assert.equal((await open(postgres(url), 'a')).leaseMs, 1000)
  })

  it('ends all sessions at a promotion, and tokens go on rising', async () => {
    const store = postgres({ url: server().url, schema: 'promoted' })
    const [a, b] = [await open(store, 'a'), await open(store, 'b')]
    const before = await acquire(a)
    assert.equal(before >> 32n, 1n)
    await server().query("copy (select 1) to program 'cat > /dev/null; touch standby.signal'")
    await server().restart('fast')
    await assert.rejects(open(store, 'c'), coded('STORE_UNAVAILABLE', /it is a standby/))
    await assert.rejects(a.read(soon()), coded('STORE_UNAVAILABLE', /it is a standby/))
    await server().query('select pg_promote()')
    // As if it had not received the last of it.
    await server().query("select setval('promoted.numbers', 1)")
    const c = await open(store, 'c')
    const seen = (await c.read(soon())).names.get('x')!
    assert.deepEqual([seen.holder, seen.settled, seen.token], [undefined, false, before])
    for (const session of [a, b]) await assert.rejects(session.read(soon()), coded('SESSION_LOST'))
    const token = await acquire(c)
    assert.equal(token >> 32n, 2n)
    assert.ok(token > before)
    assert.deepEqual(
      (await c.read(soon())).members.map(({ id }) => id),
      ['c'],
    )
  })
})

describe('postgres over TLS', { skip: without('postgres', 'openssl') }, () => {
  const server = serverFor({ tls: true })

  it('verifies the server', async () => {
    const { certificate } = server().authority!
    const store = postgres({ url: server().url, tls: { ca: certificate } })
    const a = await open(store, 'a')
    const changed = a.changed(soon())
    await changed
    assert.equal((await store.look('g', soon())).members.length, 1)
    await assert.rejects(open(postgres({ url: server().url, tls: true }), 'b'), coded('STORE_REFUSED', /tls: \{ ca \}/))
    await assert.rejects(
      open(postgres(`${server().url}?sslmode=require`), 'b'),
      coded('STORE_REFUSED', /tls: \{ ca \}/),
    )
    const misnamed = { ca: certificate, host: 'elsewhere.example', servername: 'elsewhere.example' }
    await assert.rejects(open(postgres({ url: server().url, tls: misnamed }), 'b'), coded('STORE_REFUSED', /elsewhere/))
    await assert.rejects(open(postgres(server().url), 'b'), coded('STORE_REFUSED', /no encryption/))
  })
})

describe('postgres whose clock jumps', { skip: without('postgres', 'faketime') }, () => {
  const server = serverFor({ ownClock: true })

  for (const jumpMs of [5000, -5000]) {
    it(`by ${jumpMs} ms has no second leader, by observation`, async () => {
      server().setClockOffset(0)
      const store = postgres({ url: server().url, schema: `observed_${jumpMs > 0 ? 'ahead' : 'back'}` })
      const a = stand(store, 'a', 1000)
      await until(a.election, 'leader')
      const b = stand(store, 'b', 1000)
      await informed(b.election)
      server().setClockOffset(jumpMs)
      await watched(a.election, 12)
      await confirmed(b.election)
      assert.deepEqual([a.events, b.events], [['elected'], []])
      assert.ok(a.election.isLeader)
    })
  }

  it('ahead ends sessions by its own clock; back, they are ended by having watched them', async () => {
    server().setClockOffset(0)
    const store = postgres({ url: server().url, schema: 'clocked', expiry: 'database-clock' })
    const [a, b] = [await open(store, 'a'), await open(store, 'b')]
    const token = await acquire(a)
    server().setClockOffset(5000)
    assert.equal((await b.read(soon())).changesInMs, 0, 'due at once')
    assert.deepEqual((await b.read(soon())).names.get('x')?.settled, true)
    await assert.rejects(a.read(soon()), coded('SESSION_LOST'))
    assert.ok((await acquire(b)) > token)
    const c = await open(store, 'c')
    server().setClockOffset(-5000)
    const { changesInMs } = await c.read(soon())
    assert.ok(changesInMs! > 900 && changesInMs! <= 1000, `${changesInMs}`)
  })
})
