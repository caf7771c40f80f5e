/** Ends at the wrong moment, confirms that come late or never, stores that hang: what must neither stop a replica nor outlive it. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { House, ScriptedLog, VirtualClock } from '@ricci/testkit'
import { LogWriter } from './log-writer.ts'
import { SteadyReader } from './steady-reader.ts'
import type { LogPort } from './ports.ts'

const never = new Promise<never>(() => undefined)

describe('claims', () => {
  it('a log that takes 2.5 s to write still gets an owner: a claim that is read late is ours', async () => {
    const house = new House()
    house.log.fate = ([record]) => {
      if (record.kind !== 'claim') return 'written'
      house.clock.setTimer(2_500, () => house.log.release())
      return 'held'
    }
    const replica = house.replica('a')
    void replica.start()
    await house.until('it owns', () => replica.state === 'owning', 6_000)
    assert.equal(replica.stats().epoch, 1)
    await house.close()
  })
})

describe('stopping', () => {
  it('while its host fails: it stops all the same', async () => {
    const house = new House()
    let fail = (): void => undefined
    house.onEngine = (engine, _instance, events) => {
      const { apply } = engine
      fail = () => {
        engine.apply = () => {
          throw new Error('broken')
        }
      }
      engine.apply = (...record) => apply.apply(engine, record)
      void events
    }
    const replica = await house.owner()
    house.oncall.answer = () => never
    house.event('h', 'down')
    await house.until('a request is out', () => house.oncall.sent.length === 1)
    const stopped = house.stopped(replica)
    fail()
    house.event('h', 'down')
    await stopped
    assert.equal(replica.state, 'stopped')
    await house.close()
  })

  it('in the middle of a hand-over: no timer is left', async () => {
    const house = new House()
    const replica = await house.owner()
    house.oncall.answer = () => never
    house.event('h', 'down')
    await house.until('a request is out', () => house.oncall.sent.length === 1)
    void replica.handOver('a test')
    await house.clock.advance(100)
    await house.stopped(replica)
    await house.clock.advance(2_500)
    assert.equal(house.clock.pendingTimers, 0)
  })

  it('with a store of snapshots that hangs', async () => {
    const house = new House()
    const replica = await house.owner()
    house.snapshots.store = () => never
    await house.stopped(replica)
    await house.close()
  })

  it('leaves its snapshot though an older checkpoint is read meanwhile', async () => {
    const house = new House()
    const replica = await house.owner()
    const { epoch, lastTick } = replica.stats()
    house.log.fate = ([record]) => {
      if (record.kind !== 'checkpoint') return 'written'
      const older = { ...record, offset: 1, tick: lastTick, epoch }
      house.log.fate = () => 'written'
      house.log.add(older)
      house.clock.setTimer(500, () => house.log.add(record))
      return 'lost'
    }
    await house.stopped(replica)
    assert.equal(house.snapshots.kept.size, 1)
    await house.close()
  })

  it('a question that comes afterwards is answered at once', async () => {
    const house = new House()
    const replica = await house.owner()
    await house.stopped(replica)
    await assert.rejects(replica.query('true'), { code: 'NOT_EVALUATED' })
    assert.equal(house.clock.pendingTimers, 0)
  })
})

describe('the log', () => {
  it('a reader that ends at once, or always leaves something out, is not asked in a tight loop', async () => {
    for (const batch of [undefined, [{ offset: 7, bytes: new Uint8Array(1), checksum: 0 }]]) {
      const clock = new VirtualClock()
      let reads = 0
      const log = new ScriptedLog()
      const broken: LogPort = Object.assign(Object.create(log) as LogPort, {
        read: async function* () {
          reads++
          if (batch !== undefined) yield batch
        },
      })
      const reader = new SteadyReader({
        log: broken,
        partition: 0,
        clock,
        from: 0,
        onRecords: () => assert.fail('nothing was in order'),
        onFailure: (error) => assert.fail(String(error)),
      })
      await clock.advance(1_000)
      assert.ok(reads >= 3 && reads <= 5, `${reads} reads within a second`)
      await reader.stop()
      assert.equal(clock.pendingTimers, 0)
    }
  })

  it('one confirm that never comes is no trouble once a later record was confirmed', async () => {
    const clock = new VirtualClock()
    const log = new ScriptedLog()
    const writer = new LogWriter(log, 0, clock)
    const tick = { kind: 'tick', number: 1, epoch: 1, elapsedMs: 0, wallMs: 0 } as const
    log.fate = () => 'held'
    writer.write([tick])
    await clock.advance(2_500)
    assert.equal(writer.trouble(), 'the log confirms nothing')
    log.fate = () => 'written'
    await writer.append([tick])
    assert.equal(writer.trouble(), undefined)
  })
})
