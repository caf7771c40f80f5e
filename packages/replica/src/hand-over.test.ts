import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { LogRecord } from '@ricci/engine'
import { House } from '@ricci/testkit'
import type { SendResult } from './ports.ts'
import type { Replica } from './replica.ts'

const never = new Promise<SendResult>(() => undefined)

/** No page of a planned hand-over comes later than this. */
const pageMs = 300

/** An owner and a standby that has caught up. */
async function pair(house: House): Promise<{ owner: Replica; standby: Replica }> {
  const owner = await house.owner()
  const standby = await house.started(house.replica('b'), 'following')
  await house.until('it stands by', () => house.coordination.standing('b') === 'following')
  return { owner, standby }
}

/** An event that pages, now and every 100 ms. */
function pagesEvery100ms(house: House): { readonly decided: Map<string, number>; end(): void } {
  const decided = new Map<string, number>()
  let ended = false
  const next = (): void => {
    if (ended) return
    decided.set(`h${decided.size}`, house.clock.monotonicMs())
    house.event(`h${decided.size - 1}`, 'down')
    house.clock.setTimer(100, next)
  }
  next()
  return { decided, end: () => void (ended = true) }
}

describe('an owner that stops while another stands by', () => {
  for (const receiverClass of ['A', 'C'] as const) {
    it(`is no gap: somebody owns all the time, and no page is late, doubled or lost at a receiver of class ${receiverClass}`, async () => {
      const house = new House()
      house.receiverClass = receiverClass
      const { owner, standby } = await pair(house)
      const sentMs = new Map<string, number>()
      house.oncall.answer = ({ host }) => {
        sentMs.set(host, house.clock.monotonicMs())
        return new Promise((resolve) => house.clock.setTimer(40, () => resolve({ kind: 'delivered' })))
      }
      // A claim is on its way for a while.
      house.log.fate = ([record]) => {
        if (record.kind !== 'claim') return 'written'
        house.clock.setTimer(250, () => house.log.release())
        return 'held'
      }
      const pages = pagesEvery100ms(house)
      await house.clock.advance(1_000)
      let gap = false
      const watch = (): void => {
        gap ||= owner.state !== 'owning' && standby.state !== 'owning'
        if (owner.state !== 'stopped') house.clock.setTimer(1, watch)
      }
      watch()
      await house.stopped(owner)
      assert.equal(standby.state, 'owning')
      await house.clock.advance(1_000)
      pages.end()
      await house.until('all are sent', () => sentMs.size === pages.decided.size)
      assert.equal(gap, false)
      for (const [host, ms] of pages.decided) assert.ok(sentMs.get(host)! - ms <= pageMs, `${host} is late`)
      assert.equal(house.oncall.sent.length, pages.decided.size, 'none twice')
      assert.deepEqual(
        house.log.all('claim').map(({ instance }) => instance),
        ['a', 'b'],
      )
      await house.close()
    })
  }

  it('goes on owning, lease or not, until it reads the claim', async () => {
    const house = new House()
    const { owner, standby } = await pair(house)
    house.log.fate = ([record]) => (record.kind === 'claim' ? 'lost' : 'written')
    house.coordination.as('a').handOver(0, 'b')
    await house.until('it claims', () => standby.state === 'claiming')
    await house.clock.advance(10_000)
    assert.equal(owner.state, 'owning')
    house.event('h', 'down')
    await house.until('a page', () => house.oncall.sent.length === 1, pageMs)
    house.log.fate = () => 'written'
    await house.until('the other owns', () => standby.state === 'owning')
    await house.until('it follows', () => owner.state === 'following')
    await house.close()
  })

  it('waits 5 s for a claim that does not come, and then stops as one that is alone', async () => {
    const house = new House()
    const { owner } = await pair(house)
    house.log.fate = ([record]) => (record.kind === 'claim' ? 'lost' : 'written')
    const beganMs = house.clock.monotonicMs()
    void owner.stop()
    await house.clock.advance(4_999)
    assert.equal(owner.state, 'owning')
    await house.stopped(owner)
    assert.equal(house.clock.monotonicMs() - beganMs, 5_000)
    assert.equal(house.snapshots.kept.size, 1)
    house.log.fate = () => 'written'
    await house.close()
  })

  it('waits no longer where the other goes, too', async () => {
    const house = new House()
    const { owner, standby } = await pair(house)
    house.coordination.gives = () => false
    const beganMs = house.clock.monotonicMs()
    void owner.stop()
    await house.clock.advance(100)
    assert.equal(owner.state, 'owning')
    await house.stopped(standby)
    await house.stopped(owner)
    assert.ok(house.clock.monotonicMs() - beganMs < 1_000)
    await house.close()
  })

  it('what it could not send any more waits for no pause: the other sends it at once', async () => {
    for (const receiverClass of ['A', 'C'] as const) {
      const house = new House()
      house.receiverClass = receiverClass
      const { owner, standby } = await pair(house)
      let claim: LogRecord | undefined
      house.log.fate = ([record]) => {
        if (record.kind === 'claim') claim = record
        if (record.kind !== 'attempt') return record.kind === 'claim' ? 'lost' : 'written'
        // The attempt, and right behind it the claim: read together.
        house.clock.setTimer(50, () => {
          house.log.release()
          house.log.add(claim!)
        })
        house.log.fate = () => 'written'
        return 'held'
      }
      house.coordination.as('a').handOver(0, 'b')
      await house.until('it claims', () => standby.state === 'claiming')
      const beganMs = house.clock.monotonicMs()
      house.event('h', 'down')
      await house.until('a page', () => house.oncall.sent.length === 1)
      assert.ok(house.clock.monotonicMs() - beganMs <= pageMs)
      assert.deepEqual([owner.stats().neverSent, standby.state], [1, 'owning'])
      await house.until('nothing waits', () => standby.stats().pendingPages === 0)
      await house.close()
    }
  })

  it('nor does what it was about to send when the other claimed', async () => {
    const house = new House()
    house.receiverClass = 'C'
    const { owner, standby } = await pair(house)
    let connect: (() => void) | undefined
    house.oncall.connected = () => new Promise((resolve) => (connect = resolve))
    house.event('h', 'down')
    await house.until('it connects', () => connect !== undefined)
    house.oncall.connected = () => undefined
    house.coordination.as('a').handOver(0, 'b')
    await house.until('the other owns', () => standby.state === 'owning')
    const ownsMs = house.clock.monotonicMs()
    connect!()
    await house.until('a page', () => house.oncall.sent.length === 1)
    assert.ok(house.clock.monotonicMs() - ownsMs <= pageMs)
    assert.deepEqual([house.oncall.sent[0].possibleRepeat, owner.stats().neverSent], [false, 1])
    await house.close()
  })

  it('with a request that hangs: the other owns meanwhile, and no timer is left', async () => {
    const house = new House()
    const { owner, standby } = await pair(house)
    house.oncall.answer = () => never
    house.event('h', 'down')
    await house.until('a request is out', () => house.oncall.sent.length === 1)
    house.oncall.answer = () => ({ kind: 'delivered' })
    void owner.stop()
    await house.until('the other owns', () => standby.state === 'owning', 1_000)
    assert.equal(owner.state, 'stepping-down')
    await house.stopped(owner)
    await house.close()
  })

  it('asks nobody who has not caught up, is about to leave, or is in doubt', async () => {
    for (const standing of ['restoring', 'diverged', 'stepping-down', 'draining'] as const) {
      const house = new House()
      const { owner, standby } = await pair(house)
      house.coordination.as('b').publish({
        draining: standing === 'draining',
        version: '',
        partitions: { 0: standing === 'draining' ? 'following' : standing },
      })
      house.log.fate = ([record]) => (record.kind === 'claim' ? 'lost' : 'written')
      void owner.stop()
      await house.clock.settle()
      assert.notEqual(owner.state, 'owning', standing)
      await house.stopped(owner)
      house.log.fate = () => 'written'
      await house.until('the other takes over', () => standby.state === 'owning')
      await house.close()
    }
  })
})

