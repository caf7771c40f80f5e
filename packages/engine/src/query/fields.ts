/** How a query reads an event's fields from the engine's cursor. Whatever is no field of the event is an attribute. */
import { Kind, type EventCursor } from '@ricci/client'
import { Verdicts, type QueryTable } from './verdicts.ts'

/** A list of tags as a value: present, equal to no text and no number. */
export const tagList = Symbol('tags')
export type Value = string | number | bigint | boolean | null | typeof tagList

/** A test on the event that the cursor stands on. */
export type EventTest = (event: EventCursor) => boolean
export type NumericField = 'metric' | 'time' | 'ttl'

export function isNumeric(name: string): name is NumericField {
  return name === 'metric' || name === 'time' || name === 'ttl'
}

/**
 * A test of one field's value. The value of a text field is judged once per symbol, an attribute's once per set of attributes.
 * @param judge must depend on nothing but the value; it is told null where the field is absent
 */
export function fieldTest(name: string, judge: (value: Value) => boolean, table: QueryTable): EventTest {
  const ofAbsent = judge(null)
  const ofSymbol = new Verdicts(table, (id) => judge(id === 0 ? null : table.text(id)))
  switch (name) {
    case 'host':
      return (event) => ofSymbol.of(event.host)
    case 'service':
      return (event) => ofSymbol.of(event.service)
    case 'state':
      return (event) => ofSymbol.of(event.state)
    case 'description':
      return (event) => (event.descriptionLength < 0 ? ofAbsent : judge(readDescription(event)))
    case 'tags': {
      const ofTags = judge(tagList)
      return (event) => (event.tags === 0 ? ofAbsent : ofTags)
    }
    case 'metric':
    case 'time':
    case 'ttl':
      return (event) => judge(readNumber(event, name))
    default: {
      const ofSet = new Verdicts(table, (set) => judge(readAttribute(set, name, table)))
      return (event) => ofSet.of(event.attributes)
    }
  }
}

/** Whether a field is there, without reading it. */
export function presence(name: string, table: QueryTable): EventTest {
  switch (name) {
    case 'description':
      return (event) => event.descriptionLength >= 0
    case 'metric':
      return (event) => event.metricKind !== Kind.none
    case 'time':
      return (event) => event.timeKind !== Kind.none
    case 'ttl':
      return (event) => event.ttlKind !== Kind.none
    default:
      return fieldTest(name, (value) => value !== null, table)
  }
}

/** Reads one field of an event as a value; tags by the id of their set, so that equal lists are equal. */
export function fieldReader(name: string, table: QueryTable): (event: EventCursor) => Value {
  switch (name) {
    case 'host':
    case 'service':
    case 'state':
      return (event) => (event[name] === 0 ? null : table.text(event[name]))
    case 'description':
      return (event) => (event.descriptionLength < 0 ? null : readDescription(event))
    case 'metric':
    case 'time':
    case 'ttl':
      return (event) => readNumber(event, name)
    case 'tags':
      return (event) => (event.tags === 0 ? null : tagList)
    default:
      return (event) => readAttribute(event.attributes, name, table)
  }
}

function readNumber(event: EventCursor, name: NumericField): number | bigint | null {
  switch (name) {
    case 'metric':
      if (event.metricKind === Kind.none) return null
      return event.metricKind === Kind.big ? event.metricBig : event.metric
    case 'time':
      return event.timeKind === Kind.none ? null : event.time
    case 'ttl':
      return event.ttlKind === Kind.none ? null : event.ttl
  }
}

function readAttribute(set: number, name: string, table: QueryTable): string | null {
  if (set === 0) return null
  const pairs = table.attributesOf(set)
  for (let i = 0; i < pairs.length; i += 2) if (table.text(pairs[i]) === name) return table.text(pairs[i + 1])
  return null
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

function readDescription(event: EventCursor): string {
  const { descriptionBytes, descriptionStart, descriptionLength } = event
  return utf8.decode(descriptionBytes.subarray(descriptionStart, descriptionStart + descriptionLength))
}
