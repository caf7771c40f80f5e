import { type Event, type EventCursor, eventToCursor, type SymbolTable } from '@ricci/client'
import { textsFull } from '../state/made-texts.ts'
import { describeValue } from './stream.ts'

const texts = ['host', 'service', 'state', 'description'] as const
const numbers = ['time', 'ttl'] as const
const known = new Set<string>([...texts, ...numbers, 'metric', 'metricType', 'tags', 'attributes'])

/**
 * Takes in an event that a user's function made; a field that is null is taken for absent.
 * @throws Error for what is no event, such as a promise: it ends the branch and is told, as whatever the function itself throws;
 * EngineError `TEXTS_FULL`: without its host or service it would be another's event
 */
export function takeEvent(made: unknown, table: SymbolTable, into: EventCursor): void {
  if (typeof made !== 'object' || made === null || Array.isArray(made)) {
    throw new Error(`a function gave ${describeValue(made)} where an event, or null for none, is wanted`)
  }
  if (typeof (made as { then?: unknown }).then === 'function') {
    throw new Error('a function gave a promise where an event is wanted: rules cannot wait, take async and await out')
  }
  const event: Record<string, unknown> = { ...made }
  for (const name in event) {
    if (event[name] === null) event[name] = undefined
    if (known.has(name)) continue
    throw new Error(
      name === 'event'
        ? 'a function spread the event it was given, which copies nothing: write { ...e.copy(), … }'
        : `a function gave an event with a field ${name}: what is no field of every event belongs into attributes`,
    )
  }
  for (const name of texts) check(event, name, 'a text', typeof event[name] === 'string')
  for (const name of numbers) check(event, name, 'a number', typeof event[name] === 'number')
  const { metric, tags, attributes } = event
  check(event, 'metric', 'a number or a bigint', typeof metric === 'number' || typeof metric === 'bigint')
  check(event, 'tags', 'a list of texts', Array.isArray(tags) && tags.every(isText))
  check(event, 'attributes', 'an object of texts', isObject(attributes) && Object.values(attributes).every(isText))
  if (!eventToCursor(event as Event, table, into)) throw textsFull()
}

function check(event: Record<string, unknown>, name: string, wanted: string, fits: boolean): void {
  if (fits || event[name] === undefined) return
  throw new Error(`a function gave an event whose ${name} is ${describeValue(event[name])}: ${wanted} is wanted`)
}

function isText(value: unknown): boolean {
  return typeof value === 'string'
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && !Array.isArray(value)
}
