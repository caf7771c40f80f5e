import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { House } from '@ricci/testkit'

const records = 400

/** A log of some length; whoever applies a record of it works for a millisecond. */
async function withHistory(): Promise<House> {
  const house = new House()
  house.onEngine = (engine, _events, _skips, instance) => {
    const { apply } = engine
    engine.apply = (offset, bytes, checksum) => {
      house.workedMs.set(instance, (house.workedMs.get(instance) ?? 0) + 1)
      apply.call(engine, offset, bytes, checksum)
    }
  }
  await house.owner()
  for (let i = 0; i < records; i++) house.event('web', 'ok')
  return house
}

describe('a replica that restores', () => {
  it('rests twice as long as it works while another owns', async () => {
    const house = await withHistory()
    const sinceMs = house.clock.monotonicMs()
    const standby = house.replica('b')
    void standby.start()
    await house.until('it has caught up', () => standby.stats().appliedOffset >= records)
    const restedMs = house.clock.monotonicMs() - sinceMs
    assert.ok(restedMs > records && restedMs < records * 3, `it rested for ${restedMs} ms`)
    await house.close()
  })

  it('hurries as soon as nobody owns any more, or who does is about to go', async () => {
    for (const isKilled of [true, false]) {
      const house = await withHistory()
      const standby = house.replica('b')
      void standby.start()
      await house.until('it has begun', () => standby.stats().appliedOffset > 10)
      assert.ok(standby.stats().appliedOffset < records / 2)
      if (isKilled) house.kill(house.replicas[0])
      else house.coordination.as('a').publish({ draining: true, version: '', partitions: { 0: 'owning' } })
      const sinceMs = house.clock.monotonicMs()
      await house.until('it has caught up', () => standby.stats().appliedOffset >= records)
      const restedMs = house.clock.monotonicMs() - sinceMs
      assert.ok(restedMs < 20, `it rested for ${restedMs} ms more`)
      await house.close()
    }
  })

  it('takes its time again once somebody else owns', async () => {
    const house = await withHistory()
    const standby = house.replica('b')
    void standby.start()
    await house.until('it has begun', () => standby.stats().appliedOffset > 10)
    const others = house.coordination.as('a')
    others.publish({ draining: true, version: '', partitions: { 0: 'owning' } })
    others.publish({ draining: false, version: '', partitions: { 0: 'owning' } })
    const [from, sinceMs] = [standby.stats().appliedOffset, house.clock.monotonicMs()]
    await house.until('it has caught up', () => standby.stats().appliedOffset >= records)
    const restedMs = house.clock.monotonicMs() - sinceMs
    assert.ok(from < records / 2 && restedMs > records - from, `it rested for ${restedMs} ms`)
    // and is not slow with what comes once it has
    house.event('web', 'ok')
    await house.until('it keeps up', () => standby.stats().appliedOffset > records)
    await house.close()
  })

  it('hurries from the start where nobody owns', async () => {
    const house = await withHistory()
    house.kill(house.replicas[0])
    const sinceMs = house.clock.monotonicMs()
    const next = house.replica('b')
    void next.start()
    await house.until('it has caught up', () => next.stats().appliedOffset >= records)
    assert.ok(house.clock.monotonicMs() - sinceMs < 20)
    await house.close()
  })
})
