/** How operators read what their arguments name: fields, functions of an event, predicates. */
import { descriptionOf, EventCursor, Kind } from '@ricci/client'
import { EngineError } from '../errors.ts'
import type { IndexView } from '../event/index-view.ts'
import { CursorView, type EventView } from '../event/view.ts'
import { compileExpression } from '../query/compile.ts'
import { parsePredicate } from '../query/parser.ts'
import { ValueSlot } from '../state/values.ts'
import type { Runtime } from './runtime.ts'
import { describeValue } from './stream.ts'

/** A field's name, or a function of an event. Names that are no field of every event are attributes. */
export type Field = string | ((event: EventView, index: IndexView) => unknown)
/** A query, or a function of an event; truthy passes. */
export type Predicate = string | ((event: EventView, index: IndexView) => unknown)

/** Refuses functions whose result is a promise or generator: neither is ever false, nor another one's equal. */
function checkFunction(operator: string, given: unknown): void {
  const kind = Object.prototype.toString.call(given).slice(8, -1)
  if (!/^(?:Async|Generator)/.test(kind)) return
  throw new EngineError(
    'RULES_INVALID',
    `${operator} takes a function that gives its value at once, got one of kind ${kind}: rules cannot wait, take async, await and * out`,
  )
}

/** What a function gave. @throws Error for a promise, however it came about */
function atOnce(result: unknown): unknown {
  if (typeof result === 'object' && result !== null && typeof (result as { then?: unknown }).then === 'function') {
    throw new Error('a function gave a promise where a value is wanted: rules cannot wait')
  }
  return result
}

/** Checks a field argument when a stream is described. */
export function checkField(operator: string, field: unknown): void {
  checkFunction(operator, field)
  if ((typeof field !== 'string' || field === '') && typeof field !== 'function') {
    throw new EngineError(
      'RULES_INVALID',
      `${operator} takes the name of a field or a function of an event, got ${describeValue(field)}`,
    )
  }
}

/** Checks a predicate argument when a stream is described; queries are parsed here, so that a mistake names its line. */
export function checkPredicate(operator: string, predicate: unknown): void {
  checkFunction(operator, predicate)
  if (typeof predicate === 'function') return
  if (typeof predicate !== 'string') {
    throw new EngineError(
      'RULES_INVALID',
      `${operator} takes a query or a function of an event, got ${describeValue(predicate)}`,
    )
  }
  parsePredicate(predicate)
}

/** Reads a field or function of an event into a slot. */
export function compileField(field: Field, runtime: Runtime): (event: EventCursor, into: ValueSlot) => void {
  const { table } = runtime
  if (typeof field === 'function') {
    const view = new CursorView(new EventCursor(), table)
    return (event, into) => {
      view.event = event
      into.set(atOnce(field(view, runtime.lookups)), table)
    }
  }
  switch (field) {
    case 'host':
      return (event, into) => into.setSymbol(event.host)
    case 'service':
      return (event, into) => into.setSymbol(event.service)
    case 'state':
      return (event, into) => into.setSymbol(event.state)
    case 'description':
      return (event, into) => into.set(descriptionOf(event), table)
    case 'metric':
      return (event, into) => {
        if (event.metricKind === Kind.none) into.none()
        else if (event.metricKind === Kind.big) into.setBig(event.metricBig, table)
        else into.setNumber(event.metric)
      }
    case 'time':
      return (event, into) => (event.timeKind === Kind.none ? into.none() : into.setNumber(event.time))
    case 'ttl':
      return (event, into) => (event.ttlKind === Kind.none ? into.none() : into.setNumber(event.ttl))
    case 'tags': {
      const view = new CursorView(new EventCursor(), table)
      return (event, into) => {
        view.event = event
        into.set(event.tags === 0 ? undefined : view.tags, table)
      }
    }
    default: {
      const read = attributeReader(field, runtime)
      return (event, into) => into.setSymbol(read(event))
    }
  }
}

/** Reads an attribute's value as a symbol. The key's id is looked up once it is there, and again after symbols were collected. */
function attributeReader(name: string, runtime: Runtime): (event: EventCursor) => number {
  const { table } = runtime
  let key = 0
  let generation = -1
  return (event) => {
    if (event.attributes === 0) return 0
    if (key === 0 || generation !== runtime.generation) {
      key = table.find(name)
      generation = runtime.generation
      if (key === 0) return 0
    }
    return table.attribute(event.attributes, key)
  }
}

/** Reads one id that stands for a field's value, for keys: the symbol itself where the field is a text. */
export function compileKey(field: Field, runtime: Runtime): (event: EventCursor) => number {
  switch (field) {
    case 'host':
      return (event) => event.host
    case 'service':
      return (event) => event.service
    case 'state':
      return (event) => event.state
  }
  if (typeof field === 'string' && !fieldNames.has(field)) return attributeReader(field, runtime)
  const read = compileField(field, runtime)
  const slot = new ValueSlot()
  return (event) => {
    read(event, slot)
    return slot.keyId(runtime.table)
  }
}

const fieldNames = new Set(['description', 'metric', 'time', 'ttl', 'tags'])

/** A test of an event; the verdict on text is cached per symbol until symbols are collected. */
export function compilePredicate(predicate: Predicate, runtime: Runtime): (event: EventCursor) => boolean {
  const { table } = runtime
  if (typeof predicate === 'function') {
    const view = new CursorView(new EventCursor(), table)
    return (event) => {
      view.event = event
      return Boolean(atOnce(predicate(view, runtime.lookups)))
    }
  }
  const expression = parsePredicate(predicate)
  let test = compileExpression(expression, table)
  let generation = runtime.generation
  return (event) => {
    if (generation !== runtime.generation) {
      generation = runtime.generation
      test = compileExpression(expression, table)
    }
    return test(event)
  }
}
