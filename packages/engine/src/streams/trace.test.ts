/** A traced engine: the same decisions and the same state, and the first gate that said no. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { crc32 } from 'node:zlib'
import type { Event } from '@ricci/client'
import { EngineBench } from '@ricci/testkit'
import {
  by,
  changed,
  counter,
  createEngine,
  exceptionStream,
  expired,
  fixedTimeWindow,
  fold,
  incident,
  index,
  movingEventWindow,
  notExpired,
  notify,
  otherwise,
  over,
  rate,
  rollup,
  rules,
  sdo,
  type Seen,
  type EventView,
  shared,
  smap,
  split,
  stable,
  type Stream,
  tag,
  tagged,
  throttle,
  type TraceQuestion,
  where,
} from '../index.ts'

const t0 = 1_700_000_000_000

/** One event a second of host a and service s, then five seconds without; beside them one of another host each second. */
function run(stream: Stream, events: readonly Event[], settings: Readonly<Record<string, unknown>> = {}): EngineBench {
  const bench = new EngineBench(rules(index(), stream), settings)
  bench.tick(0, t0)
  for (let i = 0; i < events.length + 5; i++) {
    const atMs = t0 + i * 1000
    const base = { service: 's', time: atMs / 1000 }
    bench.events(atMs, { ...base, host: 'b', state: 'ok', metric: 1 })
    if (i < events.length) bench.events(atMs, { ...base, host: 'a', ...events[i] })
    bench.tick(1_000, atMs + 1_000)
  }
  return bench
}

/** The log of a bench once more, traced. */
function traced(bench: EngineBench, question: Partial<TraceQuestion> = {}): { seen: Seen[]; hash: string } {
  const seen: Seen[] = []
  const engine = createEngine({
    logId: 'log',
    partition: 0,
    loadRules: ({ hash }) => bench.descriptions.get(hash)!,
    trace: { host: 'a', rule: 'r', onSeen: (one) => seen.push(one), ...question },
  })
  bench.log.forEach((bytes, offset) => engine.apply(offset, bytes, crc32(bytes)))
  assert.deepEqual(engine.hashes(), bench.engine.hashes())
  assert.equal(engine.stateHash(), bench.engine.stateHash())
  return { seen, hash: engine.stateHash() }
}

const rule = incident('r', { bad: 'metric > 5', to: 'x' })
const page = notify('x', { name: 'r' })

const gates: readonly {
  readonly name: string
  readonly stream: Stream
  readonly events: readonly Event[]
  readonly settings?: Readonly<Record<string, unknown>>
  /** Of the last event that came: the operator that said no, with its state before. */
  readonly gate: Readonly<Record<string, unknown>>
}[] = [
  {
    name: 'where',
    stream: where('service = "t"', rule),
    events: [{ metric: 9 }],
    gate: { path: 'where[1]', says: 'where service = "t"' },
  },
  {
    name: 'where, of whose other branch it is',
    stream: where('service = "s"', otherwise(rule)),
    events: [{ metric: 9 }],
    gate: { operator: 'where', branch: 'otherwise' },
  },
  {
    name: 'stable, whose value changed before its time',
    stream: by(
      'host',
      stable(30, (e) => e.metric! > 5, rule),
    ),
    events: [{ metric: 9 }, { metric: 8 }, { metric: 1 }],
    gate: {
      path: 'by[1] > stable[0]',
      key: 'a',
      before: { value: true, held: 2, since: t0 / 1000, until: t0 / 1000 + 1 },
      after: { value: false, held: 1, since: t0 / 1000 + 2, until: t0 / 1000 + 2 },
    },
  },
  {
    name: 'throttle',
    stream: by('host', throttle(1, 60, page)),
    events: [{ metric: 9 }, { metric: 9 }],
    gate: { operator: 'throttle', before: { passed: 1, windowEnds: t0 / 1000 + 60 } },
  },
  {
    name: 'changed',
    stream: by('host', changed('state', page)),
    events: [{ state: 'bad' }, { state: 'bad' }],
    gate: { operator: 'changed', before: { value: 'bad' } },
  },
  {
    name: 'a by without room',
    stream: by('host', rule),
    events: [{ metric: 9 }],
    settings: { forksPerBy: 1 },
    gate: { operator: 'by', path: 'by[1]' },
  },
  {
    name: 'an operator that throws',
    stream: smap(() => {
      throw new Error('no')
    }, rule),
    events: [{ metric: 9 }],
    gate: { operator: 'smap', failed: 'threw' },
  },
  {
    name: 'the furthest of several ways',
    stream: sdo(over(7, over(8, rule)), over(9, rule)),
    events: [{ metric: 7.5 }],
    gate: { says: 'over 8' },
  },
]

