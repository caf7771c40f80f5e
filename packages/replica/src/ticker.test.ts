import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { TickRecord } from '@ricci/engine'
import { VirtualClock } from '@ricci/testkit'
import { ReplicaError } from './errors.ts'
import { tickElapsedLimitMs, wallBehindForMs, wallBehindMs } from './limits.ts'
import type { Clock } from './ports.ts'
import { Ticker } from './ticker.ts'

/** A ticker on a clock that can also stand still for its process: timers come late, as after a pause. */
class Bench {
  readonly time = new VirtualClock()
  readonly ticks: TickRecord[] = []
  readonly atMs: number[] = []
  readonly alarms: string[] = []
  pausedMs = 0
  busy = false
  calendarMs = 0
  /** Whether the log confirms. */
  confirms = true
  /** Whether the log has room. */
  room = true
  readonly ticker: Ticker
  readonly #confirm: (() => void)[] = []

  constructor(lastTick = 0) {
    const clock: Clock = {
      monotonicMs: () => this.time.monotonicMs() + this.pausedMs,
      wallMs: () => this.time.wallMs() + this.pausedMs,
      setTimer: (delayMs, callback) => this.time.setTimer(delayMs, callback),
    }
    this.calendarMs = clock.wallMs()
    this.ticker = new Ticker({
      epoch: 3,
      lastTick,
      clock,
      append: (tick) => {
        this.ticks.push(tick)
        this.atMs.push(this.time.monotonicMs())
        if (tick.back === true) this.calendarMs = tick.wallMs
        this.calendarMs = Math.max(this.calendarMs, tick.wallMs)
        if (!this.room) return Promise.reject(new ReplicaError('LOG_FULL', 'no room', true))
        return this.confirms ? Promise.resolve() : new Promise((resolve) => this.#confirm.push(resolve))
      },
      busy: () => this.busy,
      calendarMs: () => this.calendarMs,
      onAlarm: (name) => this.alarms.push(name),
    })
  }

  confirm(): void {
    this.confirms = true
    for (const done of this.#confirm.splice(0)) done()
  }

  get elapsedMs(): number[] {
    return this.ticks.map((tick) => tick.elapsedMs)
  }
}

describe('the ticker', () => {
  it('begins by saying that no time has passed, and counts on from the log’s last tick', () => {
    const bench = new Bench(41)
    assert.deepEqual(
      bench.ticks.map(({ number, epoch, elapsedMs }) => ({ number, epoch, elapsedMs })),
      [{ number: 42, epoch: 3, elapsedMs: 0 }],
    )
    bench.ticker.stop()
    assert.equal(bench.time.pendingTimers, 0)
  })

  it('ticks twice a second while something happens, once a second where nothing does', async () => {
    const bench = new Bench()
    bench.busy = true
    await bench.time.advance(2_000)
    assert.deepEqual(bench.atMs, [0, 500, 1_000, 1_500, 2_000])
    bench.busy = false
    await bench.time.advance(3_000)
    assert.deepEqual(bench.atMs.slice(5), [3_000, 4_000, 5_000])
    assert.deepEqual(bench.elapsedMs, [0, 500, 500, 500, 500, 1_000, 1_000, 1_000])
    bench.ticker.stop()
  })

  it('a pause of its own process is no owned time beyond 2,000 ms', async () => {
    const bench = new Bench()
    await bench.time.advance(1_000)
    bench.pausedMs = 3_600_000
    await bench.time.advance(2_000)
    assert.equal(tickElapsedLimitMs, 2_000)
    assert.deepEqual(bench.elapsedMs.slice(0, 3), [0, 1_000, 2_000])
    assert.ok(bench.elapsedMs.slice(3).every((ms) => ms <= 1_000))
    bench.ticker.stop()
  })

  it('a wall clock that leaps is told as it is; owned time heeds it in neither direction', async () => {
    const bench = new Bench()
    await bench.time.advance(1_000)
    for (const leapMs of [7_200_000, -30_000]) {
      bench.time.shiftWall(leapMs)
      await bench.time.advance(2_000)
    }
    const walls = bench.ticks.map((tick) => tick.wallMs - bench.ticks[0].wallMs)
    assert.deepEqual(walls, [0, 1_000, 7_202_000, 7_203_000, 7_174_000, 7_175_000])
    assert.deepEqual(bench.elapsedMs, [0, 1_000, 1_000, 1_000, 1_000, 1_000])
    assert.ok(
      bench.ticks.every((tick) => tick.back === undefined),
      'half a minute behind is nothing',
    )
    bench.ticker.stop()
  })

  it('a wall clock more than a minute behind for a minute is followed back once, and alarmed', async () => {
    const bench = new Bench()
    await bench.time.advance(1_000)
    assert.equal(wallBehindMs, 60_000)
    bench.time.shiftWall(-wallBehindMs - 600_000)
    await bench.time.advance(wallBehindForMs)
    assert.ok(bench.ticks.every((tick) => tick.back === undefined))
    await bench.time.advance(2_000)
    const back = bench.ticks.filter((tick) => tick.back === true)
    assert.deepEqual([back.length, bench.alarms], [1, ['clock-back']])
    assert.equal(back[0].wallMs, bench.calendarMs - (bench.ticks.at(-1)!.wallMs - back[0].wallMs))
    await bench.time.advance(300_000)
    assert.equal(bench.alarms.length, 1)
    bench.ticker.stop()
  })

  it('a clock that comes right again within the minute is not followed', async () => {
    const bench = new Bench()
    bench.time.shiftWall(-600_000)
    await bench.time.advance(wallBehindForMs - 5_000)
    bench.time.shiftWall(600_000)
    await bench.time.advance(2_000)
    bench.time.shiftWall(-600_000)
    await bench.time.advance(wallBehindForMs - 5_000)
    assert.deepEqual(bench.alarms, [])
    bench.ticker.stop()
  })

  it('while the log confirms nothing it ticks every 2 s, and none of them says that time has passed', async () => {
    const bench = new Bench()
    bench.confirms = false
    await bench.time.advance(1_000)
    await bench.time.advance(10_000)
    assert.deepEqual(bench.atMs, [0, 1_000, 3_000, 5_000, 7_000, 9_000, 11_000])
    assert.equal(
      bench.elapsedMs.slice(2).every((ms) => ms === 0),
      true,
    )
    bench.confirm()
    await bench.time.advance(1_000)
    assert.equal(bench.elapsedMs.at(-1), 1_000)
    bench.ticker.stop()
    assert.equal(bench.time.pendingTimers, 0)
  })

  it('says that no time has passed while the log had no room, up to the first tick that is taken again', async () => {
    const bench = new Bench()
    bench.busy = true
    await bench.time.advance(1_000)
    bench.room = false
    await bench.time.advance(60_000)
    bench.room = true
    const { length } = bench.ticks
    await bench.time.advance(1_500)
    assert.deepEqual(bench.elapsedMs.slice(0, 3), [0, 500, 500])
    assert.deepEqual(bench.elapsedMs.slice(length), [0, 500, 500])
    bench.ticker.stop()
  })
})
