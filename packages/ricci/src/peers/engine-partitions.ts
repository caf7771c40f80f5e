/**
 * Answers from the partitions that this instance runs, for others and for its own clients. All partitions asked for are waited for at once;
 * pages are made of a few at a time.
 */
import { parseQuery, type CommandStatus } from '@ricci/engine'
import type { Clock, Timer } from '@ricci/replica'
import { RicciError } from '../errors.ts'
import type { WatchPage } from '../http/backend.ts'
import { queryWaitMs } from '../intake/limits.ts'
import type { EngineService } from '../server/engine-service.ts'
import { asTheyCome } from './as-they-come.ts'
import { maxListingText, maxSortedAnswers, partitionsAtOnce, watchLookMs } from './limits.ts'
import { formOfSources, merged, type PageSource } from './merge.ts'
import { readCursor } from './query-cursor.ts'
import type {
  Freshness,
  Missing,
  PartitionListing,
  PartitionsBackend,
  PeerAnswer,
  PeerCommanded,
  PeerCommands,
  PeerListed,
  PeerListing,
  PeerQuery,
  PeerWatch,
} from './protocol.ts'

/** What is asked of a partition's engine. */
export type PartitionEngine = Pick<EngineService, 'evaluated' | 'answerAt' | 'listed' | 'commands' | 'watch'>

export interface EnginePartitionsOptions {
  readonly instance: string
  readonly clock: Clock
  /** The engine of a partition whose replica runs here and is caught up (it follows, claims, owns or steps down). */
  readonly engineOf: (partition: number) => PartitionEngine | undefined
}

/** The partitions that run here, as one. */
export class EnginePartitions implements PartitionsBackend {
  private sorting = 0

  constructor(private readonly options: EnginePartitionsOptions) {}

  /** Whether a partition can be asked here. */
  runs(partition: number): boolean {
    return this.options.engineOf(partition) !== undefined
  }

  async query(request: PeerQuery, signal: AbortSignal): Promise<PeerAnswer> {
    const { query, form, partitions, limit, cursor, waitMs } = request
    const { clock, instance } = this.options
    const { sort: asked, limit: ownLimit = Infinity } = parseQuery(query)
    const behind = cursor === undefined ? undefined : readCursor(cursor).behind
    const sort = partitions.length > 1 ? (asked ?? (behind && [])) : undefined
    const most = Math.min(limit ?? Infinity, ownLimit)
    const deadlineMs = clock.monotonicMs() + waitMs
    const fresh: Freshness[] = []
    const missing: Missing[] = []
    const sources: PageSource[] = []
    await Promise.all(
      partitions.map(async (partition) => {
        try {
          const engine = this.engine(partition)
          const { offset, calendarMs } = await engine.evaluated(deadlineMs)
          fresh.push({ partition, instance, offset, ageMs: ageOf(clock.wallMs(), calendarMs) })
          sources.push(() =>
            engine.answerAt(
              query,
              formOfSources(sort, form),
              offset,
              // in its turn
              clock.monotonicMs() + queryWaitMs,
              most === Infinity ? undefined : most,
              behind,
            ),
          )
        } catch (error) {
          missing.push({ partition, code: codeOf(error) })
        }
      }),
    )
    if (signal.aborted) sources.length = 0
    const whole = { sources, sort, form, limit: most === Infinity ? undefined : most, atOnce: partitionsAtOnce }
    return { fresh, missing, pages: sort === undefined ? merged(whole) : this.sorted(() => merged(whole)) }
  }

  /** @throws RicciError `TOO_MANY_QUERIES`, at the first page: each holds pages of all its partitions */
  private async *sorted(answer: PageSource): AsyncGenerator<Uint8Array> {
    if (this.sorting >= maxSortedAnswers) {
      throw new RicciError(
        'TOO_MANY_QUERIES',
        `${maxSortedAnswers} sorted queries are being answered already; ask again in a moment, and read the answers`,
      )
    }
    this.sorting++
    try {
      yield* answer()
    } finally {
      this.sorting--
    }
  }

