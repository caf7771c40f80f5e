import assert from 'node:assert/strict'
import { test } from 'node:test'
import { maxRetryAfterMs, retryAfterMs } from './retry-after.ts'

const now = Date.UTC(2026, 10, 21, 12)
const cases: [header: string, expected: number | undefined][] = [
  ['0', 0],
  ['30', 30_000],
  [' 30 ', 30_000],
  ['999999999999999999999', maxRetryAfterMs],
  ['Sat, 21 Nov 2026 12:05:00 GMT', 300_000],
  ['Sat, 21 Nov 2026 11:00:00 GMT', 0],
  ['Sun, 21 Nov 2027 12:00:00 GMT', maxRetryAfterMs],
  ['-5', undefined],
  ['1.5', undefined],
  ['', undefined],
  ['2026-11-21', undefined],
  ['Sat, 99 Nov 2026 12:05:00 GMT', undefined],
]
for (const [header, expected] of cases) {
  test(`Retry-After: ${header}`, () => assert.equal(retryAfterMs(header, now), expected))
}
