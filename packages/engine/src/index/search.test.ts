import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Event } from '@ricci/client'
import { EngineBench } from '@ricci/testkit'
import fc from 'fast-check'
import { index, rules } from '../index.ts'

const t0 = 1_700_000_000_000

/** All pages of an answer. */
function all(bench: EngineBench, query: string, limit: number, budget: number): Event[] {
  const events: Event[] = []
  for (let cursor: number | undefined = 0; cursor !== undefined;) {
    const page = bench.engine.query(query, { cursor, limit, budget })
    events.push(...page.events)
    cursor = page.nextCursor
  }
  return events
}

describe('a query for one host, or one service', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd', undefined)
  const step = fc.record({
    host: name,
    service: name,
    ttl: fc.constantFrom(1, 5, 60),
    seconds: fc.constantFrom(0, 0, 1, 4),
  })

  it('answers what a scan of all rows would, in the same order, over churn, restores and pages', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.nat({ max: 60 }),
        fc.integer({ min: 1, max: 4 }),
        (steps, cutAt, limit) => {
          const bench = new EngineBench(rules(index()), { idleForkMs: 2_000 })
          bench.tick(0, t0)
          let now = 0
          steps.forEach(({ host, service, ttl, seconds }, i) => {
            if (i === cutAt) bench.cut()
            for (let passed = 0; passed < seconds; passed++) {
              now++
              bench.ticks = Math.floor(bench.ticks / 600) * 600 + 599
              bench.tick(1_000, t0 + now * 1_000)
            }
            bench.events(t0 + now * 1_000, { host, service, ttl, metric: i })
            for (const key of ['host', 'service']) {
              for (const value of ['a', 'd', 'never']) {
                // a disjunction is no key: it is answered by a scan
                const scanned = all(bench, `${key} = "${value}" or ${key} = "${value}"`, 100, 1000)
                assert.deepEqual(all(bench, `${key} = "${value}"`, limit, 2), scanned)
                assert.deepEqual(
                  bench.engine.query(`${key} = "${value}" sort by metric desc`).events.length,
                  scanned.length,
                )
              }
            }
          })
        },
      ),
      { numRuns: 40, seed: 20261121 },
    )
  })

  it('looks at the rows of that one alone', () => {
    const bench = new EngineBench(rules(index()))
    for (let i = 0; i < 50; i++) {
      bench.events(t0, ...Array.from({ length: 20 }, (_, n) => ({ host: `h${i}`, service: `s${n}` })))
    }
    for (const [query, count] of [
      ['host = "h49"', 20],
      ['service = "s7" and host != "h3"', 49],
      ['host = "nobody"', 0],
    ] as const) {
      const page = bench.engine.query(query, { budget: 60 })
      assert.deepEqual([page.events.length, page.nextCursor], [count, undefined], query)
    }
    assert.notEqual(bench.engine.query('true', { budget: 60 }).nextCursor, undefined)
  })
})
