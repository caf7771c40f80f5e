import { EventCursor } from '@ricci/client'
import { ValueSlot } from '../../state/values.ts'
import { checkField, compileField, type Field } from '../fields.ts'
import { OneOrTwo } from '../lists.ts'
import { type Build, defineOperator } from '../operator.ts'
import { Stream } from '../stream.ts'
import { type Facts, factOf } from '../trail.ts'
import { by } from './by.ts'
import { tap } from './tap.ts'
import { casesOf } from '../cases.ts'
import { sdo } from './sdo.ts'

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

/** The columns that hold the value before, and what compares with it: true for an event that differs, whose value is kept then. */
const compared = { known: 'flag', value: 'value' } as const

function comparer({ args, columns, runtime }: Pick<Build<typeof compared>, 'args' | 'columns' | 'runtime'>) {
  const [field, { init }] = args as [Field, ChangedOptions]
  const { known, value } = columns
  const { table } = runtime
  const read = compileField(field, runtime)
  const slot = new ValueSlot()
  const explain = (fork: number): Facts => {
    if (known.get(fork) === 0) return {}
    value.load(fork, slot)
    return { value: factOf(slot, table) }
  }
  const differs = (event: EventCursor, fork: number): boolean => {
    if (known.get(fork) === 0) {
      slot.set(init, table)
      known.set(fork, 1)
      value.store(fork, slot)
    }
    read(event, slot)
    if (value.equals(fork, slot)) return false
    value.store(fork, slot)
    return true
  }
  return { differs, explain }
}

defineOperator({
  name: 'changed',
  sample: () => changed('state', tap('out')),
  takes: ['event'],
  gives: 'event',
  columns: compared,
  build(build) {
    const { differs, explain } = comparer(build)
    const { out } = build
    return {
      explain,
      event(event, fork) {
        if (differs(event, fork)) out.event(event, fork)
      },
    }
  },
})

defineOperator({
  name: 'changedPairs',
  sample: () => changed('state', { pairs: true }, tap('out')),
  takes: ['event'],
  gives: 'list',
  columns: { ...compared, seen: 'flag', previous: 'event' },
  build(build) {
    const { differs, explain } = comparer(build)
    const { out } = build
    const { seen, previous } = build.columns
    const before = new EventCursor()
    const pair = new OneOrTwo()
    return {
      explain,
      event(event, fork) {
        if (differs(event, fork)) {
          if (seen.get(fork) === 1) previous.load(fork, before)
          out.list(pair.two(seen.get(fork) === 1 ? before : undefined, event), fork)
        }
        seen.set(fork, 1)
        previous.store(fork, event)
      },
    }
  },
})

/* @__PURE__ */ casesOf('changed', () => [
  {
    name: 'passes the first event, and each whose value is not that of the one before',
    stream: changed('state', tap('out')),
    rows: [
      [0, { state: 'ok' }, { state: 'ok' }],
      [1, { state: 'ok', metric: 1 }],
      [2, { state: 'bad' }, { state: 'bad' }],
      [3, { state: 'expired' }, { state: 'expired' }],
      [4, { state: 'ok' }, { state: 'ok' }],
    ],
  },
  {
    name: 'takes an absent value for what was before the first event, or what it is told',
    stream: sdo(changed('state', tap('out')), changed('state', { init: 'ok' }, tap('told'))),
    rows: [
      [0, { metric: 1 }, { tap: 'told', shows: { metric: 1 } }],
      [1, { state: 'ok' }, { state: 'ok' }, { tap: 'told', shows: { state: 'ok' } }],
    ],
  },
  {
    name: 'compares numbers by value, and takes functions',
    stream: sdo(
      changed('metric', tap('out')),
      changed((event) => event.metric > 2, tap('over')),
    ),
    rows: [
      [0, { metric: 1 }, { metric: 1 }, { tap: 'over', shows: { metric: 1 } }],
      [1, { metric: 1, metricType: 'double' }],
      [2, { metric: 3 }, { metric: 3 }, { tap: 'over', shows: { metric: 3 } }],
      [3, { metric: 4 }, { metric: 4 }],
    ],
  },
  {
    name: 'has a state per host and service in changedState',
    stream: changedState({ init: 'ok' }, tap('out')),
    rows: [
      [0, { host: 'a', service: 's', state: 'ok' }],
      [1, { host: 'b', service: 's', state: 'bad' }, { host: 'b', service: 's', state: 'bad' }],
      [2, { host: 'a', service: 's', state: 'ok' }],
      [3, { host: 'a', service: 's', state: 'bad' }, { host: 'a', service: 's', state: 'bad' }],
    ],
  },
])

/* @__PURE__ */ casesOf('changedPairs', () => [
  {
    name: 'passes the event before, null at first, and the one that changed',
    stream: changed('state', { pairs: true }, tap('out')),
    rows: [
      [0, { state: 'ok', metric: 1 }, [null, { state: 'ok', metric: 1 }]],
      [1, { state: 'ok', metric: 2 }],
      [2, { state: 'bad' }, [{ state: 'ok', metric: 2 }, { state: 'bad' }]],
    ],
  },
  {
    name: 'knows the event before although it passed nothing for it',
    stream: changed('state', { pairs: true, init: 'ok' }, tap('out')),
    rows: [
      [0, { state: 'ok' }],
      [1, { state: 'bad' }, [{ state: 'ok' }, { state: 'bad' }]],
    ],
  },
])
