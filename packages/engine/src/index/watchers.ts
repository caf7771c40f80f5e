import { cursorToEvent, type Event, type EventCursor, type SymbolTable } from '@ricci/client'
import type { QueryCache } from '../query/cache.ts'
import type { EventTest } from '../query/fields.ts'
import type { Index } from './store.ts'

interface Watcher {
  readonly query: string
  matches: EventTest
  readonly listener: (event: Event) => void
}

/** Who is told of changes of the index that match a query. Not state; the index is only asked to tell while somebody listens. */
export class Watchers {
  readonly #index: Index
  readonly #table: SymbolTable
  readonly #watchers = new Set<Watcher>()

  constructor(index: Index, table: SymbolTable) {
    this.#index = index
    this.#table = table
  }

  /** Gives the way to stop it. */
  add(query: string, queries: QueryCache, listener: (event: Event) => void): () => void {
    const watcher: Watcher = { query, matches: queries.get(query).matches, listener }
    this.#watchers.add(watcher)
    this.#index.onChange = this.#changed
    return () => {
      this.#watchers.delete(watcher)
      if (this.#watchers.size === 0) this.#index.onChange = unwatched
    }
  }

  /** Symbol ids mean something else from now on: what was compiled is compiled anew. */
  recompile(queries: QueryCache): void {
    for (const watcher of this.#watchers) watcher.matches = queries.get(watcher.query).matches
  }

  readonly #changed = (event: EventCursor): void => {
    for (const { matches, listener } of this.#watchers) {
      if (matches(event)) listener(cursorToEvent(event, this.#table))
    }
  }
}

function unwatched(): void {}
