import { EventCursor, Kind } from '@ricci/client'
import { restsOnLate } from '../../folds/list.ts'
import { QueueView } from '../../state/lists.ts'
import { EngineError } from '../../errors.ts'
import { fold } from '../../folds/vocabulary.ts'
import { hold } from '../buffer.ts'
import { metricNumber } from '../metric.ts'
import { defineOperator } from '../operator.ts'
import type { Runtime } from '../runtime.ts'
import { describeValue, positive, Stream } from '../stream.ts'
import { type Facts, spanOf } from '../trail.ts'
import { isExpired } from './expired.ts'
import { tap } from './tap.ts'
import { otherwise, where } from './where.ts'
import { casesOf } from '../cases.ts'

/**
 * Every `seconds`, the sum of the metrics since the last time divided by `seconds`, on the newest event that had a metric, with
 * the present time. Begins with the first live event; ends when the newest event has expired or one with the state `expired`
 * comes, whose metric still counts, and begins anew, with what was summed, at the next live one. The TTL it gives decreases while nothing comes.
 *
 * A gap in calendar time throws away what the window it touches had counted.
 * Source: Riemann's `rate`; events without a TTL keep it going for ever, and before any metric came nothing is given.
 * @example withFields('metric', 1, rate(5, index()))
 */
export function rate(seconds: number, ...children: Stream[]): Stream {
  return new Stream('rate', [interval('rate', seconds)], children)
}

/**
 * Every `seconds`, samples of the metrics since the last time: for each point the event at that share of the ordered metrics,
 * its service followed by the point. Begins and ends as {@link rate} does.
 * Source: Riemann's `percentiles`.
 * @param points shares from 0 to 1, or an object from share to what follows the service
 * @example percentiles(10, [0.5, 0.95, 0.99], index())
 */
export function percentiles(
  seconds: number,
  points: readonly number[] | Readonly<Record<string, string>>,
  ...children: Stream[]
): Stream {
  if (typeof points !== 'object' || points === null || points instanceof Stream) {
    throw new EngineError(
      'RULES_INVALID',
      `percentiles takes a list of points from 0 to 1, got ${describeValue(points)}`,
    )
  }
  fold.sortedSample(points as readonly number[])
  return new Stream('percentiles', [interval('percentiles', seconds), points], children)
}

/**
 * Shortest time between two firings: a tick of two seconds makes up for 2,000 of them in each fork. A time that a double cannot add
 * to the present (less than 0.0002 ms) would fire for ever within one tick.
 */
const shortestSeconds = 0.001

function interval(operator: string, seconds: number): number {
  if (positive(operator, 'its time', seconds) >= shortestSeconds) return seconds
  throw new EngineError('RULES_INVALID', `${operator}: its time is at least ${shortestSeconds} s, got ${seconds}`)
}

/** The sum or what is held, and when it is given. */
function explained(counted: Facts, tickMs: number): Facts {
  return { ...counted, ...(tickMs !== Infinity && { next: tickMs / 1000 }) }
}

/** When the newest event will have expired, on owned time: only a TTL of its own ends a timer. */
function expiresAt(event: EventCursor, runtime: Runtime): number {
  return event.ttlKind === Kind.none ? Infinity : runtime.clocks.owned.now + event.ttl * 1000 - runtime.ageMs
}

