/** Rules records: what a switch keeps, what is refused, skips and quarantine (DESIGN sections 5 "Identity" and 8). */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Event } from '@ricci/client'
import { EngineBench } from '@ricci/testkit'
import {
  by,
  changed,
  checkRules,
  counter,
  createEngine,
  encodeRecord,
  type EngineError,
  engineSemantics,
  fold,
  forward,
  incident,
  index,
  movingEventWindow,
  named,
  notify,
  over,
  percentiles,
  rate,
  rollup,
  rules,
  type RulesDescription,
  type RulesReport,
  smap,
  split,
  stable,
  Stream,
  tap,
  throttle,
  where,
} from './index.ts'

const t0 = 1_700_000_000_000

function started(description: RulesDescription, settings = {}) {
  const bench = new EngineBench(description, settings)
  bench.tick(0, t0)
  const send = (...metrics: number[]) => {
    for (const metric of metrics) bench.events(t0, { host: 'a', service: 's', metric })
  }
  const sums = () => bench.tapped('sum').map((event) => (event as { metric: number }).metric)
  return { bench, send, sums }
}

describe('a switch of rules', () => {
  const sum = (...children: Stream[]) => counter(tap('sum'), ...children)

  it('keeps state by label, by equal description, and by kind in order', () => {
    const cases: [RulesDescription, RulesDescription, boolean][] = [
      [rules(sum()), rules(sum()), true],
      // an equal description, wherever it stands among its siblings
      [rules(sum()), rules(tap('x'), index(), sum()), true],
      // by label, with another argument
      [rules(named('total', counter(0, tap('sum')))), rules(index(), named('total', counter(5, tap('sum')))), true],
      // by kind: another argument
      [rules(counter(0, tap('sum'))), rules(counter(5, tap('sum'))), true],
      // a label is given to what had none
      [rules(counter(0, tap('sum'))), rules(named('total', counter(5, tap('sum')))), true],
      // a different label is a different thing
      [rules(named('one', counter(0, tap('sum')))), rules(named('two', counter(7, tap('sum')))), false],
      // unless all the rest is the same
      [rules(named('one', sum())), rules(named('two', sum())), true],
      // functions by their text
      [rules(where((e) => e.metric > 0, sum())), rules(where((e) => e.metric > 0, sum())), true],
      // below a parent of another kind
      [rules(where('metric > 0', sum())), rules(over(0, sum())), false],
      [rules(by('host', sum())), rules(by('host', sum())), true],
      // another key, other forks
      [rules(by('host', sum())), rules(by('service', sum())), false],
    ]
    for (const [before, after, kept] of cases) {
      const { bench, send, sums } = started(before)
      send(1, 2)
      bench.rules(after)
      send(4)
      const fresh = started(after)
      fresh.send(4)
      assert.deepEqual(sums(), [1, 3, kept ? 7 : fresh.sums()[0]], JSON.stringify([before, after]))
    }
  })

  it('matches what is equal before what is of the same kind', () => {
    const { bench, send } = started(rules(counter(0, tap('zero')), counter(100, tap('hundred'))))
    send(1)
    bench.rules(rules(counter(100, tap('hundred')), counter(0, tap('zero'))))
    send(1)
    assert.deepEqual(
      bench.tapped('zero').map((e) => (e as { metric: number }).metric),
      [1, 2],
    )
    assert.deepEqual(
      bench.tapped('hundred').map((e) => (e as { metric: number }).metric),
      [101, 102],
    )
  })

  it('keeps what a window or buffer held, and is as long as the new rules say from the next event on', () => {
    const { bench, send } = started(rules(movingEventWindow(5, tap('last')), rollup(1, 3600, tap('rolled'))))
    send(1, 2, 3, 4, 5, 6)
    bench.rules(rules(movingEventWindow(2, tap('last')), rollup(1, 10, tap('rolled'))))
    bench.tick(1_000, t0 + 1_000)
    bench.events(t0 + 1_000, { metric: 7 }, { metric: 8 })
    for (let second = 2; second <= 10; second++) bench.tick(1_000, t0 + 1_000 * second)
    const metrics = (name: string) => bench.tapped(name).map((list) => (list as Event[]).map(({ metric }) => metric))
    assert.deepEqual(metrics('last').slice(-2), [
      [6, 7],
      [7, 8],
    ])
    assert.deepEqual(metrics('rolled'), [[1], [7], [2, 3, 4, 5, 6, 8]])
  })

  it('begins the window or wait under way anew where its time is another: what was counted for the old one is no rate of the new', () => {
    const timed = (seconds: number) =>
      rules(
        rate(seconds, tap('rate')),
        percentiles(seconds, { 0.5: '' }, tap('sample')),
        stable(seconds, 'state', tap('stable')),
      )
    for (const [before, after] of [
      [1_000, 2],
      [2, 4],
    ]) {
      const { bench } = started(timed(before))
      for (let i = 0; i < 100; i++) bench.events(t0, { host: 'a', state: 'ok', metric: 10, time: t0 / 1_000 })
      bench.tick(1_000, t0 + 1_000)
      bench.rules(timed(after))
      bench.cut()
      for (let i = 2; i <= after; i++) bench.tick(1_000, t0 + 1_000 * i)
      assert.deepEqual(bench.taps, [])
      bench.events(t0 + 1_000 * after, { host: 'a', state: 'ok', metric: 8, time: t0 / 1_000 })
      bench.tick(1_000, t0 + 1_000 * (after + 1))
      const metrics = (name: string) => bench.tapped(name).map((event) => (event as Event).metric)
      assert.deepEqual(metrics('rate'), [8 / after])
      assert.deepEqual(metrics('sample'), [10])
      assert.equal(metrics('stable').length, 101)
      bench.rules(timed(after))
      bench.tick(1_000, t0 + 1_000 * (after + 2))
      bench.rules(timed(after))
      for (let i = after + 3; i <= 2 * after + 1; i++) bench.tick(1_000, t0 + 1_000 * i)
      assert.equal(metrics('rate').length, 2, 'a switch that leaves the time as it is changes nothing')
    }
  })

  it('says which operators go on, by their paths', () => {
    const bench = started(rules(by('host', counter(tap('a'))), stable(5, 'state', tap('b')), tap('c')))
    const reports: RulesReport[] = []
    const descriptions = new Map<string, RulesDescription>()
    const engine = createEngine({
      logId: 'log',
      partition: 0,
      loadRules: ({ hash }) => descriptions.get(hash)!,
      observer: { onRules: (report) => reports.push(report) },
    })
    const apply = (offset: number, description: RulesDescription) => {
      descriptions.set(`${offset}`, description)
      const record = {
        kind: 'rules',
        hash: `${offset}`,
        settings: {},
        semantics: 1,
        bundle: new Uint8Array(0),
      } as const
      engine.apply(offset, encodeRecord(record), 0)
    }
    apply(0, rules(by('host', counter(tap('a'))), stable(5, 'state', tap('b')), tap('c')))
    apply(1, rules(throttle(1, 5), by('service', counter(tap('a'))), stable(7, 'state', tap('b'))))
    assert.deepEqual(reports, [
      { kept: [], fresh: ['by[0]', 'by[0] > counter[0]', 'stable[1]'], dropped: [] },
      {
        kept: ['stable[2]'],
        fresh: ['throttle[0]', 'by[1]', 'by[1] > counter[0]'],
        dropped: ['by[0]', 'by[0] > counter[0]'],
      },
    ])
    assert.ok(bench)
  })

  it('takes new limits to forks that go on', () => {
    const description = rules(by('host', tap('out')))
    const { bench } = started(description)
    bench.rules(description, { forksPerBy: 2 })
    for (const host of ['a', 'b', 'c']) bench.events(t0, { host })
    assert.equal(bench.taps.length, 2)
    bench.rules(rules(by('host', tap('out')), tap('more')), { forksPerBy: 3 })
    bench.events(t0, { host: 'd' })
    assert.equal(bench.tapped('out').length, 3)
  })

  it('compares deep rules without choking on them', () => {
    const deep = (metric: number) => {
      let stream = counter(0, tap('sum'))
      for (let depth = 0; depth < 200; depth++) stream = where(`metric > ${metric}`, stream)
      return rules(stream)
    }
    const { bench, send, sums } = started(deep(0))
    send(1)
    bench.rules(deep(-1))
    send(1)
    assert.deepEqual(sums(), [1, 2])
  })

  it('resolves the incidents of rules that are declared nowhere any more, and no others', () => {
    const one = incident('one', { bad: 'metric > 0', to: 'x' })
    const two = incident('two', { bad: 'metric > 0', to: 'x' })
    const { bench, send } = started(rules(one, two))
    send(1)
    bench.rules(rules(by('host', two)))
    const { open, closed } = bench.engine.incidents()
    assert.deepEqual(
      open.map((i) => i.rule),
      ['two'],
    )
    assert.deepEqual(
      closed.map((i) => [i.rule, i.closed?.reason]),
      [['one', 'its rule was deleted']],
    )
  })

  it('is none when the same record comes again', () => {
    const { bench, send } = started(rules(index(), by('host', counter(tap('sum')))))
    send(1)
    const before = bench.engine.snapshot()
    const record = bench.log[0]
    bench.appendBytes(record)
    send(2)
    assert.deepEqual(bench.tapped('sum').length, 2)
    assert.ok([...before].length > 0)
    assert.deepEqual(bench.alarms, [])
  })
})

