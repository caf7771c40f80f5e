import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type Sample, samplesOf } from './exposition.ts'

const recorded = (name: string) => readFileSync(`packages/ricci/src/agent/fixtures/${name}`)
const read = (text: string, isOpenMetrics = false) => [...samplesOf(Buffer.from(text), isOpenMetrics)]

/** A sample in short: name, labels, value. */
const short = ({ name, labels, value }: Sample) => [name, Object.fromEntries(labels), value]
const counters = (samples: readonly Sample[]) => [
  ...new Set(samples.filter(({ isCounter }) => isCounter).map(({ name }) => name)),
]

describe('recorded', () => {
  test('node_exporter: every line that is no comment is a sample', () => {
    const body = recorded('node-exporter.txt')
    const lines = body.toString().split('\n')
    const samples = [...samplesOf(body, false)]
    assert.equal(samples.length, lines.filter((line) => line !== '' && !line.startsWith('#')).length)
    assert.ok(samples.length > 100)
    assert.deepEqual(short(samples.find(({ name }) => name === 'node_load1')!).slice(0, 2), ['node_load1', {}])
    const cpu = samples.find(({ name }) => name === 'node_cpu_seconds_total')!
    assert.deepEqual(
      [cpu.labels, cpu.isCounter],
      [
        [
          ['cpu', '0'],
          ['mode', 'idle'],
        ],
        true,
      ],
    )
    assert.deepEqual(
      counters(samples).filter((name) => !name.endsWith('_total')),
      ['go_gc_duration_seconds_sum', 'go_gc_duration_seconds_count'],
    )
  })

  test('the same metrics of the Python client in both formats: escapes, exemplars, NaN, infinities, histogram, summary', () => {
    const plain = [...samplesOf(recorded('python-client.txt'), false)]
    const open = [...samplesOf(recorded('python-client.openmetrics'), true)]
    const others = ({ name }: Sample) => !name.endsWith('_created')
    // the older format has a gauge for the time at which each began
    assert.deepEqual(plain.filter(others).map(short), open.map(short))
    assert.equal(plain.length - open.length, 4)
    assert.deepEqual(counters(open), [
      ...['orders_total', 'request_seconds_bucket', 'request_seconds_count', 'request_seconds_sum'],
      ...['body_bytes_count', 'body_bytes_sum'],
    ])
    assert.deepEqual(counters(plain), counters(open))
    assert.deepEqual(open.map(short).slice(0, 4), [
      ['orders_total', { note: 'says "hi"\\ and\na new line', shop: 'north' }, 3],
      ['orders_total', { note: '', shop: 'south' }, 1.5],
      ['queue_length', {}, NaN],
      ['temperature_celsius', { host: 'web', room: 'cellar' }, -Infinity],
    ])
    assert.ok(
      open.every(({ timeMs }) => timeMs === undefined),
      'the time of an exemplar is not that of its sample',
    )
  })
})

describe('forms', () => {
  const taken: [string, Partial<Sample>][] = [
    ['a 1', { name: 'a', labels: [], value: 1, isCounter: false }],
    ['a:b_total\t+1.5e3', { name: 'a:b_total', value: 1500, isCounter: true }],
    ['  a{} .5  ', { labels: [], value: 0.5 }],
    ['a { b = "c" , } -1. 1395066363000', { labels: [['b', 'c']], value: -1, timeMs: 1395066363000 }],
    [
      'a{b="}",c="a\\"b\\\\n\\n\\t,"} Inf',
      {
        labels: [
          ['b', '}'],
          ['c', 'a"b\\n\n\\t,'],
        ],
        value: Infinity,
      },
    ],
    ['a +Inf', { value: Infinity }],
    ['a -inf -5', { value: -Infinity, timeMs: -5 }],
    ['a nan', { value: NaN }],
    ['a 1 # {t="x"} 2 3', { value: 1 }],
    ['a 1 5 # {t="x"} 2', { value: 1, timeMs: 5 }],
    ['{"my.metric"} 2', { name: 'my.metric', labels: [], value: 2 }],
    ['{"ein Maß","größe.x"="ü"} 2', { name: 'ein Maß', labels: [['größe.x', 'ü']], value: 2 }],
    ['a{"b c"="d"} 3', { name: 'a', labels: [['b c', 'd']], value: 3 }],
    ['# comment\n\n# HELP a x\n# TYPE a counter\na 1\r', { name: 'a', value: 1, isCounter: true }],
    ['# TYPE "my.metric" counter\n{"my.metric"} 1', { name: 'my.metric', isCounter: true }],
    ['# TYPE a_total gauge\na_total 1', { isCounter: false }],
  ]
  for (const [text, expected] of taken) {
    test(JSON.stringify(text), () => {
      const [sample, ...more] = read(text)
      assert.deepEqual(more, [])
      for (const [key, value] of Object.entries(expected)) assert.deepEqual(sample[key as keyof Sample], value, key)
    })
  }

  const refused: [string, RegExp][] = [
    ['<html>', /^ExpositionError: line 1: it begins with no name of a metric: "<html>"$/],
    ['a 1\nb', /^ExpositionError: line 2: "b" has no value$/],
    ['a{b="c" 1', /labels end without "}"/],
    ['a{b="c', /a quote is not closed/],
    ['a{b="c\\', /a quote is not closed/],
    ['a{b} 1', /after "b" "=" is missing/],
    ['a{b=c} 1', /stands in quotes: "c} 1"/],
    ['a{=} 1', /no name of a label/],
    ['a{"b"} 1', /after "b" "=" is missing/],
    ['a 0x10', /"0x10" is no number/],
    ['a 1,5', /"1,5" is no number/],
    ['a 1 x', /"x" is no timestamp/],
    ['a 1 2 3', /no exemplar: "3"/],
    [`a{b="${'x'.repeat(70_000)}"} 1`, /line 1 is longer than 65536 bytes/],
  ]
  for (const [text, why] of refused)
    test(`not ${JSON.stringify(text.slice(0, 40))}`, () => assert.throws(() => read(text), why))

  test('OpenMetrics: timestamps in seconds, and an end, behind which nothing is read', () => {
    assert.equal(read('a 1 1520879607.789\n# EOF\n<', true)[0].timeMs, 1520879607789)
    assert.throws(() => read('a 1\n', true), /ends before "# EOF": it was cut off/)
  })

  test('whatever comes is read or refused with its line, and what is read was there', () => {
    const line = fc.string({
      unit: fc.constantFrom('a', '{', '}', '"', '\\', '=', ',', ' ', '1', '#', '\n', 'é'),
      maxLength: 40,
    })
    fc.assert(
      fc.property(line, fc.boolean(), (text, isOpenMetrics) => {
        try {
          for (const { name, value } of read(text, isOpenMetrics)) {
            assert.ok(text.includes(name))
            assert.equal(typeof value, 'number')
          }
        } catch (error) {
          assert.equal((error as Error).name, 'ExpositionError')
        }
      }),
      { numRuns: 5_000 },
    )
  })

  test('labels come back as they were, whatever they hold', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), fc.string({ unit: 'grapheme' })), (labels) => {
        const escaped = (text: string) => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
        const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`)
        assert.deepEqual(read(`a{${pairs.join(',')}} 1`)[0].labels, Object.entries(labels))
      }),
    )
  })
})
