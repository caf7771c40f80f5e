import { checkPredicate, compilePredicate, type Predicate } from '../fields.ts'
import { defineOperator } from '../operator.ts'
import { Stream } from '../stream.ts'
import { tap } from './tap.ts'

/**
 * Passes events for which a query or a function holds; a child `otherwise(…)` gets the rest.
 * Source: Riemann's `where`, `where*` and their `else`.
 * @example where('service = "cpu" and metric > 0.9', notify('oncall'), otherwise(index()))
 */
export function where(predicate: Predicate, ...children: Stream[]): Stream {
  checkPredicate('where', predicate)
  return new Stream('where', [predicate], children)
}

/** The other branch of {@link where}. Anywhere else it simply passes events on. */
export function otherwise(...children: Stream[]): Stream {
  return new Stream('otherwise', [], children)
}

defineOperator({
  name: 'where',
  sample: () => where('metric > 5 and host != "b"', tap('out')),
  takes: ['event'],
  gives: 'same',
  columns: {},
  build({ args: [predicate], children, outTo, runtime }) {
    const test = compilePredicate(predicate as Predicate, runtime)
    const held = outTo(children.filter((child) => child.operator !== 'otherwise'))
    const rest = outTo(children.filter((child) => child.operator === 'otherwise'))
    return {
      event(event, fork) {
        if (test(event)) held.event(event, fork)
        else rest.event(event, fork)
      },
    }
  },
})

defineOperator({
  name: 'otherwise',
  sample: () => where('metric > 5', otherwise(tap('out'))),
  takes: ['event', 'list', 'value'],
  gives: 'same',
  columns: {},
  build({ out }) {
    return {
      event: (event, fork) => out.event(event, fork),
      list: (list, fork) => out.list(list, fork),
      value: (value, fork) => out.value(value, fork),
    }
  },
})
