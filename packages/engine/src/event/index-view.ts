import { type Event, EventCursor, cursorToEvent, type SymbolTable } from '@ricci/client'
import type { Index } from '../index/store.ts'

/** The index as a user's function sees it: what the latest live event of a host and service says. */
export interface IndexView {
  /** The metric; NaN when there is no such entry, or it has none. */
  metric(host: string | undefined, service: string | undefined): number
  state(host: string | undefined, service: string | undefined): string | undefined
  event(host: string | undefined, service: string | undefined): Event | undefined
}

/** Look-ups in the engine's index; interns nothing. */
export class IndexLookups implements IndexView {
  readonly #index: Index
  readonly #table: SymbolTable
  readonly #cursor = new EventCursor()
  /** Ids of names asked for, so that they are not encoded and hashed as bytes each time (a cache). */
  readonly #known = new Map<string, number>()
  #generation = 0

  constructor(index: Index, table: SymbolTable) {
    this.#index = index
    this.#table = table
  }

  metric(host: string | undefined, service: string | undefined): number {
    const row = this.#row(host, service)
    return row < 0 ? NaN : this.#index.metric(row)
  }
  state(host: string | undefined, service: string | undefined): string | undefined {
    return this.#load(host, service) && this.#cursor.state !== 0 ? this.#table.text(this.#cursor.state) : undefined
  }
  event(host: string | undefined, service: string | undefined): Event | undefined {
    return this.#load(host, service) ? cursorToEvent(this.#cursor, this.#table) : undefined
  }

  #load(host: string | undefined, service: string | undefined): boolean {
    const row = this.#row(host, service)
    if (row >= 0) this.#index.load(row, this.#cursor)
    return row >= 0
  }

  /** The row of a live entry, else -1. */
  #row(host: string | undefined, service: string | undefined): number {
    const hostId = host === undefined ? 0 : this.#find(host)
    const serviceId = service === undefined ? 0 : this.#find(service)
    if ((hostId === 0 && host !== undefined) || (serviceId === 0 && service !== undefined)) return -1
    return this.#index.lookup(hostId, serviceId)
  }

  #find(name: string): number {
    if (this.#generation !== this.#table.generation || this.#known.size > knownNames) {
      this.#known.clear()
      this.#generation = this.#table.generation
    }
    let id = this.#known.get(name)
    if (id === undefined) {
      id = this.#table.find(name)
      // one that is not there yet may come
      if (id !== 0) this.#known.set(name, id)
    }
    return id
  }
}

/** Names kept: some hundred bytes each. */
const knownNames = 10_000
