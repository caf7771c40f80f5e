import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SymbolTable } from '@ricci/client'
import { EngineBench } from '@ricci/testkit'
import { index, rules } from '../index.ts'
import { Skews } from './skews.ts'

const t0 = 1_700_000_000_000
const minute = 60_000

describe('skew of clocks', () => {
  it('is measured by marks, for the host of a message, and told with the furthest first', () => {
    const bench = new EngineBench(rules(index()))
    bench.tick(0, t0)
    let sequence = 0
    const send = (host: string, aheadMs: number) => {
      const mark = { producer: 'p', incarnation: 1, sequence: ++sequence, sentAtMs: t0 + aheadMs }
      bench.marked(t0, mark, { host }, { host: `${host} relayed` })
    }
    send('slow', -40_000)
    send('slow', -7_020)
    send('slow', -9_000)
    send('fast', 12_000)
    send('right', -3)
    bench.events(t0, { host: 'without a mark', time: 1 })
    // the mark of an instance says when it took the message in, and nothing of the sender's clock
    send('marked here', 0)
    assert.deepEqual(bench.engine.stats().skews, [
      { host: 'fast', aheadMs: 12_000 },
      { host: 'slow', aheadMs: -7_020 },
      { host: 'right', aheadMs: -3 },
    ])
    assert.equal(bench.engine.stateHash(), stateAfter(bench), 'it is no state')
  })

  it('follows a clock that was set right within ten minutes, and forgets the silent after an hour', () => {
    const table = new SymbolTable()
    const host = table.internText('a')
    const skews = new Skews()
    skews.note(host, 60_000, 0)
    skews.note(host, -5, 5 * minute)
    assert.deepEqual(skews.worst(table), [{ host: 'a', aheadMs: 60_000 }])
    skews.note(host, -5, 10 * minute)
    assert.deepEqual(skews.worst(table), [{ host: 'a', aheadMs: -5 }])
    skews.forget(65 * minute)
    assert.equal(skews.worst(table).length, 1)
    skews.forget(80 * minute)
    assert.deepEqual(skews.worst(table), [])
  })

  it('is bounded, and takes no time that is none', () => {
    const table = new SymbolTable()
    const skews = new Skews()
    skews.note(table.internText('odd'), NaN, 0)
    skews.note(table.internText('odd'), Infinity, 0)
    assert.deepEqual(skews.worst(table), [])
    const hosts = Array.from({ length: 10_001 }, (_, i) => table.internText(`host ${i}`))
    hosts.forEach((host, i) => skews.note(host, i, 0))
    assert.equal(skews.worst(table).length, 20)
    assert.equal(skews.worst(table)[0].aheadMs, 9_999)
  })
})

/** The state hash of an engine that goes on from a snapshot, where nothing was measured. */
function stateAfter(bench: EngineBench): string {
  bench.cut()
  assert.deepEqual(bench.engine.stats().skews, [])
  return bench.engine.stateHash()
}