describe('a traced engine', () => {
  for (const { name, stream, events, settings, gate } of gates) {
    it(`names the first gate that said no: ${name}`, () => {
      const { seen } = traced(run(stream, events, settings))
      const last = seen.filter(({ event }) => event !== undefined).at(-1)!
      assert.ok(last.gate !== undefined, 'it did not reach the rule')
      const told = Object.entries(last.gate).filter(([fact]) => Object.hasOwn(gate, fact))
      assert.deepEqual(Object.fromEntries(told), gate)
    })
  }

  it('tells what the rule made of what reached it: not bad, bad, open already, and late against what is newer', () => {
    const late = { metric: 9, time: t0 / 1000 - 100, ttl: 900 }
    const { seen } = traced(run(rule, [{ metric: 1 }, late, { metric: 9 }, { metric: 9 }, { state: 'expired' }]))
    const id = seen[3].judged![0].open
    assert.match(id!, /^log\.0\.\d+\.0\./)
    assert.deepEqual(
      seen.map(({ judged, bad, late, expired }) => ({ judged, bad, late, expired })),
      [
        { judged: [{ key: '', bad: false }], bad: false, late: false, expired: false },
        { judged: [{ key: '', bad: true, contradicted: true }], bad: true, late: true, expired: false },
        { judged: [{ key: 'a s', bad: true, open: undefined }], bad: true, late: false, expired: false },
        { judged: [{ key: 'a s', bad: true, open: id }], bad: true, late: false, expired: false },
        { judged: [{ key: 'a s', bad: false, open: id }], bad: false, late: false, expired: true },
      ],
    )
  })

  it('follows what a timer lets go, and only of the host that is asked for', () => {
    const { seen } = traced(run(by('host', stable(2, 'state', page)), [{ state: 'bad' }]))
    assert.deepEqual(
      seen.map(({ event, gate, judged }) => [event?.host, gate?.operator, judged?.length]),
      [
        ['a', 'stable', undefined],
        [undefined, undefined, 1],
      ],
    )
    assert.equal(traced(run(page, [{}]), { service: 't' }).seen.length, 0)
    assert.equal(traced(run(page, [{}]), { rule: 'other' }).seen.length, 0)
  })

  it('has the state of an engine that is not, whatever leads to the rule', () => {
    const every = [
      by('host', stable(2, 'state', counter(changed('metric', { pairs: true }, page)))),
      by(['host', 'service'], rollup(1, 3, page), shared(throttle(2, 3, rule))),
      movingEventWindow(3, smap(fold.mean, tag('mean', tagged('mean', rule)))),
      fixedTimeWindow(2, smap(fold.maximum, split('metric > 3', rule, page))),
      by((e) => `${e.metric}`, rate(2, rule)),
      exceptionStream(
        page,
        smap((e: EventView) => (e.metric === 3 ? null : { host: e.attributes['missing'].slice(1) }), rule),
      ),
      expired(rule),
      notExpired(incident('r', { bad: (e) => e.metric! > 3, key: (e) => ({ of: e.metric }), to: 'x' })),
    ]
    const events = Array.from({ length: 20 }, (_, i) => ({ metric: i % 7, state: i % 5 < 3 ? 'ok' : 'bad', ttl: 2 }))
    for (const stream of every) assert.ok(traced(run(stream, events)).seen.length > 5)
    traced(run(sdo(...every), events))
  })
})
