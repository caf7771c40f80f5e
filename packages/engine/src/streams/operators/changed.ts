import { EventCursor } from '@ricci/client'
import { ValueSlot } from '../../state/values.ts'
import { checkField, compileField, type Field } from '../fields.ts'
import { OneOrTwo } from '../lists.ts'
import { defineOperator } from '../operator.ts'
import { Stream } from '../stream.ts'
import { by } from './by.ts'
import { tap } from './tap.ts'

/** Options of `changed`. */
export interface ChangedOptions {
  /** What the value is taken to have been before the first event; default: absent. */
  readonly init?: unknown
  /** Pass a list of the event seen before and this one, rather than this one alone. */
  readonly pairs?: boolean
}

function isOptions(value: unknown): value is ChangedOptions {
  return typeof value === 'object' && value !== null && !(value instanceof Stream)
}

/**
 * Passes an event when a field or function of it differs from that of the event before.
 * Source: Riemann's `changed`; numbers compare by value.
 * @example changed('state', { init: 'ok' }, notify('oncall'))
 */
export function changed(field: Field, ...rest: readonly (ChangedOptions | Stream)[]): Stream {
  checkField('changed', field)
  const [options, children] = isOptions(rest[0]) ? [rest[0], rest.slice(1)] : [{}, rest]
  return new Stream(options.pairs === true ? 'changedPairs' : 'changed', [field, options], children as Stream[])
}

/**
 * Passes an event when the state of its host and service changes.
 * Source: Riemann's `changed-state`, including that its children have state of their own per host and service.
 * @example changedState({ init: 'ok' }, notify('oncall'))
 */
export function changedState(...rest: readonly (ChangedOptions | Stream)[]): Stream {
  return by(['host', 'service'], changed('state', ...rest))
}

defineOperator({
  name: 'changed',
  sample: () => changed('state', tap('out')),
  takes: ['event'],
  gives: 'event',
  columns: { known: 'flag', value: 'value' },
  build({ args: [field, options], columns: { known, value }, out, runtime }) {
    const read = compileField(field as Field, runtime)
    const { init } = options as ChangedOptions
    const slot = new ValueSlot()
    const first = new ValueSlot()
    return {
      event(event, fork) {
        if (known.get(fork) === 0) {
          known.set(fork, 1)
          first.set(init, runtime.table)
          value.store(fork, first)
        }
        read(event, slot)
        if (value.equals(fork, slot)) return
        value.store(fork, slot)
        out.event(event, fork)
      },
    }
  },
})

defineOperator({
  name: 'changedPairs',
  sample: () => changed('state', { pairs: true }, tap('out')),
  takes: ['event'],
  gives: 'list',
  columns: { known: 'flag', value: 'value', seen: 'flag', previous: 'event' },
  build({ args: [field, options], columns: { known, value, seen, previous }, out, runtime }) {
    const read = compileField(field as Field, runtime)
    const { init } = options as ChangedOptions
    const slot = new ValueSlot()
    const first = new ValueSlot()
    const before = new EventCursor()
    const pair = new OneOrTwo()
    return {
      event(event, fork) {
        if (known.get(fork) === 0) {
          known.set(fork, 1)
          first.set(init, runtime.table)
          value.store(fork, first)
        }
        read(event, slot)
        if (!value.equals(fork, slot)) {
          value.store(fork, slot)
          if (seen.get(fork) === 1) previous.load(fork, before)
          out.list(pair.two(seen.get(fork) === 1 ? before : undefined, event), fork)
        }
        seen.set(fork, 1)
        previous.store(fork, event)
      },
    }
  },
})
