import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import { VirtualClock } from '@ricci/testkit'
import { EnginePartitions } from './engine-partitions.ts'
import { listIncidents } from './incidents.ts'
import { FakeEngine, TestCluster } from './testing.ts'

interface Answer {
  readonly incidents: { readonly open: string[]; readonly closed: string[] }
  readonly pages: string[]
  readonly missing?: number[]
  readonly cursor?: string
}

const partitions = 5

/** So many of each kind in a partition, each named by kind, partition and place. */
function engineOf(partition: number, counts: readonly [number, number, number]): FakeEngine {
  const names = (kind: string, count: number) => Array.from({ length: count }, (_, i) => `${kind} ${partition} ${i}`)
  const [open, closed, page] = counts
  return new FakeEngine([], 1, {
    open: names('open', open),
    closed: names('closed', closed),
    page: names('page', page),
  })
}

const counts = [
  [3, 0, 1],
  [0, 4, 0],
  [7, 2, 2],
  [0, 0, 0],
  [1, 9, 5],
] as const

async function three(context: TestContext) {
  const cluster = new TestCluster(partitions)
  context.after(() => cluster.close())
  const runs = (...some: number[]) =>
    Object.fromEntries(some.map((partition) => [partition, engineOf(partition, counts[partition])]))
  const a = await cluster.add('a', runs(0, 3))
  const b = await cluster.add('b', runs(1, 4))
  const c = await cluster.add('c', runs(2))
  return { cluster, a, b, c }
}

async function allOf(ask: (cursor?: string) => Promise<string>): Promise<{ answers: Answer[]; all: string[] }> {
  const answers: Answer[] = []
  for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
    const answer = JSON.parse(await ask(cursor)) as Answer
    answers.push(answer)
    cursor = answer.cursor
  }
  return { answers, all: answers.flatMap(({ incidents, pages }) => [...incidents.open, ...incidents.closed, ...pages]) }
}

const expected = (['open', 'closed', 'page'] as const).flatMap((kind, k) =>
  counts.flatMap((of, partition) => Array.from({ length: of[k] }, (_, i) => `${kind} ${partition} ${i}`)),
)

describe('incidents of the whole cluster', () => {
  test('all that is open, then what is closed, then the pages, each once, in parts of any length', async (context) => {
    const { cluster } = await three(context)
    for (const { fanOut } of cluster.instances) {
      for (const limit of [1, 2, 3, 5, 11, 33, 34, 35, 200]) {
        const { answers, all } = await allOf((cursor) => fanOut.incidents({ limit, cursor }))
        assert.deepEqual(all, expected, `limit ${limit}`)
        for (const { incidents, pages } of answers) {
          assert.ok(incidents.open.length + incidents.closed.length + pages.length <= limit)
        }
      }
    }
  })

  test('one question to each instance for a kind', async (context) => {
    const { a, b, c } = await three(context)
    await a.fanOut.incidents({ limit: 200 })
    assert.deepEqual(
      [a, b, c].map(({ engines }) =>
        [...engines.values()].map(({ listing }) => listing.map(({ kind }) => kind).join()),
      ),
      [['open,closed,page', 'open,closed,page'], ['open,closed,page', 'open,closed,page'], ['open,closed,page']],
    )
  })

  test('partitions that nobody tells of are named', async (context) => {
    const { a, c } = await three(context)
    c.states[2] = 'diverged'
    const { answers, all } = await allOf((cursor) => a.fanOut.incidents({ limit: 4, cursor }))
    assert.deepEqual(
      all,
      expected.filter((name) => name.split(' ')[1] !== '2'),
    )
    assert.ok(answers.every(({ missing }) => missing?.join() === '2' || missing === undefined))
    assert.deepEqual(answers[0].missing, [2])
  })

  test('one that hangs costs what it keeps, and no other partition any kind', async (context) => {
    const { cluster, a, b } = await three(context)
    const clock = new VirtualClock()
    const engineOf = (partition: number) => a.engines.get(partition)
    const local = new EnginePartitions({ instance: 'a', clock, engineOf })
    const members = () => cluster.members().filter(({ instance }) => instance !== 'c')
    // taken, and never answered
    const isAsked = new Promise<void>((tell) => {
      for (const engine of b.engines.values()) {
        engine.listed = () => {
          tell()
          return new Promise(() => undefined)
        }
      }
    })
    const among = { instance: 'a', partitions, local, members, client: a.client, clock, takeoverMs: 0 }
    // those here take their time, as another thread does
    for (const engine of a.engines.values()) {
      const listed = engine.listed.bind(engine)
      engine.listed = (request) => new Promise((resolve) => clock.setTimer(10, () => resolve(listed(request))))
    }
    const told: string[] = []
    void listIncidents(among, { limit: 200 }).then(({ listing }) => told.push(listing))
    await isAsked
    while (told.length === 0) await clock.advance(100)
    const { incidents, pages, missing } = JSON.parse(told[0]) as Answer
    assert.deepEqual(missing, [1, 2, 4])
    assert.deepEqual(
      [...incidents.open, ...incidents.closed, ...pages],
      expected.filter((name) => ['0', '3'].includes(name.split(' ')[1])),
    )
  })

  test('an id is looked for in its partition alone, whatever others are at; what is not there may be a key of somebody', async (context) => {
    const { a, b, c } = await three(context)
    c.states[2] = 'diverged'
    const ask = async (...refs: string[]) =>
      JSON.parse(await a.fanOut.incidents({ limit: 200, filter: { refs } })) as Answer
    const listings = () => [a, b].map(({ engines }) => [...engines.values()].map(({ listing }) => listing.length))
    for (const [refs, missing, asked] of [
      [
        ['0.17.0'],
        undefined,
        [
          [3, 0],
          [0, 0],
        ],
      ],
      [
        ['4.17.0', '1.17', 'log-1.1.17.0.abc'],
        undefined,
        [
          [3, 0],
          [3, 3],
        ],
      ],
      [
        ['2.17.0'],
        [2],
        [
          [3, 0],
          [3, 3],
        ],
      ],
      // partition 3 has nothing
      [
        ['3.17.0'],
        [2],
        [
          [6, 6],
          [6, 6],
        ],
      ],
      [
        ['0.17.0', 'web'],
        [2],
        [
          [9, 9],
          [9, 9],
        ],
      ],
      [
        ['10.0.0.7'],
        [2],
        [
          [12, 12],
          [12, 12],
        ],
      ],
    ] as const) {
      const answer = await ask(...refs)
      assert.deepEqual([answer.missing, listings()], [missing, asked], refs.join())
    }
  })

  test('an incident that is of another kind than is asked for is looked for nowhere else', async (context) => {
    const { a, c } = await three(context)
    c.states[2] = 'diverged'
    const listing = await a.fanOut.incidents({ limit: 9, kinds: ['open'], filter: { refs: ['1.17.0'] } })
    assert.deepEqual(JSON.parse(listing), { incidents: { open: [], closed: [] }, pages: [] })
  })

  test('nobody at all: not evaluated; a cursor of somebody else: invalid', async (context) => {
    const { a } = await three(context)
    for (const cursor of ['nonsense', 'open/5/', 'open/1/x"y', 'shut/1/', 'open.1.2']) {
      await assert.rejects(a.fanOut.incidents({ limit: 1, cursor }), { code: 'CURSOR_INVALID' })
    }
    const cluster = new TestCluster(2)
    context.after(() => cluster.close())
    const { fanOut } = await cluster.add('a', {})
    await assert.rejects(fanOut.incidents({ limit: 1 }), { code: 'NOT_EVALUATED' })
  })
})
