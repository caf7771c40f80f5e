import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Member, Standing } from '@ricci/replica'
import { clusterStatus, ranges } from './cluster-status.ts'

function member(instance: string, partitions: Record<string, Standing>, zone?: string): Member {
  return { instance, data: { draining: false, version: '1', partitions, ...(zone !== undefined && { zone }) } }
}

describe('the status of a cluster', () => {
  it('says who keeps what, and what nobody keeps', () => {
    const status = clusterStatus(
      'a',
      [
        member('a', { 0: 'owning', 1: 'following', 2: 'restoring' }, 'north'),
        member('b', { 0: 'following', 1: 'owning' }),
      ],
      4,
    )
    assert.deepEqual(status.members, [
      { instance: 'a', version: '1', zone: 'north', draining: false, owning: 1, following: 1, behind: 1 },
      { instance: 'b', version: '1', draining: false, owning: 1, following: 1, behind: 0 },
    ])
    assert.deepEqual(status.partitions, [
      { partition: 0, owning: ['a'], following: ['b'], behind: {} },
      { partition: 1, owning: ['b'], following: ['a'], behind: {} },
      { partition: 2, owning: [], following: [], behind: { a: 'restoring' } },
      { partition: 3, owning: [], following: [], behind: {} },
    ])
  })

  it('lists numbers as people do', () => {
    assert.equal(ranges([]), '')
    assert.equal(ranges([3]), '3')
    assert.equal(ranges([0, 1, 3, 4, 5, 6, 9]), '0, 1, 3-6, 9')
  })
})
