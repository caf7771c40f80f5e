import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import { decodeMsg, type Event } from '@ricci/client'
import { TcpProxy, VirtualClock } from '@ricci/testkit'
import { RicciError } from '../errors.ts'
import { nodeClock } from '../server/node-clock.ts'
import { cover, isUnowned } from './coverage.ts'
import type { ClusterAnswer } from './fan-out.ts'
import { missingSentence } from './missing.ts'
import { FakeEngine, pagesOf, secret, TestCluster } from './testing.ts'

const partitions = 6

/** Events of a partition: five of one service each, with metrics that those of others lie between. */
const eventsOf = (partition: number): Event[] =>
  Array.from({ length: 5 }, (_, i) => ({ host: `h${partition}`, service: `s${i}`, metric: 10 * i + partition }))

const engineOf = (partition: number, pageEvents?: number) => new FakeEngine(eventsOf(partition), pageEvents)

/** Three instances, two of which run each partition, as placement has it. */
async function three(context: TestContext) {
  const cluster = new TestCluster(partitions)
  context.after(() => cluster.close())
  const runs = (...some: number[]) => Object.fromEntries(some.map((partition) => [partition, engineOf(partition)]))
  const a = await cluster.add('a', runs(0, 1, 2, 3))
  const b = await cluster.add('b', runs(2, 3, 4, 5))
  const c = await cluster.add('c', runs(4, 5, 0, 1))
  for (const [one, owned] of [
    [a, [0, 1]],
    [b, [2, 3]],
    [c, [4, 5]],
  ] as const) {
    for (const partition of owned) one.states[partition] = 'owning'
  }
  return { cluster, a, b, c }
}

async function jsonOf(answer: ClusterAnswer): Promise<Event[]> {
  const pages = await pagesOf(answer.pages)
  return JSON.parse(`[${pages.map((page) => Buffer.from(page).toString()).join()}]`) as Event[]
}

const hostsOf = (events: readonly Event[]): string[] => [...new Set(events.map(({ host }) => host!))].sort()
const all = Array.from({ length: partitions }, (_, partition) => `h${partition}`)
const now = (): number => nodeClock.monotonicMs()

