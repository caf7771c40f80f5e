import { EventCursor, type Event, Kind } from '@ricci/client'
import { EngineError } from '../../errors.ts'
import { multiply, setMetric } from '../../folds/arithmetic.ts'
import { CursorView, type EventView } from '../../event/view.ts'
import { MappedList } from '../lists.ts'
import { takeEvent } from '../made-event.ts'
import { madeAttributes } from '../../state/made-texts.ts'
import { metricOf, numberOf } from '../metric.ts'
import { type Behaviour, type Build, defineOperator } from '../operator.ts'
import type { Runtime } from '../runtime.ts'
import { describeValue, Stream } from '../stream.ts'
import { tap } from './tap.ts'
import { casesOf } from '../cases.ts'
import { sdo } from './sdo.ts'
import { fixedEventWindow } from './windows.ts'

/** Fields to set; null takes one away. */
export type Fields = { readonly [K in keyof Event]?: Event[K] | null }

function fieldsOf(operator: string, given: readonly unknown[]): [Fields, Stream[]] {
  const [first, second] = given
  const single = typeof first === 'string'
  const fields = single ? { [first]: second } : first
  if (typeof fields !== 'object' || fields === null || fields instanceof Stream) {
    throw new EngineError(
      'RULES_INVALID',
      `${operator} takes a field and a value, or an object of fields, got ${describeValue(first)}`,
    )
  }
  for (const name of Object.keys(fields)) checkSettable(operator, name)
  return [fields as Fields, given.slice(single ? 2 : 1) as Stream[]]
}

function checkSettable(operator: string, name: string): void {
  if (settable.has(name)) return
  throw new EngineError(
    'RULES_INVALID',
    `${operator}: ${name} is no field; custom ones go into attributes: { ${name}: … }`,
  )
}

const settable = new Set([
  'host',
  'service',
  'state',
  'description',
  'tags',
  'metric',
  'metricType',
  'time',
  'ttl',
  'attributes',
])

/**
 * Sets fields of events, or of each event of a list; null takes a field away. Attributes named are set beside the others.
 * Source: Riemann's `with`. (`with` is a reserved word: import it by this name, or as `with as …`.)
 * @example withFields('state', 'critical', index())
 * @example withFields({ state: null, host: 'all' }, index())
 */
export function withFields<K extends keyof Event>(field: K, value: Event[K] | null, ...children: Stream[]): Stream
export function withFields(fields: Fields, ...children: Stream[]): Stream
export function withFields(...given: readonly unknown[]): Stream {
  const [fields, children] = fieldsOf('with', given)
  return new Stream('with', [fields], children)
}

/**
 * Sets fields that an event does not have.
 * Source: Riemann's `default`. (`default` is a reserved word.)
 * @example defaultFields('ttl', 300, index())
 */
export function defaultFields<K extends keyof Event>(field: K, value: Event[K], ...children: Stream[]): Stream
export function defaultFields(fields: Fields, ...children: Stream[]): Stream
export function defaultFields(...given: readonly unknown[]): Stream {
  const [fields, children] = fieldsOf('default', given)
  return new Stream('default', [fields], children)
}

/**
 * Passes on what a function makes of an event: the fields it gives are set, null takes one away. Nothing passes when it gives
 * undefined. With a field's name before it, the function gets that field's value as {@link EventView} has it, and gives the new one.
 * Source: Riemann's `adjust`.
 * @example adjust((e) => ({ service: `${e.service} total` }), index())
 * @example adjust('metric', (metric) => metric / 60, index())
 */
export function adjust<K extends keyof Event & keyof EventView>(
  field: K,
  change: (value: EventView[K]) => Event[K] | null,
  ...children: Stream[]
): Stream
export function adjust(change: (event: EventView) => Fields | undefined, ...children: Stream[]): Stream
export function adjust(...given: readonly unknown[]): Stream {
  const field = typeof given[0] === 'string' ? given[0] : undefined
  const [change, ...children] = field === undefined ? given : given.slice(1)
  if (typeof change !== 'function') {
    throw new EngineError('RULES_INVALID', `adjust takes a function of an event, got ${describeValue(change)}`)
  }
  if (field !== undefined) checkSettable('adjust', field)
  return new Stream('adjust', field === undefined ? [change] : [change, field], children as Stream[])
}

/**
 * Multiplies metrics by a number; integers stay integers where they can.
 * Source: Riemann's `scale`.
 * @example scale(100, index())
 */
export function scale(factor: number, ...children: Stream[]): Stream {
  if (typeof factor !== 'number')
    throw new EngineError('RULES_INVALID', `scale takes a number, got ${describeValue(factor)}`)
  return new Stream('scale', [factor], children)
}

