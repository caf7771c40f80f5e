import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Owners } from './owners.ts'

describe('who owns each partition', () => {
  it('is told once, however many instances say it, and what went the same way together', () => {
    const owners = new Owners()
    const begin = [0, 1, 2].map((partition) => ({ partition, epoch: 1, owner: 'a' }))
    assert.deepEqual(owners.learn(begin), [{ partitions: [0, 1, 2], from: undefined, to: 'a' }])
    assert.deepEqual(owners.learn(begin), [])
    const after = [
      { partition: 0, epoch: 2, owner: 'b' },
      { partition: 1, epoch: 2, owner: 'c' },
      { partition: 2, epoch: 2, owner: 'b' },
    ]
    assert.deepEqual(owners.learn(after), [
      { partitions: [0, 2], from: 'a', to: 'b' },
      { partitions: [1], from: 'a', to: 'c' },
    ])
    assert.deepEqual(owners.of('b'), [0, 2])
  })

  it('is not believed of who is behind: a woken owner, or one that has read nothing yet', () => {
    const owners = new Owners()
    owners.learn([{ partition: 0, epoch: 2, owner: 'b' }])
    assert.deepEqual(owners.learn([{ partition: 0, epoch: 1, owner: 'a' }]), [])
    assert.deepEqual(owners.learn([{ partition: 0, epoch: 3 }]), [])
    assert.equal(owners.ownerOf(0), 'b')
  })
})
