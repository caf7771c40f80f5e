import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ChangePosition } from '@ricci/engine'
import { index, rules } from '@ricci/engine'
import { EngineBench } from '@ricci/testkit'
import { pageLimit, readersPerTurn, Watches } from './watches.ts'
import type { ChangesText } from './worker-protocol.ts'

/** Watches of an engine, and what they answered. */
function watching() {
  const bench = new EngineBench(rules(index()))
  const pages = new Map<number, ChangesText>()
  const nothing: { ids: readonly number[]; before: ChangePosition }[] = []
  const watches = new Watches({
    changes: (from, options) => bench.engine.changes(from, options),
    answer: (id, page) => pages.set(id, page),
    refuse: (_, error) => assert.fail(String(error)),
    nothing: (ids, before) => nothing.push({ ids, before }),
  })
  const here = () => bench.engine.changes().next
  return { bench, pages, nothing, watches, here }
}

/** Until what was scheduled before has had its turn. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function servicesOf({ lines }: ChangesText): string[] {
  const texts = new TextDecoder().decode(lines).split('\n')
  assert.equal(texts.pop(), '', 'the last line ends, too')
  return texts.map((text) => (JSON.parse(text) as { service: string }).service)
}

describe('readers of changes', () => {
  it('are told a burst page by page: who does not read holds one, and it is small', async () => {
    const { bench, pages, watches } = watching()
    watches.ask(1, 'true', 'json', undefined)
    await turn()
    let from = pages.get(1)!.next
    const burst = 5 * pageLimit
    const description = 'd'.repeat(500)
    bench.events(0, ...Array.from({ length: burst }, (_, i) => ({ host: 'a', service: `s${i}`, description })))
    let told = 0
    for (let id = 2; told < burst; id++) {
      watches.ask(id, 'true', 'json', from)
      await turn()
      const page = pages.get(id)!
      const services = servicesOf(page)
      assert.equal(services.length, pageLimit)
      assert.ok(page.lines.length < 256 * 1024, `${page.lines.length} bytes in a page`)
      assert.equal(services[0], `s${told}`)
      told += services.length
      from = page.next
    }
  })

  it('are served a few a turn, who waits longest first, and records are applied between', async () => {
    const { bench, pages, watches, here } = watching()
    const from = here()
    bench.events(0, { host: 'a', service: 'before' })
    const readers = Array.from({ length: 3 * readersPerTurn }, (_, id) => id)
    for (const id of readers) watches.ask(id, 'true', 'json', from)
    assert.equal(pages.size, 0, 'none in the turn in which they ask')
    for (let served = readersPerTurn; served <= readers.length; served += readersPerTurn) {
      await turn()
      assert.deepEqual([...pages.keys()], readers.slice(0, served))
      bench.events(0, { host: 'a', service: `after ${served}` })
      watches.applied()
    }
    assert.deepEqual(servicesOf(pages.get(0)!), ['before'])
    const last = servicesOf(pages.get(readers.at(-1)!)!)
    assert.deepEqual(last, ['before', `after ${readersPerTurn}`, `after ${2 * readersPerTurn}`])
  })

  it('who find nothing are told how far they have seen, each of them, and wait on', async () => {
    const { bench, pages, nothing, watches, here } = watching()
    const from = here()
    const readers = Array.from({ length: 2 * readersPerTurn + 1 }, (_, id) => id)
    for (const id of readers) watches.ask(id, 'service = "wanted"', 'json', from)
    for (let round = 0; round < 2; round++) {
      bench.events(0, { host: 'a', service: `s${round}` })
      watches.applied()
      nothing.length = 0
      for (let i = 0; i < 3; i++) await turn()
      assert.deepEqual(
        nothing.flatMap(({ ids }) => ids),
        readers,
      )
      for (const { before } of nothing) assert.deepEqual(before, { offset: bench.engine.appliedOffset + 1, nth: 0 })
    }
    watches.cancel(0)
    bench.events(0, { host: 'a', service: 'wanted' })
    watches.applied()
    for (let i = 0; i < 3; i++) await turn()
    assert.deepEqual([...pages.keys()], readers.slice(1))
    for (const page of pages.values()) assert.deepEqual(servicesOf(page), ['wanted'])
  })
})
