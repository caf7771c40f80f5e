import { EngineError } from '../../errors.ts'
import { comparableMetric } from '../metric.ts'
import { defineOperator } from '../operator.ts'
import { describeValue, Stream } from '../stream.ts'
import { tap } from './tap.ts'
import { casesOf } from '../cases.ts'

function bound(operator: string, value: number): number {
  if (typeof value === 'number' && value === value) return value
  throw new EngineError('RULES_INVALID', `${operator} takes a number, got ${describeValue(value)}`)
}

/**
 * Passes events whose metric is greater than a number. Those without a metric do not pass.
 * Source: Riemann's `over`.
 * @example over(0.9, notify('oncall'))
 */
export function over(least: number, ...children: Stream[]): Stream {
  return new Stream('over', [bound('over', least)], children)
}

/**
 * Passes events whose metric is less than a number. Those without a metric do not pass.
 * Source: Riemann's `under`.
 * @example under(0.1, notify('oncall'))
 */
export function under(most: number, ...children: Stream[]): Stream {
  return new Stream('under', [bound('under', most)], children)
}

/**
 * Passes events whose metric lies between two numbers, both included.
 * Source: Riemann's `within`.
 * @example within([0.1, 0.9], index())
 */
export function within([least, most]: readonly [number, number], ...children: Stream[]): Stream {
  return new Stream('within', [bound('within', least), bound('within', most)], children)
}

defineOperator({
  name: 'over',
  sample: () => over(5, tap('out')),
  takes: ['event'],
  gives: 'event',
  columns: {},
  build: ({ args: [least], out }) => ({
    event: (event, fork) => {
      if (comparableMetric(event) > (least as number)) out.event(event, fork)
    },
  }),
})

defineOperator({
  name: 'under',
  sample: () => under(5, tap('out')),
  takes: ['event'],
  gives: 'event',
  columns: {},
  build: ({ args: [most], out }) => ({
    event: (event, fork) => {
      if (comparableMetric(event) < (most as number)) out.event(event, fork)
    },
  }),
})

defineOperator({
  name: 'within',
  sample: () => within([2, 8], tap('out')),
  takes: ['event'],
  gives: 'event',
  columns: {},
  build: ({ args: [least, most], out }) => ({
    event: (event, fork) => {
      const metric = comparableMetric(event)
      if (metric >= (least as number) && metric <= (most as number)) out.event(event, fork)
    },
  }),
})

/* @__PURE__ */ casesOf('over', () => [
  {
    name: 'passes what is greater, not what is equal; without a metric nothing passes, expired or not',
    stream: over(5, tap('out')),
    rows: [
      [0, { metric: 5 }],
      [1, { metric: 5.5 }, { metric: 5.5 }],
      [2, { metric: 1_152_921_504_606_846_976n }, { metric: 1_152_921_504_606_846_976n }],
      [3, { state: 'expired' }],
      [4, { metric: NaN }],
      [5, { metric: 6, state: 'expired' }, { metric: 6, state: 'expired' }],
    ],
  },
  {
    name: 'compares integers beyond 2^53 exactly, as queries do',
    stream: over(9_007_199_254_740_992, tap('out')),
    rows: [
      [0, { metric: 9_007_199_254_740_992 }],
      [1, { metric: 9_007_199_254_740_993n }, { metric: 9_007_199_254_740_993n }],
      [2, { metric: -9_007_199_254_740_993n }],
    ],
  },
])

/* @__PURE__ */ casesOf('under', () => [
  {
    name: 'passes what is less, not what is equal; without a metric nothing passes',
    stream: under(5, tap('out')),
    rows: [
      [0, { metric: 5 }],
      [1, { metric: -5 }, { metric: -5 }],
      [2, { metric: -Infinity }, { metric: -Infinity }],
      [3, { state: 'ok' }],
    ],
  },
  {
    name: 'compares integers beyond 2^53 exactly, as queries do',
    stream: under(-9_007_199_254_740_992, tap('out')),
    rows: [
      [0, { metric: -9_007_199_254_740_992 }],
      [1, { metric: -9_007_199_254_740_993n }, { metric: -9_007_199_254_740_993n }],
    ],
  },
])

/* @__PURE__ */ casesOf('within', () => [
  {
    name: 'passes what lies between two numbers, both included; without a metric nothing passes',
    stream: within([1, 2], tap('out')),
    rows: [
      [0, { metric: 1 }, { metric: 1 }],
      [1, { metric: 2 }, { metric: 2 }],
      [2, { metric: 2.1 }],
      [3, { metric: 0.9 }],
      [4, { state: 'ok' }],
    ],
  },
  {
    name: 'compares integers beyond 2^53 exactly, as queries do',
    stream: within([1, 9_007_199_254_740_992], tap('out')),
    rows: [
      [0, { metric: 9_007_199_254_740_992 }, { metric: 9_007_199_254_740_992 }],
      [1, { metric: 9_007_199_254_740_993n }],
    ],
  },
])
