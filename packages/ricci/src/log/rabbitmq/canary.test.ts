import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readMark } from '@ricci/client'
import { encodeEventsRecord } from '@ricci/engine'
import { partitionOf } from '@ricci/replica'
import { VirtualClock } from '@ricci/testkit'
import { Canary } from './canary.ts'
import { canaryKeys } from './limits.ts'

/** A canary whose way in takes 20 ms, unless told otherwise. */
function scene() {
  const clock = new VirtualClock()
  const listeners = new Map<number, (bytes: Uint8Array) => void>()
  const alarms: string[] = []
  const trips: number[] = []
  const sent: { readonly key: string; readonly msg: Uint8Array }[] = []
  let owned: number[] = [0, 2]
  let way: 'well' | 'unconfirmed' | 'lost' = 'well'
  let missedMs = 0
  let onAlarm = (detail: string): unknown => alarms.push(detail)
  const canary = new Canary({
    producer: 'ricci-1/canary-ab',
    clock: {
      monotonicMs: () => clock.monotonicMs() + missedMs,
      wallMs: () => clock.wallMs(),
      setTimer: (delayMs, callback) => clock.setTimer(delayMs, callback),
    },
    partitions: () => owned,
    route: (key) => partitionOf(key, 4),
    send: (key, msg) => {
      sent.push({ key, msg })
      if (way === 'unconfirmed') return Promise.reject(new Error('nobody there'))
      const record = encodeEventsRecord(clock.wallMs(), msg)
      if (way === 'well') clock.setTimer(20, () => listeners.get(partitionOf(key, 4))?.(record))
      return Promise.resolve()
    },
    watch: (partition, listener) => {
      assert.ok(!listeners.has(partition))
      listeners.set(partition, listener)
      return Promise.resolve(() => void listeners.delete(partition))
    },
    onRoundTrip: (tookMs) => trips.push(tookMs),
    onAlarm: (detail) => void onAlarm(detail),
  })
  canary.start()
  return {
    clock,
    canary,
    listeners,
    alarms,
    trips,
    sent,
    /** The process was stopped for so long: its timers are late. */
    miss: (ms: number) => (missedMs += ms),
    own: (partitions: number[]) => (owned = partitions),
    be: (how: typeof way) => (way = how),
    onAlarm: (listener: typeof onAlarm) => (onAlarm = listener),
  }
}

describe('Canary', () => {
  it('goes once a second, to each partition in its turn and by keys of its own, and tells how long it took', async () => {
    const { clock, canary, alarms, trips, sent } = scene()
    await clock.advance(2_000 * canaryKeys + 100)
    assert.deepEqual(trips, Array(2 * canaryKeys).fill(20))
    assert.equal(new Set(sent.map(({ key }) => key)).size, 2 * canaryKeys)
    assert.deepEqual(
      sent.map(({ key }) => partitionOf(key, 4)),
      Array.from({ length: 2 * canaryKeys }, (_, index) => (index % 2) * 2),
    )
    // to the engine each partition's are one after another: none is missing
    const numbers = sent.filter((_one, index) => index % 2 === 0).map(({ msg }) => readMark(msg)!.sequence)
    assert.deepEqual(
      numbers,
      Array.from({ length: canaryKeys }, (_, index) => index + 1),
    )
    assert.deepEqual([canary.underWay, canary.trouble, alarms], [0, undefined, []])
    canary.stop()
    assert.equal(clock.pendingTimers, 0)
  })

  for (const [how, says] of [
    ['lost', /ricci\.events .* partition [02] was confirmed by a broker, and was not read there for 10 s/],
    ['unconfirmed', /was not confirmed by a broker \(nobody there\), and was not read there for 10 s/],
  ] as const) {
    it(`one that does not come back is an alarm, once: ${how}`, async () => {
      const { clock, canary, alarms, sent, be } = scene()
      await clock.advance(5_100)
      be(how)
      await clock.advance(10_000)
      assert.deepEqual(alarms, [])
      await clock.advance(1_000)
      assert.equal(alarms.length, 1)
      assert.match(alarms[0], says)
      await clock.advance(30_000)
      assert.ok(canary.underWay <= 11)
      const count = sent.length
      be('well')
      await clock.advance(20_000)
      assert.ok(canary.trouble !== undefined, 'it was not well for a minute')
      await clock.advance(60_000)
      assert.deepEqual([canary.trouble, alarms.length], [undefined, 1])
      // what was lost belongs to a life before: the engine misses nothing of the present one
      const lives = sent.slice(count + 20).filter(({ key }) => partitionOf(key, 4) === 0)
      const marks = lives.map(({ msg }) => readMark(msg)!)
      assert.equal(new Set(marks.map(({ incarnation }) => incarnation)).size, 1)
      assert.ok(marks[0].incarnation > readMark(sent[0].msg)!.incarnation)
      be(how)
      await clock.advance(12_000)
      assert.equal(alarms.length, 2)
      canary.stop()
    })
  }

  it('one that was not taken is sent again, the same, as whoever publishes is to do', async () => {
    const { clock, canary, alarms, trips, sent, own, be } = scene()
    own([2])
    be('unconfirmed')
    await clock.advance(1_500)
    be('well')
    await clock.advance(20_000)
    assert.deepEqual(
      sent.slice(0, 3).map(({ msg }) => readMark(msg)!.sequence),
      [1, 1, 2],
    )
    assert.deepEqual([canary.trouble, alarms, trips.length], [undefined, [], 21])
    canary.stop()
  })

  it('leaves partitions that are owned no more, and says nothing where it was stopped itself', async () => {
    const { clock, canary, alarms, listeners, own, be, miss } = scene()
    await clock.advance(3_000)
    own([2])
    await clock.advance(1_000)
    assert.deepEqual([...listeners.keys()], [2])
    be('lost')
    await clock.advance(2_500)
    assert.equal(canary.underWay, 2)
    own([])
    miss(20_000)
    await clock.advance(1_000)
    assert.deepEqual([canary.underWay, alarms, listeners.size], [0, [], 0])
    canary.stop()
  })

  it('says nothing of those that were on their way to a partition that is owned no more', async () => {
    const { clock, canary, alarms, own, be } = scene()
    be('lost')
    await clock.advance(2_500)
    own([2])
    await clock.advance(1_000)
    own([])
    await clock.advance(20_000)
    assert.deepEqual([canary.underWay, canary.trouble, alarms], [0, undefined, []])
    canary.stop()
  })

  it('may be stopped by whom it tells', async () => {
    const { clock, canary, be, onAlarm } = scene()
    be('lost')
    await new Promise<void>((resolve) => {
      onAlarm(() => {
        canary.stop()
        resolve()
      })
      void clock.advance(60_000)
    })
    assert.equal(clock.pendingTimers, 0)
  })
})
