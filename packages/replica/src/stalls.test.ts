/** Many events at which engines stall: each costs its time, and no more. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { House } from '@ricci/testkit'

/** Engines stall at these records, each in a branch of its own, unless told to leave it out. */
function stalling(house: House, instances: readonly string[]): Set<number> {
  const poison = new Set<number>()
  house.onEngine = (engine, events, skips, instance) => {
    const { apply } = engine
    engine.apply = (offset, bytes, checksum) => {
      const isSkipped = skips.some((skip) => skip.offset === offset)
      if (poison.has(offset) && !isSkipped && instances.includes(instance)) {
        const branch = `index[${offset}]`
        events.onFailure({ code: 'ENGINE_STUCK', message: 'stuck', offset, event: 0, branch })
        throw new Error('the engine never returns')
      }
      apply.call(engine, offset, bytes, checksum)
    }
  }
  return poison
}

describe('many events that stall the engine', () => {
  it('are skipped one right after the other: the pause before a restore does not grow', async () => {
    const house = new House()
    const poison = stalling(house, ['a'])
    await house.owner()
    for (let i = 0; i < 12; i++) {
      poison.add(house.log.records.length)
      house.event('poison', 'ok')
    }
    house.event('after', 'down')
    await house.until('what comes after is paged', () => house.oncall.sent.length === 1, 15_000)
    assert.equal(house.log.all('skip').length, poison.size)
    await house.close()
  })

  it('a standby that waits for the next try goes on at once when the lease comes', async () => {
    const house = new House()
    const poison = stalling(house, ['b'])
    const owner = await house.owner()
    const standby = await house.started(house.replica('b'), 'following')
    poison.add(house.log.records.length)
    house.event('poison', 'ok')
    const { generations } = standby.stats()
    await house.until('it has tried many times', () => standby.stats().generations >= generations + 8, 120_000)
    await house.until('it waits', () => standby.state === 'restoring')
    await house.clock.advance(1_000)
    assert.equal(house.log.all('skip').length, 0, 'its owner passes it')
    house.kill(owner)
    await house.until('it owns', () => standby.state === 'owning', 5_000)
    await house.close()
  })
})
