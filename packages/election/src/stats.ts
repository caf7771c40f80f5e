/** What an election has done and how the store answers it. */
export interface ElectionStats {
  /** Terms begun under a new token. */
  readonly terms: number
  /** Terms begun under the token of a suspended one. */
  readonly resumptions: number
  /** How often a lease was not confirmed in time. */
  readonly suspensions: number
  /** Sessions opened. */
  readonly sessions: number
  /** Reads answered; each confirms all names that are held. */
  readonly reads: number
  /** Requests to the store that failed or were given up. */
  readonly failures: number
  /** Half of the last 512 reads were answered within this many ms; undefined before the first. */
  readonly readMedianMs: number | undefined
  /** All but a hundredth of them within this many. */
  readonly readP99Ms: number | undefined
}

/** What is counted up. */
export type Count = 'terms' | 'resumptions' | 'suspensions' | 'sessions' | 'failures'

/** How many reads the quantiles are of. */
const remembered = 512

/** Counts, and the times of the last reads. */
export class Statistics {
  readonly #counts: Record<Count, number> = { terms: 0, resumptions: 0, suspensions: 0, sessions: 0, failures: 0 }
  readonly #timesMs: number[] = []
  #reads = 0

  count(what: Count): void {
    this.#counts[what]++
  }

  answered(tookMs: number): void {
    this.#timesMs[this.#reads++ % remembered] = tookMs
  }

  read(): ElectionStats {
    const sorted = this.#timesMs.toSorted((a, b) => a - b)
    const quantile = (part: number): number | undefined => sorted[Math.floor(part * (sorted.length - 1))]
    return { ...this.#counts, reads: this.#reads, readMedianMs: quantile(0.5), readP99Ms: quantile(0.99) }
  }
}
