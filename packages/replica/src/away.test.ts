/** Stores and logs that hang instead of failing, hosts that keep failing, and what the receiver `self` hears of it, and when. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { House } from '@ricci/testkit'
import { selfAlarmMs } from './limits.ts'

const never = new Promise<never>(() => undefined)

/** A house whose log went on without snapshots: a replica that starts must read it from its first record. */
async function stoppedHouse(): Promise<House> {
  const house = new House()
  await house.stopped(await house.owner())
  return house
}

describe('a store of snapshots that hangs', () => {
  it('when it is asked which there are: the whole log is read', async () => {
    const house = await stoppedHouse()
    house.snapshots.list = () => never
    const replica = await house.started(house.replica('b'), 'owning')
    assert.match(house.alarms.join(), /b snapshot-unusable: .*the store of snapshots did not answer within 5 s/)
    assert.equal(replica.stats().generations, 1)
    await house.close()
  })

  it('when it is asked for one: the whole log is read', async () => {
    const house = await stoppedHouse()
    assert.equal(house.snapshots.kept.size, 1)
    house.snapshots.fetch = () => never
    const replica = house.replica('b')
    void replica.start()
    await house.until('it owns', () => replica.state === 'owning', 130_000)
    assert.match(house.alarms.join(), /b snapshot-unusable: snapshot at-\d+ cannot be fetched: .*within 120 s/)
    await house.close()
  })

  it('where the log begins later than its first record: it says why it waits, asks again, and goes on', async () => {
    const house = await stoppedHouse()
    const { fetch } = house.snapshots
    house.log.first = 2
    house.snapshots.fetch = () => never
    const replica = house.replica('b')
    void replica.start()
    await house.until('it says why', () => /fetching snapshot at-/.test(replica.stats().why))
    await house.until('self hears of it', () => house.told('trigger').length === 1, selfAlarmMs)
    assert.match(house.told('trigger')[0].summary, /cannot-own: .*it is restoring: fetching snapshot at-/)
    await house.until('it is asked again', () => house.alarms.join().includes('which is needed'), 130_000)
    assert.match(
      house.alarms.join(),
      /restore-failed: .*does not give snapshot at-\d+, which is needed; it is asked again/,
    )
    house.snapshots.fetch = fetch
    await house.until('it owns', () => replica.state === 'owning', 130_000)
    await house.until('it is taken back', () => house.told('resolve').some(({ rule }) => rule === 'cannot-own'))
    await house.close()
  })

  it('when it is given one: the next is stored all the same', async () => {
    const house = new House()
    await house.owner()
    const { store } = house.snapshots
    let hung = 0
    house.snapshots.store = () => {
      hung++
      return never
    }
    await house.until('one is cut', () => hung === 1, 700_000)
    house.snapshots.store = (...snapshot) => store.apply(house.snapshots, snapshot)
    await house.until('the next one', () => house.snapshots.kept.size === 1, 1_300_000)
    assert.match(house.alarms.join(), /snapshot-failed: .*did not answer within 120 s/)
    await house.close()
  })
})

describe('a log that hangs', () => {
  it('when it is asked how far it goes: the replica says so, asks again, and starts once it answers', async () => {
    const house = await stoppedHouse()
    const { range } = house.log
    house.log.range = () => never
    const replica = house.replica('b')
    void replica.start()
    await house.until('it is asked again', () => replica.stats().generations === 3, 30_000)
    assert.match(replica.stats().why, /asking how far the log goes/)
    assert.equal(replica.state, 'restoring')
    house.log.range = range
    await house.until('it owns', () => replica.state === 'owning', 60_000)
    await house.close()
  })

  it('a question is answered with a refusal after 5 s', async () => {
    const house = new House()
    const replica = await house.owner()
    const { endOf } = house.log
    house.log.endOf = () => never
    let refused = { code: '' }
    replica.query('true').catch((error: { code: string }) => (refused = error))
    await house.clock.advance(4_999)
    assert.equal(refused.code, '')
    await house.clock.advance(1)
    assert.equal(refused.code, 'NOT_EVALUATED')
    house.log.endOf = endOf
    await house.close()
  })

  it('a replica that is stopped while it waits for one stops at once, and leaves no timer', async () => {
    const house = await stoppedHouse()
    house.snapshots.list = () => never
    const replica = house.replica('b')
    void replica.start()
    await house.until('it asks', () => replica.stats().why === 'asking which snapshots there are')
    const atMs = house.clock.monotonicMs()
    await house.stopped(replica)
    assert.ok(house.clock.monotonicMs() - atMs < 10)
    await house.close()
  })
})

