import { type Event, EventCursor, cursorToEvent, type SymbolTable } from '@ricci/client'
import type { QueryOptions, QueryPage } from '../engine.ts'
import type { CompiledQuery } from '../query/cache.ts'
import { compareEvents } from '../query/sort.ts'
import type { Index } from './store.ts'

/** Events one answer holds at most; more come by cursor. */
export const largestAnswer = 10_000
/** Rows looked at in one call unless told otherwise: about 10 ms. */
const defaultBudget = 100_000

const cursor = new EventCursor()

/** Searches the index. A query that names its host and service is a look-up; a sorted one is answered whole, up to its limit. */
export function searchIndex(
  index: Index,
  table: SymbolTable,
  compiled: CompiledQuery,
  options: QueryOptions,
): Omit<QueryPage, 'appliedOffset'> {
  const { query, matches } = compiled
  const limit = Math.min(options.limit ?? largestAnswer, largestAnswer)
  const { host, service } = query.keys
  if (host !== undefined && service !== undefined) {
    const row = index.lookup(table.find(host), table.find(service))
    return { events: row >= 0 && take(index, row) && matches(cursor) ? [cursorToEvent(cursor, table)] : [] }
  }
  if (query.sort !== undefined || query.limit !== undefined) return sorted(index, table, compiled, limit)
  const events: Event[] = []
  const budget = options.budget ?? defaultBudget
  const hostSymbol = host === undefined ? -1 : table.find(host)
  const serviceSymbol = service === undefined ? -1 : table.find(service)
  let row = options.cursor ?? 0
  const end = Math.min(index.rows.high, row + budget)
  for (; row < end && events.length < limit; row++) {
    if (hostSymbol >= 0 && index.events.host(row) !== hostSymbol) continue
    if (serviceSymbol >= 0 && index.events.service(row) !== serviceSymbol) continue
    if (take(index, row) && matches(cursor)) events.push(cursorToEvent(cursor, table))
  }
  return row < index.rows.high ? { events, nextCursor: row } : { events }
}

function take(index: Index, row: number): boolean {
  if (!index.present(row)) return false
  index.load(row, cursor)
  return true
}

function sorted(
  index: Index,
  table: SymbolTable,
  { query, matches }: CompiledQuery,
  most: number,
): Omit<QueryPage, 'appliedOffset'> {
  const events: Event[] = []
  for (let row = 0; row < index.rows.high; row++) {
    if (take(index, row) && matches(cursor)) events.push(cursorToEvent(cursor, table))
    if (query.sort === undefined && events.length >= Math.min(most, query.limit ?? most)) break
  }
  if (query.sort !== undefined) events.sort(compareEvents(query.sort))
  return { events: events.slice(0, Math.min(most, query.limit ?? most)) }
}
