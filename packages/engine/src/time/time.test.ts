/** The three times of DESIGN section 4: grace, gaps, ticks that go back, ticks that do not count. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Event } from '@ricci/client'
import { index, notify, over, percentiles, rate, rollup, rules, stable, tap, throttle, where } from '../index.ts'
import { EngineBench } from '@ricci/testkit'

const t0 = 1_700_000_000_000
const at = (seconds: number) => t0 / 1000 + seconds

/** A bench whose clocks stand at t0, and a step of both by seconds. */
function started(...args: ConstructorParameters<typeof EngineBench>) {
  const bench = new EngineBench(...args)
  bench.tick(0, t0)
  let wall = t0
  const pass = (seconds: number) => {
    for (let left = seconds * 1000; left > 0; left -= 1000)
      bench.tick(Math.min(left, 1000), (wall += Math.min(left, 1000)))
  }
  return { bench, pass }
}

const gone = rules(index(), where('state = "expired"', tap('gone')))

describe('a tick whose wall clock shows no time there is', () => {
  it('does not move the calendar where windows would be counted one by one, or without end', () => {
    const { bench, pass } = started(rules(rate(1, tap('rate')), rollup(0, 5, tap('list'))))
    bench.events(t0, { host: 'a', metric: 1 })
    for (const wallMs of [-1e300, -1, 1e300, 1e16]) bench.tick(500, wallMs, wallMs < 0)
    assert.deepEqual(bench.alarms, Array(4).fill('record-malformed'))
    bench.tick(500, 0, true)
    assert.equal(bench.engine.calendarMs, t0)
    pass(10)
    assert.ok(bench.tapped('rate').length <= 10)
    assert.equal(bench.tapped('list').length, 1)
  })
})

describe('grace', () => {
  it('puts an expiry off to fifteen seconds after a claim', () => {
    const { bench, pass } = started(gone, { graceMs: 15_000 })
    pass(20)
    bench.events(t0 + 20_000, { host: 'a', time: at(20), ttl: 3 })
    pass(2)
    bench.claim()
    pass(14)
    assert.equal(bench.engine.query('true').events.length, 1, 'still there, 16 s after it came')
    assert.equal(bench.tapped('gone').length, 0)
    pass(1)
    assert.equal(bench.tapped('gone').length, 1)
    assert.equal(bench.engine.query('true').events.length, 0)
  })

  it('puts one deadline off by a minute in all, however many claims there are', () => {
    const { bench, pass } = started(gone, { graceMs: 15_000 })
    pass(20)
    bench.events(t0 + 20_000, { host: 'a', time: at(20), ttl: 3 })
    let seconds = 0
    for (; seconds < 200 && bench.tapped('gone').length === 0; seconds++) {
      bench.claim()
      pass(1)
      if (seconds === 30) bench.cut()
    }
    assert.equal(seconds, 63)
  })

  it('begins to count anew with a renewal', () => {
    const { bench, pass } = started(gone, { graceMs: 15_000 })
    pass(20)
    bench.events(t0 + 20_000, { host: 'a', time: at(20), ttl: 3 })
    for (let i = 0; i < 50; i++) {
      bench.claim()
      pass(1)
    }
    bench.events(t0 + 70_000, { host: 'a', time: at(70), ttl: 3 })
    for (let i = 0; i < 50; i++) {
      bench.claim()
      pass(1)
    }
    assert.equal(bench.tapped('gone').length, 0)
  })

  it('is counted from the end of a gap, and holds for what came due within it', () => {
    const { bench } = started(gone, { graceMs: 15_000 })
    for (let i = 1; i <= 20; i++) bench.tick(1000, t0 + i * 1000)
    bench.events(t0 + 20_000, { host: 'a', time: at(20), ttl: 1 })
    bench.tick(2_000, t0 + 120_000)
    assert.equal(bench.tapped('gone').length, 0)
    for (let i = 1; i <= 14; i++) bench.tick(1000, t0 + (120 + i) * 1000)
    assert.equal(bench.tapped('gone').length, 0, '14 s after the end of the gap')
    bench.tick(1000, t0 + 135_000)
    assert.equal(bench.tapped('gone').length, 1)
  })

  it('brings back no entry whose time had passed before it, though the reaper had not looked yet', () => {
    const { bench, pass } = started(gone, { graceMs: 15_000, reaperIntervalMs: 10_000 })
    const hosts = () => bench.engine.query('true').events.map(({ host }) => host)
    pass(21)
    bench.events(t0 + 21_000, { host: 'past', ttl: 2 }, { host: 'in it', ttl: 6 })
    pass(4)
    assert.deepEqual(hosts(), ['in it'])
    bench.claim()
    assert.deepEqual(hosts(), ['in it'])
    pass(4)
    bench.claim()
    bench.cut()
    assert.deepEqual(hosts(), ['in it'], 'put off by the first grace, and by the one that prolongs it')
    pass(20)
    assert.deepEqual(hosts(), [])
  })

  it('does not touch the timer of stable', () => {
    const { bench, pass } = started(rules(stable(3, 'state', tap('stable'))), { graceMs: 15_000 })
    bench.events(t0, { host: 'a', state: 'ok', time: at(0) })
    bench.claim()
    pass(3)
    assert.equal(bench.tapped('stable').length, 1)
  })
})

