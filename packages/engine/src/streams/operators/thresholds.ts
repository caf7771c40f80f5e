import { EngineError } from '../../errors.ts'
import { metricNumber } from '../metric.ts'
import { defineOperator } from '../operator.ts'
import { describeValue, Stream } from '../stream.ts'
import { tap } from './tap.ts'

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
      if (metricNumber(event) > (least as number)) out.event(event, fork)
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
      if (metricNumber(event) < (most as number)) out.event(event, fork)
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
      const metric = metricNumber(event)
      if (metric >= (least as number) && metric <= (most as number)) out.event(event, fork)
    },
  }),
})
