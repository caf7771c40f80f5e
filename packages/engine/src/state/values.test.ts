import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SymbolTable } from '@ricci/client'
import { EngineBench } from '@ricci/testkit'
import { changed, counter, rules, stable, tap } from '../index.ts'
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
