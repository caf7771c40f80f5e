import type { Event, EventCursor } from '@ricci/client'
import type { SortKey } from './ast.ts'
import { fieldReader, tagList } from './fields.ts'
import type { QueryTable } from './verdicts.ts'

/** What an event is sorted by: the value of each key, then host and service. */
export type SortValues = readonly SortValue[]
type SortValue = string | number | bigint | undefined

/** By host and service at last: equal events stand in one order, so that pages do not shift. */
function allOf(keys: readonly SortKey[]): readonly SortKey[] {
  return [...keys, { field: 'host', descending: false }, { field: 'service', descending: false }]
}

/** Reads what an event is sorted by. */
export function sortReader(keys: readonly SortKey[], table: QueryTable): (event: EventCursor) => SortValues {
  const all = allOf(keys)
  const readers = all.map(({ field }) => fieldReader(field, table))
  return (event) =>
    readers.map((read, i) => {
      const value = read(event)
      if (value === tagList) return Array.from(table.tagsOf(event.tags), (id) => table.text(id)).join(' ')
      return typeof value === 'boolean' ? undefined : asAnswered(all[i].field, value ?? undefined)
    })
}

/** Of 64 bits with a sign. */
const mostMicros = 0x8000_0000_0000_0000

/**
 * A number as whoever is answered has it (the client's writer): microseconds cut off, 32 bits of a ttl, integers of 64 bits. It is put in order by that, so that
 * an answer that goes on behind an event goes on there.
 */
function asAnswered(field: string, value: SortValue): SortValue {
  if (typeof value === 'bigint') return BigInt.asIntN(64, value) === value ? value : Number(value)
  if (typeof value !== 'number') return value
  if (field === 'ttl') return Math.fround(value)
  if (field !== 'time') return value
  return Number.isNaN(value) ? 0 : Math.max(-mostMicros, Math.min(mostMicros, Math.trunc(value * 1e6))) / 1e6
}

/** The same of an event that has left its index: for whoever puts sorted answers together. */
export function sortValuesOf(keys: readonly SortKey[], event: Event): SortValues {
  return allOf(keys).map(({ field }) => {
    switch (field) {
      case 'host':
      case 'service':
      case 'state':
      case 'description':
      case 'metric':
      case 'time':
      case 'ttl':
        return event[field]
      case 'tags':
        return event.tags === undefined || event.tags.length === 0 ? undefined : event.tags.join(' ')
      default:
        return Object.hasOwn(event.attributes ?? {}, field) ? event.attributes?.[field] : undefined
    }
  })
}

/**
 * Orders events as `sort by` says: numbers by value, texts by their code units (no locale), numbers before texts, absent last in
 * either direction.
 */
export function compareSorted(keys: readonly SortKey[]): (a: SortValues, b: SortValues) => number {
  const all = allOf(keys)
  return (a, b) => {
    for (let i = 0; i < all.length; i++) {
      const left = a[i]
      const right = b[i]
      if (left === undefined || right === undefined) {
        if (left === right) continue
        return left === undefined ? 1 : -1
      }
      const order = compareValues(left, right)
      if (order !== 0) return all[i].descending ? -order : order
    }
    return 0
  }
}

function compareValues(a: string | number | bigint, b: string | number | bigint): number {
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0
  if (typeof a === 'string' || typeof b === 'string') return typeof a === 'string' ? 1 : -1
  if (a < b) return -1
  if (a > b) return 1
  // NaN is neither less nor greater than anything; it stands behind all numbers.
  return Number(a !== a) - Number(b !== b)
}
