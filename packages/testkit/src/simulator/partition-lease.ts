import type { Lease } from '@ricci/replica'
import type { Process } from './process.ts'
import type { World } from './world.ts'

/** How long after the death of a holder that is no member its lease lapses: a session's TTL. */
const sessionTtlMs = { least: 1_000, most: 6_000 }

/** How long a lease that was handed over waits for whom it was handed to, and how long who gave it stays back. */
const successorsChanceMs = 2_000

/** How often who might be given a free lease is looked at anew. */
const againMs = 500

/** How long after a member's session has lapsed what it held is given: others have been shown by then that it left. */
const afterLapseMs = 35

/** Who wants a partition's lease. */
export interface Campaigner {
  readonly process: Process
  readonly instance: string
  readonly onChange: (lease: Lease | undefined) => void
  /** How long it leaves a free lease to others. */
  readonly holdBackMs: () => number
  /** Not given the lease before this time: it just lost it. */
  notBeforeMs: number
  /** What the store tells it comes in the order in which it happened: nothing before this time. */
  toldMs: number
  /** Whether the store knows of a session of its, which is what a lease is given under. */
  readonly hasSession: () => boolean
  /** It is a member: its leases lapse with its session. */
  session: boolean
}

/** The way between the store and a process. */
export interface StoreWay {
  /** Whether the store sees signs of life of it. */
  isHeard(process: Process): boolean
  /** Tells it something, when the way allows. */
  tell(process: Process, delayMs: number, what: () => void): void
}

/** The lease of one partition. */
export class PartitionLease {
  readonly #campaigners: Campaigner[] = []
  #holder: Campaigner | undefined
  #away = false
  #token = 0
  #freeSinceMs = 0
  #successor: { readonly instance: string; readonly untilMs: number } | undefined

  constructor(
    private readonly world: World,
    private readonly index: number,
    private readonly onFree: () => void,
    private readonly way: StoreWay,
  ) {}

  get holderName(): string | undefined {
    return this.#holder?.process.name
  }

  get holder(): Campaigner | undefined {
    return this.#holder
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

  /** Somebody holds back less, or more, than before. */
  preferred(): void {
    if (this.#holder === undefined && this.#campaigners.length > 0) this.#elect(1)
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

  /** The store has forgotten everything: who held it hears of that, sooner or later. */
  wipe(): void {
    this.#token = 0
    this.#successor = undefined
    const holder = this.#holder
    if (holder !== undefined) {
      this.#free()
      this.#tell(holder, undefined, this.world.random.between(1, 2_000))
    }
    this.#elect(this.world.random.between(1, 1_500))
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

  /** Frees the lease for one instance before all others; who held it stays back. */
  handOver(from: Campaigner, to: string): void {
    if (this.#holder !== from || this.#away || !from.process.running) return
    this.#free()
    this.world.exercise('handed over')
    this.#successor = { instance: to, untilMs: this.world.nowMs + successorsChanceMs }
    from.notBeforeMs = this.world.nowMs + successorsChanceMs
    this.#tell(from, undefined, 1)
    this.#elect(this.world.random.between(1, 100))
  }

  /** A campaigner's session is no more. */
  lapse(campaigner: Campaigner): void {
    if (!campaigner.process.alive) this.#remove(campaigner)
    if (this.#holder !== campaigner) return
    this.#free()
    if (campaigner.process.alive) this.#tell(campaigner, undefined, 1)
    this.#elect(afterLapseMs)
  }

  /** A dead holder is found dead only when its session lapses; a stopped one, too, unless it goes on before. */
  watch(campaigner: Campaigner): void {
    const ttlMs = this.world.random.between(sessionTtlMs.least, sessionTtlMs.most)
    let missingSinceMs: number | undefined
    const look = (): void => {
      if (this.#holder !== campaigner || campaigner.session) return
      if (this.way.isHeard(campaigner.process)) missingSinceMs = undefined
      else missingSinceMs ??= this.world.nowMs
      if (missingSinceMs !== undefined && this.world.nowMs - missingSinceMs >= ttlMs && !this.#away) {
        this.#free()
        if (campaigner.process.alive) this.#tell(campaigner, undefined, 1)
        else this.#remove(campaigner)
        return this.#elect(1)
      }
      this.world.after(250, look)
    }
    look()
  }

  #free(): void {
    this.#holder = undefined
    this.#freeSinceMs = this.world.nowMs
    this.onFree()
  }

  #elect(delayMs: number): void {
    this.world.after(delayMs, () => {
      if (this.#holder !== undefined || this.#away) return
      const now = this.world.nowMs
      const able = this.#able(now)
      if (able.length === 0) {
        if (this.#campaigners.length > 0) this.#elect(againMs)
        return
      }
      const chosen = this.world.random.pick(able)
      this.#holder = chosen
      this.#successor = undefined
      const token = `${this.index}-${++this.#token}`
      this.world.trace.add('store', `lease of p${this.index} to ${chosen.process.name}`)
      this.#tell(chosen, { partition: this.index, token }, this.world.random.between(1, 20))
      this.watch(chosen)
    })
  }

  /** Those who would get it next: who holds back more comes after them. */
  #able(now: number): Campaigner[] {
    const able = this.#campaigners.filter(
      ({ process, notBeforeMs, hasSession }) => this.way.isHeard(process) && hasSession() && notBeforeMs <= now,
    )
    if (this.#successor !== undefined && now < this.#successor.untilMs) {
      return able.filter(({ instance }) => instance === this.#successor!.instance)
    }
    const leastMs = Math.min(...able.map(({ holdBackMs }) => holdBackMs()))
    return able.filter(({ holdBackMs }) => holdBackMs() === leastMs && this.#freeSinceMs + leastMs <= now)
  }

  #remove(campaigner: Campaigner): void {
    const at = this.#campaigners.indexOf(campaigner)
    if (at >= 0) this.#campaigners.splice(at, 1)
  }

  #tell(campaigner: Campaigner, lease: Lease | undefined, delayMs: number): void {
    const { nowMs } = this.world
    campaigner.toldMs = Math.max(nowMs + delayMs, campaigner.toldMs)
    this.way.tell(campaigner.process, campaigner.toldMs - nowMs, () => {
      if (this.#campaigners.includes(campaigner)) campaigner.onChange(lease)
    })
  }
}
