import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RateLimit } from './rate-limit.ts'

test('lets so many of a kind pass in each window and says how many it held back', () => {
  let now = 0
  const limit = new RateLimit(2, 1000, () => now)
  assert.deepEqual([limit.pass('a'), limit.pass('a'), limit.pass('a'), limit.pass('a')], [0, 0, -1, -1])
  assert.equal(limit.pass('b'), 0, 'another kind has a window of its own')
  now = 999
  assert.equal(limit.pass('a'), -1)
  now = 1000
  assert.equal(limit.pass('a'), 3)
  assert.equal(limit.pass('a'), 0)
})
