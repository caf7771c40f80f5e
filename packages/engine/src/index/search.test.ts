import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Event } from '@ricci/client'
import { EngineBench } from '@ricci/testkit'
import fc from 'fast-check'
import { index, rules, sortValuesOf } from '../index.ts'

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

  it('looks at fewer rows in one call the more conditions it has, or the longer the descriptions it reads are', () => {
    const bench = new EngineBench(rules(index()))
    const description = 'x'.repeat(1_600)
    bench.events(t0, ...Array.from({ length: 1_000 }, (_, i) => ({ host: `h${i}`, service: 's', description })))
    const hosts = Array.from({ length: 800 }, (_, i) => `host = "h${i}"`).join(' or ')
    for (const query of [hosts, 'description ~= "x$"', `${hosts} sort by host`]) {
      assert.ok(bench.engine.query(query, { budget: 1_000 }).events.length <= 10, query.slice(-20))
    }
    assert.equal(all(bench, `${hosts} sort by host`, 100, 1_000).length, 800)
  })
})

describe('what stands behind an event', () => {
  it('is had in order, with a sort or without, also where the query is a look-up', () => {
    const bench = new EngineBench(rules(index()))
    const hosts = ['c', 'a', 'b', undefined]
    for (const host of hosts)
      bench.events(t0, { host, service: 's', metric: host === 'a' ? 2 : 1, time: t0 / 1000 + 1.3e-6 })
    const behind = (query: string, event?: Event) => {
      const sort = query.includes('sort') ? [{ field: query.split(' ').at(-1)!, descending: false }] : []
      const values = event === undefined ? [] : sortValuesOf(sort, { ...event, time: (t0 * 1000 + 1) / 1e6 })
      return bench.engine.query(query, { behind: values }).events
    }
    for (const [query, order] of [
      ['true', ['a', 'b', 'c', undefined]],
      ['true sort by metric', ['b', 'c', undefined, 'a']],
      // to the microsecond, as it is on the wire
      ['true sort by time', ['a', 'b', 'c', undefined]],
      ['host = "b" and service = "s"', ['b']],
      ['true limit 2', ['a', 'b']],
    ] as const) {
      let events = behind(query)
      for (const [i, host] of order.entries()) {
        assert.deepEqual(
          events.slice(0, order.length - i).map((event) => event.host),
          order.slice(i),
          query,
        )
        events = behind(query, { ...events[0], host })
      }
    }
    assert.throws(() => bench.engine.query('true sort by metric', { behind: ['a', 's'] }), { code: 'CURSOR_INVALID' })
  })
})

describe('a sorted answer, and one of so many', () => {
  const filled = (count: number): EngineBench => {
    const bench = new EngineBench(rules(index()))
    const events = Array.from({ length: count }, (_, i) => ({
      host: `h${i}`,
      service: 's',
      metric: (i * 7_919) % count,
    }))
    for (let from = 0; from < count; from += 3_000) bench.events(t0, ...events.slice(from, from + 3_000))
    return bench
  }
  const metrics = (events: readonly Event[]) => events.map(({ metric }) => metric)
  const upTo = (count: number) => Array.from({ length: count }, (_, i) => i)

  it('is whole, however small its pages are', () => {
    const bench = filled(20_000)
    for (const [limit, budget] of [
      [2_000, 20_000],
      [10_000, 100_000],
      [999, 501],
    ]) {
      const asked = (query: string) => metrics(all(bench, query, limit, budget))
      assert.deepEqual(asked('true sort by metric'), upTo(20_000))
      assert.deepEqual(asked('service = "s" sort by metric desc limit 12500'), upTo(20_000).reverse().slice(0, 12_500))
      assert.deepEqual(asked('metric >= 100 limit 12500').length, 12_500)
      assert.deepEqual(
        asked('metric < 50 limit 12500').sort((a, b) => Number(a) - Number(b)),
        upTo(50),
      )
    }
  })

  it('looks at no more rows in one call than it may', () => {
    const bench = filled(5_000)
    const first = bench.engine.query('metric > 4998 limit 5', { budget: 100 })
    assert.deepEqual([first.events, first.nextCursor !== undefined], [[], true])
    const sorted = bench.engine.query('true sort by metric limit 5', { budget: 100 })
    assert.deepEqual([sorted.events, sorted.nextCursor !== undefined], [[], true])
  })

  it('leaves out what has gone between two pages, and goes on over a sweep', () => {
    const bench = filled(3_000)
    const first = bench.engine.query('true sort by metric', { limit: 10 })
    bench.events(t0, ...Array.from({ length: 2_000 }, (_, i) => ({ host: `h${i}`, service: 's', state: 'expired' })))
    const rest = bench.engine.query('true sort by metric', { cursor: first.nextCursor })
    const left = bench.engine.query('true sort by metric').events
    const shown = new Set(metrics(first.events))
    assert.deepEqual(
      metrics(rest.events),
      metrics(left).filter((metric) => !shown.has(metric)),
    )
    assert.equal(rest.nextCursor, undefined)
  })

  it('is let go when too much is half given, the one left alone for longest first', () => {
    const bench = filled(3)
    const begin = () => bench.engine.query('true sort by metric', { limit: 1 }).nextCursor
    const oldest = begin()
    const next = begin()
    for (let i = 0; i < 1_995; i++) begin()
    assert.throws(() => bench.engine.query('true sort by metric', { cursor: oldest }), { code: 'ANSWER_GONE' })
    const { events, nextCursor } = bench.engine.query('true sort by metric', { cursor: next, limit: 1 })
    assert.deepEqual([metrics(events), nextCursor], [[1], next])
  })
})
