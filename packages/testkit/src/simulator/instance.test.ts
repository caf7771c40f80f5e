import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Cluster } from './cluster.ts'
import { drawPlan } from './plan.ts'
import type { Process } from './process.ts'
import { Watch } from './watch.ts'
import { World } from './world.ts'

describe('a simulated instance', () => {
  it('is asked for its snapshots whatever it runs, in each of its lives', async () => {
    const world = new World(1, { keepTrace: false })
    const plan = { ...drawPlan(world), instances: 3, partitions: 1, log: 'any' as const, snapshotsOfPeers: true }
    const { instances } = new Cluster(world, plan, new Set(), new Watch(world))
    for (const instance of instances) instance.start()
    await world.clock.advance(5_000)
    const idle = instances.filter((instance) => instance.appliedOffset(0) === undefined)
    assert.equal(idle.length, 1, 'two keep a partition')
    const [instance] = idle
    const asked = (): Process | undefined => instance.asked?.process
    const first = asked()
    assert.equal(first?.running, true)
    instance.crash()
    assert.equal(asked(), undefined)
    instance.start()
    assert.equal(asked()?.running, true)
    assert.notEqual(asked(), first)
    for (const one of instances) one.crash()
  })
})
