import { EngineError } from '../../errors.ts'
import { checkPredicate, compilePredicate, type Predicate } from '../fields.ts'
import { defineOperator } from '../operator.ts'
import { Stream } from '../stream.ts'
import { tap } from './tap.ts'
import { casesOf } from '../cases.ts'

/**
 * Sends each event to the stream behind the first predicate that holds; a stream without a predicate, last, gets the rest.
 * Source: Riemann's `split`.
 * @example split('metric > 0.9', withFields('state', 'critical', index()), index())
 */
export function split(...clauses: readonly (Predicate | Stream)[]): Stream {
  const predicates: Predicate[] = []
  const streams: Stream[] = []
  clauses.forEach((clause, i) => {
    if (clause instanceof Stream) streams.push(clause)
    else if (clauses[i + 1] instanceof Stream) predicates.push(clause)
    else throw new EngineError('RULES_INVALID', 'split takes a stream after each predicate')
  })
  if (
    streams.length - predicates.length > 1 ||
    (streams.length > predicates.length && !(clauses.at(-1) instanceof Stream))
  ) {
    throw new EngineError('RULES_INVALID', 'split takes at most one stream without a predicate, as its last argument')
  }
  for (const predicate of predicates) checkPredicate('split', predicate)
  return new Stream('split', [predicates], streams)
}

defineOperator({
  name: 'split',
  sample: () => split('metric > 5', tap('out'), tap('rest')),
  takes: ['event'],
  gives: 'same',
  columns: {},
  build({ args: [predicates], children, outTo, runtime }) {
    const tests = (predicates as Predicate[]).map((predicate) => compilePredicate(predicate, runtime))
    const outs = children.map((child) => outTo([child]))
    const rest = outs[tests.length]
    return {
      event(event, fork) {
        for (let i = 0; i < tests.length; i++) if (tests[i](event)) return outs[i].event(event, fork)
        rest?.event(event, fork)
      },
    }
  },
})

/* @__PURE__ */ casesOf('split', () => [
  {
    name: 'sends an event to the first stream whose predicate holds, the rest to the one without',
    stream: split('metric > 9', tap('high'), (e) => e.metric > 5, tap('out'), tap('rest')),
    rows: [
      [0, { metric: 10 }, { tap: 'high', shows: { metric: 10 } }],
      [1, { metric: 6 }, { metric: 6 }],
      [2, { metric: 5 }, { tap: 'rest', shows: { metric: 5 } }],
      [3, { state: 'expired' }, { tap: 'rest', shows: { state: 'expired' } }],
    ],
  },
  {
    name: 'drops what no predicate takes',
    stream: split('state = "ok"', tap('out')),
    rows: [
      [0, { state: 'bad' }],
      [1, { state: 'ok' }, { state: 'ok' }],
    ],
  },
])