describe('a gap in calendar time', () => {
  const event = (seconds: number): Event => ({ host: 'a', service: 's', metric: 6, time: at(seconds), ttl: 600 })

  it('fires a periodic timer once, anchors it there anew, and drops what was half counted', () => {
    const { bench, pass } = started(rules(rate(10, tap('rate'))))
    bench.events(t0, event(0))
    pass(4)
    bench.tick(1000, t0 + 94_000)
    assert.deepEqual(bench.tapped('rate'), [], 'nine windows passed, none is given')
    bench.events(t0 + 94_000, event(94))
    for (let i = 1; i <= 10; i++) bench.tick(1000, t0 + (94 + i) * 1000)
    assert.deepEqual(
      bench.tapped('rate').map((e) => [(e as Event).time, (e as Event).metric]),
      [[at(104), 0.6]],
      'the next window is whole, and begins where the gap ended',
    )
  })

  it('drops a window that the gap only touches', () => {
    for (const cut of [false, true]) {
      const { bench, pass } = started(rules(rate(60, tap('rate')), percentiles(60, [1], tap('top'))))
      bench.events(t0, event(0))
      pass(4)
      if (cut) bench.cut()
      bench.tick(1000, t0 + 24_000)
      for (let i = 1; i <= 59; i++) bench.tick(1000, t0 + (24 + i) * 1000)
      assert.equal(bench.taps.length, 0, 'its old end passes in silence')
      bench.events(t0 + 83_000, event(83))
      bench.tick(1000, t0 + 84_000)
      assert.deepEqual(
        bench.tapped('rate').map((e) => (e as Event).metric),
        [0.1],
      )
      assert.equal(bench.tapped('top').length, 1)
    }
  })

  it('makes a rollup late, but takes nothing away', () => {
    const { bench, pass } = started(rules(rollup(1, 10, tap('lists'))))
    bench.events(t0, event(0), event(0), event(0))
    pass(4)
    bench.tick(1000, t0 + 94_000)
    assert.deepEqual(
      bench.tapped('lists').map((list) => (list as unknown[]).length),
      [1, 2],
    )
  })

  it('is none where time passes as it was measured, or by less than five seconds more', () => {
    const { bench } = started(rules(rate(10, tap('rate'))))
    bench.events(t0, event(0))
    for (let i = 1; i <= 2; i++) bench.tick(1000, t0 + i * 5_500)
    assert.equal(bench.tapped('rate').length, 1)
  })
})

