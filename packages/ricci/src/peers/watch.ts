/**
 * A watch of the whole cluster: one of each instance that runs some of the partitions. A partition whose watch ended, or that nobody ran, is
 * looked for again, and watched on from where it was; whoever watches is told what is missing.
 */
import type { Timer } from '@ricci/replica'
import type { WatchPage, WatchPlace } from '../http/backend.ts'
import { placeAfter } from '../http/places.ts'
import type { JsonShape } from '../server/worker-protocol.ts'
import { candidatesOf, type AmongOptions, type Candidate } from './candidates.ts'
import { noOwner } from './coverage.ts'
import { codeOf } from './engine-partitions.ts'
import type { Keepers } from './keepers.ts'
import { takeoverMs, watchLookMs } from './limits.ts'
import { missingSentence, notEvaluated } from './missing.ts'
import type { Missing } from './protocol.ts'

type Pages = AsyncIterable<WatchPage>

/** A partition that is not watched, and why; since when, in monotonic ms. */
interface Lost extends Missing {
  readonly sinceMs: number
}

/** A page on its way to who watches. */
interface Parcel {
  readonly page: WatchPage
  readonly taken: () => void
}

export class ClusterWatch {
  private readonly lost = new Map<number, Lost>()
  /** Those that were watched before, and where each goes on. */
  private readonly begun = new Set<number>()
  private readonly places = new Map<number, WatchPlace>()
  /** Who is watched, and what lets go of it. */
  private readonly followed = new Map<AbortController, string>()
  /** Of these, those that whoever watches was told of. */
  private readonly told = new Set<number>()
  /** Those that are watched again, of which whoever watches is to be told: from where they were, or with something missing. */
  private readonly regained: number[] = []
  private readonly broken: number[] = []
  /** Who was to be watched for a partition and failed, or has forgotten what comes next: others come first. */
  private readonly failed = new Map<number, Set<string>>()
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
    from: readonly WatchPlace[],
    private readonly keepers: Keepers,
    signal: AbortSignal,
  ) {
    this.until = AbortSignal.any([signal, this.ending.signal])
    for (const place of from) this.places.set(place.partition, place)
    for (let partition = 0; partition < options.partitions; partition++) {
      const known = this.places.has(partition)
      this.lost.set(partition, { partition, code: noOwner, sinceMs: known ? options.clock.monotonicMs() : -Infinity })
      // it was missing already where the watch was before
      if (from.length > 0 && !known) this.told.add(partition)
    }
  }

  /** @throws RicciError `NOT_EVALUATED`; what all refused with */
  async begin(): Promise<Pages> {
    this.until.addEventListener('abort', () => this.end(), { once: true })
    await this.keepers.add(this)
    const refused = await this.look()
    if (this.lost.size === this.options.partitions) {
      this.end()
      throw refused ?? notEvaluated([...this.lost.values()], this.lost.size)
    }
    if (!this.until.aborted) this.lookLater()
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
    const broken = watchedAgain(this.broken)
    if (broken !== undefined)
      return { gap: `${broken}; what changed meanwhile is missing`, stale: true, lines: nothing }
    const regained = watchedAgain(this.regained)
    if (regained !== undefined) return { gap: `${regained}, from where it was`, lines: nothing }
    // most are watched on within a takeover, and nothing was missing then
    const { clock, takeoverMs: graceMs = takeoverMs } = this.options
    const longLost = clock.monotonicMs() - graceMs
    const untold = [...this.lost.values()].filter(
      ({ partition, sinceMs }) => sinceMs <= longLost && !this.told.has(partition),
    )
    for (const { partition } of untold) this.told.add(partition)
    const sentence = missingSentence(untold)
    if (sentence === undefined) return undefined
    return { gap: `changes are missing from here on, until they are watched again: ${sentence}`, lines: nothing }
  }

  private lookLater(inMs = watchLookMs): void {
    this.timer?.cancel()
    this.timer = this.options.clock.setTimer(inMs, () => {
      this.timer = undefined
      void this.look().then(() => {
        if (!this.until.aborted) this.lookLater()
      })
    })
  }

  /** Finds somebody for the partitions that are not watched: one question to each who is asked. Gives what somebody refused with. */
  private async look(): Promise<Error | undefined> {
    const { instance, members } = this.options
    const alive = new Set(members().map((member) => member.instance))
    // who is frozen says nothing, and its connection stays
    for (const [leaving, id] of this.followed) if (id !== instance && !alive.has(id)) leaving.abort()
    // of what has been lost for long, whoever watches is told
    this.wake()
    let refused: Error | undefined
    for (let asked = this.questions(true); asked.size > 0; asked = this.questions(false)) {
      await Promise.all(
        Array.from(asked.values(), async ({ candidate, partitions }) => {
          const leaving = new AbortController()
          try {
            const pages = await candidate.ask(partitions, AbortSignal.any([this.until, leaving.signal]))
            void this.follow(pages, partitions, candidate.id, leaving)
          } catch (error) {
            refused = error as Error
            this.lose(partitions, candidate.id, error)
          }
        }),
      )
      if (this.until.aborted) break
    }
    return refused
  }

  /** Whom to ask for what is not watched. @param again also those that have failed, where all have */
  private questions(again: boolean): Map<string, { candidate: Candidate<Pages>; partitions: number[] }> {
    const questions = new Map<string, { candidate: Candidate<Pages>; partitions: number[] }>()
    for (const partition of this.lost.keys()) {
      let candidate = this.untried(partition)
      if (candidate === undefined && again) {
        this.failed.delete(partition)
        candidate = this.untried(partition)
      }
      if (candidate === undefined) continue
      const question = questions.get(candidate.id)
      if (question === undefined) questions.set(candidate.id, { candidate, partitions: [partition] })
      else question.partitions.push(partition)
    }
    return questions
  }

  /** Hands on what one instance tells, until that ends. */
  private async follow(
    pages: Pages,
    partitions: readonly number[],
    id: string,
    leaving: AbortController,
  ): Promise<void> {
    const { clock } = this.options
    const beganMs = clock.monotonicMs()
    this.followed.set(leaving, id)
    for (const partition of partitions) {
      this.lost.delete(partition)
      const told = this.told.delete(partition)
      if (!this.places.has(partition)) {
        if (told || this.begun.has(partition)) this.broken.push(partition)
      } else if (told) this.regained.push(partition)
      this.begun.add(partition)
    }
    this.wake()
    let error: unknown
    let forgotten: number | undefined
    try {
      for await (const page of pages) {
        if (this.until.aborted) return
        if (page.at !== undefined) {
          const { partition } = page.at
          if (page.stale === true && this.untried(partition, id) !== undefined) {
            // another may still know
            forgotten = partition
            break
          }
          this.note(placeAfter(page.at))
        }
        await new Promise<void>((taken) => {
          this.parcels.push({ page, taken })
          this.wake()
        })
        if (this.until.aborted) return
      }
    } catch (failure) {
      error = failure
    }
    this.followed.delete(leaving)
    if (this.until.aborted) return
    this.lose(partitions, id, error, forgotten)
    // at once, but where everybody lets go again
    const lasted = clock.monotonicMs() - beganMs >= watchLookMs
    if ((lasted || forgotten !== undefined) && this.timer !== undefined) this.lookLater(0)
  }

  private note(place: WatchPlace): void {
    const { partition, offset, nth } = place
    const before = this.places.get(partition)
    this.places.set(partition, place)
    // it does go on
    if (before !== undefined && (before.offset !== offset || before.nth !== nth)) this.failed.delete(partition)
  }

  private placesOf(partitions: readonly number[]): WatchPlace[] {
    return partitions.flatMap((partition) => this.places.get(partition) ?? [])
  }

  private candidates(partition: number): readonly Candidate<Pages>[] {
    return candidatesOf<Pages>(this.options, partition, (backend, partitions, signal) =>
      backend.watch({ query: this.query, shape: this.shape, partitions, from: this.placesOf(partitions) }, signal),
    )
  }

  /** The best of those that have not failed. @param but somebody else than that one */
  private untried(partition: number, but?: string): Candidate<Pages> | undefined {
    const failed = this.failed.get(partition)
    return this.candidates(partition).find(({ id }) => id !== but && failed?.has(id) !== true)
  }

  /** @param forgotten the partition of which changes are missing there; otherwise it has failed for all */
  private lose(partitions: readonly number[], id: string, error: unknown, forgotten?: number): void {
    const code = error === undefined ? 'NOT_HERE' : codeOf(error)
    for (const partition of partitions) {
      const sinceMs = this.lost.get(partition)?.sinceMs ?? this.options.clock.monotonicMs()
      this.lost.set(partition, { partition, code, sinceMs })
      if (forgotten !== undefined && forgotten !== partition) continue
      this.failed.set(partition, (this.failed.get(partition) ?? new Set()).add(id))
    }
    this.wake()
  }

  private end(): void {
    this.keepers.delete(this)
    this.timer?.cancel()
    this.ending.abort()
    for (const { taken } of this.parcels.splice(0)) taken()
    this.wake()
  }
}

const nothing = new Uint8Array()

/** Names partitions that are watched again, once. */
function watchedAgain(partitions: number[]): string | undefined {
  const all = partitions.splice(0).sort((a, b) => a - b)
  if (all.length === 0) return undefined
  return `${all.length === 1 ? `partition ${all[0]} is` : `partitions ${all.join(', ')} are`} watched again`
}
