/** Lines as Riemann's own servers take them, recorded, except where we do not repeat what they do wrong. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Event } from '@ricci/client'
import { parseGraphite } from './graphite.ts'
import { LineError } from './line-parser.ts'
import { parseOpenTsdb } from './opentsdb.ts'

const time = 1_400_000_000

/** Of a line: the event, or what the refusal says. */
type Cases = readonly (readonly [line: string, taken: Event | RegExp | 'version'])[]

function check(parse: (line: string) => Event | 'version', cases: Cases): void {
  for (const [line, taken] of cases) {
    if (taken instanceof RegExp) {
      const isRefused = (error: unknown): boolean => error instanceof LineError && taken.test(error.message)
      assert.throws(() => parse(line), isRefused, line)
    } else if (taken === 'version') assert.equal(parse(line), taken)
    else assert.deepEqual(parse(line), { metricType: 'double', ...taken }, line)
  }
}

describe("a line of Graphite's", () => {
  it('is an event: path, value, time, between white space of any kind', () => {
    const one = { service: 'a', metric: 1, time }
    check(parseGraphite, [
      ['a.b.c 1.5 1400000000', { service: 'a.b.c', metric: 1.5, time }],
      ['a -3.25 1400000000', { ...one, metric: -3.25 }],
      ['a\t1\t1400000000', one],
      ['a   1    1400000000', one],
      ['a 1 1400000000 ', one],
      ['a 1 1400000000\r', one],
      ['a 1 -1', { ...one, time: -1 }],
      ['a 1 +1400000000', one],
      ['a 1E+3 1400000000', { ...one, metric: 1000 }],
      ['a .5 1400000000', { ...one, metric: 0.5 }],
      ['a 1.5f 1400000000', { ...one, metric: 1.5 }],
      ['a 1d 1400000000', one],
      ['a Infinity 1400000000', { ...one, metric: Infinity }],
      ['a -Infinity 1400000000', { ...one, metric: -Infinity }],
      ['a 12345678901234567890 1400000000', { ...one, metric: 12345678901234567000 }],
    ])
  })

  it('is refused with a reason', () => {
    check(parseGraphite, [
      ['', /empty/],
      ['a 1', /lacks a field/],
      ['a', /lacks a field/],
      ['a 1 1400000000 x', /more fields/],
      [' a 1 1400000000', /more fields/],
      ['a NaN 1400000000', /NaN/],
      ['a nan 1400000000', /NaN/],
      ['a x 1400000000', /no number: "x"/],
      ['a 1_000 1400000000', /no number/],
      ['a 0x10 1400000000', /no number/],
      ['a . 1400000000', /no number/],
      ['a 1 x', /no whole number of seconds/],
      ['a 1 1400000000.5', /no whole number of seconds/],
      ['a 1 9223372036854775807', /beyond any/],
      [`a ${'9'.repeat(100)}x 1`, /no number: "9{59}…"/],
    ])
  })

  it('may carry tags, which become attributes or the field that they name', () => {
    const one = { service: 'a', metric: 1, time }
    check(parseGraphite, [
      ['a.b;dc=fra;rack=7 1 1400000000', { ...one, service: 'a.b', attributes: { dc: 'fra', rack: '7' } }],
      ['a.b;host=web1;dc=fra 1 1400000000', { ...one, service: 'a.b', host: 'web1', attributes: { dc: 'fra' } }],
      ['a;state=ok;ttl=60;tags=x 1 1400000000', { ...one, state: 'ok', ttl: 60, tags: ['x'] }],
      [
        'a;metric=9;time=8;service=b 1 1400000000',
        { ...one, attributes: { metrictag: '9', timetag: '8', servicetag: 'b' } },
      ],
      ['a;ttl=soon 1 1400000000', /its ttl is no number/],
      ['a;x=y=z 1 1400000000', { ...one, attributes: { x: 'y=z' } }],
      ['a;dc 1 1400000000', { ...one, attributes: { dc: '' } }],
      ['a;dc= 1 1400000000', { ...one, attributes: { dc: '' } }],
      ['a; 1 1400000000', one],
      ['a;;dc=x 1 1400000000', { ...one, attributes: { dc: 'x' } }],
      [';dc=x 1 1400000000', { ...one, service: '', attributes: { dc: 'x' } }],
      ['a;=x 1 1400000000', { ...one, attributes: { '': 'x' } }],
    ])
  })
})

describe("a line of OpenTSDB's", () => {
  it('is an event whose service has all tags but the host', () => {
    const m = { host: 'h', service: 'm', description: 'm', metric: 1, time }
    const cpu = { service: 'sys.cpu cpu=0', description: 'sys.cpu', metric: 42.5, time, attributes: { cpu: '0' } }
    check(parseOpenTsdb, [
      ['put sys.cpu 1400000000 42.5 host=web1 cpu=0', { ...cpu, host: 'web1' }],
      ['put sys.cpu 1400000000 42.5 cpu=0', cpu],
      ['put m 1400000000 1 host=h', m],
      ['put\tm\t1400000000\t1\thost=h', m],
      ['put m 1400000000 1 host=h \r', m],
      ['put m 1400000000123 1 host=h', { ...m, time: 1400000000.123 }],
      ['put m 1400000000 1 host=h service=x', { ...m, service: 'm service=x', attributes: { servicetag: 'x' } }],
      [
        'put m 1400000000 1 host=h description=x',
        { ...m, service: 'm description=x', attributes: { descriptiontag: 'x' } },
      ],
      ['put m 1400000000 1 host=h time=5', { ...m, service: 'm time=5', attributes: { timetag: '5' } }],
      ['put m 1400000000 1 host=h ttl=5', { ...m, service: 'm ttl=5', ttl: 5 }],
      ['put m 1400000000 1 my-host=x host=h', { ...m, service: 'm my-host=x', attributes: { 'my-host': 'x' } }],
      ['version', 'version'],
      ['version 1', 'version'],
    ])
  })

  it('is refused with a reason', () => {
    check(parseOpenTsdb, [
      ['', /empty/],
      ['put m', /lacks a field/],
      ['put m 1400000000', /lacks a field/],
      ['put m 1400000000 NaN host=h', /NaN/],
      ['put m 1400000000.5 1 host=h', /no whole number/],
      ['put m 1400000000 1 host', /no name=value: "host"/],
      ['put m 1400000000 1 host=a=b', /no name=value/],
      ['put m 1400000000 1 host= a=1', /no name=value/],
      ['get m 1400000000 1 host=h', /unknown command: "get"/],
    ])
  })
})
