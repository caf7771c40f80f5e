import { EngineError } from '../../errors.ts'
import { checkField, compileKey, type Field } from '../fields.ts'
import { defineOperator } from '../operator.ts'
import { Stream } from '../stream.ts'
import { tap } from './tap.ts'
import { casesOf } from '../cases.ts'
import { fold } from '../../folds/vocabulary.ts'
import { counter } from './counter.ts'
import { smap } from './smap.ts'
import { movingEventWindow } from './windows.ts'

/**
 * Gives each distinct value of a field, or of several, its own copy of the children's state.
 * Source: Riemann's `by`. Unlike there, forks are given back after a day without an event, and a full `by` (setting
 * `forksPerBy`) refuses new keys rather than growing without end.
 * @param fields a field, a function of an event, or a list of these
 * @example by('host', changed('state', notify('oncall')))
 */
export function by(fields: Field | readonly Field[], ...children: Stream[]): Stream {
  const list = Array.isArray(fields) ? fields : [fields]
  if (list.length === 0) throw new EngineError('RULES_INVALID', 'by needs at least one field')
  for (const field of list) checkField('by', field)
  return new Stream('by', [list], children)
}

defineOperator({
  name: 'by',
  sample: () => by('host', tap('out')),
  takes: ['event'],
  gives: 'event',
  columns: {},
  opens: ([fields]) => (fields as Field[]).length,
  build({ args: [fields], inner, out, runtime }) {
    const readers = (fields as Field[]).map((field) => compileKey(field, runtime))
    const { owned } = runtime.clocks
    const [first, second] = readers
    if (readers.length === 1) {
      return {
        event(event, fork) {
          const own = inner.id2(fork, first(event), 0, owned.now)
          if (own >= 0) out.event(event, own)
        },
      }
    }
    if (readers.length === 2) {
      return {
        event(event, fork) {
          const own = inner.id2(fork, first(event), second(event), owned.now)
          if (own >= 0) out.event(event, own)
        },
      }
    }
    const key = new Int32Array(readers.length)
    return {
      event(event, fork) {
        for (let i = 0; i < readers.length; i++) key[i] = readers[i](event)
        const own = inner.id(fork, key, owned.now)
        if (own >= 0) out.event(event, own)
      },
    }
  },
})

/* @__PURE__ */ casesOf('by', () => [
  {
    name: 'gives each value of a field a state of its own',
    stream: by('host', counter(tap('out'))),
    rows: [
      [0, { host: 'a', metric: 1 }, { host: 'a', metric: 1 }],
      [1, { host: 'b', metric: 10 }, { host: 'b', metric: 10 }],
      [2, { host: 'a', metric: 2 }, { host: 'a', metric: 3 }],
    ],
  },
  {
    name: 'takes several fields together, attributes and functions too; an absent one is a value',
    stream: by(['host', 'az', (event) => event.metric > 5], movingEventWindow(9, smap(fold.count, tap('out')))),
    rows: [
      [0, { host: 'a', metric: 1 }, { host: 'a', metric: 1 }],
      [1, { host: 'a', metric: 9 }, { host: 'a', metric: 1 }],
      [2, { host: 'a', metric: 2 }, { host: 'a', metric: 2 }],
      [3, { metric: 1, attributes: { az: 'x' } }, { metric: 1, attributes: { az: 'x' } }],
      [4, { metric: 1 }, { metric: 1 }],
      [5, { metric: 2, attributes: { az: 'x' } }, { metric: 2, attributes: { az: 'x' } }],
    ],
  },
  {
    name: 'forks within forks: the same inner value below another outer one is another',
    stream: by('host', by('service', counter(tap('out')))),
    rows: [
      [0, { host: 'a', service: 's', metric: 1 }, { host: 'a', service: 's', metric: 1 }],
      [1, { host: 'b', service: 's', metric: 1 }, { host: 'b', service: 's', metric: 1 }],
      [2, { host: 'a', service: 's', metric: 1 }, { host: 'a', service: 's', metric: 2 }],
    ],
  },
  {
    name: 'refuses new values when it is full, and goes on with those it has: no live fork is evicted',
    stream: by('host', counter(tap('out'))),
    settings: { forksPerBy: 2 },
    rows: [
      [0, [{ host: 'a' }, { host: 'b' }], { host: 'a' }, { host: 'b' }],
      [1, { host: 'c', metric: 1 }],
      [2, { host: 'a', metric: 1 }, { host: 'a', metric: 1 }],
    ],
  },
])