describe('what a replica is to others', () => {
  it('is `restoring` until it has applied what the log holds, however long that takes', async () => {
    const house = new House()
    await house.owner()
    for (let i = 0; i < 10; i++) house.event(`h${i}`, 'ok')
    house.onEngine = (_engine, _events, _skips, instance) => void (instance === 'b' && (house.deaf = 'b'))
    await house.started(house.replica('b'), 'following')
    await house.clock.advance(30_000)
    assert.equal(house.coordination.standing('b'), 'restoring')
    house.deaf = ''
    await house.until('it has caught up', () => house.coordination.standing('b') === 'following')
    await house.close()
  })

  it('is `restoring` while the log does not say how far it goes', async () => {
    const house = new House()
    await house.owner()
    const standby = house.replica('b')
    await house.started(standby, 'following')
    house.log.endOf = () => Promise.reject(new Error('away'))
    const other = await house.started(house.replica('c'), 'restoring')
    await house.clock.advance(10_000)
    assert.deepEqual([house.coordination.standing('c'), other.state], ['restoring', 'restoring'])
    await house.close()
  })

  it('is `diverged` while its state is in doubt, though it follows', async () => {
    const house = new House()
    await house.owner()
    const standby = await house.started(house.replica('b'), 'following')
    await house.clock.advance(5_000)
    house.wrong = 'b'
    await house.until('it diverges', () => standby.state === 'diverged', 60_000)
    house.wrong = ''
    await house.until('it follows again', () => standby.state === 'following')
    await house.clock.advance(20_000)
    assert.equal(house.coordination.standing('b'), 'diverged')
    await house.until('it is believed', () => house.coordination.standing('b') === 'following', 700_000)
    await house.close()
  })

  it('is `owning` while it owns, and follows with what it had caught up with', async () => {
    const house = new House()
    const { owner, standby } = await pair(house)
    assert.equal(house.coordination.standing('a'), 'owning')
    house.coordination.as('a').handOver(0, 'b')
    await house.until('the other owns', () => standby.state === 'owning')
    await house.until('it follows', () => owner.state === 'following')
    assert.deepEqual([house.coordination.standing('a'), house.coordination.standing('b')], ['following', 'owning'])
    await house.close()
  })
})
