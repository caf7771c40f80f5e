/**
 * Watches that retention takes nothing that is needed: brokers ask nobody. What a restore may begin from are the snapshots that are kept, three
 * intervals of them (DESIGN section 6); once less than another interval lies between the oldest of them and the log's beginning, that is an alarm.
 */
import { ReplicaError, type Clock, type Timer } from '@ricci/replica'
import { keptIntervals, retentionLookMs } from './limits.ts'

/** Where one broker says that a partition begins. */
export interface Beginning {
  /** The broker, for people. */
  readonly broker: string
  /** The oldest offset it has; 0 where it has none. */
  readonly first: number
}

export interface RetentionWatchOptions {
  readonly clock: Clock
  /** Those that this instance runs: asked each time. */
  readonly partitions: () => readonly number[]
  /** What two brokers say, or one where there is no other. @throws ReplicaError */
  readonly beginnings: (partition: number) => Promise<readonly Beginning[]>
  /** Offset that the next record will get, as far as is known. */
  readonly end: (partition: number) => number
  /** The offset from which a restore from the oldest snapshot reads on; undefined where none is kept. @throws ReplicaError */
  readonly needed: (partition: number) => Promise<number | undefined>
  /** For the alarm `retention-margin`; once for each partition, until all is well with it. */
  readonly onAlarm: (detail: string) => void
}

export class RetentionWatch {
  private readonly told = new Set<number>()
  private timer: Timer | undefined
  private stopped = false
  private looking: Promise<void> = Promise.resolve()

  constructor(private readonly options: RetentionWatchOptions) {}

  /** Looks at once, and now and then. */
  start(): void {
    if (this.timer === undefined && !this.stopped) this.next(0)
  }

  /** Idempotent; resolves when nothing of it runs any more. */
  stop(): Promise<void> {
    this.stopped = true
    this.timer?.cancel()
    return this.looking
  }

  private next(delayMs: number): void {
    this.timer = this.options.clock.setTimer(delayMs, () => {
      this.looking = this.look().then(() => {
        if (!this.stopped) this.next(retentionLookMs)
      })
    })
  }

  private async look(): Promise<void> {
    const partitions = this.options.partitions()
    for (const partition of this.told) if (!partitions.includes(partition)) this.told.delete(partition)
    for (const partition of partitions) {
      if (this.stopped) return
      try {
        const detail = await this.wrong(partition)
        if (detail === undefined) this.told.delete(partition)
        else if (!this.told.has(partition)) {
          this.told.add(partition)
          this.options.onAlarm(`partition ${partition}: ${detail}`)
        }
      } catch (error) {
        // a log, or a store of snapshots, that is away says nothing; others tell of it
        if (!(error instanceof ReplicaError)) throw error
      }
    }
  }

  private async wrong(partition: number): Promise<string | undefined> {
    const { beginnings, needed, end } = this.options
    let said = await beginnings(partition)
    // one may just have let a segment go, and the other be about to
    if (!agree(said)) said = await beginnings(partition)
    const first = Math.max(...said.map((one) => one.first))
    const need = (await needed(partition)) ?? 0
    if (first > need) {
      return `the log begins at offset ${first}, and the oldest snapshot needs it from ${need} on: a restore from there is not possible any more. Is retention too short, or did a broker lose its data?`
    }
    if (!agree(said)) {
      const each = said.map(({ broker, first }) => `${first} at ${broker}`).join(', ')
      return `brokers do not agree where it begins (${each}): one has lost records, or keeps too many; look at its disk`
    }
    const interval = Math.max(0, end(partition) - need) / keptIntervals
    if (first === 0 || need - first >= interval) return undefined
    return `the log begins at offset ${first}, only ${need - first} before what the oldest snapshot needs; soon it will hold less than ${keptIntervals} intervals between snapshots. Give it more room (retention.size, retention.age), or see why there are no newer snapshots`
  }
}

function agree(said: readonly Beginning[]): boolean {
  return said.every(({ first }) => first === said[0].first)
}