defineOperator({
  name: 'rate',
  sample: () => rate(2, tap('out')),
  takes: ['event'],
  gives: 'event',
  columns: {
    sum: 'number',
    // what was summed since the last time: nothing, late events alone, or others too
    counted: 'flag',
    hasTemplate: 'flag',
    template: 'event',
    ttl: 'number',
    expires: 'number',
    tick: 'periodicTimer',
  },
  build({ args: [seconds], columns: { sum, counted, hasTemplate, template, ttl, expires, tick }, out, runtime }) {
    const dt = seconds as number
    const { calendar, owned } = runtime.clocks
    const given = new EventCursor()
    return {
      event(event, fork) {
        if (event.metricKind !== Kind.none) {
          sum.set(fork, sum.get(fork) + metricNumber(event))
          if (counted.get(fork) !== 2) counted.set(fork, event.late === 1 ? 1 : 2)
          hasTemplate.set(fork, 1)
          template.store(fork, event)
          ttl.set(fork, event.ttl)
        }
        if (isExpired(event, runtime)) return tick.clear(fork)
        expires.set(fork, expiresAt(event, runtime))
        if (tick.get(fork) === Infinity) tick.set(fork, calendar.now + dt * 1000)
      },
      // a sum over another time, divided by this one, would be no rate
      resume(fork) {
        sum.set(fork, 0)
        counted.set(fork, 0)
        if (tick.get(fork) !== Infinity) tick.set(fork, calendar.now + dt * 1000)
      },
      timers: {
        tick(fork, deadline, gap) {
          if (owned.now > expires.get(fork)) return
          tick.set(fork, (gap ? calendar.now : deadline) + dt * 1000)
          const total = sum.get(fork)
          const lateAlone = counted.get(fork) === 1
          sum.set(fork, 0)
          counted.set(fork, 0)
          if (gap || hasTemplate.get(fork) === 0) return
          template.load(fork, given)
          given.timeKind = Kind.double
          given.time = calendar.now / 1000
          given.metricKind = Kind.double
          given.metric = total / dt
          given.late = lateAlone ? 1 : 0
          given.ttl = ttl.get(fork)
          if (given.ttlKind !== Kind.none) ttl.set(fork, given.ttl - dt)
          out.event(given, fork)
        },
      },
      explain: (fork) => explained({ sum: sum.get(fork) }, tick.get(fork)),
    }
  },
})

defineOperator({
  name: 'percentiles',
  sample: () => percentiles(2, [0, 0.5, 1], tap('out')),
  takes: ['event'],
  gives: 'event',
  columns: { held: 'list', expires: 'number', tick: 'periodicTimer' },
  build({ args: [seconds, points], columns: { held, expires, tick }, out, runtime }) {
    const dt = (seconds as number) * 1000
    const sample = fold.sortedSample(points as readonly number[])
    const { calendar, owned } = runtime.clocks
    const view = new QueueView()
    const shown = new QueueView()
    return {
      event(event, fork) {
        if (isExpired(event, runtime)) {
          tick.clear(fork)
          held.clear(fork)
          return
        }
        expires.set(fork, expiresAt(event, runtime))
        if (tick.get(fork) === Infinity) tick.set(fork, calendar.now + dt)
        if (event.metricKind === Kind.none) return
        hold(held, fork, event, runtime)
      },
      resume(fork, [before]) {
        if (before !== seconds && tick.get(fork) !== Infinity) tick.set(fork, calendar.now + dt)
      },
      timers: {
        tick(fork, deadline, gap) {
          if (owned.now > expires.get(fork)) return
          tick.set(fork, (gap ? calendar.now : deadline) + dt)
          const list = held.take(fork, view)
          const late = restsOnLate(list)
          const pass = (event: EventCursor | undefined): void => {
            if (event === undefined) return
            event.late = late
            out.event(event, fork)
          }
          const context = { table: runtime.table, nowSeconds: calendar.now / 1000 }
          if (!gap) sample.apply(list, pass, context)
          held.giveBack(list)
        },
      },
      explain: (fork) => explained(spanOf(held.view(fork, shown)), tick.get(fork)),
    }
  },
})

