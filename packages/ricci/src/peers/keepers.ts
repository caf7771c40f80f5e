/**
 * As long as anybody watches here, whoever holds a partition keeps its changes: who is watched on after an owner's death has then what came since the last page
 * that was told. An engine keeps none while nobody reads (`ChangeRing`), so each instance is read by one whom nothing matches.
 */
import type { Timer } from '@ricci/replica'
import { candidatesOf, type AmongOptions, type Candidate } from './candidates.ts'
import { watchLookMs } from './limits.ts'
import type { WatchPage } from '../http/backend.ts'

/** Matches no event. */
const nothing = 'false'

type Pages = AsyncIterable<WatchPage>

/** Reads at all that hold partitions, while there are watchers. */
export class Keepers {
  private readonly watchers = new Set<object>()
  private timer: Timer | undefined
  /** By instance: the partitions that are read there, and what ends that. */
  private readonly kept = new Map<string, { readonly partitions: string; readonly ending: AbortController }>()

  constructor(private readonly options: AmongOptions) {}

  /** One more watches. */
  add(watcher: object): void {
    this.watchers.add(watcher)
    if (this.timer === undefined) this.look()
  }

  /** It watches no more. Idempotent. */
  delete(watcher: object): void {
    if (!this.watchers.delete(watcher) || this.watchers.size > 0) return
    this.timer?.cancel()
    this.timer = undefined
    for (const { ending } of this.kept.values()) ending.abort()
    this.kept.clear()
  }

  private look(): void {
    const holders = new Map<string, { readonly candidate: Candidate<Pages>; readonly partitions: number[] }>()
    for (let partition = 0; partition < this.options.partitions; partition++) {
      const candidates = candidatesOf<Pages>(this.options, partition, (backend, partitions, signal) =>
        backend.watch({ query: nothing, shape: 'json', partitions }, signal),
      )
      // of a single one nobody takes over
      for (const candidate of candidates.length > 1 ? candidates : []) {
        const holder = holders.get(candidate.id)
        if (holder === undefined) holders.set(candidate.id, { candidate, partitions: [partition] })
        else holder.partitions.push(partition)
      }
    }
    for (const [id, { partitions, ending }] of this.kept) {
      if (holders.get(id)?.partitions.join() !== partitions) ending.abort()
    }
    for (const { candidate, partitions } of holders.values()) void this.read(candidate, partitions)
    this.timer = this.options.clock.setTimer(watchLookMs, () => this.look())
  }

  /** Until that ends, or other partitions are to be read there. */
  private async read(candidate: Candidate<Pages>, partitions: readonly number[]): Promise<void> {
    if (this.kept.get(candidate.id)?.ending.signal.aborted === false) return
    const ending = new AbortController()
    const entry = { partitions: partitions.join(), ending }
    this.kept.set(candidate.id, entry)
    try {
      const reading = (await candidate.ask(partitions, ending.signal))[Symbol.asyncIterator]()
      while ((await reading.next()).done !== true);
    } catch {
      // it is looked for again
    } finally {
      ending.abort()
      if (this.kept.get(candidate.id) === entry) this.kept.delete(candidate.id)
    }
  }
}
