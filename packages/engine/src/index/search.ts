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

/**
 * Searches the index. A query that names its host and service is a look-up, one that names either looks through the rows of that
 * one; a sorted one is answered whole, up to its limit.
 */
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
  const walk = walkOf(index, table, query.keys)
  if (query.sort !== undefined || query.limit !== undefined) return sorted(index, table, compiled, walk, limit)
  const events: Event[] = []
  let budget = options.budget ?? defaultBudget
  let row = walk.from(options.cursor ?? 0)
  for (; row >= 0 && budget > 0 && events.length < limit; row = walk.after(row), budget--) {
    if (take(index, row) && matches(cursor)) events.push(cursorToEvent(cursor, table))
  }
  return row >= 0 ? { events, nextCursor: row } : { events }
}

/** Rows in ascending order; -1 ends them. */
interface Walk {
  from(row: number): number
  after(row: number): number
}

/** All rows that may match. */
function walkOf(index: Index, table: SymbolTable, { host, service }: CompiledQuery['query']['keys']): Walk {
  const text = host ?? service
  if (text !== undefined) {
    const chains = host === undefined ? index.byService : index.byHost
    const symbol = table.find(text)
    return { from: (row) => chains.from(symbol, row), after: (row) => chains.after(row) }
  }
  const { high } = index.rows
  return { from: (row) => (row < high ? row : -1), after: (row) => (row + 1 < high ? row + 1 : -1) }
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
  walk: Walk,
  most: number,
): Omit<QueryPage, 'appliedOffset'> {
  const events: Event[] = []
  for (let row = walk.from(0); row >= 0; row = walk.after(row)) {
    if (take(index, row) && matches(cursor)) events.push(cursorToEvent(cursor, table))
    if (query.sort === undefined && events.length >= Math.min(most, query.limit ?? most)) break
  }
  if (query.sort !== undefined) events.sort(compareEvents(query.sort))
  return { events: events.slice(0, Math.min(most, query.limit ?? most)) }
}