describe('rules that are refused', () => {
  const good = rules(index(), by('host', stable(2, 'state', tap('out'))))
  const bad: Record<string, (bench: EngineBench) => void> = {
    'a bundle that cannot be loaded': (bench) =>
      bench.append({ kind: 'rules', hash: 'unknown', settings: {}, semantics: 1, bundle: new Uint8Array(0) }),
    'an operator that nobody defined': (bench) => bench.rules(rules(tap('new'), new Stream('nonsense', [], []))),
    'streams that do not fit': (bench) => bench.rules(rules(stable(1, 'state', movingEventWindow(2, over(1))))),
    'an operator that fails while it is built': (bench) =>
      bench.rules(
        rules(
          tap('new'),
          stable(3, 'state', tap('timer')),
          where('true', new Stream('smap', [null], [])),
          new Stream('where', ['metric >'], []),
        ),
      ),
    'settings that cannot be': (bench) => bench.rules(rules(tap('new')), { graceMs: -1 }),
    'a setting nobody knows': (bench) => bench.rules(rules(tap('new')), { gracems: 1 }),
  }
  for (const [what, attempt] of Object.entries(bad)) {
    it(`leave the old ones as they were: ${what}`, () => {
      const run = (refuse: boolean, cut: boolean) => {
        const bench = new EngineBench(good)
        bench.tick(0, t0)
        bench.events(t0, { host: 'a', state: 'ok', time: t0 / 1000, ttl: 1 })
        if (refuse) attempt(bench)
        if (cut) bench.cut()
        for (let i = 1; i <= 4; i++) bench.tick(1_000, t0 + i * 1_000)
        return {
          taps: bench.taps,
          alarms: bench.alarms,
          hash: bench.engine.rulesHash,
          timers: bench.engine.stats().timersFired,
        }
      }
      const plain = run(false, false)
      assert.deepEqual(run(true, false), { ...plain, alarms: ['rules-refused'] })
      assert.deepEqual(run(true, true).taps, plain.taps)
    })
  }

  it('are found out beforehand', () => {
    checkRules(good)
    assert.throws(() => checkRules(rules(stable(1, 'state', movingEventWindow(2, over(1))))), { code: 'RULES_INVALID' })
    assert.throws(() => checkRules(good, { graceMs: -1 }), { code: 'SETTING_INVALID' })
  })

  it('are refused where they are described: times that would fire for ever, names of incidents of our own', () => {
    for (const described of [
      () => rate(1e-9),
      () => percentiles(0.0001, [0.5]),
      () => incident('delivery-failed', { to: 'oncall' }),
      () => incident('rule-quarantined', { to: 'oncall' }),
    ]) {
      assert.throws(described, { code: 'RULES_INVALID' }, String(described))
    }
    rate(0.001)
  })

  it('are refused where a function would have to wait, and end their branch where one gives a promise all the same', () => {
    const waits = async (e: { readonly metric: number }) => e.metric > 5
    for (const described of [
      () => where(waits),
      () => split(waits, tap('high')),
      () => by(waits),
      () => changed(waits),
      () => incident('high', { to: 'oncall', bad: waits }),
      () =>
        where(function* () {
          yield true
        }),
    ]) {
      assert.throws(described, { code: 'RULES_INVALID', message: /at once/ }, String(described))
    }
    const promise = () => Promise.resolve(false)
    const { bench, send } = started(rules(where(promise, tap('never')), by(promise, tap('never')), tap('beside')))
    send(1)
    assert.deepEqual(
      bench.taps.map(([name]) => name),
      ['beside'],
    )
    assert.deepEqual(bench.errors, ['where[0]', 'by[1]'])
  })

  it('stop the engine only where another release is asked for', () => {
    const bench = new EngineBench(good)
    const semantics = engineSemantics + 1
    assert.throws(
      () => bench.append({ kind: 'rules', hash: 'rules-0', settings: {}, semantics, bundle: new Uint8Array(0) }),
      (error: EngineError) => error.code === 'RECORD_UNKNOWN' && error.message.includes(`semantics ${semantics}`),
    )
  })

  it('are refused where they use what the semantics of their record do not have', () => {
    const uses: [Stream, number][] = [
      [forward('sink'), 2],
      [where('metric > 1', incident('down', { to: 'oncall', group: 'cluster' })), 3],
    ]
    for (const [stream, semantics] of uses) {
      const bench = new EngineBench(good)
      bench.descriptions.set('new', rules(stream))
      const record = { kind: 'rules', hash: 'new', settings: {}, bundle: new Uint8Array(0) } as const
      bench.append({ ...record, semantics: semantics - 1 })
      assert.deepEqual([bench.engine.rulesHash, ...bench.alarms], ['rules-0', 'rules-refused'])
      bench.append({ ...record, semantics })
      assert.equal(bench.engine.rulesHash, 'new')
    }
  })
})

