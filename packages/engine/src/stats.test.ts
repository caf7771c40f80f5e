import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { EngineBench } from '@ricci/testkit'
import { by, counter, fixedEventWindow, fold, index, rules, smap, tap, where } from './index.ts'

const t0 = 1_700_000_000_000

describe('what operators take and hold', () => {
  const description = rules(
    index(),
    where('service = "s"', by('host', counter(tap('counted')))),
    fixedEventWindow(3, smap(fold.maximum, tap('highest'))),
  )
  const hosts = (...names: string[]) => names.map((host, metric) => ({ host, service: 's', metric }))

  it('is told by their paths, in the order of the rules', () => {
    const bench = new EngineBench(description)
    bench.events(t0, ...hosts('a', 'b', 'a', 'b', 'c'), { host: 'd', service: 'other' })
    const stats = bench.engine.operatorStats()
    assert.deepEqual(
      stats.map(({ operator, taken, keys }) => [operator, taken, keys]),
      [
        ['index[0]', 6, 0],
        ['where[1]', 6, 0],
        ['where[1] > by[0]', 5, 3],
        ['where[1] > by[0] > counter[0]', 5, 3],
        ['where[1] > by[0] > counter[0] > tap[0]', 5, 0],
        ['fixedEventWindow[2]', 6, 1],
        ['fixedEventWindow[2] > smap[0]', 2, 0],
        ['fixedEventWindow[2] > smap[0] > tap[0]', 2, 0],
      ],
    )
    for (const { operator, keys, bytes } of stats) assert.equal(bytes > 0, keys > 0, operator)
  })

  it('is part of what the engine counts in all', () => {
    const bench = new EngineBench(rules(by('host', counter(tap('counted')))))
    const sum = () => bench.engine.operatorStats().reduce((bytes, one) => bytes + one.bytes, 0)
    const [total, own] = [bench.engine.stats().bytes, sum()]
    bench.events(t0, ...hosts(...Array.from({ length: 5_000 }, (_, i) => `host-${i}`)))
    assert.ok(sum() > own)
    assert.ok(sum() - own <= bench.engine.stats().bytes - total)
  })

  it('is no state: counting begins anew with a restore, the hash stays', () => {
    const bench = new EngineBench(description)
    bench.events(t0, ...hosts('a', 'b'))
    const hash = bench.engine.stateHash()
    bench.cut()
    assert.equal(bench.engine.stateHash(), hash)
    assert.deepEqual(
      bench.engine.operatorStats().map(({ taken, keys }) => [taken, keys]),
      [
        [0, 0],
        [0, 0],
        [0, 2],
        [0, 2],
        [0, 0],
        [0, 1],
        [0, 0],
        [0, 0],
      ],
    )
  })
})
