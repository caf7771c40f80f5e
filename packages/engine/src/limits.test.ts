/** Limits of the engine and what is given back (DESIGN section 5, "Bounded"). */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { crc32 } from 'node:zlib'
import { type Event } from '@ricci/client'
import { EngineBench } from '@ricci/testkit'
import { reservedForAlarms } from './own-alarms.ts'
import {
  type EventView,
  adjust,
  by,
  changed,
  counter,
  fixedEventWindow,
  incident,
  index,
  movingTimeWindow,
  notExpired,
  rollup,
  rules,
  smap,
  stable,
  tag,
  tagged,
  tap,
  where,
  withFields,
} from './index.ts'

const t0 = 1_700_000_000_000

/** Services of alarms, which stand beside the limit. */
const ownTexts = new EngineBench(rules()).engine.stats().symbols

/** One tick further, at which idle things and symbols are collected: the engine counts ticks by their numbers. */
function collect(bench: EngineBench, seconds: number): void {
  bench.ticks = Math.floor(bench.ticks / 600) * 600 + 599
  bench.tick(1_000, t0 + seconds * 1_000)
}

/** An event whose texts are new again and again. */
function passing(i: number): Event {
  return {
    host: `host-${i}`,
    service: i % 3 === 0 ? 'cpu' : `service ${i % 7}`,
    state: i % 5 === 0 ? 'bad' : 'ok',
    metric: i,
    ttl: 2,
    tags: i % 2 === 0 ? ['even', `tag-${i % 11}`] : [`tag-${i}`],
    attributes: { rack: `rack-${i % 4}`, request: `r-${i}` },
  }
}

