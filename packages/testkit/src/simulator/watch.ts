import type { Engine, SkipRecord } from '@ricci/engine'
import type { StoredRecord } from '@ricci/replica'
import { sameSkip, skipOf } from './oracle/referee.ts'
import type { Verdict } from './oracle/verdict.ts'
import type { World } from './world.ts'

/** Replicas' hashes are compared at every so many ticks, all of their state at every so many. */
const hashTicks = 20
const stateTicks = 40

/** What is overheard of replicas while they run, judged on the spot: one owner per epoch, one hash per offset, no failure. */
export class Watch {
  readonly verdicts: Verdict[] = []
  /** Owners seen, over all partitions: each but a partition's first is a takeover. */
  owners = 0
  /** By partition: each skip, with the first record that says it. */
  readonly #skips: { readonly skip: SkipRecord; readonly at: number }[][] = []
  readonly #owners = new Map<string, string>()
  readonly #hashes = new Map<string, { readonly who: string; readonly text: string }>()

  constructor(private readonly world: World) {}

  owning(partition: number, epoch: number, who: string): void {
    const key = `p${partition} epoch ${epoch}`
    const before = this.#owners.get(key)
    if (before === undefined) {
      this.owners++
      this.#owners.set(key, who)
    } else if (before !== who) {
      this.say('two owners', `${key} is owned by ${before} and by ${who}`)
    }
  }

  failed(partition: number, who: string, message: string): void {
    this.say('replica failed', `p${partition} of ${who}: ${message}`)
  }

  say(kind: Verdict['kind'], text: string): void {
    this.world.trace.add('oracle', `${kind}: ${text}`)
    if (!this.verdicts.some((verdict) => verdict.text === text)) this.verdicts.push({ kind, text })
  }

  /** A record of the log. */
  written(partition: number, record: StoredRecord): void {
    const skip = skipOf(record)
    const skips = (this.#skips[partition] ??= [])
    if (skip === undefined || skips.some((known) => sameSkip(known.skip, skip))) return
    skips.push({ skip, at: record.offset })
    this.world.exercise('skip')
  }

  /** Makes an engine tell its hashes at every {@link hashTicks}th tick, as it stands after applying it. */
  overhear(
    engine: Engine,
    partition: number,
    who: string,
    skips: readonly SkipRecord[],
    /** One that was made to go wrong differs, which replicas have to find out by themselves. */
    way: { readonly isAstray: boolean } = { isAstray: false },
  ): Engine {
    const apply = engine.apply.bind(engine)
    engine.apply = (offset, bytes, checksum) => {
      const tick = engine.lastTick
      apply(offset, bytes, checksum)
      if (engine.lastTick === tick || engine.lastTick % hashTicks !== 0 || way.isAstray) return
      const { input, decisions } = engine.hashes()
      this.#compare(
        `p${partition} offset ${offset}${this.#disputed(partition, offset, skips)}`,
        who,
        `${input} ${decisions} ${engine.lastTick % stateTicks === 0 ? engine.stateHash() : ''}`,
      )
    }
    return engine
  }

  /** From a skipped event up to its skip, who knows of the skip and who does not are both right. */
  #disputed(partition: number, offset: number, known: readonly SkipRecord[]): string {
    return (this.#skips[partition] ?? [])
      .filter(({ skip, at }) => skip.offset <= offset && at > offset && known.some((other) => sameSkip(other, skip)))
      .map(({ skip }) => ` without ${skip.offset}.${skip.event} ${skip.branch}`)
      .join()
  }

  #compare(at: string, who: string, text: string): void {
    const first = this.#hashes.get(at)
    if (first === undefined) {
      this.#hashes.set(at, { who, text })
      return
    }
    this.world.exercise('hashes compared')
    if (first.text !== text) this.say('hashes differ', `at ${at} ${first.who} has ${first.text}, ${who} has ${text}`)
  }
}
