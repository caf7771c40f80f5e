import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RecordChunk, writeDouble } from './records.ts'

test('every NaN in a record has the same bits, for records are hashed as words', () => {
  const chunk = new RecordChunk(2)
  // a sign, a payload, both: processors and senders make these
  const bits = [0x7ff80000, 0xfff80000, 0x7ff80001, 0xfff8dead]
  bits.forEach((high, i) => {
    const value = new Float64Array(Uint32Array.of(i, high).buffer)[0]
    assert.ok(Number.isNaN(value))
    writeDouble(chunk, i, value)
  })
  const words = bits.map((_, i) => [chunk.ints[2 * i], chunk.ints[2 * i + 1]])
  for (const each of words) assert.deepEqual(each, words[0])
  writeDouble(chunk, 0, -1.5)
  assert.equal(chunk.doubles[0], -1.5)
})