describe('symbols', () => {
  const description = rules(
    index(),
    by('host', changed('state', tap('changed'))),
    by((e: EventView) => `${e.attributes['rack']} ${e.service}`, counter(tap('counted'))),
    by('rack', stable(3, 'service', tap('stable'))),
    where('service =~ "serv%" and state = "ok" and tagged "even"', tap('query')),
    where('service ~= "e 3$" and not (host = "host-1")', tap('regex')),
    tagged('even', tap('tagged')),
    tag('more', withFields({ state: 'set', attributes: { set: 'here' } }, tap('with'))),
    where('state = "expired"', tap('gone')),
    smap((e: EventView) => ({ ...e.copy(), host: `made ${e.host}`, service: 'made', ttl: 1 }), tap('made')),
  )

  function run(symbols: number, cutAt: number) {
    const bench = new EngineBench(description, {
      symbols,
      idleForkMs: 3_000,
      keepKeys: ['host', 'service', 'tags', 'attributes'],
    })
    bench.tick(0, t0)
    let most = 0
    const answers: unknown[] = []
    for (let i = 0; i < 120; i++) {
      if (i === cutAt) bench.cut()
      bench.events(t0 + i * 1_000, ...[0, 1, 2, 3].map((n) => passing(i * 4 + n)), {
        host: 'steady',
        state: 'ok',
        ttl: 5,
      })
      most = Math.max(most, bench.engine.stats().symbols)
      answers.push(bench.engine.query('service =~ "s%" and tagged "even" and state = "ok"').events)
      collect(bench, i + 1)
    }
    return { bench, most, taps: bench.taps, answers }
  }

  it('are collected and given again without anybody taking one for another', () => {
    const plain = run(1 << 20, -1)
    const small = run(1_000, -1)
    assert.ok(plain.most > 1_500, 'the texts pass by the limit')
    assert.ok(small.most < 1_000)
    assert.deepEqual(small.bench.alarms, [])
    assert.deepEqual(small.taps, plain.taps)
    assert.deepEqual(small.answers, plain.answers)
    assert.ok(small.taps.length > 1_000)
    for (const cutAt of [30, 77]) {
      const cut = run(1_000, cutAt)
      assert.deepEqual(cut.taps, small.taps)
      assert.equal(cut.bench.engine.stateHash(), small.bench.engine.stateHash())
    }
  })

  it('are collected as well where only sets of them, or bytes, fill up', () => {
    for (const event of [
      (i: number): Event => ({ host: 'a', attributes: { a: `${i % 30}`, b: `${Math.floor(i / 30) % 30}` } }),
      (i: number): Event => ({ host: `${i} ${'long '.repeat(100)}`, ttl: 1 }),
    ]) {
      const bench = new EngineBench(rules(index(), notExpired(tap('all'))), { symbols: 1_000, idleForkMs: 1 })
      bench.tick(0, t0)
      for (let i = 0; i < 800; i++) {
        bench.events(t0 + i * 1_000, event(i))
        if (i % 10 === 9) collect(bench, i)
      }
      assert.equal(bench.taps.length, 800, 'none was refused')
      assert.deepEqual(bench.alarms, [])
    }
  })

  it('find no room: their events are refused and counted, told of once a minute, and what is known goes on', () => {
    const bench = new EngineBench(rules(index(), tap('all')), { symbols: 20, indexRows: 100 })
    bench.tick(0, t0)
    for (let i = 0; i < 100; i++) {
      bench.events(t0, { host: `h${i}` }, { host: 'h1' })
      if (i % 10 === 0) bench.tick(100, t0 + i * 100)
    }
    assert.ok(bench.tapped('all').length >= 100 && bench.tapped('all').length < 130)
    assert.deepEqual(new Set(bench.alarms), new Set(['symbols-full']))
    assert.ok(bench.alarms.length <= 2, `${bench.alarms.length} alarms`)
    const before = bench.engine.stateHash()
    bench.cut()
    assert.equal(bench.engine.stateHash(), before)
  })

  it('that rules make and that find no room pass neither for each other nor for nothing, and nothing else is lost', () => {
    const bench = new EngineBench(
      rules(
        by(
          'host',
          changed((e) => `value ${e.metric}`, tap('changed')),
        ),
        by((e) => `key ${e.metric}`, counter(tap('forked'))),
        tag('new tag', tap('tagged')),
        withFields({ state: 'new state' }, tap('with')),
        index(),
        tap('all'),
      ),
      { symbols: 12 },
    )
    bench.tick(0, t0)
    const rounds = 20
    for (let i = 0; i < rounds; i++) bench.events(t0, { host: 'a', service: 's', metric: i })
    bench.tick(500, t0 + 500)
    const metrics = (name: string) => (bench.tapped(name) as Event[]).map(({ metric }) => Number(metric))
    assert.deepEqual(metrics('all'), [...Array(rounds).keys()], 'every event goes on beside what finds no room')
    assert.equal(bench.engine.query('true').events[0].metric, rounds - 1)
    for (const [i, metric] of metrics('changed').entries()) assert.equal(metric, i, 'those with room have all changed')
    assert.deepEqual(
      metrics('forked').slice(0, 3),
      [0, 1, 2],
      'no two keys share a fork: each sums its own event alone',
    )
    const passed = ['changed', 'forked', 'tagged', 'with'].map((name) => metrics(name).length)
    const refused = 4 * rounds - passed.reduce((sum, count) => sum + count, 0)
    assert.ok(refused > rounds)
    assert.equal(bench.engine.stats().refusedTexts, refused, 'each is counted')
    assert.equal(bench.engine.stats().ruleErrors, 0, 'and none is an error')
    assert.deepEqual(bench.alarms, ['symbols-full'])
    const before = bench.engine.stateHash()
    bench.cut()
    assert.equal(bench.engine.stateHash(), before)
  })

  it('make no storm where it is rules that make texts without end', () => {
    const bench = new EngineBench(rules(by((e) => `key ${e.metric}`, counter(tap('out')))), { symbols: 50 })
    bench.tick(0, t0)
    for (let i = 0; i < 200; i++) {
      bench.events(t0, { host: 'a', metric: i })
      bench.tick(1, t0 + i)
    }
    assert.ok(bench.alarms.length > 0 && bench.alarms.length <= 4, `${bench.alarms.length} alarms`)
  })
})

describe('events that rules make', () => {
  it('go no further when their texts find no room: without its service one would be another’s', () => {
    const made = rules(
      smap((e: EventView) => ({ ...e.copy(), service: `made ${e.metric}` }), tap('smap')),
      adjust((e) => ({ service: `adjusted ${e.metric}` }), tap('adjust')),
    )
    const bench = new EngineBench(made, { symbols: 50 })
    bench.tick(0, t0)
    for (let i = 0; i < 200; i++) bench.events(t0, { host: 'a', service: 'b', metric: i })
    bench.tick(1_000, t0 + 1_000)
    const shown = bench.taps.map(([, event]) => (event as Event).service!)
    assert.ok(shown.length > 10 && shown.length < 60, `${shown.length} had room`)
    assert.deepEqual(
      shown.filter((service) => !/^(made|adjusted) \d+$/.test(service)),
      [],
    )
    assert.equal(bench.engine.stats().ruleErrors, 0, 'a limit is no error')
    assert.deepEqual(bench.alarms, ['symbols-full'])
  })
})

describe('buffers and windows', () => {
  it('refuse what they have no room for, and that is told of', () => {
    const bench = new EngineBench(rules(stable(60, 'state', tap('out')), movingTimeWindow(60, tap('window'))), {
      eventsPerBuffer: 3,
    })
    bench.tick(0, t0)
    for (let i = 1; i <= 3; i++) bench.events(t0, { metric: i })
    bench.tick(1_000, t0 + 1_000)
    assert.deepEqual(bench.alarms, [])
    bench.events(t0, { metric: 4 })
    bench.tick(1_000, t0 + 2_000)
    assert.deepEqual(bench.alarms, ['buffers-full'])
  })
})