describe('a query for the whole cluster', () => {
  test('is answered by any instance: here what runs here, the rest of one other', async (context) => {
    const { a, b, c, cluster } = await three(context)
    for (const one of cluster.instances) {
      const answer = await one.fanOut.answer('true', 'json', now())
      const events = await jsonOf(answer)
      assert.deepEqual(hostsOf(events), all)
      assert.equal(events.length, partitions * 5)
      assert.deepEqual(answer.missing, [])
      assert.deepEqual(
        answer.fresh.map(({ partition }) => partition),
        [0, 1, 2, 3, 4, 5],
      )
    }
    // a asked c, which owns 4 and 5, and not b, which stands by
    const { fresh } = await a.fanOut.answer('true', 'json', now())
    assert.deepEqual(
      fresh.map(({ instance }) => instance),
      ['a', 'a', 'a', 'a', 'c', 'c'],
    )
    assert.ok(fresh.every(({ ageMs, offset }) => ageMs >= 700 && offset === 4))
    assert.ok(b.engines.get(2)!.asked > 0 && c.engines.get(4)!.asked > 0)
  })

  test('a Riemann client gets all of it as one Msg', async (context) => {
    const { b } = await three(context)
    let bytes = 0
    const pages = await b.fanOut.ask('true', now(), (more) => ((bytes += more), true))
    const { events = [] } = decodeMsg(Buffer.concat(pages))
    assert.deepEqual(hostsOf(events), all)
    assert.equal(
      bytes,
      pages.reduce((sum, page) => sum + page.length, 0),
    )
  })

  test('sorted answers are merged in order, in either form, however they are cut into pages', async (context) => {
    const { a, b, cluster } = await three(context)
    const expected = all
      .flatMap((_, partition) => eventsOf(partition))
      .sort((x, y) => Number(y.metric) - Number(x.metric))
    for (const { fanOut } of cluster.instances) {
      assert.deepEqual(await jsonOf(await fanOut.answer('true sort by metric desc', 'json', now())), expected)
      const pages = await fanOut.ask('true sort by metric desc limit 7', now(), () => true)
      assert.deepEqual(decodeMsg(Buffer.concat(pages)).events?.map(plain), expected.slice(0, 7))
    }
    assert.deepEqual(await jsonOf(await a.fanOut.answer('true sort by metric limit 2', 'json', now(), 1)), [
      expected.at(-1),
    ])
    assert.equal((await jsonOf(await b.fanOut.answer('true sort by nothing', 'json', now()))).length, 30)
  })

  test('a limit holds for all partitions together, the query’s own and the request’s', async (context) => {
    const { a } = await three(context)
    for (const limit of [1, 2, 3, 7, 29, 30, 31]) {
      assert.equal((await jsonOf(await a.fanOut.answer('true', 'json', now(), limit))).length, Math.min(limit, 30))
      const pages = await a.fanOut.ask(`true limit ${limit}`, now(), () => true)
      assert.equal(decodeMsg(Buffer.concat(pages)).events?.length, Math.min(limit, 30))
    }
    assert.equal((await jsonOf(await a.fanOut.answer('true limit 9', 'json', now(), 4))).length, 4)
    assert.equal((await jsonOf(await a.fanOut.answer('true limit 4', 'json', now(), 9))).length, 4)
  })

  for (const query of ['true', 'true sort by metric desc', 'true sort by service', 'true sort by metric limit 17']) {
    test(`with a cursor it goes on at another instance, each event once, in order: ${query}`, async (context) => {
      const { cluster } = await three(context)
      const [whole] = cluster.instances
      const expected = await jsonOf(await whole.fanOut.answer(query, 'json', now(), undefined, ''))
      assert.equal(expected.length, query.includes('limit') ? 17 : 30)
      for (const limit of [1, 4, 16, 17, 30, 31]) {
        const told: Event[] = []
        let cursor: string | undefined = ''
        for (let page = 0; cursor !== undefined; page++) {
          const { fanOut } = cluster.instances[page % 3]
          const answer: ClusterAnswer = await fanOut.answer(query, 'json', now(), limit, cursor)
          const events = await jsonOf(answer)
          cursor = answer.cursor()
          assert.ok(events.length === limit || cursor === undefined, `${events.length} events in the middle`)
          assert.ok(events.length > 0, 'an answer without events')
          told.push(...events)
        }
        assert.deepEqual(told, expected)
      }
    })
  }

  test('a cursor that no answer gave, or one of another sort, is refused', async (context) => {
    const { a } = await three(context)
    const answer = await a.fanOut.answer('true', 'json', now(), 1, '')
    await jsonOf(answer)
    const refused = (query: string, cursor: string) =>
      assert.rejects(a.fanOut.answer(query, 'json', now(), 1, cursor), { code: 'CURSOR_INVALID' })
    await refused('true sort by metric', answer.cursor()!)
    for (const cursor of [
      'x',
      'e30',
      Buffer.from('[null]').toString('base64url'),
      Buffer.from('[-1,"sa","sb"]').toString('base64url'),
      Buffer.from('[null,"xa","bz"]').toString('base64url'),
    ]) {
      await refused('true', cursor)
    }
  })

  test('a wrong query is refused before anybody is asked', async (context) => {
    const { a, c } = await three(context)
    await assert.rejects(a.fanOut.answer('service =', 'json', now()), { code: 'QUERY_SYNTAX' })
    assert.equal(c.engines.get(4)!.asked, 0)
  })

  test('an owner that is gone is replaced by who stands by', async (context) => {
    const { a, c } = await three(context)
    await c.listener.close()
    const answer = await a.fanOut.answer('true', 'json', now())
    assert.deepEqual(hostsOf(await jsonOf(answer)), all)
    assert.deepEqual(answer.fresh.map(({ instance }) => instance).slice(4), ['b', 'b'])
  })

  test('an owner that is frozen is replaced by who stands by, in time', async (context) => {
    const { a, c } = await three(context)
    const proxy = await TcpProxy.start(Number(c.address.split(':')[1]))
    context.after(() => proxy.close())
    Object.assign(c, { address: `127.0.0.1:${proxy.port}` })
    await jsonOf(await a.fanOut.answer('true', 'json', now()))
    proxy.stall()
    const beganMs = now()
    const answer = await a.fanOut.answer('true', 'json', beganMs)
    assert.deepEqual(answer.fresh.map(({ instance }) => instance).slice(4), ['b', 'b'])
    assert.deepEqual(hostsOf(await jsonOf(answer)), all)
    assert.ok(now() - beganMs < 4_000)
  })

  test('an owner that lags is waited for while who stands by is asked: the first to answer is taken', async (context) => {
    const { a, b, c } = await three(context)
    let applied = (): void => undefined
    c.engines.get(5)!.evaluates = new Promise((resolve) => (applied = resolve))
    const answer = await a.fanOut.answer('true', 'json', now())
    assert.deepEqual(answer.fresh.map(({ instance }) => instance).slice(4), ['b', 'b'])
    assert.equal((await jsonOf(answer)).length, 30)
    assert.ok(b.engines.get(4)!.asked > 0)
    applied()
  })

  test('a partition that an instance has just given up is asked of the next', async (context) => {
    const { a, c } = await three(context)
    c.engines.delete(5)
    const answer = await a.fanOut.answer('true', 'json', now())
    assert.deepEqual(answer.fresh.map(({ instance }) => instance).slice(4), ['c', 'b'])
    assert.equal((await jsonOf(answer)).length, 30)
  })

  test('what nobody holds is missing: a Riemann client gets nothing, HTTP what there is', async (context) => {
    const { a, b, c } = await three(context)
    for (const { states } of [b, c]) for (const partition of [4, 5]) states[partition] = 'restoring'
    const answer = await a.fanOut.answer('true', 'json', now())
    assert.deepEqual(hostsOf(await jsonOf(answer)), all.slice(0, 4))
    assert.deepEqual(
      answer.missing.map(({ partition }) => partition),
      [4, 5],
    )
    assert.equal(missingSentence(answer.missing), 'partitions 4, 5 have no owner')
    await assert.rejects(
      a.fanOut.ask('true', now(), () => true),
      { code: 'NOT_EVALUATED', message: 'not evaluated yet: partitions 4, 5 have no owner' },
    )
  })

  test('what nobody holds for a moment is looked for again: a takeover is on its way', async (context) => {
    const cluster = new TestCluster(1, secret, 60_000)
    context.after(() => cluster.close())
    const { fanOut } = await cluster.add('a', {})
    const b = await cluster.add('b', { 0: new FakeEngine([{ host: 'h' }]) })
    b.states[0] = 'restoring'
    const answering = fanOut.answer('true', 'json', now())
    // it found nobody before the states change, for it looks at once
    b.states[0] = 'owning'
    const answer = await answering
    assert.deepEqual(answer.missing, [])
    assert.deepEqual(hostsOf(await jsonOf(answer)), ['h'])
  })

  test('who is not evaluated anywhere is missing at the end of the wait, and the rest is answered', async (context) => {
    const { a, b, c } = await three(context)
    for (const { engines } of [b, c]) engines.get(4)!.error = new RicciError('NOT_EVALUATED', 'not evaluated yet')
    const answer = await a.fanOut.answer('true', 'json', now())
    assert.equal(missingSentence(answer.missing), 'partition 4 did not answer in time')
    assert.equal((await jsonOf(answer)).length, 25)
  })

  test('nobody at all: not evaluated', async (context) => {
    const cluster = new TestCluster(2)
    context.after(() => cluster.close())
    const { fanOut } = await cluster.add('a', {})
    await assert.rejects(fanOut.answer('true', 'json', now()), {
      code: 'NOT_EVALUATED',
      message: 'not evaluated yet: partitions 0, 1 have no owner',
    })
  })

  test('who answers and goes away in the middle ends the answer with an error, not early', async (context) => {
    const { a, c } = await three(context)
    c.engines.get(4)!.breaks = {
      after: 1,
      error: Object.assign(new Error('it is being replaced'), { code: 'ENGINE_AWAY' }),
    }
    const answer = await a.fanOut.answer('true', 'json', now())
    await assert.rejects(jsonOf(answer), { code: 'ENGINE_AWAY' })
  })

  test('who leaves an answer ends it everywhere, before its first page too', async (context) => {
    const cluster = new TestCluster(2)
    context.after(() => cluster.close())
    const long = (partition: number) =>
      new FakeEngine(
        Array.from({ length: 2_000 }, (_, i) => ({
          host: `h${partition}`,
          service: `s${i}`,
          description: 'x'.repeat(9_000),
        })),
        10,
      )
    const engines = [long(0), long(1)]
    const { fanOut } = await cluster.add('a', { 0: engines[0] })
    await cluster.add('b', { 1: engines[1] })
    const unread = (await fanOut.answer('true', 'json', now())).pages[Symbol.asyncIterator]()
    await unread.return?.()
    const begun = (await fanOut.answer('true', 'json', now())).pages[Symbol.asyncIterator]()
    await begun.next()
    await begun.return?.()
    // both answers of the remote engine began; that of the local one in the second only
    while (engines[1].left < 2 || engines[0].left < 1) await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual([engines[0].left, engines[1].left], [1, 2])
  })
})

