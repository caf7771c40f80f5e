import type { CoordinationPort, Lease } from '@ricci/replica'
import type { Process } from './process.ts'
import type { World } from './world.ts'

/** How long after a holder's death its lease lapses: a session's TTL. */
const sessionTtlMs = { least: 1_000, most: 6_000 }

/** A question to the store and its answer. */
const questionMs = 10

/**
 * The coordination store: one lease per partition, given to one campaigner at a time, moved on when the holder's process dies.
 * Its faults: it is away (nobody hears of a change, nothing is given), it takes a lease away, and it gives a lease to another
 * while the old holder has not heard of its loss yet.
 */
export class SimCoordination {
  readonly #partitions: PartitionLease[]
  /** Told when nobody holds a lease any more, be it for a moment. */
  onFree: (partition: number) => void = () => undefined

  constructor(
    readonly world: World,
    partitions: number,
  ) {
    this.#partitions = Array.from({ length: partitions }, (_, i) => new PartitionLease(world, i, () => this.onFree(i)))
  }

  connect(process: Process): CoordinationPort {
    const campaigners: Campaigner[] = []
    return {
      campaign: (partition, onChange, signal) => {
        if (!process.alive || signal.aborted) return
        const campaigner: Campaigner = { process, onChange, notBeforeMs: 0 }
        campaigners.push(campaigner)
        const lease = this.#partitions[partition]
        lease.join(campaigner)
        signal.addEventListener('abort', () => lease.leave(campaigner), { once: true })
      },
      isHeld: (partition) =>
        new Promise((resolve) => {
          const lease = this.#partitions[partition]
          if (lease.isAway) return
          process.deliverAfter(questionMs, () => resolve(lease.holderName !== undefined))
        }),
      close: () => {
        for (const campaigner of campaigners) for (const lease of this.#partitions) lease.leave(campaigner)
        return Promise.resolve()
      },
    }
  }

  /** Nothing is given and nobody hears anything while the store is away. */
  setAway(away: boolean): void {
    for (const lease of this.#partitions) lease.setAway(away)
  }

  /** Takes the lease from its holder; another may get it, or the same one again. Gives the holder's name. */
  takeAway(partition: number): string | undefined {
    return this.#partitions[partition].takeAway()
  }

  /** Gives the lease to another while the holder believes in it for `ms` longer. Gives the name of the old holder. */
  giveToAnother(partition: number, ms: number): string | undefined {
    return this.#partitions[partition].giveToAnother(ms)
  }

  /** Whether the store, asked now, would say that another process than this holds the lease. */
  isElsewhere(partition: number, process: string): boolean {
    const lease = this.#partitions[partition]
    return !lease.isAway && lease.holderName !== undefined && lease.holderName !== process
  }

  holder(partition: number): string | undefined {
    return this.#partitions[partition].holderName
  }
}

interface Campaigner {
  readonly process: Process
  readonly onChange: (lease: Lease | undefined) => void
  /** Not given the lease before this time: it just lost it. */
  notBeforeMs: number
}

class PartitionLease {
  readonly #campaigners: Campaigner[] = []
  #holder: Campaigner | undefined
  #away = false
  #token = 0

  constructor(
    private readonly world: World,
    private readonly index: number,
    private readonly onFree: () => void,
  ) {}

  get holderName(): string | undefined {
    return this.#holder?.process.name
  }

  get isAway(): boolean {
    return this.#away
  }

  join(campaigner: Campaigner): void {
    this.#campaigners.push(campaigner)
    this.#elect(this.world.random.between(1, 500))
  }

  leave(campaigner: Campaigner): void {
    const at = this.#campaigners.indexOf(campaigner)
    if (at < 0) return
    this.#campaigners.splice(at, 1)
    if (this.#holder !== campaigner) return
    this.#free()
    this.#elect(this.world.random.between(1, 100))
  }

  setAway(away: boolean): void {
    this.#away = away
    if (!away) this.#elect(this.world.random.between(1, 1_000))
  }

  takeAway(): string | undefined {
    const holder = this.#holder
    if (holder === undefined || this.#away) return undefined
    this.#free()
    holder.notBeforeMs = this.world.nowMs + this.world.random.between(0, 4_000)
    this.#tell(holder, undefined, this.world.random.between(1, 50))
    this.#elect(this.world.random.between(1, 500))
    return holder.process.name
  }

  giveToAnother(ms: number): string | undefined {
    const holder = this.#holder
    if (holder === undefined || this.#away || this.#campaigners.length < 2) return undefined
    this.#free()
    holder.notBeforeMs = this.world.nowMs + ms + 1_000
    this.#tell(holder, undefined, ms)
    this.#elect(1)
    return holder.process.name
  }

  /** A dead holder is found dead only when its session lapses; a stopped one, too, unless it goes on before. */
  watch(campaigner: Campaigner): void {
    const ttlMs = this.world.random.between(sessionTtlMs.least, sessionTtlMs.most)
    let missingSinceMs: number | undefined
    const look = (): void => {
      if (this.#holder !== campaigner) return
      if (campaigner.process.running) missingSinceMs = undefined
      else missingSinceMs ??= this.world.nowMs
      if (missingSinceMs !== undefined && this.world.nowMs - missingSinceMs >= ttlMs && !this.#away) {
        this.#free()
        if (campaigner.process.alive) this.#tell(campaigner, undefined, 1)
        else this.#campaigners.splice(this.#campaigners.indexOf(campaigner), 1)
        return this.#elect(1)
      }
      this.world.after(250, look)
    }
    look()
  }

  #free(): void {
    this.#holder = undefined
    this.onFree()
  }

  #elect(delayMs: number): void {
    this.world.after(delayMs, () => {
      if (this.#holder !== undefined || this.#away) return
      const now = this.world.nowMs
      const able = this.#campaigners.filter(({ process, notBeforeMs }) => process.running && notBeforeMs <= now)
      if (able.length === 0) {
        if (this.#campaigners.length > 0) this.#elect(500)
        return
      }
      const chosen = this.world.random.pick(able)
      this.#holder = chosen
      const token = `${this.index}-${++this.#token}`
      this.world.trace.add('store', `lease of p${this.index} to ${chosen.process.name}`)
      this.#tell(chosen, { partition: this.index, token }, this.world.random.between(1, 20))
      this.watch(chosen)
    })
  }

  #tell(campaigner: Campaigner, lease: Lease | undefined, delayMs: number): void {
    campaigner.process.deliverAfter(delayMs, () => {
      if (this.#campaigners.includes(campaigner)) campaigner.onChange(lease)
    })
  }
}
