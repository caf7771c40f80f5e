/** How long the pages of a partition wait when its owner dies: in virtual time, so that it is the design's figure, not a machine's. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { House } from '@ricci/testkit'

/** An append that the embedded log makes durable on a slow disk: fdatasync of an old one. */
const appendMs = 50
/** From the owner's death to the first request of its successor: the lease is free at once when a process ends. */
const boundMs = 1_000

describe('a takeover', () => {
  it(`with 2,000 hosts and 90 pages pending, on a disk of ${appendMs} ms: another acts within ${boundMs} ms`, async () => {
    const house = new House()
    const owner = await house.owner()
    const standby = await house.started(house.replica('b'), 'following')
    for (let i = 0; i < 2_000; i++) house.event(`h${i}`, 'ok')
    house.oncall.answer = () => new Promise(() => undefined)
    for (let i = 0; i < 90; i++) house.event(`h${i}`, 'down')
    await house.until('requests are out', () => house.oncall.sent.length === 4)
    await house.until('the standby has all', () => standby.stats().pendingPages === 90)
    house.log.fate = () => {
      house.clock.setTimer(appendMs, () => house.log.release())
      return 'held'
    }
    house.oncall.answer = () => ({ kind: 'delivered' })
    house.kill(owner)
    const diedMs = house.clock.monotonicMs()
    await house.until('it owns', () => standby.state === 'owning')
    const ownedMs = house.clock.monotonicMs() - diedMs
    await house.until('it acts', () => house.oncall.sent.length > 4)
    const actedMs = house.clock.monotonicMs() - diedMs
    // One append is the claim's, one the attempt's.
    assert.equal(ownedMs, appendMs)
    assert.equal(actedMs, 2 * appendMs)
    assert.ok(actedMs <= boundMs)
    await house.until('none waits', () => standby.stats().pendingPages === 0, 60_000)
    assert.equal(new Set(house.oncall.sent.map((request) => request.dedupKey)).size, 90)
    await house.close()
  })
})
