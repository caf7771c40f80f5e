import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SeededRandom } from '@ricci/testkit'
import { ranking, replicas, type Ranked } from './ranking.ts'

const partitions = Array.from({ length: 64 }, (_, partition) => partition)
const named = (count: number, zones = 0): Ranked[] =>
  Array.from({ length: count }, (_, index) => ({
    instance: `ricci-${index}`,
    ...(zones === 0 ? {} : { zone: `zone-${index % zones}` }),
  }))
const names = (partition: number, members: readonly Ranked[]): string[] =>
  ranking(partition, members).map(({ instance }) => instance)

describe('ranking', () => {
  it('is the same for everybody, in whatever order the members are known', () => {
    const random = new SeededRandom('placement')
    for (const members of [named(1), named(3), named(7, 3), named(12, 2)]) {
      for (const partition of partitions) {
        assert.deepEqual(names(partition, random.shuffled(members)), names(partition, members))
        assert.equal(new Set(names(partition, members)).size, members.length)
      }
    }
    assert.deepEqual(ranking(0, []), [])
  })

  it('shares the partitions out: nobody has twice his part, as owner or as replica', () => {
    for (const count of [2, 3, 5, 8]) {
      for (const places of [1, replicas]) {
        const load = new Map<string, number>()
        for (const partition of Array.from({ length: 512 }, (_, index) => index)) {
          for (const name of names(partition, named(count)).slice(0, places)) load.set(name, (load.get(name) ?? 0) + 1)
        }
        const fair = (512 * Math.min(places, count)) / count
        assert.equal(load.size, count)
        for (const [name, mine] of load) assert.ok(mine > fair / 2 && mine < fair * 2, `${name} has ${mine} of ${fair}`)
      }
    }
  })

  it('a member that leaves moves only what was his; one that joins takes only what becomes his', () => {
    const all = named(6)
    const left = all.slice(1)
    for (const partition of partitions) {
      const before = names(partition, all)
      assert.deepEqual(
        names(partition, left),
        before.filter((name) => name !== 'ricci-0'),
      )
    }
  })

  it('keeps the first two in different zones where there are any', () => {
    for (const members of [named(6, 2), named(9, 3), [...named(5, 1), { instance: 'far', zone: 'other' }]]) {
      for (const partition of partitions) {
        const [first, second] = ranking(partition, members)
        assert.notEqual(first.zone, second.zone)
      }
    }
    const [first, second] = ranking(3, named(4, 1))
    assert.equal(first.zone, second.zone)
  })
})
