import type { Clock, Timer } from '@ricci/replica'
import { maxLagBytes, maxLagMs } from './limits.ts'

/** How far the engine is, as far as this process can see. */
export interface Progress {
  /** Offset of the last record applied, -1 before the first. */
  appliedOffset(): number
  /** Whether an owner is ticking: without one, acks go on up to the log's byte cap. */
  ownerTicking(): boolean
}

/** While acks are held, how often progress is looked at: a fiftieth of the lag that holds them would do, this is smoother. */
const lookMs = 20

/**
 * Entries that are kept, at most: where an engine is away for hours and acks go on, groups come by the million. Whenever so many are reached, each two
 * become one, and later ones hold as many groups; until few are left again, so that an engine that has caught up is seen to be there.
 */
const maxEntries = 1_024
const fewEntries = maxEntries / 4

/** Groups that are durable and not applied: up to an offset, as old as the oldest record of them. */
interface Entry {
  readonly end: number
  readonly bytes: number
  readonly atMs: number
}

/**
 * Overload is met before the log: acks can outrun the engine, so they are held back while it lags by 5 s or 64 MB
 * (DESIGN 6). Groups are let go in the order they came.
 */
export class LagGate {
  /** Groups durable and not applied, oldest first. */
  private unapplied: Entry[] = []
  /** Groups that an entry holds, and that the newest one has. */
  private grain = 1
  private filled = 0
  private unappliedHead = 0
  private lagging = 0
  private readonly held: { readonly release: () => void; readonly messages: number }[] = []
  private timer: Timer | undefined
  heldMessages = 0

  /** @param progress undefined as long as this process knows nothing of the engine: then nothing is held back */
  constructor(
    private readonly progress: () => Progress | undefined,
    private readonly clock: Clock,
  ) {}

  /** Bytes that this process appended and the engine has not applied. */
  get lagBytes(): number {
    this.look()
    return this.lagging
  }

  /** Entries that are kept of what is not applied. */
  get entries(): number {
    return this.unapplied.length - this.unappliedHead
  }

  /** Age of the oldest record that this process appended and the engine has not applied, milliseconds. */
  get lagMs(): number {
    this.look()
    const oldest = this.unapplied[this.unappliedHead]
    return oldest === undefined ? 0 : this.clock.monotonicMs() - oldest.atMs
  }

  /**
   * A group is durable up to `lastOffset`: calls `release` at once, or when the engine has caught up.
   * @param lastOffset undefined where the log does not tell: nothing can wait for it
   */
  durable(lastOffset: number | undefined, bytes: number, messages: number, release: () => void): void {
    if (lastOffset === undefined || this.progress() === undefined) return release()
    this.add({ end: lastOffset, bytes, atMs: this.clock.monotonicMs() })
    this.lagging += bytes
    if (this.held.length === 0 && !this.behind()) return release()
    this.held.push({ release, messages })
    this.heldMessages += messages
    this.timer ??= this.clock.setTimer(lookMs, this.poll)
  }

  /** Forgets what is held: connections are gone. */
  close(): void {
    this.timer?.cancel()
    this.timer = undefined
    this.held.length = 0
    this.heldMessages = 0
  }

  private readonly poll = (): void => {
    this.timer = undefined
    while (this.held.length > 0 && !this.behind()) {
      const { release, messages } = this.held.shift()!
      this.heldMessages -= messages
      release()
    }
    if (this.held.length > 0) this.timer = this.clock.setTimer(lookMs, this.poll)
  }

  private behind(): boolean {
    return (this.lagBytes > maxLagBytes || this.lagMs > maxLagMs) && this.progress()!.ownerTicking()
  }

  private add(group: Entry): void {
    if (this.entries <= fewEntries) this.grain = 1
    if (this.entries > 0 && this.filled < this.grain) {
      this.unapplied.push(joined(this.unapplied.pop()!, group))
      this.filled++
      return
    }
    this.unapplied.push(group)
    this.filled = 1
    if (this.entries >= maxEntries) this.coarsen()
  }

  /** Half as many entries: what one holds counts as not applied until the last of it is. */
  private coarsen(): void {
    const before = this.unapplied.slice(this.unappliedHead)
    this.unapplied = []
    this.unappliedHead = 0
    for (let i = 0; i < before.length; i += 2) this.unapplied.push(joined(before[i], before[i + 1]))
    this.filled += this.grain
    this.grain *= 2
  }

  private look(): void {
    const progress = this.progress()
    if (progress === undefined) {
      this.unapplied = []
      this.unappliedHead = this.lagging = 0
      return
    }
    const applied = progress.appliedOffset()
    while (this.unappliedHead < this.unapplied.length && this.unapplied[this.unappliedHead].end <= applied) {
      this.lagging -= this.unapplied[this.unappliedHead++].bytes
    }
    // forget the applied ones when they are most of the list: amortised constant, no array is shifted
    if (this.unappliedHead > 1024 || this.unappliedHead === this.unapplied.length) {
      this.unapplied.splice(0, this.unappliedHead)
      this.unappliedHead = 0
    }
  }
}

function joined(older: Entry, newer: Entry): Entry {
  return { end: newer.end, bytes: older.bytes + newer.bytes, atMs: older.atMs }
}