describe('forks and rows', () => {
  it('are refused when there are too many, and that is told of once a minute', () => {
    const bench = new EngineBench(rules(index(), by('host', counter(tap('out')))), { forksPerBy: 3, indexRows: 2 })
    bench.tick(0, t0)
    for (let i = 0; i < 10; i++) bench.events(t0, { host: `h${i}`, metric: 1 })
    for (let i = 1; i <= 59; i++) bench.tick(100, t0 + i * 100)
    assert.deepEqual(bench.alarms, ['forks-full', 'index-full'])
    assert.equal(bench.engine.stats().indexSize, 2)
    bench.events(t0, { host: 'h0', metric: 1 })
    assert.equal(bench.taps.length, 4, 'no live one was evicted')
    bench.events(t0, { host: 'h99', metric: 1 })
    for (let i = 60; i <= 130; i++) bench.tick(100, t0 + i * 100)
    assert.equal(bench.alarms.length, 4)
  })

  it('are given back after a day without use, never while a timer or an entry holds them', () => {
    const bench = new EngineBench(rules(index(), by('host', stable(60, 'state', tap('out')))), { idleForkMs: 5_000 })
    bench.tick(0, t0)
    bench.events(t0, { host: 'short', state: 'ok', ttl: 1 }, { host: 'long', state: 'ok', ttl: Infinity })
    for (let i = 1; i <= 30; i++) collect(bench, i)
    assert.equal(bench.engine.stats().forks, 3, 'stable still holds its events')
    assert.equal(bench.engine.stats().indexSize, 1)
    for (let i = 31; i <= 90; i++) collect(bench, i)
    assert.equal(bench.engine.stats().forks, 1, 'that of the top alone')
    assert.deepEqual(
      bench.engine.query('true').events.map((event) => event.host),
      ['long'],
    )
    bench.events(t0 + 90_000, { host: 'short', state: 'new', ttl: 1 })
    assert.equal(bench.engine.stats().forks, 2)
  })
})

describe('rules that put expired events back', () => {
  it('get them again at the next look of the reaper, not without end at one moment, however short their TTL', () => {
    for (const ttl of [0, -1, 1e-12, 0.3]) {
      const bench = new EngineBench(
        rules(
          index(),
          where(
            'state = "expired"',
            withFields('state', 'gone', index()),
            adjust((e) => ({ state: 'gone', service: `${e.service}!` }), index()),
            tap('gone'),
          ),
        ),
      )
      bench.tick(0, t0)
      bench.events(t0, { host: 'a', service: 's', ttl })
      bench.tick(2_000, t0 + 2_000)
      const first = bench.tapped('gone').length
      assert.ok(first >= 3 && first <= 31, `${first} with a ttl of ${ttl}`)
      bench.cut()
      bench.tick(500, t0 + 2_500)
      assert.ok(bench.tapped('gone').length > first)
      if (ttl < 0) assert.deepEqual(bench.engine.query('true').events, [], 'what is stale is never returned')
    }
  })
})

describe('what has gone', () => {
  it('leaves its row of the index to others within two collections: hosts that come and go do not fill it', () => {
    const bench = new EngineBench(rules(index()), { indexRows: 3 })
    bench.tick(0, t0)
    for (let round = 0; round < 5; round++) {
      const hosts = [0, 1, 2].map((i) => `round ${round}, ${i}`)
      bench.events(t0 + 10_000 * round, ...hosts.map((host) => ({ host, ttl: 3 })))
      assert.deepEqual(
        bench.engine.query('true sort by host').events.map(({ host }) => host),
        hosts,
      )
      for (let i = 1; i <= 8; i++) collect(bench, 10 * round + i)
      if (round === 2) bench.cut()
    }
    assert.deepEqual([bench.engine.stats().refusedForks, bench.engine.stats().indexSize], [0, 0])
  })

  it('leaves its texts and its description, though it went through a buffer', () => {
    const bench = new EngineBench(rules(rollup(0, 2, tap('first')), fixedEventWindow(50, tap('second'))), {
      symbols: 60,
    })
    bench.tick(0, t0)
    const before = bench.engine.stats().symbols
    const description = 'of some length, '.repeat(1_000)
    bench.events(t0, ...Array.from({ length: 50 }, (_, i) => ({ host: `host ${i}`, description })))
    bench.tick(2_000, t0 + 2_000)
    assert.deepEqual([bench.tapped('first').length, bench.tapped('second').length], [1, 1])
    collect(bench, 3)
    assert.equal(bench.engine.stats().symbols, before)
    const snapshot = Buffer.concat([...bench.engine.snapshot()])
    assert.ok(!snapshot.includes(description), 'what was passed on is in no snapshot')
    bench.cut()
    bench.events(t0 + 4_000, ...Array.from({ length: 50 }, (_, i) => ({ host: `other ${i}`, description: `${i}` })))
    assert.equal(bench.engine.stats().refusedTexts, 0)
    assert.equal((bench.tapped('second').at(-1) as Event[])[49].description, '49')
  })
})

