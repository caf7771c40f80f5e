import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import type { WatchPage } from '../http/backend.ts'
import { FakeEngine, TestCluster } from './testing.ts'

/** Two instances, each with a partition of its own, and one that both run. */
async function two(context: TestContext) {
  const cluster = new TestCluster(3)
  context.after(() => cluster.close())
  const engines = () => new FakeEngine([])
  const a = await cluster.add('a', { 0: engines(), 2: engines() })
  const b = await cluster.add('b', { 1: engines(), 2: engines() })
  const ending = new AbortController()
  context.after(() => ending.abort())
  return { cluster, a, b, ending }
}

const changed = (text: string): WatchPage => ({ lines: Buffer.from(`${text}\n`) })
/** A change of a partition, by the record at an offset. */
const changedAt = (text: string, partition: number, offset: number): WatchPage => ({
  ...changed(text),
  at: { partition, after: [offset, 1] },
})

async function next(pages: AsyncIterator<WatchPage>): Promise<{ gap?: string; text: string }> {
  const { value } = (await pages.next()) as { value: WatchPage }
  return { ...(value.gap !== undefined && { gap: value.gap }), text: Buffer.from(value.lines).toString() }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

describe('a watch of the whole cluster', () => {
  test('tells changes of all partitions, of each once', async (context) => {
    const { a, b, ending } = await two(context)
    const pages = (await a.fanOut.watch('true', 'json', ending.signal))[Symbol.asyncIterator]()
    assert.deepEqual(
      [a, b].map(({ engines }) => [...engines.values()].map(({ watched }) => watched)),
      [
        [1, 1],
        [1, 0],
      ],
    )
    a.engines.get(0)!.change(changed('zero'))
    assert.deepEqual(await next(pages), { text: 'zero\n' })
    b.engines.get(1)!.change(changed('one'))
    assert.deepEqual(await next(pages), { text: 'one\n' })
    b.engines.get(1)!.change({ gap: 'too slow', ...changed('more') })
    assert.deepEqual(await next(pages), { gap: 'too slow', text: 'more\n' })
    ending.abort()
    assert.equal((await pages.next()).done, true)
    while (b.engines.get(1)!.watched + a.engines.get(0)!.watched > 0) await turn()
  })

  test('ends everywhere when whoever watches leaves', async (context) => {
    const { a, b, ending } = await two(context)
    const pages = (await a.fanOut.watch('true', 'json', ending.signal))[Symbol.asyncIterator]()
    b.engines.get(1)!.change(changed('one'))
    assert.deepEqual(await next(pages), { text: 'one\n' })
    await pages.return?.()
    while (b.engines.get(1)!.watched + a.engines.get(0)!.watched > 0) await turn()
  })

  test('a partition that an instance gives up is watched at another, and the gap is told', async (context) => {
    const { a, b, ending } = await two(context)
    const pages = (await a.fanOut.watch('true', 'json', ending.signal))[Symbol.asyncIterator]()
    a.engines.delete(2)
    const { gap } = await next(pages)
    assert.match(gap!, /^changes are missing from here on.*partitions 0, 2/)
    while (b.engines.get(2)!.watched === 0) await turn()
    while (a.engines.get(0)!.watched === 0) await turn()
    const again = [await next(pages), await next(pages)].map((page) => page.gap)
    assert.deepEqual(
      again.sort(),
      [0, 2].map((partition) => `partition ${partition} is watched again; what changed meanwhile is missing`),
    )
    b.engines.get(2)!.change(changed('two'))
    assert.deepEqual(await next(pages), { text: 'two\n' })
  })

  test('goes on at another where it was at the first, who keeps what comes meanwhile', async (context) => {
    const { a, b, ending } = await two(context)
    const pages = (await a.fanOut.watch('true', 'json', ending.signal))[Symbol.asyncIterator]()
    while (b.engines.get(2)!.kept === 0) await turn()
    a.engines.get(2)!.change(changedAt('first', 2, 7))
    assert.deepEqual(await next(pages), { text: 'first\n' })
    a.engines.get(0)!.change(changedAt('other', 0, 3))
    assert.deepEqual(await next(pages), { text: 'other\n' })
    a.engines.delete(2)
    const asked = next(pages)
    while (b.engines.get(2)!.watched === 0) await turn()
    assert.deepEqual(b.engines.get(2)!.froms, [{ partition: 2, offset: 7, nth: 1 }])
    while (a.engines.get(0)!.watched === 0) await turn()
    assert.deepEqual(a.engines.get(0)!.froms.at(-1), { partition: 0, offset: 3, nth: 1 })
    b.engines.get(2)!.change(changedAt('second', 2, 8))
    const gaps: string[] = []
    let page = await asked
    for (; page.gap !== undefined; page = await next(pages)) gaps.push(page.gap)
    assert.deepEqual(page, { text: 'second\n' })
    assert.ok(!gaps.some((gap) => gap.includes('meanwhile is missing')), gaps.join())
    ending.abort()
    while (b.engines.get(2)!.kept > 0) await turn()
  })

  test('what one has forgotten is asked of the others, and told to be missing where none knows', async (context) => {
    const { a, b, ending } = await two(context)
    const place = { partition: 2, offset: 7, nth: 1 }
    const pages = (await a.fanOut.watch('true', 'json', ending.signal, [place]))[Symbol.asyncIterator]()
    const forgotten = { ...changedAt('later', 2, 9), gap: 'gone', stale: true }
    a.engines.get(2)!.change(forgotten)
    const asked = next(pages)
    while (b.engines.get(2)!.watched === 0) await turn()
    assert.deepEqual(b.engines.get(2)!.froms, [place])
    b.engines.get(2)!.change(forgotten)
    let page = await asked
    while (page.gap !== 'gone') page = await next(pages)
    assert.deepEqual(page, { gap: 'gone', text: 'later\n' })
  })

  test('who goes on is told of partitions that were missing where it was', async (context) => {
    const { a, ending } = await two(context)
    const from = [0, 1].map((partition) => ({ partition, offset: 1, nth: 0 }))
    const pages = (await a.fanOut.watch('true', 'json', ending.signal, from))[Symbol.asyncIterator]()
    assert.match((await next(pages)).gap!, /^partition 2 is watched again; what changed meanwhile is missing/)
  })

  test('of an instance that goes away what nobody else runs is told, and found again when somebody does', async (context) => {
    const { a, b, ending } = await two(context)
    const pages = (await a.fanOut.watch('true', 'json', ending.signal))[Symbol.asyncIterator]()
    await b.listener.close()
    b.states[1] = 'restoring'
    assert.match((await next(pages)).gap!, /partition 1/)
    const engine = new FakeEngine([])
    a.engines.set(1, engine)
    while (engine.watched === 0) await turn()
    assert.match((await next(pages)).gap!, /^partition 1 is watched again/)
    engine.change(changed('one'))
    assert.deepEqual(await next(pages), { text: 'one\n' })
  })

  test('what nobody runs at its beginning is told; a wrong query, and nobody at all, refuse it', async (context) => {
    const { a, b, ending } = await two(context)
    b.states[1] = 'restoring'
    const pages = (await a.fanOut.watch('true', 'json', ending.signal))[Symbol.asyncIterator]()
    assert.match((await next(pages)).gap!, /partition 1 has no owner/)
    await assert.rejects(a.fanOut.watch('service =', 'json', ending.signal), { code: 'QUERY_SYNTAX' })
    for (const { states, engines } of [a, b]) {
      engines.clear()
      for (const partition of Object.keys(states)) states[partition] = 'restoring'
    }
    await assert.rejects(a.fanOut.watch('true', 'json', ending.signal), { code: 'NOT_EVALUATED' })
  })
})