/* @__PURE__ */ casesOf('rate', () => [
  {
    name: 'gives the sum of the metrics over its time, on the newest event, with the present time',
    stream: rate(5, tap('out')),
    rows: [
      [0, { service: 's', metric: 1 }],
      [2, { service: 's', metric: 9, state: 'ok' }],
      [4.9, 'time'],
      [5, 'time', { service: 's', metric: 2, state: 'ok', time: 5 }],
    ],
  },
  {
    name: 'goes on giving 0 until the newest event has expired; the TTL it gives decreases',
    stream: rate(5, tap('out')),
    rows: [
      [0, { metric: 10, ttl: 12 }],
      [10, 'time', { metric: 2, ttl: 12 }, { metric: 0, ttl: 7 }],
      [60, 'time'],
    ],
  },
  {
    name: 'counts events without a metric as signs of life only; before any metric it gives nothing (Riemann: an event without a host)',
    stream: rate(2, tap('out')),
    rows: [
      [0, { host: 'a' }],
      [4, 'time'],
      [5, { host: 'a', metric: 4 }],
      [6, 'time', { host: 'a', metric: 2 }],
    ],
  },
  {
    name: 'counts an expired event and stops; begins anew, with what was summed, at the next live one',
    stream: rate(2, tap('out')),
    rows: [
      [0, { metric: 1 }],
      [1, { metric: 3, state: 'expired' }],
      [9, 'time'],
      [10, { metric: 4 }],
      [12, 'time', { metric: 4 }],
    ],
  },
  {
    name: 'throws away what it counted in a window that touches a gap, and begins anew at its end',
    stream: rate(10, tap('out')),
    rows: [
      [1, { metric: 10 }],
      [100, 'gap'],
      [101, { metric: 20 }],
      [109.9, 'time'],
      [110, 'time', { metric: 2, time: 110 }],
    ],
  },
  {
    name: 'is late where all that it summed was',
    stream: rate(
      5,
      where((e) => e.late, tap('late'), otherwise(tap('out'))),
    ),
    rows: [
      [200, { metric: 5, time: 100, ttl: 900 }],
      [205, 'time', { tap: 'late', shows: { metric: 1, ttl: 900 } }],
      [206, { metric: 5, time: 100, ttl: 900 }],
      [207, { metric: 5, ttl: 900 }],
      [208, { metric: 5, time: 100, ttl: 900 }],
      [210, 'time', { metric: 3, ttl: 900 }],
      [215, 'time', { metric: 0, ttl: 895 }],
    ],
  },
])

/* @__PURE__ */ casesOf('percentiles', () => [
  {
    name: 'gives the event at each share of the ordered metrics, its service followed by the share',
    stream: percentiles(5, [0, 0.5, 1], tap('out')),
    rows: [
      [0, [{ service: 's', metric: 30 }, { service: 's', metric: 10 }, { service: 's', metric: 20 }, { service: 's' }]],
      [5, 'time', { service: 's 0', metric: 10 }, { service: 's 0.5', metric: 20 }, { service: 's 1', metric: 30 }],
    ],
  },
  {
    name: 'names them as it is told, from the smallest share on',
    stream: percentiles(5, { '0.99': ' p99', '0.5': ' median' }, tap('out')),
    rows: [
      [0, { service: 's', metric: 1 }],
      [5, 'time', { service: 's median', metric: 1 }, { service: 's p99', metric: 1 }],
    ],
  },
  {
    name: 'gives nothing for an empty window, and stops when the newest event has expired',
    stream: percentiles(5, [0.5], tap('out')),
    rows: [
      [0, { metric: 1, ttl: 7 }],
      [60, 'time', { service: ' 0.5', metric: 1, ttl: 7 }],
    ],
  },
  {
    name: 'drops the window at an expired event, whose own metric does not count',
    stream: percentiles(5, [0.5], tap('out')),
    rows: [
      [0, { service: 's', metric: 1 }],
      [1, { service: 's', metric: 2, state: 'expired' }],
      [8, { service: 's', metric: 3 }],
      [13, 'time', { service: 's 0.5', metric: 3 }],
    ],
  },
  {
    name: 'holds no more than a buffer, and gives nothing of a window that touches a gap',
    stream: percentiles(5, [1], tap('out')),
    settings: { eventsPerBuffer: 2 },
    rows: [
      [
        0,
        [
          { service: 's', metric: 1 },
          { service: 's', metric: 2 },
          { service: 's', metric: 3 },
        ],
      ],
      [5, 'time', { service: 's 1', metric: 2 }],
      [6, { service: 's', metric: 4 }],
      [90, 'gap'],
      [91, { service: 's', metric: 5 }],
      [95, 'time', { service: 's 1', metric: 5 }],
    ],
  },
  {
    name: 'is late where all that it sampled was',
    stream: percentiles(
      5,
      { 1: '' },
      where((e) => e.late, tap('late'), otherwise(tap('out'))),
    ),
    rows: [
      [200, { service: 's', metric: 5, time: 100, ttl: 900 }],
      [205, 'time', { tap: 'late', shows: { service: 's', metric: 5, ttl: 900 } }],
      [
        206,
        [
          { service: 's', metric: 5, time: 100, ttl: 900 },
          { service: 's', metric: 1, ttl: 900 },
        ],
      ],
      [210, 'time', { service: 's', metric: 5, ttl: 900 }],
    ],
  },
])
