import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { House } from '@ricci/testkit'

/** The house's log takes no events and no ticks any more, and wants a snapshot. */
function fillUp(house: House): void {
  house.log.fate = ([{ kind }]) => (kind === 'tick' || kind === 'events' ? 'refused' : 'written')
  house.log.wants = true
}

describe('an owner whose log has no room for events', () => {
  it('cuts snapshots until the log wants no more, one at a time', async () => {
    const house = new House()
    await house.owner()
    house.event('h', 'up')
    await house.clock.advance(2_000)
    fillUp(house)
    const ticks = house.log.all('tick').length
    await house.until('a snapshot is stored', () => house.snapshots.kept.size === 1)
    await house.until('and another, at a later offset', () => house.snapshots.kept.size === 2)
    house.log.wants = false
    await house.clock.advance(30_000)
    assert.equal(house.snapshots.kept.size, 2)
    assert.equal(house.log.all('tick').length, ticks)
    await house.close()
  })

  it('tries again, later each time, where the store does not take it: each try costs room', async () => {
    const house = new House()
    await house.owner()
    const { store } = house.snapshots
    house.snapshots.store = () => Promise.reject(new Error('away'))
    fillUp(house)
    const before = house.log.all('checkpoint').length
    await house.clock.advance(600_000)
    const tries = house.log.all('checkpoint').length - before
    assert.ok(tries >= 10 && tries <= 15, `${tries} tries in ten minutes`)
    assert.equal(house.alarms.filter((alarm) => alarm.startsWith('a snapshot-failed: ')).length, tries)
    house.snapshots.store = store
    await house.clock.advance(61_000)
    assert.ok(house.snapshots.kept.size > 0)
    await house.close()
  })

  it('delivers what was decided, and tells outside the log that events are refused', async () => {
    const house = new House()
    const owner = await house.owner()
    house.oncall.answer = () => ({ kind: 'failed', detail: 'away' })
    house.event('h', 'down')
    await house.until('a try', () => house.oncall.sent.length === 1)
    fillUp(house)
    house.log.wants = false
    house.oncall.answer = () => ({ kind: 'delivered' })
    await house.until('the page is settled', () => owner.stats().pendingPages === 0)
    await house.clock.advance(20_000)
    assert.match(house.self.lines.join(), /trigger log-unavailable: the log refuses records/)
    house.log.fate = () => 'written'
    await house.until('it is taken back', () => house.self.lines.some((line) => /resolve log-unavail/.test(line)))
    await house.close()
  })
})
