import { EngineError } from '../../errors.ts'
import { checkField, compileKey, type Field } from '../fields.ts'
import { defineOperator } from '../operator.ts'
import { Stream } from '../stream.ts'
import { tap } from './tap.ts'

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