describe('skips', () => {
  const skip = (offset: number, event: number, branch: string) => ({ kind: 'skip', offset, event, branch }) as const
  const description = rules(
    tap('before'),
    by('host', where('metric > 0', named('slow', counter(tap('slow'))), tap('beside'))),
    stable(1, 'state', tap('stable')),
  )
  const slow = 'by[1] > where[0] > slow[0]'

  /** rules, claim, tick, then the events at offset 3. */
  function run(...skips: ReturnType<typeof skip>[]) {
    const bench = new EngineBench(description, {}, skips)
    bench.tick(0, t0)
    const one = { host: 'a', state: 'ok', metric: 1 }
    bench.events(t0, one, { ...one, metric: 2 }, { ...one, metric: 3 })
    bench.events(t0, { ...one, metric: 4 })
    bench.tick(2_000, t0 + 2_000)
    const names = (name: string) => bench.tapped(name).map((event) => (event as { metric: number }).metric)
    return { bench, before: names('before'), slow: names('slow'), beside: names('beside'), stable: names('stable') }
  }

  it('leave out one branch for one event', () => {
    const { before, slow: sums, beside } = run(skip(3, 1, slow))
    assert.deepEqual(
      [before, sums, beside],
      [
        [1, 2, 3, 4],
        [1, 4, 8],
        [1, 2, 3, 4],
      ],
    )
  })

  it('leave out an event everywhere where the branch is not known', () => {
    const { before, slow: sums } = run(skip(3, 1, ''))
    assert.deepEqual(
      [before, sums],
      [
        [1, 3, 4],
        [1, 4, 8],
      ],
    )
  })

  it('leave out a branch, or everything, for a whole record', () => {
    assert.deepEqual(run(skip(3, -1, slow)).slow, [4])
    assert.deepEqual(run(skip(3, -1, '')).before, [4])
  })

  it('leave out a timer at which the engine stalled, and nothing beside it', () => {
    const plain = run()
    assert.equal(plain.stable.length, 4)
    const { bench, before, stable: flushed } = run(skip(5, 0, 'stable[2]'))
    assert.deepEqual([before.length, flushed], [4, []])
    assert.equal(bench.engine.ownedMs, 2_000, 'time passes all the same')
    bench.events(t0 + 3_000, { host: 'a', state: 'ok', metric: 5, time: t0 / 1000 + 60 })
    assert.ok(bench.tapped('stable').length > 0, 'and the operator works again afterwards')
  })

  it('leave out rules that stall when they are loaded', () => {
    const bench = new EngineBench(description, {}, [skip(2, 0, '')])
    bench.rules(rules(tap('endless')))
    bench.events(t0, { host: 'a' })
    assert.deepEqual(bench.tapped('endless'), [])
    assert.deepEqual(bench.alarms, ['record-skipped'])
    assert.equal(bench.engine.rulesHash, 'rules-0')
  })

  it('are no part of the state: who knew of one ahead and who restored behind it agree', () => {
    const { bench } = run(skip(3, 1, slow))
    const ahead = bench.engine.stateHash()
    bench.cut()
    assert.equal(bench.engine.stateHash(), ahead)
  })

  it('quarantine a branch at the third event, page its receivers, and end with a switch', () => {
    const quarantined = rules(
      by(
        'host',
        named(
          'slow',
          where((e) => e.metric > 0, tap('seen'), incident('cpu', { bad: 'false', to: ['ops', 'boss'] })),
        ),
      ),
      notify('other'),
    )
    const branch = 'by[0] > slow[0]'
    const bench = new EngineBench(quarantined, { fallbackReceiver: 'fallback' })
    const send = () => bench.events(t0, { host: 'a', metric: 1 })
    for (let i = 0; i < 4; i++) send()
    const pages = () => bench.engine.pendingPages().filter((page) => page.rule === 'rule-quarantined')
    bench.append(skip(2, 0, branch))
    bench.append(skip(2, 0, branch))
    bench.append(skip(2, 0, branch))
    bench.append(skip(3, 0, branch))
    assert.deepEqual(bench.alarms, [], 'the same skip counts once')
    bench.cut()
    bench.append(skip(4, 0, branch))
    bench.append(skip(5, 0, branch))
    assert.deepEqual(bench.alarms, ['rule-quarantined'])
    assert.deepEqual(
      pages().map((page) => [page.action, page.receiver, page.key]),
      [
        ['trigger', 'ops', branch],
        ['trigger', 'boss', branch],
      ],
    )
    const seen = bench.tapped('seen').length
    send()
    bench.cut()
    send()
    assert.equal(bench.tapped('seen').length, seen, 'it is out, also after a restore')
    for (const page of pages()) {
      bench.append({
        kind: 'attempt',
        epoch: 1,
        n: 1 + pages().indexOf(page),
        receiver: page.receiver,
        pages: [page.id],
      })
    }
    bench.rules(rules(tap('new'), ...quarantined.streams))
    send()
    assert.equal(bench.tapped('seen').length, seen + 1)
    assert.deepEqual(
      bench.engine.incidents().open.filter((i) => i.rule === 'rule-quarantined'),
      [],
    )
    assert.equal(pages().filter((page) => page.action === 'resolve').length, 2)
    bench.append(skip(4, 0, 'tap[0]'))
    bench.append(skip(3, 0, 'tap[0]'))
    bench.append(skip(2, 0, 'tap[0]'))
    assert.deepEqual(bench.alarms, ['rule-quarantined'], 'events of the old rules count no more')
  })

  it('take a branch out from the third event on, wherever the log says so', () => {
    const branch = 'tap[0]'
    const skips = [skip(4, 0, branch), skip(2, 0, branch), skip(3, 1, branch), skip(3, 1, branch)]
    const bench = new EngineBench(rules(tap('seen'), tap('beside')), {}, skips)
    for (let i = 1; i <= 4; i++) bench.events(t0, { host: 'a', metric: i }, { host: 'a', metric: i + 0.5 })
    const metrics = (name: string) => bench.tapped(name).map((event) => (event as { metric: number }).metric)
    const seen = [1.5, 2]
    assert.deepEqual(metrics('seen'), seen)
    assert.deepEqual(metrics('beside'), [1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5])
    bench.cut()
    bench.events(t0, { host: 'a', metric: 5 })
    assert.deepEqual(metrics('seen'), seen, 'also after a restore')
    assert.deepEqual(bench.alarms, [], 'and says so where the log does')
    for (const record of skips) bench.append(record)
    assert.deepEqual(bench.alarms, ['rule-quarantined'])
    bench.rules(rules(tap('seen')))
    bench.events(t0, { host: 'a', metric: 6 })
    assert.deepEqual(metrics('seen'), [...seen, 6], 'other rules begin anew')
  })

  it('page the fallback receiver where the rule tells nobody', () => {
    const bench = new EngineBench(rules(where('true', smap(fold.mean, tap('x')))), { fallbackReceiver: 'fallback' })
    for (let i = 0; i < 3; i++) bench.events(t0, { host: 'a' })
    for (let i = 0; i < 3; i++) bench.append(skip(2 + i, 0, 'where[0] > smap[0]'))
    assert.deepEqual(
      bench.engine.pendingPages().map((page) => page.receiver),
      ['fallback'],
    )
  })
})
