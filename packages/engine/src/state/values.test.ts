import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Event, SymbolTable } from '@ricci/client'
import { EngineBench } from '@ricci/testkit'
import { by, changed, counter, incident, rules, stable, tap } from '../index.ts'
import { ValueColumn, ValueSlot } from './values.ts'

const t0 = 1_700_000_000_000
const beyond = 9_007_199_254_740_993n

describe('a column of values', () => {
  it('holds and compares every kind of value, integers of 64 bits and more exactly', () => {
    const table = new SymbolTable()
    const [column, slot, read] = [new ValueColumn(), new ValueSlot(), new ValueSlot()]
    // the third has the bits of a NaN
    const values = [
      1.5,
      beyond,
      0x7ff0_0000_0000_0001n,
      -beyond,
      2n ** 63n - 1n,
      2n ** 70n + 1n,
      'text',
      true,
      { a: 1 },
      undefined,
    ]
    column.ensure(values.length)
    for (const [id, value] of values.entries()) {
      slot.set(value, table)
      column.store(id, slot)
    }
    for (const [id, value] of values.entries()) {
      column.load(id, read)
      assert.deepEqual(read.value(table), value)
      for (const [other, its] of values.entries()) {
        slot.set(its, table)
        assert.equal(column.equals(id, slot), id === other, `${String(value)} and ${String(its)}`)
      }
    }
  })

  it('makes keys that tell integers beyond 2^53 apart, whichever form they are held in', () => {
    const bench = new EngineBench(
      rules(by('metric', counter(tap('counted'))), incident('each', { key: 'metric', bad: 'true', to: 'x' })),
    )
    // the shortest digits of the first, which a double holds exactly, are those of the second, which none does
    const metrics = [2n ** 60n, 1_152_921_504_606_847_000n]
    for (const metric of metrics) bench.events(t0, { metric })
    assert.deepEqual(
      bench.tapped('counted').map((event) => (event as Event).metric),
      metrics,
    )
    assert.deepEqual(
      bench.decided.map(({ key }) => key),
      metrics.map(String),
    )
  })

  it('takes no text for an integer beyond 2^53: a hot counter would fill the table of texts', () => {
    const bench = new EngineBench(
      rules(counter(tap('sum')), changed('metric', tap('changed')), stable(1, 'metric', tap('stable'))),
    )
    const event = (metric: bigint) => bench.events(t0, { host: 'h', service: 's', time: t0 / 1_000, metric, ttl: 60 })
    event(beyond)
    const { symbols } = bench.engine.stats()
    for (let i = 1n; i < 50n; i++) {
      event(i * 2n + beyond)
      if (i === 25n) bench.cut()
    }
    assert.equal(bench.engine.stats().symbols, symbols)
    assert.equal(bench.tapped('changed').length, 50)
    assert.equal((bench.tapped('sum')[1] as { metric: bigint }).metric, 2n * beyond + 2n)
  })
})
