import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { cells } from './cells.ts'
import type { Breach, Judgement } from './checker.ts'
import { figuresOf, leastTrials } from './figures.ts'
import type { CellResult } from './matrix.ts'
import { figureLine, page, withSoak } from './page.ts'

const fault = { what: '', fromMs: 0, undoneMs: 0, untilMs: 0, boundMs: 0 }

/** A cell whose trials took so long each. */
function cell(store: string, name: string, timesMs: readonly number[], stayed = true): CellResult {
  const trials = timesMs.map((tookMs) => ({ tookMs, stayed, starved: false, fault }))
  return { store, settings: 'some settings', cell: cells.find(({ fault: each }) => each === name)!, trials }
}

const times = (ms: number, count = leastTrials): number[] => Array<number>(count).fill(ms)
const stale: Breach = { invariant: 'I2', text: 'acts' }
const late: Breach = { invariant: 'I5', text: 'late' }
const judged = (...breaches: Breach[]): Judgement => ({
  ...{ breaches, acts: 1000, stale: breaches.includes(stale) ? 1 : 0, slips: 0, refused: 0 },
})
const only = (result: CellResult, ...breaches: Breach[]) =>
  figuresOf({ cells: [result], judgements: new Map([[result.store, judged(...breaches)]]) }).map(figureLine)

describe('the figures that are asked', () => {
  const cases: readonly (readonly [CellResult, readonly Breach[], string])[] = [
    [cell('consul', 'SIGKILL of the leader', times(1099)), [], 'reached'],
    [cell('consul', 'SIGKILL of the leader', times(1100)), [], 'MISSED'],
    [cell('consul', 'SIGKILL of the leader', [...times(900, 7), ...times(5000, 5)]), [], 'reached'],
    [cell('consul', 'SIGKILL of the leader', [...times(1000, 6), ...times(1202, 6)]), [], 'MISSED'],
    [cell('consul', 'SIGKILL of the leader', times(900, leastTrials - 1)), [], 'not judged'],
    [cell('consul', 'SIGTERM of the leader', times(99)), [], 'reached'],
    [cell('consul', 'SIGTERM of the leader', times(100)), [], 'MISSED'],
    [cell('consul', 'SIGSTOP of the leader', times(2499)), [late], 'reached'],
    [cell('consul', 'SIGSTOP of the leader', [...times(900), 2500]), [], 'MISSED'],
    [cell('consul', 'SIGSTOP of the leader', times(900)), [stale], 'MISSED'],
    [cell('consul', 'SIGKILL of what leads in the store', times(900)), [], 'reached'],
    [cell('consul', 'SIGKILL of what leads in the store', times(900), false), [], 'MISSED'],
    [cell('consul', 'SIGKILL of what leads in the store', times(900)), [stale], 'MISSED'],
    [cell('etcd', 'SIGKILL of the leader', times(2463)), [], 'reached'],
    [cell('etcd', 'SIGKILL of the leader', times(2464)), [], 'MISSED'],
    [cell('etcd-trusting', 'SIGSTOP of the leader', times(2353)), [], 'MISSED'],
    [cell('postgres', 'SIGKILL of the leader', times(1032)), [], 'reached'],
    [cell('postgres', 'SIGKILL of the leader', times(1033)), [], 'MISSED'],
    [cell('postgres-clock', 'SIGSTOP of the leader', times(1010)), [], 'MISSED'],
  ]
  for (const [result, breaches, verdict] of cases) {
    const { store, cell: tried, trials } = result
    it(`${store}, ${tried.fault}, ${trials.at(-1)!.tookMs} ms in the last of ${trials.length} trials: ${verdict}`, () => {
      const lines = only(result, ...breaches)
      assert.equal(lines.length, 1)
      assert.ok(lines[0].startsWith(verdict), lines[0])
    })
  }

  it('asks for nothing of what was not run', () => {
    assert.deepEqual(only(cell('consul', 'an operator removes the key', times(1))), [])
  })
})

describe('the page of elections under faults', () => {
  const result = {
    cells: [cell('consul', 'SIGKILL of the leader', times(1200))],
    judgements: new Map([['consul', judged(late)]]),
    wrong: [],
  }

  it('has what was asked beside what was measured', () => {
    const text = page(result, 'here and now.')
    assert.match(text, /\| SIGKILL of the leader \| failover \| 1200 \| 1200 \| 1200 \| 12 \|/)
    assert.match(text, /\| under 1,100 ms \| 1,200 ms \| no \|/)
    assert.match(text, /1000 acts; 0 by a leader that was none any more/)
  })

  it('keeps a soak’s section when it is made anew, which a later soak replaces', () => {
    const first = withSoak(page(result, 'once.'), ['the first'], 'long ago.')
    const again = page(result, 'again.', first)
    assert.match(again, /again\.[^]*## A soak\n\nlong ago\.\n\n- the first\n$/)
    const second = withSoak(again, ['the second'], 'today.')
    assert.equal(second.split('## A soak').length, 2)
    assert.match(second, /today\.\n\n- the second\n$/)
  })
})
