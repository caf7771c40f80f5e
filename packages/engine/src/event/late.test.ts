/** Late events, and ages: DESIGN 11.2 and 11.3. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Event } from '@ricci/client'
import { EngineBench } from '@ricci/testkit'
import { expired, incident, index, notExpired, notify, rules, tap, where } from '../index.ts'

const t0 = 1_700_000_000_000
const at = (seconds: number) => t0 / 1000 + seconds
const now = 600

/** A bench at ten minutes past t0, with an event of that moment in the index. */
function started(description = rules(index()), fresh: Event = { host: 'a', service: 's', state: 'ok', time: at(now) }) {
  const bench = new EngineBench(description)
  bench.tick(0, t0 + now * 1000)
  bench.events(t0 + now * 1000, fresh)
  const late = (event: Event) => bench.events(t0 + now * 1000, { host: 'a', service: 's', ...event })
  return { bench, late }
}

const states = (bench: EngineBench) => bench.engine.query('true').events.map((event) => event.state)

describe('a late event', () => {
  it('does not overwrite an entry that is not late, nor take it out; one up to a minute old does', () => {
    const { bench, late } = started()
    late({ state: 'late', time: at(now - 61), ttl: 300 })
    late({ state: 'expired', time: at(now - 61), ttl: 300 })
    assert.deepEqual(states(bench), ['ok'])
    late({ state: 'older', time: at(now - 60), ttl: 300 })
    assert.deepEqual(states(bench), ['older'], 'arrival order counts among those that are not late')
    late({ state: 'expired', time: at(now - 60), ttl: 300 })
    assert.deepEqual(states(bench), [])
  })

  it('stands where nothing else does, and gives way to anything', () => {
    const { bench, late } = started(rules(index()), { host: 'b', state: 'ok', time: at(now) })
    late({ state: 'first', time: at(now - 100), ttl: 600 })
    late({ state: 'second', time: at(now - 200), ttl: 600 })
    assert.deepEqual(states(bench), ['ok', 'second'])
    bench.cut()
    late({ state: 'expired', time: at(now - 100), ttl: 600 })
    assert.deepEqual(states(bench), ['ok'])
  })

  it('overwrites an entry whose time has passed', () => {
    const { bench, late } = started(rules(index()), { host: 'a', service: 's', state: 'ok', time: at(now), ttl: 1 })
    bench.tick(2_000, t0 + now * 1000 + 2_000)
    late({ state: 'late', time: at(now - 100), ttl: 600 })
    assert.deepEqual(states(bench), ['late'])
  })

  it('opens no incident that a newer entry contradicts, and resolves none', () => {
    const description = rules(index(), incident('down', { bad: 'state = "bad"', to: 'x' }))
    const good = started(description)
    good.late({ state: 'bad', time: at(now - 100), ttl: 600 })
    assert.equal(good.bench.engine.incidents().open.length, 0)
    good.late({ state: 'bad', time: at(now - 30), ttl: 600 })
    assert.equal(good.bench.engine.incidents().open.length, 1, 'not late: it counts as it comes')

    const bad = started(description, { host: 'a', service: 's', state: 'bad', time: at(now) })
    bad.late({ state: 'ok', time: at(now - 100), ttl: 600 })
    assert.equal(bad.bench.engine.incidents().open.length, 1)
    bad.late({ state: 'ok', time: at(now), ttl: 600 })
    assert.equal(bad.bench.engine.incidents().open.length, 0)
  })

  it('opens an incident when nothing newer is known', () => {
    const description = rules(index(), incident('down', { bad: 'state = "bad"', to: 'x' }))
    const { bench, late } = started(description, { host: 'b', state: 'ok', time: at(now) })
    late({ state: 'bad', time: at(now - 100), ttl: 600 })
    assert.equal(bench.engine.incidents().open.length, 1)
    assert.equal((bench.engine.pendingPages()[0].provenance as { late: boolean }).late, true)
    late({ state: 'ok', time: at(now - 90), ttl: 600 })
    assert.equal(bench.engine.incidents().open.length, 0)
  })

  it('notifies nobody when a newer entry has another state', () => {
    const { bench, late } = started(rules(index(), where('state = "bad"', notify('x'))))
    late({ state: 'bad', time: at(now - 100), ttl: 600 })
    assert.equal(bench.engine.pendingPages().length, 0)
    bench.events(t0 + now * 1000, { host: 'c', state: 'bad', time: at(now - 100) })
    assert.equal(bench.engine.pendingPages().length, 1)
  })

  it('is none where the bound is switched off', () => {
    const bench = new EngineBench(rules(index()), { stalenessMs: null })
    bench.tick(0, t0 + now * 1000)
    bench.events(t0 + now * 1000, { host: 'a', state: 'ok', time: at(now) })
    bench.events(t0 + now * 1000, { host: 'a', state: 'old', time: at(0), ttl: 10_000 })
    assert.deepEqual(states(bench), ['old'])
  })
})

