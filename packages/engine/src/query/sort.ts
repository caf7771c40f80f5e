import type { Event } from '@ricci/client'
import type { SortKey } from './ast.ts'

/**
 * Orders events as `sort by` says, for an answer that is whole: numbers by value, texts by their code units (no locale), numbers
 * before texts, absent last in either direction. Equal events are ordered by host and service, so that pages do not shift.
 */
export function compareEvents(keys: readonly SortKey[]): (a: Event, b: Event) => number {
  const all = [...keys, { field: 'host', descending: false }, { field: 'service', descending: false }]
  return (a, b) => {
    for (const { field, descending } of all) {
      const left = valueOf(a, field)
      const right = valueOf(b, field)
      if (left === undefined || right === undefined) {
        if (left === right) continue
        return left === undefined ? 1 : -1
      }
      const order = compareValues(left, right)
      if (order !== 0) return descending ? -order : order
    }
    return 0
  }
}

type SortValue = string | number | bigint | undefined

function valueOf(event: Event, field: string): SortValue {
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
      return event.tags?.join(' ')
    default:
      return event.attributes?.[field]
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
