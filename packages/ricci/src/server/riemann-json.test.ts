/* Texts that Riemann writes, as recorded: the format is described in packages/testkit/vectors/README.md. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { decodeMsg, encodeMsg, type Event } from '@ricci/client'
import { riemannJsonOf } from './riemann-json.ts'

interface Vector {
  readonly id: string
  readonly kind: string
  readonly plain?: boolean
  readonly json: string
  readonly event: Omit<Event, 'metric'> & {
    readonly metric?: number | { d?: number | string; n?: string; ratio?: number[] }
  }
}

const vectors = (JSON.parse(readFileSync('packages/testkit/vectors/json.json', 'utf8')) as Vector[]).filter(
  // events that no Msg holds: made inside Riemann's own configuration, or of its lists
  ({ kind, plain, id }) => kind === 'encode' && plain !== true && !/tags-empty|attr-number/.test(id),
)

function eventOf({ event: { metric, ...rest } }: Vector): Event {
  if (metric === undefined) return rest
  if (typeof metric === 'number') return { ...rest, metric, metricType: 'double' }
  if (metric.n !== undefined) return { ...rest, metric: BigInt(metric.n) }
  if (metric.ratio !== undefined) return { ...rest, metric: metric.ratio[0] / metric.ratio[1] }
  return { ...rest, metric: Number(metric.d), metricType: 'double' }
}

test('the vectors are there', () => assert.ok(vectors.length >= 15))

for (const vector of vectors) {
  test(vector.id, () => {
    // Java writes large and small doubles as 1.0E7: the same number
    const same = (text: string): string => text.replace(/\d+(?:\.\d+)?E-?\d+/g, (number) => String(Number(number)))
    const isScientific = /\dE/.test(vector.json)
    const written = riemannJsonOf(eventOf(vector))
    if (isScientific) assert.deepEqual(JSON.parse(written), JSON.parse(same(vector.json)))
    else assert.equal(written, vector.json)
  })
}

test('a ttl is the text that it was on its way in, a whole double keeps its point, an integer of 64 bits its digits', () => {
  const event = { host: 'a', ttl: 20.1, metric: 3, metricType: 'double' as const, time: 1.5 }
  const [travelled] = decodeMsg(encodeMsg({ events: [event] })).events!
  assert.match(riemannJsonOf(travelled), /"metric":3\.0,.*"time":"1970-01-01T00:00:01\.500Z","ttl":20\.1}$/)
  assert.match(riemannJsonOf({ metric: 9223372036854775807n }), /"metric":9223372036854775807,/)
  assert.match(riemannJsonOf({ metric: 3, ttl: 60 }), /"metric":3,.*"ttl":60\.0}$/)
})

test('whatever an event holds becomes JSON with each key once', () => {
  const strange: Event = {
    host: '"\n\u2028\ud800',
    time: 1e300,
    ttl: NaN,
    metric: -Infinity,
    tags: ['"'],
    attributes: { host: 'x', '"k"': '\\', a: '' },
  }
  const read = JSON.parse(riemannJsonOf(strange)) as Record<string, unknown>
  assert.deepEqual(Object.keys(read), [
    'host',
    'service',
    'state',
    'description',
    'metric',
    'tags',
    'time',
    'ttl',
    '"k"',
    'a',
  ])
  assert.deepEqual([read.metric, read.ttl, read.tags, read['"k"']], ['-Infinity', 'NaN', ['"'], '\\'])
})