describe('the age of an event', () => {
  const kinds = rules(index(), expired(tap('expired')), notExpired(tap('live')))

  it('is told by the clock of its producer where the mark has it', () => {
    const bench = new EngineBench(kinds)
    bench.tick(0, t0)
    // a clock that is an hour behind: 2 s old when it was sent
    const mark = { producer: 'p', incarnation: 1, sequence: 1, sentAtMs: t0 - 3_600_000 }
    bench.marked(t0, mark, { host: 'a', time: at(-3_602), ttl: 3 })
    assert.deepEqual(states(bench), [undefined])
    bench.tick(1_000, t0 + 1_000)
    assert.equal(bench.engine.stats().indexSize, 0, 'one second of its three is left, and it is over')
  })

  it('makes an event expired on arrival, beyond its ttl', () => {
    for (const [age, ttl, tapName] of [
      [3.5, 3, 'expired'],
      [3, 3, 'live'],
      [61, undefined, 'expired'],
      [-100, 1, 'live'],
    ] as const) {
      const bench = new EngineBench(kinds)
      bench.tick(0, t0)
      bench.events(t0, { host: 'a', time: at(-age), ...(ttl === undefined ? {} : { ttl }) })
      assert.deepEqual(
        bench.taps.map(([name]) => name),
        [tapName],
        `${age} s old, ttl ${ttl}`,
      )
    }
  })

  it('is none for an event without a time, whatever the clock of its producer says', () => {
    const bench = new EngineBench(kinds)
    bench.tick(0, t0)
    const mark = { producer: 'p', incarnation: 1, sequence: 1, sentAtMs: t0 + 3_600_000 }
    bench.marked(t0, mark, { host: 'a', ttl: 3 })
    assert.equal(bench.tapped('live').length, 1)
    bench.tick(2_000, t0 + 2_000)
    assert.equal(bench.engine.stats().indexSize, 1)
  })

  it('counts owned time from arrival: a clock ahead gives nothing extra', () => {
    const bench = new EngineBench(kinds)
    bench.tick(0, t0)
    bench.events(t0, { host: 'a', time: at(500), ttl: 1 })
    bench.tick(1_000, t0 + 1_000)
    assert.equal(bench.engine.stats().indexSize, 0)
  })
})

describe('a ttl that is no usable number', () => {
  it('is the default, or ten years', () => {
    const bench = new EngineBench(rules(index()))
    bench.tick(0, t0)
    bench.events(
      t0,
      { host: 'nan', time: at(0), ttl: NaN },
      { host: 'infinite', time: at(0), ttl: Infinity },
      { host: 'below', time: at(0), ttl: -5 },
    )
    for (let i = 1; i <= 59; i++) bench.tick(1_000, t0 + i * 1_000)
    const hosts = () => bench.engine.query('true').events.map((event) => event.host)
    assert.deepEqual(hosts(), ['nan', 'infinite'])
    bench.tick(1_000, t0 + 60_000)
    assert.deepEqual(hosts(), ['infinite'])
    assert.equal(bench.engine.stats().indexSize, 1)
  })
})

describe('a stamp that is no time', () => {
  it('is refused with its record, and moves no clock', () => {
    const bench = new EngineBench(rules(tap('all')))
    bench.tick(0, t0)
    for (const stamp of [NaN, Infinity, -1, 1e18]) bench.events(stamp, { host: 'a' })
    assert.deepEqual(bench.alarms, Array(4).fill('record-malformed'))
    assert.equal(bench.engine.calendarMs, t0)
    assert.equal(bench.taps.length, 0)
  })
})