/** Fields as ids and numbers, ready to be set. */
class Prepared {
  readonly #names: readonly string[]
  readonly #given = new EventCursor()
  readonly #runtime: Runtime

  /** Interns what the fields hold: only while an event is applied, so that every replica does it at the same place of the log. */
  constructor(fields: Fields, runtime: Runtime) {
    const entries = Object.entries(fields).filter(([, value]) => value !== undefined)
    this.#names = entries.map(([name]) => name)
    this.#runtime = runtime
    takeEvent(fields, runtime.table, this.#given)
  }

  set(into: EventCursor): void {
    for (const name of this.#names) setField(name, into, this.#given, this.#runtime)
  }

  setMissing(into: EventCursor): void {
    for (const name of this.#names) if (!has(name, into)) setField(name, into, this.#given, this.#runtime)
  }
}

/** Fields that rules give as constants: prepared at the first event, and anew when symbols were collected. */
function constant(fields: Fields, runtime: Runtime): () => Prepared {
  let prepared: Prepared | undefined
  let generation = -1
  return () => {
    if (prepared === undefined || generation !== runtime.generation) {
      prepared = new Prepared(fields, runtime)
      generation = runtime.generation
    }
    return prepared
  }
}

function setField(name: string, into: EventCursor, given: EventCursor, { table }: Runtime): void {
  switch (name) {
    case 'host':
    case 'service':
    case 'state':
    case 'tags':
      into[name] = given[name]
      return
    case 'metric':
      into.metricKind = given.metricKind
      into.metric = given.metric
      into.metricBig = given.metricBig
      return
    case 'time':
      into.timeKind = given.timeKind
      into.time = given.time
      return
    case 'ttl':
      into.ttlKind = given.ttlKind
      into.ttl = given.ttl
      return
    case 'description':
      into.descriptionBytes = given.descriptionBytes
      into.descriptionStart = given.descriptionStart
      into.descriptionLength = given.descriptionLength
      return
    case 'attributes':
      if (into.attributes === 0 || given.attributes === 0) into.attributes = given.attributes
      else {
        into.attributes = madeAttributes(table, [
          ...table.attributesOf(into.attributes),
          ...table.attributesOf(given.attributes),
        ])
      }
  }
}

/** Whether an event has a field. */
function has(name: string, event: EventCursor): boolean {
  switch (name) {
    case 'metric':
      return event.metricKind !== Kind.none
    case 'time':
      return event.timeKind !== Kind.none
    case 'ttl':
      return event.ttlKind !== Kind.none
    case 'description':
      return event.descriptionLength >= 0
    default:
      return event[name as 'host' | 'service' | 'state' | 'tags' | 'attributes'] !== 0
  }
}

/** What `with` and `default` do with events and lists; nothing goes on while the table of texts has no room for the fields. */
function setting(set: (fields: Prepared, into: EventCursor) => void) {
  return ({ args: [fields], out, runtime }: Build<Record<string, never>>): Behaviour<Record<string, never>> => {
    const prepared = constant(fields as Fields, runtime)
    const changed = new EventCursor()
    const scratch = new EventCursor()
    return {
      event(event, fork) {
        const fields = prepared()
        changed.copyFrom(event)
        set(fields, changed)
        out.event(changed, fork)
      },
      list(list, fork) {
        const fields = prepared()
        out.list(new MappedList(list, (event) => set(fields, event), scratch), fork)
      },
    }
  }
}

defineOperator({
  name: 'with',
  sample: () => withFields({ state: 'set', metric: null, attributes: { set: 'yes' } }, tap('out')),
  takes: ['event', 'list'],
  gives: 'same',
  columns: {},
  build: setting((fields, into) => fields.set(into)),
})

defineOperator({
  name: 'default',
  sample: () => defaultFields({ ttl: 30, metric: 1 }, tap('out')),
  takes: ['event'],
  gives: 'event',
  columns: {},
  build: setting((fields, into) => fields.setMissing(into)),
})

defineOperator({
  name: 'adjust',
  sample: () => adjust((event) => ({ metric: event.metric * 2 }), tap('out')),
  takes: ['event'],
  gives: 'event',
  columns: {},
  build({ args, out, runtime }) {
    const changed = new EventCursor()
    const view = new CursorView(changed, runtime.table)
    const [change, field] = args as [(value: never) => unknown, (keyof EventView)?]
    const fieldsOf = (): unknown => {
      if (field === undefined) return change(view as never)
      const value = change(view[field] as never)
      return value === undefined ? undefined : { [field]: value }
    }
    return {
      event(event, fork) {
        view.event = event
        const fields = fieldsOf()
        if (fields === undefined || fields === null) return
        const prepared = new Prepared(fields, runtime)
        changed.copyFrom(event)
        prepared.set(changed)
        out.event(changed, fork)
      },
    }
  },
})

defineOperator({
  name: 'scale',
  sample: () => scale(2.5, tap('out')),
  takes: ['event'],
  gives: 'event',
  columns: {},
  build({ args: [factor], out }) {
    const scaled = new EventCursor()
    return {
      event(event, fork) {
        const metric = metricOf(event)
        if (metric === undefined) return out.event(event, fork)
        scaled.copyFrom(event)
        setMetric(scaled, multiply(metric, numberOf(factor as number)))
        out.event(scaled, fork)
      },
    }
  },
})

/* @__PURE__ */ casesOf('with', () => [
  {
    name: 'sets fields and takes fields away; attributes are set beside the others',
    stream: withFields({ state: 'set', metric: null, attributes: { az: 'x' } }, tap('out')),
    rows: [
      [0, { state: 'ok', metric: 1 }, { state: 'set', attributes: { az: 'x' } }],
      [
        1,
        { host: 'a', attributes: { rack: '7', az: 'w' } },
        { host: 'a', state: 'set', attributes: { rack: '7', az: 'x' } },
      ],
    ],
  },
  {
    name: 'sets one field, in each event of a list too',
    stream: fixedEventWindow(2, withFields('host', 'all', tap('out'))),
    rows: [
      [0, { host: 'a', metric: 1 }],
      [
        1,
        { metric: 2 },
        [
          { host: 'all', metric: 1 },
          { host: 'all', metric: 2 },
        ],
      ],
    ],
  },
  {
    name: 'changes nothing for its neighbours',
    stream: sdo(withFields('metric', 9, tap('out')), tap('beside')),
    rows: [[0, { metric: 1 }, { metric: 9 }, { tap: 'beside', shows: { metric: 1 } }]],
  },
])

/* @__PURE__ */ casesOf('default', () => [
  {
    name: 'sets what is absent, and leaves what is there, 0 and empty text included',
    stream: defaultFields({ ttl: 300, metric: 5, state: 'ok' }, tap('out')),
    rows: [
      [0, { host: 'a' }, { host: 'a', ttl: 300, metric: 5, state: 'ok' }],
      [1, { ttl: 7, metric: 0, state: '' }, { ttl: 7, metric: 0, state: '' }],
    ],
  },
  {
    name: 'takes one field',
    stream: defaultFields('description', 'none', tap('out')),
    rows: [
      [0, { metric: 1 }, { metric: 1, description: 'none' }],
      [1, { description: 'some' }, { description: 'some' }],
    ],
  },
])

/* @__PURE__ */ casesOf('adjust', () => [
  {
    name: 'sets what a function makes of an event, and passes nothing where that is undefined',
    stream: adjust(
      (e) => (e.metric > 1 ? { service: `${e.service} doubled`, metric: e.metric * 2, ttl: null } : undefined),
      tap('out'),
    ),
    rows: [
      [0, { service: 's', metric: 1 }],
      [1, { service: 's', metric: 2, ttl: 9, host: 'a' }, { service: 's doubled', metric: 4, host: 'a' }],
      [2, { service: 's' }],
    ],
  },
  {
    name: 'takes a field and a function of its value; an absent number is NaN, and makes the metric NaN',
    stream: sdo(
      adjust('metric', (metric) => metric / 2, tap('out')),
      adjust('tags', () => ['t'], tap('tags')),
    ),
    rows: [
      [0, { metric: 3 }, { metric: 1.5 }, { tap: 'tags', shows: { metric: 3, tags: ['t'] } }],
      [1, { host: 'a' }, { host: 'a', metric: NaN }, { tap: 'tags', shows: { host: 'a', tags: ['t'] } }],
    ],
  },
])

/* @__PURE__ */ casesOf('scale', () => [
  {
    name: 'multiplies metrics; integers stay integers where they can, and events without a metric pass',
    stream: scale(3, tap('out')),
    rows: [
      [0, { metric: 2 }, { metric: 6, metricType: undefined }],
      [1, { metric: 0.5 }, { metric: 1.5 }],
      [2, { metric: 2, metricType: 'double' }, { metric: 6, metricType: 'double' }],
      [3, { state: 'expired' }, { state: 'expired' }],
      [4, { metric: 9_007_199_254_740_991 }, { metric: 27_021_597_764_222_973n }],
    ],
  },
  {
    name: 'makes doubles with a factor that is none',
    stream: scale(0.5, tap('out')),
    rows: [[0, { metric: 4 }, { metric: 2, metricType: 'double' }]],
  },
])