describe('a `changed` that finds no room for what it is told to begin with', () => {
  it('stores nothing: it begins with it once there is room', () => {
    const bench = new EngineBench(rules(by('host', changed('state', { init: 'told' }, tap('out'))), tap('seen')), {
      symbols: 3,
    })
    bench.tick(0, t0)
    bench.events(t0, { host: 'a', state: 'x' }, { host: 'a', state: 'x' })
    assert.deepEqual([bench.tapped('out').length, bench.tapped('seen').length], [0, 2])
    assert.ok(bench.engine.stats().refusedTexts > 0)
    bench.rules(rules(by('host', changed('state', { init: 'told' }, tap('out')))), { symbols: 100 })
    bench.events(t0, { host: 'a', state: 'told' })
    assert.equal(bench.tapped('out').length, 0)
    bench.events(t0, { host: 'a', state: 'x' })
    assert.equal(bench.tapped('out').length, 1)
  })
})

describe('alarms of Ricci’s own', () => {
  const paging = rules(
    index(),
    by((e: EventView) => `${e.host} ${e.service}`, tap('forked')),
    where('service =~ "ricci %"', incident('ricci', { to: 'console' })),
  )
  const alarm = (i: number, name = 'index-full'): Event => ({
    host: `instance-${i}`,
    service: `ricci ${name}`,
    state: 'critical',
    description: 'there is no room',
    tags: ['ricci'],
    ttl: 3_600,
  })
  const full = { symbols: 40, indexRows: 5, forksPerBy: 5 }

  it('find room in the index, in forks and for their texts when all of these are full, and page', () => {
    for (const name of ['symbols-full', 'forks-full', 'index-full']) {
      const bench = new EngineBench(paging, full)
      bench.tick(0, t0)
      for (let i = 0; i < 100; i++) bench.events(t0, { host: `h${i}`, service: 's' })
      const { indexSize } = bench.engine.stats()
      assert.ok(indexSize <= 5)
      bench.events(t0, { host: 'other', service: 'ricci agent dropped' }, alarm(1, name), {
        host: 'late',
        service: 's',
      })
      assert.deepEqual(
        bench.engine.query('service =~ "ricci %"').events.map(({ host, service }) => [host, service]),
        [['instance-1', `ricci ${name}`]],
      )
      assert.equal(bench.engine.stats().indexSize, indexSize + 1, 'nobody else has use of that room')
      assert.equal((bench.tapped('forked').at(-1) as Event).service, `ricci ${name}`)
      assert.deepEqual(
        bench.decided.map(({ receiver }) => receiver),
        ['console'],
      )
    }
  })

  it('find it after texts were collected and in an engine restored, which gives the same ids', () => {
    const bench = new EngineBench(paging, { ...full, idleForkMs: 1 })
    bench.tick(0, t0)
    for (let i = 0; i < 100; i++) bench.events(t0, { host: `h${i}`, service: 's', ttl: 1 })
    for (let i = 1; i <= 3; i++) collect(bench, 10 * i)
    for (let i = 0; i < 100; i++) bench.events(t0 + 40_000, { host: `g${i}`, service: 's' })
    const records = [alarm(1), alarm(2, 'delivery-failed')]
    const whole = bench.engine
    bench.cut()
    bench.events(t0 + 40_000, ...records)
    const restored = bench.engine.stateHash()
    assert.equal(bench.engine.query('service =~ "ricci %"').events.length, 2)
    const last = bench.log.length - 1
    whole.apply(last, bench.log[last], crc32(bench.log[last]))
    assert.equal(whole.stateHash(), restored)
  })

  it('have an end as well: whoever sends events so named fills no more than the room kept for them', () => {
    const bench = new EngineBench(paging, { ...full, symbols: 100_000 })
    bench.tick(0, t0)
    for (let i = 0; i < 10; i++) bench.events(t0, { host: `h${i}`, service: 's' })
    for (let i = 0; i < 2 * reservedForAlarms; i++) bench.events(t0, alarm(i))
    assert.equal(bench.engine.stats().indexSize, full.indexRows + reservedForAlarms)
    const texts = new EngineBench(paging, full)
    for (let i = 0; i < 4 * reservedForAlarms; i++) texts.events(t0, alarm(i))
    assert.ok(texts.engine.stats().symbols <= full.symbols + reservedForAlarms + ownTexts)
  })
})
