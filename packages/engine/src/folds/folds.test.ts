import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { cursorToEvent, EventCursor, eventToCursor, Kind, SymbolTable, type Event } from '@ricci/client'
import fc from 'fast-check'
import type { EventFold, FoldContext, ListFold } from './fold.ts'
import type { EventList } from './list.ts'
import { fold } from './vocabulary.ts'
import { percentiles } from '../streams/vocabulary.ts'

/** What Riemann's folds give is tested by the vectors; here is what holds for any list, against the obvious way to compute it. */

const table = new SymbolTable()
const context: FoldContext = { table, nowSeconds: 1000 }

function listOf(events: readonly (Event | null)[]): EventList {
  const cursors = events.map((event) => {
    if (event === null) return undefined
    const cursor = new EventCursor()
    assert.ok(eventToCursor(event, table, cursor))
    return cursor
  })
  return {
    length: cursors.length,
    load(i, into) {
      const cursor = cursors[i]
      if (cursor !== undefined) into.copyFrom(cursor)
      return cursor !== undefined
    },
    metricKind: (i) => cursors[i]?.metricKind ?? Kind.none,
    metric: (i) => cursors[i]!.metric,
    metricBig: (i) => cursors[i]!.metricBig,
    late: () => false,
  }
}

function apply(chosen: EventFold, events: readonly (Event | null)[]): Event | null {
  const out = new EventCursor()
  // What stood in the cursor before must not show.
  eventToCursor({ host: 'old', service: 'old', description: 'old', metric: 1n << 60n, tags: ['old'] }, table, out)
  return chosen.apply(listOf(events), out, context) ? cursorToEvent(out, table) : null
}

function applyList(chosen: ListFold, events: readonly (Event | null)[]): (Event | null)[] {
  const given: (Event | null)[] = []
  chosen.apply(listOf(events), (event) => given.push(event === undefined ? null : cursorToEvent(event, table)), context)
  return given
}

const named = (metrics: readonly (number | bigint | undefined)[]): Event[] =>
  metrics.map((metric, i) => ({ host: `h${i}`, ...(metric === undefined ? {} : { metric }) }))

const integers = fc.array(fc.oneof(fc.integer(), fc.bigInt({ min: -(1n << 50n), max: 1n << 61n })), {
  minLength: 1,
  maxLength: 3,
})
const doubles = fc.array(fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 }), {
  minLength: 1,
  maxLength: 30,
})
const within64 = (value: bigint): boolean => BigInt.asIntN(64, value) === value

describe('integers are exact', () => {
  const cases: [EventFold, (a: bigint, b: bigint) => bigint][] = [
    [fold.sum, (a, b) => a + b],
    [fold.product, (a, b) => a * b],
    [fold.difference, (a, b) => a - b],
  ]
  for (const [chosen, operation] of cases) {
    test(chosen.name, () => {
      fc.assert(
        fc.property(integers, (metrics) => {
          const steps = metrics.map(BigInt)
          let inside = true
          const exact = steps.reduce((a, b) => {
            const next = operation(a, b)
            inside &&= within64(next)
            return next
          })
          const run = (): Event | null => apply(chosen, named(metrics))
          if (!inside) return assert.throws(run, { code: 'FOLD_FAILED' })
          const { metric, metricType } = run()!
          assert.equal(BigInt(metric!), exact)
          assert.equal(metricType, undefined)
        }),
      )
    })
  }
})

