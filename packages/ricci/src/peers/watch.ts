/**
 * A watch of the whole cluster: one of each instance that runs some of the partitions. Partitions whose watch ended, or that nobody ran, are
 * looked for again, and whoever watches is told what is missing.
 */
import type { Timer } from '@ricci/replica'
import type { WatchPage } from '../http/backend.ts'
import type { JsonShape } from '../server/worker-protocol.ts'
import { candidatesOf, type AmongOptions, type Candidate } from './candidates.ts'
import { noOwner } from './coverage.ts'
import { codeOf } from './engine-partitions.ts'
import { watchLookMs } from './limits.ts'
import { missingSentence, notEvaluated } from './missing.ts'
import type { Missing } from './protocol.ts'

type Pages = AsyncIterable<WatchPage>

/** A page on its way to who watches. */
interface Parcel {
  readonly page: WatchPage
  readonly taken: () => void
}

export class ClusterWatch {
  /** Partitions that are not watched, and why. */
  private readonly lost = new Map<number, Missing>()
  /** Of these, those that whoever watches was told of. */
  private readonly told = new Set<number>()
  /** Those that are watched again, of which whoever watches is to be told. */
  private readonly regained: number[] = []
  /** How often somebody who was to be watched for a partition failed: the next time it is another. */
  private readonly failures = new Map<number, number>()
  /** One page of each instance: it is asked for the next once that was taken. */
  private readonly parcels: Parcel[] = []
  private readonly ending = new AbortController()
  private readonly until: AbortSignal
  private wake = (): void => undefined
  private timer: Timer | undefined

  constructor(
    private readonly options: AmongOptions,
    private readonly query: string,
    private readonly shape: JsonShape,
    signal: AbortSignal,
  ) {
    this.until = AbortSignal.any([signal, this.ending.signal])
    for (let partition = 0; partition < options.partitions; partition++) {
      this.lost.set(partition, { partition, code: noOwner })
    }
  }

  /** @throws RicciError `NOT_EVALUATED`; what all refused with */
  async begin(): Promise<Pages> {
    const refused = await this.look()
    if (this.lost.size === this.options.partitions) {
      this.end()
      throw refused ?? notEvaluated([...this.lost.values()], this.lost.size)
    }
    this.until.addEventListener('abort', () => this.end(), { once: true })
    this.lookLater()
    return this.pages()
  }

  private async *pages(): AsyncGenerator<WatchPage> {
    try {
      while (!this.until.aborted) {
        const news = this.news()
        const parcel = news === undefined ? this.parcels[0] : undefined
        if (news !== undefined) yield news
        else if (parcel !== undefined) {
          yield parcel.page
          // not before it is asked for the next; whoever never asks again ends it by the signal
          this.parcels.shift()
          parcel.taken()
        } else await new Promise<void>((resolve) => (this.wake = resolve))
      }
    } finally {
      this.end()
    }
  }

  /** What is to be told of partitions that are watched again, or are not. */
  private news(): WatchPage | undefined {
    const regained = this.regained.splice(0).sort((a, b) => a - b)
    if (regained.length > 0) {
      const named = regained.length === 1 ? `partition ${regained[0]} is` : `partitions ${regained.join(', ')} are`
      return { gap: `${named} watched again; what changed meanwhile is missing`, stale: true, lines: nothing }
    }
    const untold = [...this.lost.values()].filter(({ partition }) => !this.told.has(partition))
    for (const { partition } of untold) this.told.add(partition)
    const sentence = missingSentence(untold)
    if (sentence === undefined) return undefined
    return { gap: `changes are missing from here on, until they are watched again: ${sentence}`, lines: nothing }
  }

  private lookLater(): void {
    this.timer = this.options.clock.setTimer(watchLookMs, () => {
      void this.look().then(() => {
        if (!this.until.aborted) this.lookLater()
      })
    })
  }

  /** Finds somebody for the partitions that are not watched: one question to each. Gives what somebody refused with. */
  private async look(): Promise<Error | undefined> {
    const questions = new Map<string, { candidate: Candidate<Pages>; partitions: number[] }>()
    for (const partition of this.lost.keys()) {
      const candidates = candidatesOf<Pages>(this.options, partition, (backend, partitions, signal) =>
        backend.watch({ query: this.query, shape: this.shape, partitions }, signal),
      )
      if (candidates.length === 0) continue
      const candidate = candidates[(this.failures.get(partition) ?? 0) % candidates.length]
      const question = questions.get(candidate.id)
      if (question === undefined) questions.set(candidate.id, { candidate, partitions: [partition] })
      else question.partitions.push(partition)
    }
    let refused: Error | undefined
    await Promise.all(
      Array.from(questions.values(), async ({ candidate, partitions }) => {
        try {
          void this.follow(await candidate.ask(partitions, this.until), partitions)
        } catch (error) {
          refused = error as Error
          this.lose(partitions, error)
        }
      }),
    )
    return refused
  }

  /** Hands on what one instance tells, until that ends. */
  private async follow(pages: Pages, partitions: readonly number[]): Promise<void> {
    const again = partitions.filter((partition) => this.told.has(partition))
    for (const partition of partitions) {
      this.lost.delete(partition)
      this.told.delete(partition)
    }
    if (again.length > 0) this.regained.push(...again)
    this.wake()
    let error: unknown
    try {
      for await (const page of pages) {
        if (this.until.aborted) return
        await new Promise<void>((taken) => {
          this.parcels.push({ page, taken })
          this.wake()
        })
        if (this.until.aborted) return
      }
    } catch (failure) {
      error = failure
    }
    if (!this.until.aborted) this.lose(partitions, error)
  }

  private lose(partitions: readonly number[], error: unknown): void {
    const code = error === undefined ? 'NOT_HERE' : codeOf(error)
    for (const partition of partitions) {
      this.lost.set(partition, { partition, code })
      this.failures.set(partition, (this.failures.get(partition) ?? 0) + 1)
    }
    this.wake()
  }

  private end(): void {
    this.timer?.cancel()
    this.ending.abort()
    for (const { taken } of this.parcels.splice(0)) taken()
    this.wake()
  }
}

const nothing = new Uint8Array()
