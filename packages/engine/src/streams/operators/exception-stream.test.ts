// What its table of cases cannot show in a few rows.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Event } from '@ricci/client'
import { EngineBench } from '@ricci/testkit'
import {
  by,
  counter,
  exceptionStream,
  index,
  notExpired,
  rules,
  sdo,
  shared,
  smap,
  type Stream,
  tap,
  where,
} from '../../index.ts'

const t0 = 1_700_000_000_000

function boom(): never {
  throw new TypeError('boom')
}

function run(stream: Stream, ...events: Event[]) {
  const bench = new EngineBench(rules(stream))
  bench.tick(0, t0)
  for (const event of events) bench.events(t0, event)
  const operators = (name: string) => bench.tapped(name).map((event) => (event as Event).attributes?.['operator'])
  return { bench, operators }
}

describe('exceptionStream', () => {
  it('hears of what fails deep below, in the fork that it stands in', () => {
    const { bench } = run(
      by('host', exceptionStream(counter(tap('failed')), where('true', by('service', smap(boom))))),
      { host: 'a', service: 'x' },
      { host: 'a', service: 'y' },
      { host: 'b', service: 'x' },
    )
    assert.deepEqual(
      bench.tapped('failed').map((event) => (event as Event).host),
      ['a', 'a', 'b'],
    )
  })

  it('leaves what its handler throws to the next one further out', () => {
    const { bench, operators } = run(
      exceptionStream(tap('outer'), exceptionStream(smap(boom, tap('never')), smap(boom))),
      { host: 'a' },
    )
    assert.deepEqual(operators('outer'), ['exceptionStream[0] > exceptionStream[1] > smap[0]'])
    assert.deepEqual(bench.tapped('never'), [])
    assert.equal(bench.errors.length, 2)
    const alone = run(exceptionStream(smap(boom), smap(boom)), { host: 'a' })
    assert.equal(alone.bench.errors.length, 2)
  })

  it('tells of the present, however old the event was that something failed at', () => {
    const { bench } = run(exceptionStream(sdo(index(), notExpired(tap('told'))), smap(boom), notExpired(tap('old'))), {
      host: 'a',
      time: t0 / 1000 - 3_600,
    })
    assert.deepEqual([bench.tapped('told').length, bench.tapped('old').length], [1, 0])
    bench.tick(1_000, t0 + 1_000)
    assert.equal(bench.engine.query('service = "riemann exception"').events.length, 1)
  })

  it('does not hear of what has left the forks it stands in', () => {
    const { operators } = run(
      exceptionStream(tap('outer'), by('host', exceptionStream(tap('inner'), shared(smap(boom))))),
      { host: 'a' },
    )
    assert.deepEqual([operators('inner').length, operators('outer').length], [0, 1])
  })

  it('is the same whatever was thrown, and whatever its text', () => {
    const throwers: (() => never)[] = [
      boom,
      () => {
        throw undefined
      },
      () => {
        throw { toString: boom }
      },
      () => (undefined as never as { x: never }).x,
    ]
    const seen = throwers.map((thrower) =>
      JSON.stringify(run(exceptionStream(tap('failed'), smap(thrower)), { host: 'a' }).bench.taps),
    )
    assert.equal(new Set(seen).size, 1)
  })
})