describe('the alarms about the log', () => {
  /** Time from `beginMs` to the first trigger of an alarm. */
  async function toldAfterMs(house: House, name: string, beginMs: number): Promise<number> {
    const told = (): boolean => house.told('trigger').some(({ rule }) => rule === name)
    await house.until(`self hears of ${name}`, told, 30_000)
    return house.clock.monotonicMs() - beginMs
  }

  it('a log that refuses is told of 15 s after the first record it refused', async () => {
    const house = new House()
    await house.owner()
    let sinceMs: number | undefined
    house.log.fate = () => {
      sinceMs ??= house.clock.monotonicMs()
      return 'refused'
    }
    await house.until('it refuses', () => sinceMs !== undefined)
    assert.equal(await toldAfterMs(house, 'log-unavailable', sinceMs!), selfAlarmMs)
    house.log.fate = () => 'written'
    await house.close()
  })

  it('a log that hangs is told of 15 s after the first record it did not confirm', async () => {
    const house = new House()
    await house.owner()
    let sinceMs: number | undefined
    house.log.fate = () => {
      sinceMs ??= house.clock.monotonicMs()
      return 'held'
    }
    await house.until('it hangs', () => sinceMs !== undefined)
    assert.equal(await toldAfterMs(house, 'log-unavailable', sinceMs!), selfAlarmMs)
    house.log.fate = () => 'written'
    house.log.release()
    await house.close()
  })

  it('records that are confirmed and never given to a reader are told of 15 s after the last that was', async () => {
    const house = new House()
    await house.owner()
    let lost = false
    const { records } = house.log
    await house.clock.advance(5_000)
    house.log.fate = ([record]) => (record.kind === 'tick' && lost ? 'lost' : 'written')
    const before = records.length
    await house.until('a tick is read', () => records.length > before)
    lost = true
    const sinceMs = house.clock.monotonicMs()
    assert.equal(await toldAfterMs(house, 'event-path', sinceMs), selfAlarmMs)
    lost = false
    const resolved = (): boolean => house.told('resolve').at(-1)?.rule === 'event-path'
    await house.until('it is taken back', resolved)
    await house.close()
  })

  it('ticks are only missed from where the log took records again', async () => {
    const house = new House()
    await house.owner()
    house.log.fate = () => 'refused'
    await house.until('self hears of it', () => house.told('trigger').length === 1, 30_000)
    house.log.fate = ([record]) => (record.kind === 'tick' ? 'lost' : 'written')
    await house.clock.advance(1_000)
    house.log.fate = () => 'written'
    await house.until('it is taken back', () => house.told('resolve').at(-1)?.rule === 'log-unavailable')
    await house.clock.advance(30_000)
    assert.deepEqual(
      house.told('trigger').map(({ rule }) => rule),
      ['log-unavailable'],
    )
    await house.close()
  })

  it('a host that fails again and again is told of 15 s after the last tick of an owner', async () => {
    const house = new House()
    const replica = await house.owner()
    const broken = house.log.records.length
    let fails = true
    house.onEngine = (engine) => {
      const { apply } = engine
      engine.apply = (offset, ...rest) => {
        if (fails && offset >= broken) throw new Error('broken')
        apply.call(engine, offset, ...rest)
      }
    }
    // The engine in force is the one that was made before: its reader ends as if records were gone.
    const sinceMs = house.clock.monotonicMs()
    house.failHost(replica, { code: 'HOST_FAILED', message: 'broken' })
    const afterMs = await toldAfterMs(house, 'cannot-own', sinceMs)
    assert.ok(afterMs <= selfAlarmMs && afterMs > selfAlarmMs - 1_500, `${afterMs} ms`)
    assert.match(house.told('trigger')[0].summary, /no owner is seen, and this replica cannot own/)
    assert.ok(replica.stats().generations > 5)
    fails = false
    await house.until('it owns again', () => replica.state === 'owning', 60_000)
    await house.until('it is taken back', () => house.told('resolve').at(-1)?.rule === 'cannot-own')
    await house.close()
  })

  /** An owner, and a standby whose readers are given nothing from now on. */
  async function deafStandby(): Promise<House> {
    const house = new House()
    await house.owner('a')
    await house.started(house.replica('b'), 'following')
    house.deaf = 'b'
    return house
  }

  const byStandby = (house: House, action: 'trigger' | 'resolve'): string[] =>
    house.told(action).flatMap(({ host, rule }) => (host === 'b' ? [rule] : []))

  it('a standby that is given nothing wakes nobody while another holds the lease, and says so in the house', async () => {
    const house = await deafStandby()
    await house.clock.advance(120_000)
    assert.deepEqual(byStandby(house, 'trigger'), [])
    assert.deepEqual(
      house.alarms.filter((alarm) => alarm.startsWith('b ')),
      [
        'b owner-unseen: another instance holds the lease, and this one is given no tick of an owner: it is following: reading the log from its start',
      ],
    )
    assert.deepEqual(
      house.replicas.map(({ state }) => state),
      ['owning', 'following'],
    )
    house.deaf = ''
    await house.clock.advance(5_000)
    house.deaf = 'b'
    await house.clock.advance(20_000)
    assert.equal(
      house.alarms.filter((alarm) => alarm.startsWith('b owner-unseen')).length,
      2,
      'again, it is told again',
    )
    await house.close()
  })

  it('where the store of leases does not say who holds it, everybody who sees no owner tells; what is told stands', async () => {
    for (const answer of [() => never, () => Promise.reject(new Error('away'))]) {
      const house = await deafStandby()
      house.coordination.answer = answer
      const afterMs = await toldAfterMs(house, 'cannot-own', house.clock.monotonicMs())
      assert.ok(afterMs <= selfAlarmMs, `${afterMs} ms`)
      house.coordination.answer = (isHeld) => Promise.resolve(isHeld)
      await house.clock.advance(30_000)
      assert.deepEqual([byStandby(house, 'trigger'), byStandby(house, 'resolve')], [['cannot-own'], []])
      house.deaf = ''
      await house.until('it is taken back', () => byStandby(house, 'resolve').length === 1)
      await house.close()
    }
  })

  it('a standby that is given nothing and gets the lease tells: nobody else would', async () => {
    const house = await deafStandby()
    await house.clock.advance(10_000)
    house.kill(house.replicas[0])
    await house.until('it tells', () => byStandby(house, 'trigger').length === 1)
    assert.deepEqual(byStandby(house, 'trigger'), ['cannot-own'])
    house.deaf = ''
    await house.until('it owns', () => house.replicas[0].state === 'owning')
    await house.close()
  })

  it('claims that nobody takes up neither put the alarm off nor take it back', async () => {
    const house = new House()
    const replica = await house.owner()
    await house.until('all is well', () => house.told('resolve').length === 3)
    const { length } = house.log.all('tick')
    await house.until('a tick is read', () => house.log.all('tick').length > length)
    const sinceMs = house.clock.wallMs()
    house.log.fate = () => 'refused'
    for (let epoch = 2; epoch < 10; epoch++) {
      house.log.add({ kind: 'claim', epoch, instance: 'ghost', semantics: 1, leaseToken: '', life: 'ghost' })
      await house.clock.advance(4_000)
    }
    assert.deepEqual(
      house.told('trigger').map(({ rule, decidedAtMs }) => [rule, decidedAtMs - sinceMs]),
      [['cannot-own', selfAlarmMs]],
    )
    assert.equal(house.told('resolve').length, 3)
    house.log.fate = () => 'written'
    await house.until('it owns again', () => replica.state === 'owning')
    await house.until('it is taken back', () => house.told('resolve').at(-1)?.rule === 'cannot-own')
    await house.close()
  })

  it('what an instance told before it died is taken back by the next owner, once', async () => {
    const house = new House()
    const replica = await house.owner()
    house.log.fate = () => 'refused'
    await house.until('self hears of it', () => house.told('trigger').length === 1, 30_000)
    const [alarm] = house.told('trigger')
    house.kill(replica)
    house.log.fate = () => 'written'
    const before = house.self.sent.length
    await house.owner('b')
    await house.clock.advance(60_000)
    const after = house.self.sent.slice(before)
    assert.deepEqual(after.map(({ action, rule }) => `${action} ${rule}`).sort(), [
      'resolve cannot-own',
      'resolve event-path',
      'resolve log-unavailable',
    ])
    assert.ok(after.some(({ dedupKey }) => dedupKey === alarm.dedupKey))
    await house.close()
  })

  it('an owner that steps down and owns again takes back once more, as a request of its own', async () => {
    const house = new House()
    const replica = await house.owner()
    await house.until('they are taken back', () => house.told('resolve').length === 3)
    house.log.add({ kind: 'claim', epoch: 2, instance: 'ghost', semantics: 1, leaseToken: '', life: 'ghost' })
    await house.until('it owns again', () => replica.state === 'owning' && replica.stats().epoch === 3)
    await house.until('once more', () => house.told('resolve').length === 6)
    assert.equal(new Set(house.told('resolve').map(({ idempotencyKey }) => idempotencyKey)).size, 6)
    await house.close()
  })
})
