import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ChangePosition } from '@ricci/engine'
import { index, rules } from '@ricci/engine'
import { EngineBench } from '@ricci/testkit'
import { pageLimit, Watches } from './watches.ts'
import type { ChangesText } from './worker-protocol.ts'

test('a burst is told page by page: who does not read holds one, and it is small', () => {
  const bench = new EngineBench(rules(index()))
  const pages: ChangesText[] = []
  const watches = new Watches({
    changes: (from, options) => bench.engine.changes(from, options),
    answer: (_, page) => pages.push(page),
    refuse: (_, error) => assert.fail(String(error)),
  })
  watches.ask(1, 'true', undefined)
  let from: ChangePosition = pages.pop()!.next
  const burst = 5 * pageLimit
  const description = 'd'.repeat(500)
  bench.events(0, ...Array.from({ length: burst }, (_, i) => ({ host: 'a', service: `s${i}`, description })))
  let told = 0
  for (let id = 2; told < burst; id++) {
    watches.ask(id, 'true', from)
    const page = pages.pop()!
    const lines = new TextDecoder().decode(page.lines).split('\n')
    assert.equal(lines.length, pageLimit)
    assert.ok(page.lines.length < 256 * 1024, `${page.lines.length} bytes in a page`)
    assert.equal((JSON.parse(lines[0]) as { service: string }).service, `s${told}`)
    told += lines.length
    from = page.next
  }
})
