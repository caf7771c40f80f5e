import type { SymbolTable } from '@ricci/client'
import type { RowChains } from './chains.ts'

/** A host of which nothing is left in the index. */
export interface SilentHost {
  readonly host: string
  /** Calendar time at which its last entry expired. */
  readonly sinceMs: number
}

/** What is told of them: how many, and some by name. */
export interface SilentHosts {
  readonly count: number
  /** Those that fell silent last, at most {@link mostTold}. */
  readonly latest: readonly SilentHost[]
}

/** At some 100 bytes each, a megabyte: where more fall silent at once, it is not the single host that matters. */
const mostHosts = 10_000
/** After a day a host that is gone is no news any more. */
const keptMs = 86_400_000
const mostTold = 20
/** What instances and agents say of themselves: who looks for a host looks for its metrics. */
const ownPrefix = 'ricci '

/**
 * Hosts whose entries expired and that have not come back. For people's eyes: it decides nothing, is no state, and begins anew with each
 * engine. Nothing of it is paid when an event arrives: who is back is seen when it is asked.
 */
export class Silence {
  /** By name: ids of texts are given again. */
  readonly #since = new Map<string, number>()
  readonly #table: SymbolTable

  constructor(table: SymbolTable) {
    this.#table = table
  }

  /** An entry expired. @param nowMs calendar time */
  note(host: number, service: number, nowMs: number): void {
    if (host === 0 || (service !== 0 && this.#table.text(service).startsWith(ownPrefix))) return
    const name = this.#table.text(host)
    if (this.#since.size < mostHosts || this.#since.has(name)) this.#since.set(name, nowMs)
  }

  /** @param nowMs calendar time */
  told(byHost: RowChains, present: (row: number) => boolean, nowMs: number): SilentHosts {
    for (const [name, sinceMs] of this.#since) {
      if (nowMs - sinceMs > keptMs || this.#isBack(name, byHost, present)) this.#since.delete(name)
    }
    const latest = [...this.#since].map(([host, sinceMs]) => ({ host, sinceMs })).sort((a, b) => b.sinceMs - a.sinceMs)
    return { count: latest.length, latest: latest.slice(0, mostTold) }
  }

  #isBack(name: string, byHost: RowChains, present: (row: number) => boolean): boolean {
    const host = this.#table.find(name)
    if (host <= 0) return false
    for (let row = byHost.from(host, 0); row >= 0; row = byHost.after(row)) if (present(row)) return true
    return false
  }
}
