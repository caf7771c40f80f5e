import type { AttemptRecord, OutcomeRecord } from '@ricci/engine'
import type { StoredRecord } from '@ricci/replica'
import { decoded } from './decoded.ts'

/** A partition's surviving log, and when each of its records was written. */
export interface WrittenLog {
  readonly records: readonly StoredRecord[]
  readonly writtenMs: readonly number[]
}

/** What a log says became of an attempt. */
export interface LoggedOutcome {
  readonly result: OutcomeRecord['result']
  readonly offset: number
  readonly atMs: number
}

/** An attempt in force: of the highest claim's epoch, for a page that no outcome had settled before it. */
export interface LoggedAttempt {
  readonly epoch: number
  readonly n: number
  readonly instance: string
  readonly offset: number
  readonly atMs: number
  /** When and where its epoch's claim was written. */
  readonly claimedMs: number
  readonly claimOffset: number
  /** It made a digest of what waited. */
  readonly isDigest: boolean
  /** The first that was written. */
  outcome?: LoggedOutcome
}

/**
 * Attempts and outcomes of one partition, read from the log by nobody's code but this: by it alone a request may be sent, and
 * what it says of an attempt everybody has to believe who reads it. In a digest of what waited, the attempt that made it counts.
 */
export class Ledger {
  readonly #attempts = new Map<string, LoggedAttempt[]>()
  /** By offset: attempts that made a digest, whose id names the record. */
  readonly #digests = new Map<number, LoggedAttempt>()
  readonly #settled = new Set<string>()
  readonly #seen = new Map<string, LoggedAttempt>()
  #claim = { epoch: 0, instance: '', offset: -1, atMs: 0 }

  constructor({ records, writtenMs }: WrittenLog) {
    for (const { offset, bytes } of records) {
      const record = decoded(bytes)
      const atMs = writtenMs[offset]
      if (record.kind === 'claim' && record.epoch > this.#claim.epoch) {
        this.#claim = { epoch: record.epoch, instance: record.instance, offset, atMs }
      } else if (record.kind === 'attempt') this.#attempt(record, offset, atMs)
      else if (record.kind === 'outcome') this.#outcome(record, offset, atMs)
    }
  }

  /** Those of a page, in the order of the log. */
  attempts(page: string, isResolve: boolean): readonly LoggedAttempt[] {
    // A digest that is over when it is made decides its resolve with the same record.
    const made = isResolve ? undefined : this.#digests.get(offsetOf(page))
    const own = this.#attempts.get(page) ?? []
    return made === undefined ? own : [made, ...own]
  }

  #attempt(record: AttemptRecord, offset: number, atMs: number): void {
    const { epoch, n } = record
    const { instance, offset: claimOffset, atMs: claimedMs } = this.#claim
    const name = `${epoch}.${n}`
    if (epoch !== this.#claim.epoch || this.#seen.has(name)) return
    const isDigest = record.digest === 'waited'
    const attempt: LoggedAttempt = { epoch, n, instance, offset, atMs, claimedMs, claimOffset, isDigest }
    const pages = record.pages.filter((page) => !this.#settled.has(page))
    if (pages.length === 0) return
    this.#seen.set(name, attempt)
    for (const page of pages) this.#attempts.set(page, [...(this.#attempts.get(page) ?? []), attempt])
    if (isDigest) this.#digests.set(offset, attempt)
  }

  #outcome({ epoch, n, result, pages }: OutcomeRecord, offset: number, atMs: number): void {
    const attempt = this.#seen.get(`${epoch}.${n}`)
    if (attempt !== undefined) attempt.outcome ??= { result, offset, atMs }
    if (result !== 'failed' && result !== 'unknown') for (const page of pages) this.#settled.add(page)
  }
}

/** A decision's id is log, partition, offset, ordinal and checksum; none of these holds a dot. */
export function offsetOf(id: string): number {
  return Number(id.split('.')[2])
}

export function partitionOf(id: string): number {
  return Number(id.split('.')[1])
}
