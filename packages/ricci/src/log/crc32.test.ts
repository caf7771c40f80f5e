import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 as zlibCrc32 } from 'node:zlib'
import fc from 'fast-check'
import { crc32 } from './crc32.ts'

test('agrees with zlib, whatever the length, the place and what stands before', () => {
  assert.equal(crc32(Buffer.from('123456789')), 0xcbf43926)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), fc.nat(600), fc.nat(600), (bytes, a, b) => {
      const start = Math.min(a, b, bytes.length)
      const end = Math.min(Math.max(a, b), bytes.length)
      const before = crc32(bytes, 0, start)
      assert.equal(before, zlibCrc32(bytes.subarray(0, start)))
      assert.equal(crc32(bytes, start, end, before), zlibCrc32(bytes.subarray(0, end)))
    }),
  )
})
