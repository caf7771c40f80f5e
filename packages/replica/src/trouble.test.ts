/** Ends at the wrong moment, confirms that come late or never: what must neither stop a replica nor outlive it. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { SkipRecord } from '@ricci/engine'
import { House, ScriptedLog, SeededRandom, stillHeld, VirtualClock } from '@ricci/testkit'
import { LogWriter } from './log-writer.ts'
import { SteadyReader } from './steady-reader.ts'
import { TroubleWatch } from './trouble-watch.ts'
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

describe('a lone replica', () => {
  it('whose state is unlike its own old checkpoints says so, and owns all the same: nobody else would page', async () => {
    const house = new House()
    house.kill(await house.owner('a').then(async (owner) => (await house.clock.advance(30_000), owner)))
    house.wrong = 'b'
    const replica = house.replica('b')
    void replica.start()
    await house.until('self hears that nobody owns', () => house.told('trigger').length === 1, 30_000)
    assert.equal(house.told('trigger')[0].rule, 'cannot-own')
    await house.until('it owns', () => replica.state === 'owning', 30_000)
    assert.ok(house.alarms.some((alarm) => alarm.startsWith('b diverged')))
    house.event('h', 'down')
    await house.until('a page', () => house.oncall.sent.length === 1)
    await house.close()
  })

  it('starts from the log while the store of snapshots is away', async () => {
    const house = new House()
    house.snapshots.list = () => Promise.reject(new Error('away'))
    await house.owner()
    await house.close()
  })

  it('a log that hangs for a minute passes no owned time', async () => {
    const house = new House()
    await house.owner()
    const ticks = house.log.all('tick').length
    house.log.fate = () => 'held'
    await house.clock.advance(60_000)
    house.log.fate = () => 'written'
    house.log.release()
    await house.clock.advance(10)
    const elapsedMs = house.log
      .all('tick')
      .slice(ticks)
      .reduce((sum, tick) => sum + tick.elapsedMs, 0)
    assert.ok(elapsedMs <= 2_000, `${elapsedMs} ms`)
    await house.close()
  })
})

describe('stopping', () => {
  it('while its host fails: it stops all the same', async () => {
    const house = new House()
    let fail = (): void => undefined
    house.onEngine = (engine) => {
      const { apply } = engine
      fail = () => {
        engine.apply = () => {
          throw new Error('broken')
        }
      }
      engine.apply = (...record) => apply.apply(engine, record)
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

  it('a request that ends while its host is being restored: its outcome is written', async () => {
    const house = new House()
    let fail = (): void => undefined
    house.onEngine = (engine) => {
      const { apply } = engine
      fail = () => {
        engine.apply = () => {
          throw new Error('broken')
        }
      }
      engine.apply = (...record) => apply.apply(engine, record)
    }
    const replica = await house.owner()
    let answer = (): void => undefined
    house.oncall.answer = () => new Promise((resolve) => (answer = () => resolve({ kind: 'failed', detail: 'busy' })))
    house.event('h', 'down')
    await house.until('a request is out', () => house.oncall.sent.length === 1)
    let listed = (): void => undefined
    house.snapshots.list = () => new Promise((resolve) => (listed = () => resolve([])))
    fail()
    house.event('h', 'down')
    await house.until('it restores', () => replica.state === 'restoring')
    await house.clock.advance(1_000)
    answer()
    await house.until('the outcome is written', () => house.log.all('outcome').length > 0)
    house.oncall.answer = () => ({ kind: 'delivered' })
    house.snapshots.list = () => Promise.resolve([])
    listed()
    await house.close()
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

  it('nothing that was read is held by the reader that gave it, however long that one reads', async () => {
    const clock = new VirtualClock()
    const given: WeakRef<object>[] = []
    const log: LogPort = Object.assign(Object.create(new ScriptedLog()) as LogPort, {
      read: async function* (_partition: number, _from: number, signal: AbortSignal) {
        for (let offset = 0; offset < 100; offset++) {
          const bytes = new Uint8Array(1)
          given.push(new WeakRef(bytes))
          yield [{ offset, bytes, checksum: 0 }]
        }
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
      },
    })
    const onFailure = (error: unknown): void => assert.fail(String(error))
    const reader = new SteadyReader({ log, partition: 0, clock, from: 0, onRecords: () => undefined, onFailure })
    await clock.advance(1_000)
    assert.equal(given.length, 100)
    const held = await stillHeld(given)
    assert.ok(held <= 2, `${held} of ${given.length} batches`)
    await reader.stop()
    assert.equal(clock.pendingTimers, 0)
  })

  it('one confirm that never comes is no trouble once a later record was confirmed', async () => {
    const clock = new VirtualClock()
    const log = new ScriptedLog()
    const writer = new LogWriter(log, 0, clock)
    const tick = { kind: 'tick', number: 1, epoch: 1, elapsedMs: 0, wallMs: 0 } as const
    log.fate = () => 'held'
    writer.write([tick])
    await clock.advance(2_500)
    assert.deepEqual(writer.trouble(), { sinceMs: 0, why: 'the log confirms nothing' })
    log.fate = () => 'written'
    await writer.append([tick])
    assert.equal(writer.trouble(), undefined)
  })

  it('trouble that begins with a record that hangs counts from it, though a later one is refused first', async () => {
    const clock = new VirtualClock()
    const tick = { kind: 'tick', number: 1, epoch: 1, elapsedMs: 0, wallMs: 0 } as const
    const answers = [never, Promise.reject(new Error('full'))]
    answers[1].catch(() => undefined)
    const writer = new LogWriter({ append: () => answers.shift()! } as unknown as LogPort, 0, clock)
    writer.write([tick])
    await clock.advance(10_000)
    writer.write([tick])
    await clock.settle()
    assert.deepEqual(writer.trouble(), { sinceMs: 0, why: 'the log refuses records: full' })
  })
})

describe('a replica that was stopped', () => {
  it('says nothing of the time in which it did not look', async () => {
    const clock = new VirtualClock()
    const told: string[] = []
    const watch = new TroubleWatch(new LogWriter(new ScriptedLog(), 0, clock), {
      logId: 'log',
      instance: 'a',
      partition: 0,
      clock,
      random: new SeededRandom('a'),
      receiver: () => undefined,
      waiting: () => [],
      onAlarm: (name) => told.push(`${name} at ${clock.monotonicMs()}`),
    })
    const look = (): number =>
      watch.look({ ownership: { epoch: 1, tickSeenMs: 0 }, ownerlessSinceMs: undefined, duty: 'ours', doing: '' })
    look()
    await clock.advance(20_000)
    for (let inMs = look(); told.length === 0; inMs = look()) await clock.advance(inMs)
    assert.deepEqual(told, ['event-path at 35000'])
    watch.stop()
  })
})

describe('records that parse and say nothing', () => {
  it('steer nobody: an owner goes on, a standby follows, and both tell of them', async () => {
    const house = new House()
    const owner = await house.owner()
    const standby = await house.started(house.replica('b'), 'following')
    const broken: object[] = [
      { kind: 'claim', epoch: '9', instance: 'x', semantics: 1 },
      { kind: 'claim', instance: 'x' },
      { kind: 'tick', number: null, epoch: 1, elapsedMs: 1e6, wallMs: 0 },
      { kind: 'checkpoint', epoch: 1, offset: 1 },
      { kind: 'skip', offset: 'all', event: 0, branch: '' },
      { kind: 'outcome', epoch: 1, n: 1, pages: 7 },
      { kind: 'rules', hash: 1 },
    ]
    for (const record of broken) house.log.add(record as SkipRecord)
    house.event('h', 'down')
    await house.until('a page', () => house.oncall.sent.length === 1)
    assert.deepEqual([owner.state, standby.state], ['owning', 'following'])
    const told = (instance: string) => house.alarms.filter((a) => a.startsWith(`${instance} record-malformed`)).length
    assert.deepEqual([told('a'), told('b')], [broken.length, broken.length])
    house.kill(owner)
    await house.until('the standby takes over', () => standby.state === 'owning')
    assert.equal(standby.stats().generations, 1)
    await house.close()
  })
})

describe('a record that this release does not know', () => {
  for (const [what, bytes] of [
    ['of a kind that is reserved', [8, 1, 0, 0, 0, 2, 0x7b, 0x7d]],
    ['of a version to come', [3, 2, 0, 0, 0, 2, 0x7b, 0x7d]],
  ] as const) {
    it(`${what}: nobody passes it over, nobody owns any more, and both say so`, async () => {
      const house = new House()
      const owner = await house.owner()
      const standby = await house.started(house.replica('b'), 'following')
      house.log.addBytes(new Uint8Array(bytes))
      house.event('h', 'down')
      await house.until('both stop', () => owner.state === 'diverged' && standby.state === 'diverged')
      const records = house.log.records.length
      await house.until('self hears of it', () => house.told('trigger').length > 0)
      assert.match(house.told('trigger')[0].summary, /cannot-own: .*run the release that wrote it/)
      await house.clock.advance(60_000)
      assert.deepEqual([owner.state, standby.state], ['diverged', 'diverged'])
      assert.deepEqual([house.log.records.length, house.oncall.sent.length], [records, 0], 'no tick, no claim, no page')
      for (const name of ['a', 'b']) {
        assert.ok(
          house.alarms.some((alarm) => alarm.startsWith(`${name} host-failed: RECORD_UNKNOWN`)),
          house.alarms.join(),
        )
      }
      await house.close()
    })
  }
})

describe('an event that stalls the engine', () => {
  /** Every engine stalls at the record at `offset` (set once it is known), unless it was told to leave it out. */
  function stalling(house: House): { offset: number; stalls: number; heeds: (skip: SkipRecord) => boolean } {
    const stall = { offset: -1, stalls: 0, heeds: (_: SkipRecord) => true }
    house.onEngine = (engine, events, skips) => {
      const { apply } = engine
      engine.apply = (offset, bytes, checksum) => {
        const skipped = skips.some((skip) => skip.offset === offset && stall.heeds(skip))
        if (offset === stall.offset && !skipped) {
          stall.stalls++
          events.onFailure({ code: 'ENGINE_STUCK', message: 'stuck', offset, event: 0, branch: 'index[0]' })
          throw new Error('the engine never returns')
        }
        apply.call(engine, offset, bytes, checksum)
      }
    }
    return stall
  }

  it('is skipped by the lone owner, which then owns again; what was paged before is not paged again', async () => {
    const house = new House()
    const stall = stalling(house)
    const replica = await house.owner()
    house.event('before', 'down')
    await house.until('a page', () => house.oncall.sent.length === 1)
    stall.offset = house.log.records.length
    house.event('poison', 'down')
    house.event('after', 'down')
    await house.until('what comes after is paged', () => house.oncall.sent.some(({ host }) => host === 'after'), 60_000)
    assert.deepEqual(
      house.oncall.sent.map(({ host }) => host),
      ['before', 'after'].toSpliced(1, 0, 'poison'),
    )
    assert.equal(house.log.all('skip').length, 1)
    assert.equal(replica.state, 'owning')
    await house.close()
  })

  it('dies at it: once is excused, twice is that event’s fault, and a standby dies of it no more', async () => {
    const house = new House()
    let deaths = 0
    let poison = -1
    house.onEngine = (engine, _events, skips) => {
      const { apply } = engine
      engine.apply = (offset, bytes, checksum) => {
        if (offset === poison && !skips.some((skip) => skip.offset === offset)) {
          deaths++
          throw new Error('out of memory')
        }
        apply.call(engine, offset, bytes, checksum)
      }
    }
    await house.owner()
    await house.started(house.replica('b'), 'following')
    poison = house.log.records.length
    house.event('poison', 'down')
    house.event('after', 'down')
    await house.until('what comes after is paged', () => house.oncall.sent.some(({ host }) => host === 'after'), 60_000)
    assert.deepEqual(house.log.all('skip').map(({ offset, event }) => ({ offset, event }))[0], {
      offset: poison,
      event: -1,
    })
    await house.until('both read on', () =>
      house.replicas.every(({ state }) => state === 'owning' || state === 'following'),
    )
    const died = deaths
    assert.ok(died >= 3 && died <= 6, `${died} deaths of the pair`)
    await house.clock.advance(60_000)
    assert.equal(deaths, died)
    await house.close()
  })

  it('a death at different events skips none of them', async () => {
    const house = new House()
    let left = 4
    house.onEngine = (engine) => {
      const { apply } = engine
      engine.apply = (offset, bytes, checksum) => {
        if (left > 0 && offset >= 3 + left) {
          left--
          throw new Error('out of memory')
        }
        apply.call(engine, offset, bytes, checksum)
      }
    }
    const replica = house.replica('a')
    void replica.start()
    for (let i = 0; i < 10; i++) house.event('h', 'ok')
    await house.until('it owns', () => replica.state === 'owning' && left === 0, 60_000)
    assert.equal(house.log.all('skip').length, 0)
    await house.close()
  })

  it('is skipped again when the log confirmed a skip that it does not hold', async () => {
    const house = new House()
    const stall = stalling(house)
    await house.owner()
    let skips = 0
    house.log.fate = ([record]) => (record.kind === 'skip' && ++skips <= 2 ? 'lost' : 'written')
    stall.offset = house.log.records.length
    house.event('poison', 'down')
    house.event('after', 'down')
    await house.until('what comes after is paged', () => house.oncall.sent.some(({ host }) => host === 'after'), 60_000)
    assert.ok(stall.stalls >= 3)
    await house.close()
  })

  it('is left out everywhere when leaving out the operator named does not help', async () => {
    const house = new House()
    const stall = stalling(house)
    stall.heeds = (skip) => skip.branch === ''
    await house.owner()
    stall.offset = house.log.records.length
    house.event('poison', 'down')
    house.event('after', 'down')
    await house.until('what comes after is paged', () => house.oncall.sent.some(({ host }) => host === 'after'), 60_000)
    assert.deepEqual(
      house.oncall.sent.map(({ host }) => host),
      ['after'],
    )
    await house.close()
  })

  it('a replica that had passed it restores from before it, and the pair agrees on the state', async () => {
    const house = new House()
    await house.owner()
    const standby = await house.started(house.replica('b'), 'following')
    const offset = house.log.records.length
    house.event('poison', 'down')
    await house.until('a snapshot that holds it', () => house.snapshots.kept.size > 0, 700_000)
    const skip = { kind: 'skip', offset, event: 0, branch: '' } as const
    house.log.add(skip)
    await house.until('the standby restored', () => standby.stats().generations > 1 && standby.state === 'following')
    assert.match(standby.stats().why, /reading the log from its start|epoch/)
    await house.until('one owns', () => house.replicas.some((replica) => replica.state === 'owning'))
    const generations = house.replicas.map((replica) => replica.stats().generations)
    house.log.add(skip)
    const checkpoints = house.log.all('checkpoint').filter((record) => record.state !== undefined).length
    const states = () => house.log.all('checkpoint').filter((record) => record.state !== undefined).length
    await house.until('two states were compared', () => states() >= checkpoints + 2, 1_400_000)
    assert.deepEqual(
      house.alarms.filter((alarm) => alarm.includes('diverged')),
      [],
    )
    assert.deepEqual(
      house.replicas.map((replica) => replica.stats().generations),
      generations,
      'a skip twice is one skip',
    )
    await house.close()
  })
})