  async incidents(request: PeerListing, signal: AbortSignal): Promise<PeerListed> {
    const { kind, partitions, cursor, limit, filter, waitMs } = request
    const deadlineMs = this.options.clock.monotonicMs() + waitMs
    const fresh: { partition: number }[] = []
    const missing: Missing[] = []
    const listed: PartitionListing[] = []
    let left = limit
    let textLeft = maxListingText
    let full = false
    for (const [i, partition] of partitions.entries()) {
      try {
        const engine = this.engine(partition)
        if (!full && !signal.aborted) {
          const from = i === 0 ? cursor : undefined
          const text = await engine.listed({ kind, cursor: from, limit: left, filter }, deadlineMs)
          const { items, more, behind } = JSON.parse(text) as Omit<PartitionListing, 'partition'>
          listed.push({ partition, items, more, behind })
          left -= items.length
          textLeft -= text.length
          full = more || textLeft < 0
        }
        fresh.push({ partition })
      } catch (error) {
        if (codeOf(error) === 'CURSOR_INVALID') throw error
        missing.push({ partition, code: codeOf(error) })
      }
    }
    return { fresh, listed, missing }
  }

  async commands({ partitions, ids, waitMs }: PeerCommands): Promise<PeerCommanded> {
    const deadlineMs = this.options.clock.monotonicMs() + waitMs
    const fresh: { partition: number }[] = []
    const missing: Missing[] = []
    const commands: Record<string, CommandStatus> = {}
    await Promise.all(
      partitions.map(async (partition) => {
        try {
          Object.assign(commands, JSON.parse(await this.engine(partition).commands(ids, deadlineMs)))
          fresh.push({ partition })
        } catch (error) {
          missing.push({ partition, code: codeOf(error) })
        }
      }),
    )
    return { fresh, commands, missing }
  }

  async watch({ query, shape, partitions, from }: PeerWatch, signal: AbortSignal): Promise<AsyncIterable<WatchPage>> {
    const { clock, engineOf } = this.options
    const ending = new AbortController()
    const until = AbortSignal.any([signal, ending.signal])
    const engines = new Map(partitions.map((partition) => [partition, this.engine(partition)]))
    let timer: Timer | undefined
    let left: number | undefined
    const look = (): void => {
      left = partitions.find((partition) => engineOf(partition) !== engines.get(partition))
      if (left === undefined) timer = clock.setTimer(watchLookMs, look)
      else ending.abort()
    }
    const end = (): void => {
      timer?.cancel()
      ending.abort()
    }
    try {
      const all = await Promise.all(
        Array.from(engines, ([partition, engine]) => {
          const place = from?.find((one) => one.partition === partition)
          return engine.watch(query, shape, until, place)
        }),
      )
      look()
      return this.changes(all, end, () => left)
    } catch (error) {
      end()
      throw error
    }
  }

  /** @throws RicciError `NOT_HERE` when a partition has left */
  private async *changes(
    all: readonly AsyncIterable<WatchPage>[],
    end: () => void,
    left: () => number | undefined,
  ): AsyncGenerator<WatchPage> {
    try {
      const sources = all.map((pages) => () => pages)
      yield* asTheyCome(sources, all.length)
    } finally {
      end()
    }
    const partition = left()
    if (partition !== undefined) throw notHere(partition, this.options.instance)
  }

  /** @throws RicciError `NOT_HERE` */
  private engine(partition: number): PartitionEngine {
    const engine = this.options.engineOf(partition)
    if (engine === undefined) throw notHere(partition, this.options.instance)
    return engine
  }
}

function notHere(partition: number, instance: string): RicciError {
  return new RicciError('NOT_HERE', `partition ${partition} is not run by ${instance}; ask again`)
}

/** A partition without any record has no age. */
function ageOf(wallMs: number, calendarMs: number): number {
  return calendarMs === 0 ? 0 : Math.max(0, Math.round(wallMs - calendarMs))
}

/** What is wrong with a partition, for who puts answers together. */
export function codeOf(error: unknown): string {
  return (error as { code?: string }).code ?? 'FAILED'
}
