import { encodeRecord, type LogRecord, type Mutation } from '@ricci/engine'
import { readBackMs } from './limits.ts'
import type { AppendRank, Clock, LogPort } from './ports.ts'

/** Who goes on when the log runs out of room: see {@link AppendRank}. What is not named is `ordinary`. */
const ranks: Partial<Record<LogRecord['kind'], AppendRank>> = {
  rules: 'act',
  attempt: 'act',
  outcome: 'fact',
  claim: 'rescue',
  checkpoint: 'rescue',
  skip: 'rescue',
}

/** Appends a replica's own records and knows how long the log has been of no use. */
export class LogWriter {
  readonly #log: LogPort
  readonly #partition: number
  readonly #clock: Clock
  readonly #open = new Set<{ readonly sinceMs: number }>()
  #failingSinceMs: number | undefined
  #lastError = ''
  /** A record that shares its fate with events was refused, and none was taken since: that others are says nothing of those. */
  #refusesEvents = false

  readonly #mutations: ReadonlySet<Mutation> | undefined

  /** @param mutations tests only */
  constructor(log: LogPort, partition: number, clock: Clock, mutations?: ReadonlySet<Mutation>) {
    this.#mutations = mutations
    this.#log = log
    this.#partition = partition
    this.#clock = clock
  }

  /** Resolves when the log confirms. That it holds the records is known when they are read, not before. */
  async append(records: readonly LogRecord[]): Promise<void> {
    const attempt = { sinceMs: this.#clock.monotonicMs() }
    const rank = this.#rankOf(records[0])
    this.#open.add(attempt)
    try {
      await this.#log.append(this.#partition, records.map(encodeRecord), rank)
      // With a claim another ownership begins, whose own ticks will tell.
      if (rank === 'ordinary' || records[0].kind === 'claim') this.#refusesEvents = false
      if (!this.#refusesEvents) this.#failingSinceMs = undefined
      // The confirm of an older one may be lost for good: that says nothing about the log any more.
      for (const older of this.#open) if (older.sinceMs <= attempt.sinceMs) this.#open.delete(older)
    } catch (error) {
      this.#failingSinceMs = Math.min(this.#failingSinceMs ?? attempt.sinceMs, attempt.sinceMs)
      if (rank === 'ordinary') this.#refusesEvents = true
      this.#lastError = error instanceof Error ? error.message : String(error)
      throw error
    } finally {
      this.#open.delete(attempt)
    }
  }

  #rankOf({ kind }: LogRecord): AppendRank {
    if (kind === 'tick' && this.#mutations?.has('tick-rank') === true) return 'act'
    return ranks[kind] ?? 'ordinary'
  }

  /** As `append`, where only the reading back tells whether it worked. */
  write(records: readonly LogRecord[]): void {
    this.append(records).catch(() => undefined)
  }

  /** Since when the log takes nothing, and why in words; undefined while it does. */
  trouble(): { readonly sinceMs: number; readonly why: string } | undefined {
    // In the order of their beginning: the first is the oldest.
    const [oldest] = this.#open
    const isHanging = oldest !== undefined && this.#clock.monotonicMs() - oldest.sinceMs > readBackMs
    const hangingSinceMs = isHanging ? oldest.sinceMs : undefined
    if (this.#failingSinceMs !== undefined) {
      // One that hangs may have begun long before the first that was refused.
      const sinceMs = Math.min(this.#failingSinceMs, hangingSinceMs ?? Infinity)
      return { sinceMs, why: `the log refuses records: ${this.#lastError}` }
    }
    return hangingSinceMs === undefined ? undefined : { sinceMs: hangingSinceMs, why: 'the log confirms nothing' }
  }
}