describe('the calendar', () => {
  it('follows a clock that went back, with timers, windows and digests', () => {
    const { bench, pass } = started(
      rules(rate(10, tap('rate')), throttle(1, 60, tap('one')), rollup(1, 60, tap('lists'))),
    )
    // an instance whose clock was a year ahead stamped one record
    const year = 365 * 86_400_000
    pass(1)
    bench.events(t0 + year, { host: 'a', metric: 5, time: at(0) + year / 1000, ttl: 600 })
    bench.events(t0 + year, { host: 'a', metric: 5, time: at(0) + year / 1000, ttl: 600 })
    assert.equal(bench.tapped('one').length, 1)
    bench.tick(1000, t0 + 2_000, true)
    assert.equal(bench.engine.calendarMs, t0 + 2_000)
    assert.deepEqual(bench.alarms, ['calendar-back'])
    pass(70)
    bench.events(t0 + 71_000, { host: 'a', metric: 5, time: at(71), ttl: 600 })
    assert.equal(bench.tapped('one').length, 2, 'a throttle does not wait until time has caught up')
    assert.ok(bench.tapped('rate').length >= 6)
    assert.deepEqual(
      bench.tapped('lists').map((list) => (list as unknown[]).length),
      [1, 1],
      'what was held came at its time; the third counts against the window that it filled',
    )
    bench.cut()
    pass(60)
    assert.equal(bench.tapped('lists').length, 3)
  })

  it('lets a digest that waits for the end of its minute go back with it', () => {
    const { bench, pass } = started(rules(notify('oncall')), { pagesPerMinute: 1 })
    pass(1)
    const year = 365 * 86_400_000
    bench.events(t0 + year, { host: 'a' }, { host: 'b' }, { host: 'c' })
    const digest = () => bench.engine.pendingPages().find((page) => page.members !== undefined)!
    assert.ok(digest().retryAtMs > t0 + year)
    bench.tick(1000, t0 + 2_000, true)
    assert.ok(digest().retryAtMs <= t0 + 62_000)
    assert.ok(
      bench.engine.takePageChanges().changed.some((page) => page.id === digest().id && page.retryAtMs < t0 + year),
    )
  })

  it('hears ticks of the highest epoch only, each number once, and two seconds at most', () => {
    const { bench } = started(gone)
    bench.append({ kind: 'tick', number: 2, epoch: 7, elapsedMs: 1000, wallMs: t0 + 50_000 })
    bench.append({ kind: 'tick', number: 1, epoch: 1, elapsedMs: 1000, wallMs: t0 + 50_000 })
    assert.deepEqual([bench.engine.ownedMs, bench.engine.calendarMs], [0, t0])
    bench.tick(60_000, t0 + 1_000)
    assert.equal(bench.engine.ownedMs, 2_000)
    bench.append({ kind: 'tick', number: 9, epoch: 1, elapsedMs: 0, wallMs: t0 })
    assert.deepEqual([bench.engine.ownedMs, bench.engine.calendarMs, bench.engine.lastTick], [2_000, t0 + 1_000, 9])
    bench.append({ kind: 'tick', number: 10, epoch: 1, elapsedMs: -5, wallMs: t0 + 9_000 })
    assert.deepEqual([bench.engine.ownedMs, bench.engine.calendarMs, bench.engine.lastTick], [2_000, t0 + 1_000, 9])
    assert.deepEqual(bench.alarms, ['record-malformed'], 'a tick in which time went back says nothing')
  })

  it('is, for a timer, its deadline: a page says when it was decided', () => {
    const { bench } = started(rules(stable(3, 'state', notify('oncall'))))
    bench.events(t0, { host: 'a', state: 'bad', time: at(0) })
    bench.tick(2_000, t0 + 2_000)
    bench.tick(2_000, t0 + 4_000)
    const [page] = bench.engine.pendingPages()
    assert.deepEqual([page.decidedAtMs, page.decidedAtOwnedMs], [t0 + 3_000, 3_000])
  })

  it('orders timers of both clocks by how long before the end their deadlines lay', () => {
    const { bench } = started(
      rules(
        rate(1, over(-1, tap('calendar'))),
        where('state = "ok"', stable(1.5, 'state', tap('owned'))),
        where('state = "expired"', tap('gone')),
        index(),
      ),
    )
    bench.events(t0, { host: 'a', state: 'ok', metric: 1, time: at(0), ttl: 1.2 })
    bench.tick(2_000, t0 + 2_000)
    assert.deepEqual(
      bench.taps.map(([name]) => name),
      ['calendar', 'gone', 'owned'],
    )
  })
})
