import { EngineError } from '../../errors.ts'
import { ValueSlot } from '../../state/values.ts'
import { checkField, compileField, type Field } from '../fields.ts'
import { defineOperator } from '../operator.ts'
import { Stream } from '../stream.ts'

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
  takes: ['event'],
  gives: 'event',
  columns: {},
  opens: ([fields]) => (fields as Field[]).length,
  build({ args: [fields], inner, out, runtime }) {
    const readers = (fields as Field[]).map((field) => compileField(field, runtime))
    const slot = new ValueSlot()
    const { table, clocks } = runtime
    if (readers.length <= 2) {
      const [first, second] = readers
      return {
        event(event, fork) {
          first(event, slot)
          const a = slot.keyId(table)
          let b = 0
          if (second !== undefined) {
            second(event, slot)
            b = slot.keyId(table)
          }
          const own = inner.id2(fork, a, b, clocks.owned.now)
          if (own >= 0) out.event(event, own)
        },
      }
    }
    const key = new Int32Array(readers.length)
    return {
      event(event, fork) {
        for (let i = 0; i < readers.length; i++) {
          readers[i](event, slot)
          key[i] = slot.keyId(table)
        }
        const own = inner.id(fork, key, clocks.owned.now)
        if (own >= 0) out.event(event, own)
      },
    }
  },
})
