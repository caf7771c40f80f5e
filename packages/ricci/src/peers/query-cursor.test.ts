import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readCursor, writeCursor } from './query-cursor.ts'

test('a cursor comes back as it was, whatever values it is made of', () => {
  const value = fc.oneof(fc.string({ unit: 'binary' }), fc.double(), fc.bigInt(), fc.constant(undefined))
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 2, maxLength: 5 }),
      fc.option(fc.integer({ min: 1 }), { nil: undefined }),
      (behind, left) => {
        const read = readCursor(writeCursor({ behind, left }))
        // minus nought and nought are equal in any order
        assert.deepEqual(
          read.behind.map((one) => (one === 0 ? 0 : one)),
          behind.map((one) => (one === 0 ? 0 : one)),
        )
        assert.equal(read.left, left)
      },
    ),
  )
  assert.deepEqual(readCursor(''), { behind: [] })
})
