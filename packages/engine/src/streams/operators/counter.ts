import { EventCursor } from '@ricci/client'
import { add, type Num, setMetric } from '../../folds/arithmetic.ts'
import { ValueSlot } from '../../state/values.ts'
import { metricOf, numberOf } from '../metric.ts'
import { defineOperator } from '../operator.ts'
import { Stream } from '../stream.ts'
import { factOf } from '../trail.ts'
import { tap } from './tap.ts'
import { casesOf } from '../cases.ts'

/**
 * The running sum of metrics, in place of each event's own. An event tagged `reset` sets the sum to its metric; one without a
 * metric passes as it is.
 * Source: Riemann's `counter`.
 * @param init where the sum begins; default 0
 * @example counter(index())
 */
export function counter(...rest: readonly (number | Stream)[]): Stream {
  const [init, children] = typeof rest[0] === 'number' ? [rest[0], rest.slice(1)] : [0, rest]
  return new Stream('counter', [init], children as Stream[])
}

defineOperator({
  name: 'counter',
  sample: () => counter(tap('out')),
  takes: ['event'],
  gives: 'event',
  columns: { started: 'flag', sum: 'value', double: 'flag' },
  build({ args: [init], columns: { started, sum, double }, out, runtime }) {
    const counted = new EventCursor()
    const slot = new ValueSlot()
    const { table } = runtime
    function isReset(event: EventCursor): boolean {
      return event.tags !== 0 && table.tagsOf(event.tags).includes(table.find('reset'))
    }
    function before(fork: number): Num {
      if (started.get(fork) === 0) return numberOf(init as number)
      sum.load(fork, slot)
      return { value: slot.value(table) as number | bigint, double: double.get(fork) === 1 }
    }
    return {
      event(event, fork) {
        const metric = metricOf(event)
        if (metric === undefined) return out.event(event, fork)
        const total = isReset(event) ? metric : add(before(fork), metric)
        started.set(fork, 1)
        slot.set(total.value, table)
        sum.store(fork, slot)
        double.set(fork, total.double ? 1 : 0)
        counted.copyFrom(event)
        setMetric(counted, total)
        out.event(counted, fork)
      },
      explain(fork) {
        if (started.get(fork) === 0) return { sum: init as number }
        sum.load(fork, slot)
        return { sum: factOf(slot, table) }
      },
    }
  },
})

/* @__PURE__ */ casesOf('counter', () => [
  {
    name: 'sums metrics; an event without one passes as it is, an expired one counts',
    stream: counter(tap('out')),
    rows: [
      [0, { metric: 2 }, { metric: 2 }],
      [1, { state: 'ok' }, { state: 'ok' }],
      [2, { metric: 3, state: 'expired' }, { metric: 5, state: 'expired' }],
      [3, { metric: -1.5 }, { metric: 3.5 }],
    ],
  },
  {
    name: 'begins where it is told; the tag reset sets it',
    stream: counter(100, tap('out')),
    rows: [
      [0, { metric: 1 }, { metric: 101 }],
      [1, { metric: 7, tags: ['reset'] }, { metric: 7, tags: ['reset'] }],
      [2, { metric: 1 }, { metric: 8 }],
    ],
  },
  {
    name: 'keeps integers exact beyond what a double holds',
    stream: counter(tap('out')),
    rows: [
      [0, { metric: 9_007_199_254_740_991 }, { metric: 9_007_199_254_740_991 }],
      [1, { metric: 2 }, { metric: 9_007_199_254_740_993n }],
    ],
  },
])
