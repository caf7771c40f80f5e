/** What trials came to, and whether what is asked of them is reached. */
import type { Ownership } from '../evidence.ts'
import type { Row } from './rows.ts'
import type { Trial } from './trial.ts'

/** Fewer pages in flight at the faults of a row, all trials together, and it has shown nothing. */
export const leastInFlight = 20
/** Fewer trials say too little to be written down. */
export const leastTrials = 30

/** A row, as it was run. */
export interface RowResult {
  readonly row: Row
  readonly trials: readonly Trial[]
  readonly counts: Readonly<Record<string, number>>
  /** From a fault to the first tick of another owner, of the partition that took longest: of the trials in which owners changed, in ms. */
  readonly claimsMs: readonly number[]
  /** What the oracle found, and trials that did not come right. */
  readonly wrong: readonly string[]
  /** Why it was not run. */
  readonly skipped?: string
}

/** The least, the median, the 99th percentile and the most of some times, in whole ms. */
export interface Spread {
  readonly minMs: number
  readonly medianMs: number
  readonly p99Ms: number
  readonly maxMs: number
}

export function spreadOf(times: readonly number[]): Spread | undefined {
  if (times.length === 0) return undefined
  const sorted = times.toSorted((a, b) => a - b)
  const middle = (sorted.length - 1) / 2
  const at = (index: number): number => Math.round(sorted[index])
  return {
    minMs: at(0),
    medianMs: Math.round((sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2),
    // the smallest that 99 % are not above: of fewer than 100 the most
    p99Ms: at(Math.ceil(0.99 * sorted.length) - 1),
    maxMs: at(sorted.length - 1),
  }
}

/** What is measured of a trial: the row's own measure. */
export function measured({ row, trials }: Pick<RowResult, 'row' | 'trials'>): number[] {
  return trials.flatMap((trial) => (row.measure === 'flow' ? trial.flowMs : trial.latestMs) ?? [])
}

/** What a row lacks of what is asked, in sentences; none where it is reached. */
export function shortfalls({ row, trials, wrong }: Pick<RowResult, 'row' | 'trials' | 'wrong'>): string[] {
  const short = [...wrong]
  const times = measured({ row, trials })
  const spread = spreadOf(times)
  const { medianMs, worstMs } = row.asked
  if (times.length < trials.length) short.push(`in ${trials.length - times.length} trials no page came`)
  if (spread !== undefined && medianMs !== undefined && spread.medianMs >= medianMs)
    short.push(`the median is ${spread.medianMs} ms; asked: under ${medianMs} ms`)
  if (spread !== undefined && worstMs !== undefined && spread.maxMs >= worstMs)
    short.push(`the worst is ${spread.maxMs} ms; asked: under ${worstMs} ms`)
  const moved = trials.filter(({ ownersStayed }) => !ownersStayed).length
  if (row.ownersStay === true && moved > 0) short.push(`in ${moved} of ${trials.length} trials an owner changed`)
  const inFlight = inFlightOf(trials)
  if (trials.length > 0 && inFlight < leastInFlight)
    short.push(`${inFlight} pages in flight at the faults show too little: at least ${leastInFlight}`)
  return short
}

/** See {@link RowResult.claimsMs}. @param wallMs what makes a moment of the monotonic clock one of the wall's */
export function claimsAfter(
  trials: readonly Pick<Trial, 'fromMs' | 'overMs' | 'partitions'>[],
  ownerships: readonly Ownership[],
  wallMs: number,
): number[] {
  return trials.flatMap(({ fromMs, overMs, partitions }) => {
    const claimed = new Map<number, number>()
    for (const { partition, fromMs: at } of ownerships) {
      const tookMs = at - wallMs - fromMs
      if (!partitions.includes(partition) || tookMs < 0 || tookMs > overMs - fromMs) continue
      claimed.set(partition, Math.min(tookMs, claimed.get(partition) ?? Infinity))
    }
    return claimed.size === 0 ? [] : [Math.max(...claimed.values())]
  })
}

export function inFlightOf(trials: readonly Pick<Trial, 'inFlight'>[]): number {
  return trials.reduce((sum, { inFlight }) => sum + inFlight, 0)
}
