import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { EngineBench } from '@ricci/testkit'
import { by, incident, index, named, rules, stable, tap, where } from './index.ts'

const t0 = 1_700_000_000_000
const at = (seconds: number) => t0 / 1000 + seconds

describe('engine', () => {
  it('keeps the latest event of each key and answers queries', () => {
    const bench = new EngineBench(rules(index()))
    bench.events(
      t0,
      { host: 'a', service: 'x', metric: 1, time: at(0) },
      { host: 'b', service: 'x', metric: 2.5, time: at(0) },
    )
    bench.events(t0, { host: 'a', service: 'x', metric: 3, time: at(1), tags: ['t'], attributes: { k: 'v' } })
    const { events } = bench.engine.query('service = "x" and metric > 1')
    assert.deepEqual(events, [
      { host: 'a', service: 'x', metric: 3, time: at(1), tags: ['t'], attributes: { k: 'v' } },
      { host: 'b', service: 'x', metric: 2.5, time: at(0) },
    ])
    assert.deepEqual(bench.engine.query('host = "b" and service = "x"').events.length, 1)
    assert.equal(bench.engine.stats().indexSize, 2)
  })

  it('expires on owned time, tells the streams, and never returns what is stale', () => {
    const bench = new EngineBench(rules(index(), where('state = "expired"', tap('gone'))))
    bench.tick(0, t0)
    bench.events(t0, { host: 'a', service: 'x', time: at(0), ttl: 3 })
    bench.tick(1000, t0 + 1000)
    bench.tick(1000, t0 + 2000)
    assert.equal(bench.engine.query('true').events.length, 1)
    bench.tick(1000, t0 + 3000)
    assert.equal(bench.engine.query('true').events.length, 0)
    assert.deepEqual(
      bench.taps,
      [['gone', { host: 'a', service: 'x', state: 'expired', time: at(3), metricType: undefined, ttl: 3 }]].map(
        ([name, event]) => [name, JSON.parse(JSON.stringify(event))],
      ),
    )
  })

  it('counts no time that nobody owned', () => {
    const bench = new EngineBench(rules(index()))
    bench.tick(0, t0)
    bench.events(t0, { host: 'a', service: 'x', time: at(0), ttl: 3 })
    bench.tick(600_000, t0 + 600_000)
    assert.equal(bench.engine.ownedMs, 2_000)
    assert.equal(bench.engine.query('true').events.length, 1)
  })

  it('opens and resolves an incident, one page each', () => {
    const bench = new EngineBench(
      rules(where('service = "cpu"', by('host', incident('hot', { bad: 'metric > 0.9', to: 'oncall' })))),
    )
    bench.events(t0, { host: 'a', service: 'cpu', metric: 0.95, time: at(0) })
    bench.events(t0, { host: 'a', service: 'cpu', metric: 0.99, time: at(1) })
    const [page] = bench.engine.pendingPages()
    assert.equal(bench.engine.pendingPages().length, 1)
    assert.equal(page.action, 'trigger')
    assert.equal(page.key, 'a cpu')
    bench.append({ kind: 'attempt', epoch: 1, n: 1, receiver: 'oncall', pages: [page.id] })
    bench.append({ kind: 'outcome', epoch: 1, n: 1, receiver: 'oncall', pages: [page.id], result: 'delivered' })
    assert.equal(bench.engine.pendingPages().length, 0)
    bench.events(t0, { host: 'a', service: 'cpu', metric: 0.1, time: at(2) })
    assert.deepEqual(
      bench.engine.pendingPages().map((pending) => [pending.action, pending.dedupKey]),
      [['resolve', page.dedupKey]],
    )
  })

  it('drops what it has seen by its mark, and says what never came', () => {
    const bench = new EngineBench(rules(tap('all')))
    bench.tick(0, t0)
    const mark = { producer: 'p', incarnation: 1, sequence: 1, sentAtMs: t0 }
    bench.marked(t0, mark, { host: 'a', time: at(0) })
    bench.marked(t0, mark, { host: 'a', time: at(0) })
    assert.equal(bench.taps.length, 1)
    bench.marked(t0, { ...mark, sequence: 4 }, { host: 'a', time: at(0) })
    bench.marked(t0, { ...mark, sequence: 3 }, { host: 'a', time: at(0) })
    assert.equal(bench.taps.length, 3)
    for (let i = 1; i <= 60; i++) bench.tick(1000, t0 + i * 1000)
    assert.deepEqual(bench.alarms, ['messages-lost'])
  })

  it('goes on from a snapshot as if nothing had been', () => {
    const description = rules(
      index(),
      by(['host', 'service'], stable(2, 'state', tap('stable'))),
      where((e) => e.metric > 5, incident('big', { bad: 'metric > 5', to: 'x' })),
    )
    const run = (cutAt: number) => {
      const bench = new EngineBench(description)
      bench.tick(0, t0)
      for (let i = 0; i < 30; i++) {
        if (i === cutAt) bench.cut()
        bench.events(
          t0 + i * 500,
          {
            host: `h${i % 3}`,
            service: 's',
            state: i % 7 < 4 ? 'ok' : 'bad',
            metric: i % 11,
            time: at(i / 2),
            ttl: 2,
            description: `text ${i}`,
          },
          { host: `only-${i}`, service: 's', state: 'ok', metric: 2n ** 60n, time: at(i / 2), ttl: 1, tags: [`t${i}`] },
        )
        bench.tick(500, t0 + i * 500)
      }
      return {
        taps: bench.taps,
        hash: bench.engine.stateHash(),
        hashes: bench.engine.hashes(),
        pages: bench.engine.pendingPages(),
      }
    }
    const whole = run(-1)
    assert.ok(whole.taps.length > 5)
    for (const cut of [0, 1, 7, 15, 29]) assert.deepEqual(run(cut), whole)
  })

  it('keeps state over a switch of rules where the operator goes on', () => {
    const bench = new EngineBench(rules(named('keep', by('host', stable(5, 'state', tap('out'))))))
    bench.tick(0, t0)
    bench.events(t0, { host: 'a', state: 'ok', time: at(0) })
    bench.rules(rules(tap('new'), named('keep', by('host', stable(5, 'state', tap('out'))))))
    bench.events(t0 + 6000, { host: 'a', state: 'ok', time: at(6) })
    assert.deepEqual(
      bench.taps.map(([name]) => name),
      ['new', 'out', 'out'],
    )
  })

  it('ends only the branch that throws', () => {
    const bench = new EngineBench(
      rules(
        where(() => {
          throw new Error('boom')
        }, tap('never')),
        tap('after'),
      ),
    )
    bench.events(t0, { host: 'a', time: at(0) })
    assert.deepEqual(
      bench.taps.map(([name]) => name),
      ['after'],
    )
    assert.equal(bench.engine.stats().ruleErrors, 1)
  })

  it('refuses rules whose streams do not fit, and says where', () => {
    assert.throws(() => where('metric >', tap('x')), /only a number may stand/)
    assert.throws(() => by([]), /at least one field/)
  })
})