describe('who answers for which partition', () => {
  type Answer = { fresh: { partition: number }[]; missing: { partition: number; code: string }[]; by: string }
  const covering = (by: string, some: readonly number[]): Answer => ({
    by,
    fresh: some.map((partition) => ({ partition })),
    missing: [],
  })
  const run = (
    candidates: Record<string, (partitions: readonly number[], signal: AbortSignal) => Promise<Answer>>,
    order: readonly (readonly string[])[],
    deadlineMs = 5_000,
  ) => {
    const clock = new VirtualClock()
    const covered = cover<Answer>({
      partitions: order.map((_, partition) => partition),
      candidates: (partition) => order[partition].map((id) => ({ id, ask: candidates[id] })),
      clock,
      deadlineMs,
      ownedByMs: 0,
      signal: new AbortController().signal,
    })
    void clock.advance(5_000)
    return covered
  }

  test('each instance is asked once for all that it is to answer for', async () => {
    const questions: string[] = []
    const ask = (by: string) => async (some: readonly number[]) => {
      questions.push(`${by} ${some.join()}`)
      return covering(by, some)
    }
    const { answers, missing } = await run({ a: ask('a'), b: ask('b') }, [['a'], ['b', 'a'], ['a', 'b'], ['b']])
    assert.deepEqual(questions, ['a 0,2', 'b 1,3'])
    assert.deepEqual([answers.length, missing.length], [2, 0])
  })

  test('no partition is in two answers: of one that comes late the rest is asked for again', async () => {
    const aborted: string[] = []
    let slow = (): void => undefined
    const { answers, missing } = await run(
      {
        a: async (some, signal) => {
          signal.addEventListener('abort', () => aborted.push(some.join()))
          if (some.length === 3) await new Promise<void>((resolve) => (slow = resolve))
          return covering('a', some)
        },
        b: async (some) => {
          // it answers for the first only, and then the slow one comes with all
          slow()
          return { ...covering('b', [0]), missing: some.slice(1).map((partition) => ({ partition, code: 'NOT_HERE' })) }
        },
      },
      [
        ['a', 'b'],
        ['a', 'b'],
        ['a', 'b'],
      ],
    )
    assert.deepEqual(
      answers.map(({ by, fresh }) => `${by} ${fresh.map(({ partition }) => partition).join()}`),
      ['b 0', 'a 1,2'],
    )
    assert.deepEqual(missing, [])
    assert.deepEqual(aborted, ['0,1,2'])
  })

  test('at the deadline those that did not answer are ended, and missing', async () => {
    let aborted = false
    const { answers, missing } = await run(
      {
        a: (_some, signal) => {
          signal.addEventListener('abort', () => (aborted = true))
          return new Promise(() => undefined)
        },
      },
      [['a'], []],
      20,
    )
    assert.equal(answers.length, 0)
    assert.deepEqual(
      missing.map((one) => [one.partition, isUnowned(one)]),
      [
        [0, false],
        [1, true],
      ],
    )
    assert.ok(aborted)
  })
})

/** Without what only the wire tells. */
function plain({ host, service, metric }: Event): Event {
  return { host, service, metric }
}
