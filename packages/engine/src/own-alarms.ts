import type { SymbolTable } from '@ricci/client'
import type { Index } from './index/store.ts'
import type { Dimension } from './state/dimension.ts'

/**
 * What Ricci's own alarms are called: each is an event of service `ricci NAME` (DESIGN section 3). One that is not named here is an
 * event all the same, but finds no room where others find none.
 */
const names = [
  'symbols-full',
  'forks-full',
  'index-full',
  'producers-full',
  'buffers-full',
  'record-malformed',
  'record-skipped',
  'calendar-back',
  'rules-refused',
  'rule-quarantined',
  'messages-lost',
  'incidents-full',
  'delivery-failed',
  'restore-failed',
  'host-failed',
  'diverged',
  'snapshot-unusable',
  'self-refused',
  'cannot-own',
  'event-path',
  'log-unavailable',
  'log write-failed',
  'log retention-held',
  'log refusing',
] as const

/**
 * Rows of the index, forks of each `by`, and texts (with 64 bytes for each and a quarter as many sets) beyond their limits that are
 * kept for alarms: each of their names from ten instances. Anybody may send events so named, so that it has an end as well.
 */
export const reservedForAlarms = 256

/**
 * The room that is kept for Ricci's own alarms: when texts, forks or rows are full, the event that tells of it must still reach the
 * index and the rules that page for it. Which events may use it follows from their service alone, so every replica agrees.
 */
export class OwnAlarms {
  readonly #table: SymbolTable
  readonly #index: Index
  /** Texts of the engine's own, interned with the table and never collected; they have ids in a row. */
  readonly ids: readonly number[]
  readonly #first: number
  readonly #last: number
  #symbols: number

  /** @param symbols the setting, until {@link limitSymbols} */
  constructor(table: SymbolTable, index: Index, symbols: number) {
    this.#table = table
    this.#index = index
    this.#symbols = symbols
    this.ids = names.map((name) => table.internText(`ricci ${name}`))
    this.#first = this.ids[0]
    this.#last = this.ids[this.ids.length - 1]
  }

  /** Whether a service is that of an alarm of ours. Asked of each event. */
  is(service: number): boolean {
    return service >= this.#first && service <= this.#last
  }

  /** The setting `symbols` from here on; the texts of our own stand beside it. */
  limitSymbols(symbols: number): void {
    this.#symbols = symbols
    this.#table.limitSymbols(symbols + this.ids.length)
  }

  /** Does something with the reserve open: the decoding of an alarm, or its way through the rules. */
  within<T>(dimensions: readonly Dimension[], what: () => T): T {
    const reserve = (size: number): void => {
      this.#table.limitSymbols(this.#symbols + this.ids.length + size)
      this.#index.rows.reserve = size
      for (const dimension of dimensions) dimension.reserve = size
    }
    reserve(reservedForAlarms)
    try {
      return what()
    } finally {
      reserve(0)
    }
  }
}
