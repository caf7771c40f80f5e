import type { SymbolTable } from '@ricci/client'
import type { QueryOptions } from '../engine.ts'
import type { CompiledQuery } from '../query/cache.ts'
import { type AnswerPage, Answers, type Asked, costOf, found, matching, type Walk } from './answers.ts'
import type { Index } from './store.ts'

/** Events one page of an answer holds at most; more come by cursor. */
const largestPage = 10_000
/** Rows looked at in one call unless told otherwise: about 10 ms. */
const defaultBudget = 100_000

/**
 * Searches the index. A query that names its host and service is a look-up, one that names either looks through the rows of that
 * one. Cursors from 0 on are rows, those below 0 name an answer under way.
 */
export class Search {
  readonly #index: Index
  readonly #table: SymbolTable
  readonly #answers = new Answers()

  constructor(index: Index, table: SymbolTable) {
    this.#index = index
    this.#table = table
  }

  /** @throws EngineError `ANSWER_GONE` for a cursor of an answer that was let go, `CURSOR_INVALID` for values of another sort */
  page(compiled: CompiledQuery, { limit, cursor = 0, behind, budget = defaultBudget }: QueryOptions): AnswerPage {
    const most = Math.min(limit ?? largestPage, largestPage)
    if (cursor < 0) return this.#answers.goOn(cursor, most, budget)
    const index = this.#index
    const table = this.#table
    const { query } = compiled
    const { host, service } = query.keys
    const asked: Asked = { index, table, compiled, walk: () => walkOf(index, table, query.keys) }
    if (behind !== undefined) return this.#answers.begin(asked, most, budget, behind)
    if (host !== undefined && service !== undefined) {
      const row = index.lookup(table.find(host), table.find(service))
      return { events: row >= 0 && matching(asked, row) ? [found(asked)] : [] }
    }
    if (query.sort !== undefined || query.limit !== undefined) return this.#answers.begin(asked, most, budget)
    const events = []
    const walk = asked.walk()
    let row = walk.from(cursor)
    for (; row >= 0 && budget > 0 && events.length < most; row = walk.after(row), budget -= costOf(asked)) {
      if (matching(asked, row)) events.push(found(asked))
    }
    return row >= 0 ? { events, nextCursor: row } : { events }
  }
}

/** All rows that may match. */
function walkOf(index: Index, table: SymbolTable, { host, service }: CompiledQuery['query']['keys']): Walk {
  const text = host ?? service
  if (text !== undefined) {
    const chains = host === undefined ? index.byService : index.byHost
    const symbol = table.find(text)
    return { from: (row) => chains.from(symbol, row), after: (row) => chains.after(row) }
  }
  const { rows } = index
  return { from: (row) => (row < rows.high ? row : -1), after: (row) => (row + 1 < rows.high ? row + 1 : -1) }
}
