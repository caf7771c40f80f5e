import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { partitionOf, phash2 } from './partition-of.ts'

describe('partitionOf', () => {
  it('is what RabbitMQ computes', () => {
    const bytes = (key: string): Uint8Array => new TextEncoder().encode(key)
    assert.equal(phash2(bytes('cluster-0')), 26112833)
    assert.equal(phash2(bytes('cluster-1')), 75308034)
    assert.deepEqual(
      [16, 64].map((partitions) => partitionOf('cluster-0', partitions)),
      [15, 23],
    )
    assert.deepEqual(
      [16, 64].map((partitions) => partitionOf('cluster-1', partitions)),
      [2, 2],
    )
  })

  it('uses every partition, and only what there is', () => {
    const used = new Set(Array.from({ length: 2_000 }, (_, index) => partitionOf(`cluster ${index}`, 32)))
    assert.deepEqual(
      [...used].sort((a, b) => a - b),
      Array.from({ length: 32 }, (_, index) => index),
    )
    assert.equal(partitionOf('a', 1), 0)
  })

  it('refuses the empty key', () => {
    assert.throws(() => partitionOf('', 32), RangeError)
  })
})