describe('samples', () => {
  test('median, extremes and count against sorting', () => {
    fc.assert(
      fc.property(doubles, (metrics) => {
        const sorted = [...metrics].sort((a, b) => a - b)
        const events = named(metrics)
        // `+ 0` takes -0 for 0, whose order among themselves is that of the list
        assert.equal(Number(apply(fold.median, events)!.metric) + 0, sorted[Math.floor(sorted.length / 2)] + 0)
        assert.equal(Number(apply(fold.minimum, events)!.metric) + 0, sorted[0] + 0)
        assert.equal(apply(fold.maximum, events)!.host, `h${metrics.lastIndexOf(sorted.at(-1)!)}`)
        assert.equal(apply(fold.count, events)!.metric, metrics.length)
      }),
    )
  })

  test('mean and deviation', () => {
    fc.assert(
      fc.property(doubles, (metrics) => {
        const mean = metrics.reduce((a, b) => a + b) / metrics.length
        const deviation = Math.sqrt(metrics.reduce((sum, x) => sum + (x - mean) * (x - mean), 0) / metrics.length)
        const near = (value: unknown, wanted: number): void => {
          assert.ok(
            Math.abs(Number(value) - wanted) <= 1e-9 * Math.max(1, Math.abs(wanted)) * 1e3,
            `${value} ${wanted}`,
          )
        }
        near(apply(fold.mean, named(metrics))!.metric, mean)
        near(apply(fold.stdDev, named(metrics))!.metric, deviation)
      }),
    )
  })

  test('friendly folds leave out what is absent, wherever it stands', () => {
    const holes = fc.array(fc.option(fc.integer({ min: -1000, max: 1000 }), { nil: undefined }), {
      minLength: 1,
      maxLength: 12,
    })
    fc.assert(
      fc.property(holes, (metrics) => {
        const there = metrics.filter((metric) => metric !== undefined)
        for (const chosen of [fold.mean, fold.median, fold.minimum, fold.stdDev]) {
          assert.equal(apply(chosen, named(metrics))?.metric, apply(chosen, named(there))?.metric, chosen.name)
        }
        assert.equal(
          apply(fold.sum, [null, ...named(metrics)])!.metric,
          there.reduce((a, b) => a + b, 0),
        )
      }),
    )
  })

  test('points that are no shares are refused, by list and by map', () => {
    for (const points of [[0.5, 95], [-0.1], [NaN], ['0.5'], { p95: ' p95' }, { '0.5': 5 }]) {
      assert.throws(() => fold.sortedSample(points as never), { code: 'RULES_INVALID' }, JSON.stringify(points))
      assert.throws(() => percentiles(10, points as never), { code: 'RULES_INVALID' }, JSON.stringify(points))
    }
  })

  test('points of a sample, by list and by map', () => {
    const events = [5, 1, 4, 2, 3].map((metric): Event => ({ service: 's', metric }))
    assert.deepEqual(
      applyList(fold.sortedSample([1, 0, 0.5]), events).map((event) => [event!.service, event!.metric]),
      [
        ['s 1', 5],
        ['s 0', 1],
        ['s 0.5', 3],
      ],
    )
    assert.deepEqual(
      applyList(fold.sortedSample({ '0.5': ' mid', '0': ' low' }), events).map((event) => event!.service),
      ['s low', 's mid'],
    )
    assert.deepEqual(applyList(fold.sortedSample([0.5]), [{ service: 's' }, null]), [])
    assert.equal(applyList(fold.sortedSampleExtract([-1, 2]), events).length, 2)
  })

  test('NaN stands behind all numbers, and is one group', () => {
    const events = named([NaN, 2, NaN, 1])
    assert.equal(apply(fold.median, events)!.metric, NaN)
    assert.equal(applyList(fold.sortedSampleExtract([0]), events)[0]!.metric, 1)
    assert.deepEqual(
      applyList(fold.modes, events).map((event) => event!.host),
      ['h2'],
    )
  })

  test('one’s own extremum', () => {
    const events = named([-7, 3, 7, 2])
    const largest = fold.extremum((metric, best) => Number(metric) * Number(metric) > Number(best) * Number(best))
    assert.equal(apply(largest, events)!.host, 'h0')
  })
})

describe('strictness', () => {
  test('strict folds throw on what is absent, and say what to use', () => {
    for (const chosen of [fold.sumStrict, fold.productStrict, fold.differenceStrict, fold.quotientStrict]) {
      const friendly = chosen.name.replace('Strict', '')
      assert.throws(() => apply(chosen, named([1, undefined])), new RegExp(`use fold.${friendly}`))
      assert.throws(() => apply(chosen, [{ metric: 1 }, null]), { code: 'FOLD_FAILED' })
    }
    assert.throws(() => apply(fold.quotientStrict, named([1, 0])), /division by zero/)
  })

  test('descriptions are immutable and tell folds apart', () => {
    assert.ok(Object.isFrozen(fold) && Object.isFrozen(fold.mean) && Object.isFrozen(fold.sortedSample([1]).parameters))
    assert.deepEqual(fold.sortedSample([0.5]).parameters, [[0.5]])
  })
})
