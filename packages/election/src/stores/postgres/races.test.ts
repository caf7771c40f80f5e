// What two connections do at the same time, one statement held in the middle of its transaction: by hand, since no chance would show
// these orders in each run.
import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import pg from 'pg'
import { PostgresServer, VirtualClock, without } from '@ricci/testkit'
import { ElectionError, postgres, type LeaseStore, type NameView, type StoreSession } from '../../index.ts'
import { channelOf } from './session.ts'
import { statementsOf, type Statement } from './schema.ts'

const group = 'races'
const leaseMs = 1000
const soon = (): AbortSignal => AbortSignal.timeout(20_000)

describe('postgres, at the same time', { skip: without('postgres') }, () => {
  let server: PostgresServer
  /** A transaction that stays open until it is told to end. */
  let other: pg.Client
  let schema: string
  let schemas = 0
  let store: LeaseStore
  let clock: VirtualClock
  let sessions: StoreSession[]

  before(async () => {
    server = await PostgresServer.start({ fsync: false })
  })
  after(() => server.stop())
  beforeEach(async () => {
    schema = `races_${++schemas}`
    store = postgres({ url: server.url, schema })
    clock = new VirtualClock()
    sessions = []
    other = new pg.Client(server.url)
    await other.connect()
  })
  afterEach(async () => {
    await other.end()
    await Promise.all(sessions.map((session) => session.close(soon())))
  })

  async function open(id: string): Promise<StoreSession> {
    const signal = soon()
    const random = (): number => 0.5
    const warn = assert.fail
    const about = { group, id, data: null, leaseMs, detectMs: leaseMs, clock, random, signal, warn }
    const session = await store.open(about)
    sessions.push(session)
    return session
  }

  async function name(session: StoreSession, called = 'x'): Promise<NameView> {
    return (await session.read(soon())).names.get(called)!
  }

  async function acquire(session: StoreSession, called = 'x'): Promise<bigint> {
    await session.acquire(undefined, called, soon())
    const answer = await session.acquire(await name(session, called), called, soon())
    assert.equal(answer.kind, 'acquired')
    return answer.kind === 'acquired' ? answer.token : 0n
  }

  /** Runs one of the store's statements in a transaction that stays open. */
  async function begin(of: (statements: ReturnType<typeof statementsOf>) => Statement, ...values: unknown[]) {
    await other.query('begin')
    return (await other.query(of(statementsOf(schema)).text, ['5000', ...values])).rows[0]
  }

  /** Resolves once somebody waits for a lock that the open transaction has. */
  async function blocked(): Promise<void> {
    const sql = 'select 1 from pg_locks where not granted'
    while ((await other.query(sql)).rowCount === 0);
  }

  /** The second sees that the first, which holds x, has been silent for its lease; its next read would end it. */
  async function silentHolder(): Promise<{ a: StoreSession; b: StoreSession; token: bigint }> {
    const [a, b] = [await open('a'), await open('b')]
    const token = await acquire(a)
    await b.read(soon())
    await clock.advance(leaseMs)
    return { a, b, token }
  }

  const lost = (error: unknown): boolean => error instanceof ElectionError && error.code === 'SESSION_LOST'

  it('a session is ended once its lease was watched to pass, and not before', async () => {
    const [a, b] = [await open('a'), await open('b')]
    const token = await acquire(a)
    assert.equal((await b.read(soon())).changesInMs, leaseMs)
    await clock.advance(leaseMs - 1)
    assert.equal((await name(b)).holder?.id, 'a')
    await clock.advance(1)
    const { holder, settled, token: last } = await name(b)
    assert.deepEqual([holder, settled, last], [undefined, true, token])
    await assert.rejects(a.read(soon()), lost)
  })

  it('a renewal begins the watch anew', async () => {
    const { a, b } = await silentHolder()
    await a.read(soon())
    assert.equal((await b.read(soon())).names.get('x')?.holder?.id, 'a')
    assert.equal((await b.read(soon())).changesInMs, leaseMs)
  })

  it('an eviction during a renewal does nothing, and waits for nobody', async () => {
    const { a, b, token } = await silentHolder()
    assert.equal((await begin(({ read }) => read, a.id, group)).renewed, '1')
    const view = await b.read(soon())
    assert.deepEqual([view.names.get('x')?.holder?.id, view.changesInMs], ['a', leaseMs / 16])
    await other.query('commit')
    await clock.advance(leaseMs / 16)
    assert.deepEqual([(await name(b)).holder?.id, (await name(b)).token], ['a', token])
    assert.equal((await b.read(soon())).changesInMs, leaseMs, 'watched anew')
    assert.equal((await name(a)).holder?.session, a.id)
  })

  it('an eviction during a renewal that is rolled back ends the session a little later', async () => {
    const { a, b } = await silentHolder()
    await begin(({ read }) => read, a.id, group)
    assert.equal((await name(b)).holder?.id, 'a')
    await other.query('rollback')
    assert.equal((await name(b)).holder?.id, 'a')
    await clock.advance(leaseMs / 16)
    assert.equal((await name(b)).holder, undefined)
    await assert.rejects(a.read(soon()), lost)
  })

  it('an eviction whose snapshot is older than a renewal does nothing', async () => {
    const { a, b } = await silentHolder()
    // It waits for the lock of a table after it has been given its snapshot, as it might for a processor.
    const seen = await renewals(a)
    await other.query(`begin; lock table ${schema}.journal`)
    const evict = statementsOf(schema).evict.text.replace('select d.* from', `select d.* from ${schema}.stop(), `)
    await server.query(`create function ${schema}.stop() returns int language plpgsql as $$ begin
      lock table ${schema}.journal in access share mode; return 1; end $$`)
    const evicting = server.query(
      `prepare evict (text, bigint[], bigint[], boolean[], text) as ${evict}; execute evict ('5000', '{${a.id}}', '{${seen}}', '{t}', 'nobody')`,
    )
    await blocked()
    await a.read(soon())
    await other.query('commit')
    assert.match((await evicting)[0], /^0\|/)
    assert.equal((await name(b)).holder?.id, 'a')
  })

  it('a renewal that waits for an eviction finds its session lost', async () => {
    const { a } = await silentHolder()
    assert.equal((await begin(({ evict }) => evict, [a.id], [await renewals(a)], [true], 'nobody')).freed, '1')
    const reading = a.read(soon())
    const refused = assert.rejects(reading, lost)
    await blocked()
    await other.query('commit')
    await refused
    await assert.rejects(a.read(soon()), lost)
  })

  it('a renewal that waits for an eviction that is rolled back goes on', async () => {
    const { a } = await silentHolder()
    await begin(({ evict }) => evict, [a.id], [await renewals(a)], [true], 'nobody')
    const reading = name(a)
    await blocked()
    await other.query('rollback')
    assert.equal((await reading).holder?.id, 'a')
  })

  it('an eviction during an acquisition of its victim does nothing: the victim has just asked', async () => {
    const [a, b] = [await open('a'), await open('b')]
    await acquire(a)
    await b.acquire(undefined, 'y', soon())
    const { version } = await name(b, 'y')
    await clock.advance(leaseMs)
    const taken = await begin((all) => all.acquire, a.id, group, 'y', version, 'nobody', leaseMs)
    assert.equal(taken.renewed, '1')
    assert.equal((await name(b)).holder?.id, 'a')
    await other.query('commit')
    await clock.advance(leaseMs / 16)
    const { names } = await b.read(soon())
    assert.deepEqual([names.get('x')?.holder?.id, names.get('y')?.holder?.id], ['a', 'a'])
    assert.equal(`${names.get('y')?.token}`, taken.token)
  })

  it('an acquisition that waits for an eviction of its own session finds it lost', async () => {
    const { a, b } = await silentHolder()
    const third = await open('third')
    await third.acquire(undefined, 'y', soon())
    const free = await name(third, 'y')
    await begin(({ evict }) => evict, [a.id], [await renewals(a)], [true], 'nobody')
    const refused = assert.rejects(a.acquire(free, 'y', soon()), lost)
    await blocked()
    await other.query('commit')
    await refused
    const { names } = await b.read(soon())
    assert.deepEqual([names.get('x')?.holder, names.get('y')?.holder], [undefined, undefined])
  })

  it('of two acquisitions the one that waits finds another version, or none', async () => {
    for (const end of ['commit', 'rollback']) {
      const [a, b] = [await open('a'), await open('b')]
      await a.acquire(undefined, end, soon())
      const free = await name(b, end)
      await begin((all) => all.acquire, a.id, group, end, free.version, 'nobody', leaseMs)
      const answer = b.acquire(free, end, soon())
      await blocked()
      await other.query(end)
      assert.equal((await answer).kind, end === 'commit' ? 'changed' : 'acquired')
      assert.equal((await name(a, end)).holder?.id, end === 'commit' ? 'a' : 'b')
    }
  })

  it('an intent in the journal comes before the successor, or not at all', async () => {
    const { a, b, token } = await silentHolder()
    const noted = await begin((all) => all.begin, a.id, group, 'x', `${token}`, 'act', 'attempt')
    assert.deepEqual([noted.fence, noted.noted], ['1', '1'])
    const reading = name(b)
    // Ending the session frees its names, and this one's row is fenced.
    await blocked()
    await other.query('commit')
    const answer = await b.acquire(await reading, 'x', soon())
    const next = answer.kind === 'acquired' ? answer.token : 0n
    assert.ok(next > token)
    assert.deepEqual(await b.journal!.begin('x', next, 'act', 'other', soon()), {
      kind: 'exists',
      token,
      attempt: 'attempt',
      done: false,
    })

    await begin((all) => all.release, b.id, group, 'x', `${next}`, true, null, 'nobody', 0)
    const late = b.journal!.begin('x', next, 'late', 'attempt', soon())
    await blocked()
    await other.query('commit')
    assert.deepEqual(await late, { kind: 'stale' })
  })

  it('many who end one session end it once, and one of them has the name', async () => {
    const { b } = await silentHolder()
    const rivals = [b, ...(await Promise.all(['c', 'd', 'e'].map(open)))]
    for (let half = 0; half < 2; half++) {
      await Promise.all(rivals.map((rival) => rival.read(soon())))
      await clock.advance(leaseMs / 2)
    }
    const seen = await Promise.all(
      rivals.map(async (rival) => {
        await rival.read(soon())
        return name(rival)
      }),
    )
    const answers = await Promise.all(rivals.map((rival, at) => rival.acquire(seen[at], 'x', soon())))
    assert.equal(answers.filter(({ kind }) => kind === 'acquired').length, 1)
  })

  it('somebody who keeps a row locked costs no more than an answer', async () => {
    const impatient = postgres({ url: server.url, schema })
    const a = await open('a')
    await other.query('begin')
    await other.query(`select from ${schema}.members for update`)
    const controller = new AbortController()
    const reading = a.read(controller.signal)
    await blocked()
    controller.abort(new Error('given up'))
    await assert.rejects(reading, /given up/)
    assert.equal((await impatient.look(group, soon())).members.length, 1, 'looking waits for nobody')
    // The server gives it up as well, without being told: it does not pile up.
    const waits = 'select 1 from pg_locks where not granted'
    while ((await other.query(waits)).rowCount !== 0);
    await other.query('commit')
    assert.equal((await a.read(soon())).members.length, 1)
  })

  it('what was published and given up has no effect after what was published later', async () => {
    const [a, b] = [await open('a'), await open('b')]
    await a.publish('first', soon())
    await a.publish('second', soon())
    const channel = channelOf(schema, group)
    const late = await begin(({ publish }) => publish, a.id, '"first"', channel, 1)
    await other.query('commit')
    assert.equal(late.changed, '0')
    const publishedBy = async () => (await b.read(soon())).members.find(({ id }) => id === 'a')?.data
    assert.equal(await publishedBy(), 'second')
    await a.publish('third', soon())
    assert.equal(await publishedBy(), 'third')
  })

  it('tells its members of what others write, and nobody else', async () => {
    const [a, b] = [await open('a'), await open('b')]
    await other.query(`listen ${channelOf(schema, 'else')}`)
    const told: string[] = []
    other.on('notification', ({ channel }) => told.push(channel))
    await a.changed(soon())
    const changed = a.changed(soon())
    await acquire(b)
    await changed
    await other.query('select 1')
    assert.deepEqual(told, [])
  })

  async function renewals(session: StoreSession): Promise<string> {
    return (await server.query(`select renewals from ${schema}.members where session = ${session.id}`))[0]
  }
})
