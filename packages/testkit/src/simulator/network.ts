import type { SeededRandom } from '../random.ts'
import type { World } from './world.ts'

/** How long a message is on its way where nothing is wrong. */
const transitMs = { least: 0.2, most: 3 }

/**
 * The links between machines (instances, brokers, the store), each direction by itself: cut in one or both, or slow. What a connection has
 * under way on a cut link arrives once that is whole again, as TCP has it.
 */
export class SimNetwork {
  /** By direction: how many cuts it has, and how much longer than usual a message takes. */
  readonly #cuts = new Map<string, number>()
  readonly #slow = new Map<string, number>()
  #waiting: (() => void)[] = []

  constructor(readonly world: World) {}

  /** Gives what undoes it. */
  cut(from: string, to: string): () => void {
    const key = `${from}>${to}`
    this.#cuts.set(key, (this.#cuts.get(key) ?? 0) + 1)
    this.#changed()
    return () => {
      this.#cuts.set(key, this.#cuts.get(key)! - 1)
      this.#changed()
    }
  }

  /** Gives what undoes it. */
  slow(from: string, to: string, ms: number): () => void {
    const key = `${from}>${to}`
    this.#slow.set(key, (this.#slow.get(key) ?? 0) + ms)
    return () => void this.#slow.set(key, this.#slow.get(key)! - ms)
  }

  isCut(from: string, to: string): boolean {
    return (this.#cuts.get(`${from}>${to}`) ?? 0) > 0
  }

  /** Whether each hears the other. */
  reaches(one: string, other: string): boolean {
    return !this.isCut(one, other) && !this.isCut(other, one)
  }

  delayMs(from: string, to: string): number {
    return this.#slow.get(`${from}>${to}`) ?? 0
  }

  /** Calls once when a link has changed. */
  whenChanged(callback: () => void): void {
    this.#waiting.push(callback)
  }

  #changed(): void {
    // in a step of their own: whoever cuts several links cuts them at one moment
    for (const callback of this.#waiting.splice(0)) this.world.after(0, callback)
  }
}

/** What the network calls the store of coordination. */
export const storeName = 'store'

/** What the network calls the machine that a process runs on. */
export function machineOf(process: { readonly name: string }): string {
  const at = process.name.indexOf('#')
  return at < 0 ? process.name : process.name.slice(0, at)
}

/** One direction of a connection: what is put in comes out in order, and no more of it once it was closed. */
export class Pipe {
  #queue: { readonly dueMs: number; readonly callback: () => void }[] = []
  #moving = false
  #closed = false

  constructor(
    private readonly network: SimNetwork,
    private readonly random: SeededRandom,
    private readonly from: string,
    private readonly to: string,
    /** Runs what arrived at its end: now, later, or never. */
    private readonly deliver: (callback: () => void) => void,
  ) {}

  send(callback: () => void): void {
    const { network, random, from, to } = this
    const delayMs = random.between(transitMs.least, transitMs.most) + network.delayMs(from, to)
    this.#queue.push({ dueMs: network.world.nowMs + delayMs, callback })
    this.#move()
  }

  close(): void {
    this.#closed = true
    this.#queue = []
  }

  #move(): void {
    if (this.#moving || this.#closed || this.#queue.length === 0) return
    this.#moving = true
    this.network.world.after(this.#queue[0].dueMs - this.network.world.nowMs, () => this.#arrive())
  }

  #arrive(): void {
    if (this.#closed) return
    if (this.network.isCut(this.from, this.to)) return this.network.whenChanged(() => this.#arrive())
    this.deliver(() => {
      this.#moving = false
      const { nowMs } = this.network.world
      while (!this.#closed && this.#queue.length > 0 && this.#queue[0].dueMs <= nowMs) this.#queue.shift()!.callback()
      this.#move()
    })
  }
}
