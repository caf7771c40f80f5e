/**
 * As long as anybody watches here, whoever holds a partition keeps its changes: who is watched on after an owner's death has then what came since the last page
 * that was told. An engine keeps none while nobody reads (`ChangeRing`), so each instance is read by one whom nothing matches.
 */
import type { Timer } from '@ricci/replica'
import { candidatesOf, type AmongOptions, type Candidate } from './candidates.ts'
import { keptSoonMs, watchLookMs } from './limits.ts'
import type { WatchPage } from '../http/backend.ts'

/** Matches no event. */
const nothing = 'false'

type Pages = AsyncIterable<WatchPage>

/** Reads at all that hold partitions, while there are watchers. */
export class Keepers {
  private readonly watchers = new Set<object>()
  private timer: Timer | undefined
  private begun: Promise<void> = Promise.resolve()
  /** By instance: the partitions that are read there, and what ends that. */
  private readonly kept = new Map<string, { readonly partitions: string; readonly ending: AbortController }>()

  constructor(private readonly options: AmongOptions) {}

  /** One more watches. Resolves once it is read wherever that was soon to be had: places from then on are kept by others as well. */
  async add(watcher: object): Promise<void> {
    this.watchers.add(watcher)
    if (this.timer === undefined) this.begun = this.before(this.look())
    await this.begun
  }

  /** It watches no more. Idempotent. */
  delete(watcher: object): void {
    if (!this.watchers.delete(watcher) || this.watchers.size > 0) return
    this.timer?.cancel()
    this.timer = undefined
    for (const { ending } of this.kept.values()) ending.abort()
    this.kept.clear()
  }

  /** Resolves when all have answered. */
  private look(): Promise<unknown> {
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
    this.timer = this.options.clock.setTimer(watchLookMs, () => void this.look())
    return Promise.all(Array.from(holders.values(), ({ candidate, partitions }) => this.read(candidate, partitions)))
  }

  private before(answered: Promise<unknown>): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.options.clock.setTimer(keptSoonMs, resolve)
      void answered.then(() => {
        timer.cancel()
        resolve()
      })
    })
  }

  /** Until that ends, or other partitions are to be read there. Resolves when it has begun, or cannot. */
  private async read({ id, ask }: Candidate<Pages>, partitions: readonly number[]): Promise<void> {
    if (this.kept.get(id)?.ending.signal.aborted === false) return
    const ending = new AbortController()
    const entry = { partitions: partitions.join(), ending }
    this.kept.set(id, entry)
    const end = (): void => {
      ending.abort()
      // it is looked for again
      if (this.kept.get(id) === entry) this.kept.delete(id)
    }
    try {
      void readOut(await ask(partitions, ending.signal)).finally(end)
    } catch {
      end()
    }
  }
}

async function readOut(pages: Pages): Promise<void> {
  try {
    const reading = pages[Symbol.asyncIterator]()
    while ((await reading.next()).done !== true);
  } catch {
    // whoever is read there may go away
  }
}
