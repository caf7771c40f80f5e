/** The hash of a state comes after its position: what happens in between, and when it comes out of turn. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { encodeMsg } from '@ricci/client'
import { decodeRecord, encodeEventsRecord, type Engine, type StateCut } from '@ricci/engine'
import { House, VirtualClock } from '@ricci/testkit'
import { CutWork, type WorkedCut } from './cut-work.ts'

/** An engine of which only cuts are asked: each has so many steps. */
function engineWith(cut: { steps: number; copiedBytes?: number }): Engine {
  let offset = 0
  const make = (): StateCut => {
    offset++
    let left = cut.steps
    const step = (): boolean => --left > 0
    const end = (): void => undefined
    return { offset, tick: 600 * offset, step, end, hash: 'h', parts: [], copiedBytes: cut.copiedBytes ?? 0 } as never
  }
  return { cut: make, hashes: () => ({ input: 'i', decisions: 'd' }) } as unknown as Engine
}

describe('work on a cut', () => {
  function work(): { clock: VirtualClock; cuts: CutWork; worked: WorkedCut[] } {
    const clock = new VirtualClock()
    const worked: WorkedCut[] = []
    return { clock, cuts: new CutWork(clock, (cut) => worked.push(cut)), worked }
  }

  it('goes on by itself, a step at a time', async () => {
    const { clock, cuts, worked } = work()
    cuts.begin(engineWith({ steps: 5 }), false)
    await clock.advance(4)
    assert.equal(worked.length, 0)
    await clock.advance(1)
    assert.deepEqual(worked, [
      {
        offset: 1,
        tick: 600,
        hashes: { input: 'i', decisions: 'd', state: 'h', parts: [] },
        slices: undefined,
      },
    ])
    assert.equal(clock.pendingTimers, 0)
  })

  it('is done at every record where much has to be copied for it, and else is not', () => {
    for (const [copiedBytes, done] of [
      [1_000, 0],
      [64 * 1024 * 1024, 1],
    ]) {
      const { cuts, worked } = work()
      cuts.begin(engineWith({ steps: 5, copiedBytes }), true)
      for (let record = 0; record < 5; record++) cuts.applied()
      assert.equal(worked.length, done)
      cuts.stop()
    }
  })

  it('is finished at once when another is begun, and ends with its host', async () => {
    const { clock, cuts, worked } = work()
    const engine = engineWith({ steps: 5 })
    cuts.begin(engine, true)
    cuts.begin(engine, false)
    assert.deepEqual(
      worked.map(({ offset, slices }) => [offset, slices?.length]),
      [[1, 0]],
    )
    cuts.stop()
    await clock.advance(10)
    assert.equal(worked.length, 1)
    assert.equal(clock.pendingTimers, 0)
  })
})

/** Keeps the hashes that a replica's engine works out from being done until it is let go on. */
function holdCuts(
  house: House,
  instance: string,
  more: (engine: Engine, held: boolean) => void = () => undefined,
): { goOn: () => void; readonly begun: number } {
  const held = { going: false, begun: 0 }
  house.onEngine = (engine, _events, _skips, of) => {
    more(engine, of === instance)
    if (of !== instance) return
    const { cut } = engine
    engine.cut = (onSlice) => {
      held.begun++
      const made = cut.call(engine, onSlice)
      const { step } = made
      made.step = () => !held.going || step.call(made)
      return made
    }
  }
  return {
    goOn: () => {
      held.going = true
    },
    get begun() {
      return held.begun
    },
  }
}

/** What no log does: the same record, read otherwise by one of them. */
function readsOtherwise(engine: Engine, otherwise: boolean): void {
  const { apply } = engine
  engine.apply = (offset, bytes, checksum) => {
    const record = decodeRecord(bytes)
    if (record.kind !== 'events') return apply.call(engine, offset, bytes, checksum)
    const { receivedAtMs } = record
    const metric = otherwise ? 1 : 2
    const events = [{ host: 'h', service: 's', state: 'ok', metric, time: receivedAtMs / 1_000, ttl: 1e6 }]
    apply.call(engine, offset, encodeEventsRecord(receivedAtMs, encodeMsg({ events })), checksum)
  }
}

const states = (house: House) => house.log.all('checkpoint').filter((record) => record.state !== undefined)

describe('checkpoints of a state', () => {
  it('come after their tick, and name it', async () => {
    const house = new House()
    const held = holdCuts(house, 'a')
    await house.owner('a')
    await house.until('the state is cut', () => held.begun === 1, 700_000)
    await house.clock.advance(5_000)
    assert.equal(states(house).length, 0)
    held.goOn()
    await house.until('the hash is written', () => states(house).length === 1)
    const [{ offset, tick, parts }] = states(house)
    const later = house.log.all('tick').filter(({ number }) => number > tick)
    assert.ok(later.length > 3, 'ticks went on meanwhile')
    assert.ok(offset < house.log.records.length - 5)
    assert.match(parts!, /^([0-9a-f]{8})+$/)
    await house.close()
  })

  it('wait for our own hash where they come before it', async () => {
    const house = new House()
    const held = holdCuts(house, 'b', readsOtherwise)
    await house.owner('a')
    await house.started(house.replica('b'), 'following')
    house.event('h', 'ok')
    await house.until('the owner’s word is there', () => states(house).length === 1, 700_000)
    await house.clock.advance(5_000)
    assert.deepEqual(house.alarms, [])
    held.goOn()
    await house.until('it is compared', () => house.alarms.length > 0)
    assert.match(house.alarms[0], /^b diverged/)
    await house.close()
  })

  it('are written by whoever owns once the hash is there', async () => {
    const house = new House()
    const held = holdCuts(house, 'b')
    const owner = await house.owner('a')
    const standby = await house.started(house.replica('b'), 'following')
    house.log.fate = ([record]) => (record.kind === 'checkpoint' && record.state !== undefined ? 'lost' : 'written')
    await house.until('the state is cut', () => held.begun === 1, 700_000)
    house.kill(owner)
    await house.until('the other owns', () => standby.state === 'owning')
    house.log.fate = () => 'written'
    held.goOn()
    await house.until('the hash is written', () => states(house).length === 1)
    assert.equal(states(house)[0].epoch, 2)
    await house.until('and the snapshot counts', () => house.snapshots.kept.size === 1)
    await house.close()
  })

  it('a clean stop in the middle of one leaves a snapshot of its end', async () => {
    const house = new House()
    const held = holdCuts(house, 'a')
    const owner = await house.owner('a')
    await house.until('the state is cut', () => held.begun === 1, 700_000)
    held.goOn()
    await house.stopped(owner)
    const offsets = [...house.snapshots.kept.values()].map(({ info }) => info.offset)
    assert.ok(offsets.some((offset) => offset > states(house)[0].offset))
    await house.close()
  })

  it('that differ are alarmed with the operator and the column', async () => {
    const house = new House()
    house.onEngine = (engine, _events, _skips, of) => readsOtherwise(engine, of === 'b')
    await house.owner('a')
    await house.started(house.replica('b'), 'following')
    house.event('h', 'ok')
    await house.until('it diverges', () => house.alarms.some((alarm) => alarm.startsWith('b diverged')), 700_000)
    const alarm = house.alarms.find((line) => line.startsWith('b diverged'))!
    assert.match(alarm, /the state hash at offset \d+ differs from the one the owner wrote: in the index: events$/)
    await house.close()
  })
})
