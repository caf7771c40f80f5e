/** The steps to a decision, as its provenance tells of them. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Event } from '@ricci/client'
import { EngineBench } from '@ricci/testkit'
import {
  by,
  changed,
  counter,
  fixedEventWindow,
  fold,
  incident,
  named,
  notify,
  over,
  rollup,
  rules,
  shared,
  smap,
  stable,
  type Stream,
  throttle,
  where,
} from '../index.ts'
import { provenanceLimit } from '../decisions/incident.ts'
import type { Step } from './trail.ts'

const t0 = 1_700_000_000_000

/** One event a second, from t0 on; then a minute passes. */
function stepsOf(stream: Stream, ...events: Event[]): readonly Step[] {
  const bench = new EngineBench(rules(stream))
  bench.tick(0, t0)
  events.forEach((event, i) => bench.events(t0 + i * 1000, { host: 'a', time: t0 / 1000 + i, ...event }))
  for (let s = 1; s <= 60; s++) bench.tick(1_000, t0 + (events.length + s) * 1000)
  assert.ok(bench.decided.length > 0, 'something was decided')
  return (bench.decided.at(-1)!.provenance as { steps: readonly Step[] }).steps
}

const since = t0 / 1000

const cases: readonly {
  readonly name: string
  readonly stream: Stream
  readonly events: readonly Event[]
  readonly steps: readonly Step[]
}[] = [
  {
    name: 'queries, functions and keys in the words of the rules',
    stream: where(
      'service = "cpu"',
      by(['host', (e) => e.metric! > 1], named('mine', over(0.9, incident('high', { to: 'x', bad: 'metric > 0.9' })))),
    ),
    events: [{ service: 'cpu', metric: 0.95 }],
    steps: [
      { at: 'where[0]', says: 'where service = "cpu"' },
      { at: 'by[0]', says: 'by host (e) => e.metric > 1', key: 'a false' },
      { at: 'mine[0]', says: 'over 0.9' },
      { at: 'incident[0]', says: 'incident high: bad is metric > 0.9' },
    ],
  },
  {
    name: 'since when what a timer lets go has held',
    stream: by('host', stable(5, 'state', notify('x'))),
    events: [{ state: 'bad' }, { state: 'bad' }],
    steps: [
      { at: 'by[0]', says: 'by host', key: 'a' },
      {
        at: 'stable[0]',
        says: 'stable 5 state',
        state: { value: 'bad', held: 2, since, until: since + 1, letGo: true },
      },
      { at: 'notify[0]', says: 'notify notify x' },
    ],
  },
  {
    name: 'counts and windows',
    stream: throttle(2, 600, changed('state', counter(notify('x')))),
    events: [{ state: 'ok', metric: 1 }, { state: 'bad', metric: 2 }, { state: 'ok' }],
    steps: [
      { at: 'throttle[0]', says: 'throttle 2 600', state: { passed: 2, windowEnds: since + 400 } },
      { at: 'changed[0]', says: 'changed state', state: { value: 'bad' } },
      { at: 'counter[0]', says: 'counter 0', state: { sum: 3 } },
      { at: 'notify[0]', says: 'notify notify x' },
    ],
  },
  {
    name: 'folds by name, and leaves out forks that shared hides',
    stream: by('host', shared(fixedEventWindow(1, smap(fold.mean, notify('x'))))),
    events: [{ metric: 1 }],
    steps: [
      { at: 'by[0]', says: 'by host' },
      { at: 'shared[0]', says: 'shared' },
      { at: 'fixedEventWindow[0]', says: 'fixedEventWindow 1', state: { held: 0 } },
      { at: 'smap[0]', says: 'smap fold.mean' },
      { at: 'notify[0]', says: 'notify notify x' },
    ],
  },
]

describe('the steps to a decision', () => {
  for (const { name, stream, events, steps } of cases) {
    it(`tell ${name}`, () => assert.deepEqual(stepsOf(stream, ...events), steps))
  }

  it('are left out where the events alone fill what a decision may keep', () => {
    const bench = new EngineBench(rules(by('host', rollup(0, 5, notify('x')))))
    bench.tick(0, t0)
    for (let i = 0; i < 20; i++) bench.events(t0, { host: 'a', description: 'x'.repeat(300) })
    for (let s = 1; s <= 10; s++) bench.tick(1_000, t0 + s * 1000)
    const { events, steps } = bench.decided[0].provenance as { events: unknown[]; steps?: unknown }
    assert.equal(events.length, 20)
    assert.equal(steps === undefined, JSON.stringify({ events }).length > provenanceLimit - 300)
  })

  it('are few and short, whatever the rules', () => {
    const long = 'x'.repeat(500)
    let stream: Stream = notify('x', { name: long })
    for (let i = 0; i < 40; i++) stream = named('x'.repeat(60), where(`service != "${long}"`, stream))
    const steps = stepsOf(by('service', stream), { service: long.slice(1) })
    assert.equal(steps?.length, 16)
    assert.ok(JSON.stringify(steps).length < 6_000, JSON.stringify(steps))
  })
})
