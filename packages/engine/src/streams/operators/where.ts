import { checkPredicate, compilePredicate, type Predicate } from '../fields.ts'
import { defineOperator } from '../operator.ts'
import { Stream } from '../stream.ts'
import { casesOf } from '../cases.ts'
import { sdo } from './sdo.ts'
import { tap } from './tap.ts'
import { fixedEventWindow } from './windows.ts'

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

/* @__PURE__ */ casesOf('where', () => [
  {
    name: 'passes events for which a query holds, the others to otherwise',
    stream: where('metric > 5 and not tagged "quiet"', tap('out'), otherwise(tap('rest'))),
    rows: [
      [0, { metric: 6 }, { metric: 6 }],
      [1, { metric: 6, tags: ['quiet'] }, { tap: 'rest', shows: { metric: 6, tags: ['quiet'] } }],
      [2, { state: 'expired' }, { tap: 'rest', shows: { state: 'expired' } }],
    ],
  },
  {
    name: 'compares numbers by value, against Riemann',
    stream: where('metric = 1', tap('out')),
    rows: [
      [0, { metric: 1 }, { metric: 1 }],
      [1, { metric: 1, metricType: 'double' }, { metric: 1, metricType: 'double' }],
    ],
  },
  {
    name: 'takes functions, which see the index too; what throws ends this branch only',
    stream: sdo(
      where((e) => e.attributes['az'].startsWith('x'), tap('out'), otherwise(tap('never'))),
      tap('beside'),
    ),
    rows: [
      [
        0,
        { attributes: { az: 'x1' } },
        { attributes: { az: 'x1' } },
        { tap: 'beside', shows: { attributes: { az: 'x1' } } },
      ],
      [1, { metric: 1 }, { tap: 'beside', shows: { metric: 1 } }, { throws: 'sdo[0] > where[0]' }],
    ],
  },
])

/* @__PURE__ */ casesOf('otherwise', () => [
  {
    name: 'is the other branch of where, as often as it is named',
    stream: where('metric > 5', otherwise(tap('out')), tap('held'), otherwise(tap('too'))),
    rows: [
      [0, { metric: 6 }, { tap: 'held', shows: { metric: 6 } }],
      [1, { metric: 5 }, { metric: 5 }, { tap: 'too', shows: { metric: 5 } }],
    ],
  },
  {
    name: 'passes everything on anywhere else',
    stream: fixedEventWindow(1, otherwise(tap('out'))),
    rows: [[0, { metric: 1 }, [{ metric: 1 }]]],
  },
])
