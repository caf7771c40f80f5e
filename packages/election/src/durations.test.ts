import assert from 'node:assert/strict'
import { it } from 'node:test'
import { longestTimerMs, paceOf, toMs } from './durations.ts'

const lengths: [string | number, number | undefined][] = [
  ['500ms', 500],
  ['2s', 2000],
  ['1.5s', 1500],
  ['1m', 60_000],
  ['24h', 86_400_000],
  [1, 1],
  [0, undefined],
  [-1, undefined],
  [NaN, undefined],
  [Infinity, undefined],
  ['', undefined],
  ['2', undefined],
  ['2 s', undefined],
  ['-2s', undefined],
  ['1e3ms', undefined],
  ['2d', undefined],
  [longestTimerMs, longestTimerMs],
  [longestTimerMs + 1, undefined],
  ['600h', undefined],
]
for (const [duration, ms] of lengths) {
  it(`reads ${JSON.stringify(duration)} as ${ms} ms`, () => {
    if (ms !== undefined) return assert.equal(toMs(duration, 'grace'), ms)
    assert.throws(() => toMs(duration, 'grace'), { code: 'OPTION_INVALID', message: /^grace is / })
  })
}

it('makes a pace of a profile and what is named beside it', () => {
  assert.deepEqual(paceOf({}), { leaseMs: 2000, detectMs: 2000 })
  assert.deepEqual(paceOf({ profile: 'calm', detect: '3s' }), { leaseMs: 5000, detectMs: 3000 })
  assert.deepEqual(paceOf({ profile: 'fast', lease: 100 }), { leaseMs: 100, detectMs: 500 })
  assert.throws(() => paceOf({ lease: 99 }), { code: 'OPTION_INVALID', message: /at least 100 ms/ })
})
