import type { Attempt, PendingPage } from '@ricci/engine'
import { digestSizeLimit, retryAfterLimitMs, sendsAtOnce } from '../limits.ts'
import type { Clock, Random, SendResult, Timer } from '../ports.ts'
import type { Receiver } from '../options.ts'
import { retryDelayMs } from './backoff.ts'
import { Heap } from './heap.ts'
import { verdictOn, type Circumstances } from './verdict.ts'

/** What a queue asks of the delivery it belongs to. */
export interface QueueOwner {
  readonly epoch: number
  readonly claimedAtMs: number
  /** Pages that waited for so long go together. */
  readonly digestAgeMs: number
  page(id: string): Readonly<PendingPage> | undefined
  quietAtMs(page: string): number
  /** Whether a digest of what waited can stand for the page. */
  canBeMember(page: Readonly<PendingPage>): boolean
  /** The log's calendar: the age of pages is judged by it. */
  calendarMs(): number
  /** Writes an attempt; `ended` is called exactly once, when nothing of it is under way and its outcome stands in the log. */
  begin(queue: ReceiverQueue, pages: readonly Readonly<PendingPage>[], possibleRepeat: boolean): void
  /** Writes an outcome for an attempt that will not be made. */
  settle(queue: ReceiverQueue, page: Readonly<PendingPage>, attempt: Attempt, as: 'give-up' | 'disown'): void
}

/** A page that waits. It stands in at most one of the queue's structures; busy, in none. */
interface Waiting {
  readonly id: string
  /** Its place in the order of decisions. */
  readonly place: number
  /** Something of it is under way. */
  busy: boolean
  /** Monotonic time before which nothing is to be done about it, while it is among those for later. */
  untilMs: number
  /** The page that must be settled first, while it is among those that hold. */
  heldBy: string | undefined
  /** Its wall time of retry as a monotonic one, worked out once. */
  notBefore: { readonly retryAtMs: number; readonly atMs: number } | undefined
}

/**
 * The pages of one receiver, in the order of their decisions. Each receiver has its own: one that hangs or refuses delays no
 * other. While a receiver fails, one page at a time finds out whether it works again; a page that alone fails does not hold up
 * those behind it.
 *
 * Nothing is looked at that did not change: a page waits to be judged (in the order of decisions), or for its time, or for
 * another page, or for what is under way of it. A look at all of them per settlement was 0.8 ms at 10,000 pages, 8 s of CPU for
 * the way through such a queue.
 */
export class ReceiverQueue {
  readonly name: string
  readonly #receiver: () => Receiver
  readonly #owner: QueueOwner
  readonly #clock: Clock
  readonly #random: Random
  /** In the order of their decisions. */
  readonly #waiting = new Map<string, Waiting>()
  /** Those about which something may be to be done now. */
  readonly #ready = new Heap<Waiting>((page) => page.place)
  readonly #later = new Heap<Waiting>((page) => page.untilMs)
  /** By the page that must be settled first. */
  readonly #held = new Map<string, Set<Waiting>>()
  #places = 0
  #open = 0
  #failures = 0
  #pausedUntilMs = 0
  #timer: Timer | undefined
  #stopped = false
  /** As configured when the pages for later were judged. */
  #judgedFor: Receiver | undefined

  constructor(name: string, receiver: () => Receiver, owner: QueueOwner, clock: Clock, random: Random) {
    this.name = name
    this.#receiver = receiver
    this.#owner = owner
    this.#clock = clock
    this.#random = random
  }

  /** As configured now: a reload may have changed it. */
  get receiver(): Receiver {
    return this.#receiver()
  }

  /** Failures in a row; 0 while it works. */
  get failures(): number {
    return this.#failures
  }

  /** A page that is new or has changed. */
  add(id: string): void {
    let page = this.#waiting.get(id)
    if (page === undefined) {
      const place = this.#places++
      page = { id, place, busy: false, untilMs: 0, heldBy: undefined, notBefore: undefined }
      this.#waiting.set(id, page)
    }
    this.#judgeAgain(page)
  }

  /** A page was settled, one of this receiver's or another's. */
  settled(id: string): void {
    const page = this.#waiting.get(id)
    if (page !== undefined) {
      this.#takeOut(page)
      this.#waiting.delete(id)
    }
    for (const held of this.#held.get(id) ?? []) this.#judgeAgain(held)
  }

  /** A digest that came into being with the attempt that is under way of it. */
  hold(id: string): void {
    const page = this.#waiting.get(id)!
    this.#takeOut(page)
    page.busy = true
  }

  /** Begins whatever may begin now, and sets a timer for what may later. */
  pump(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#stopped) return
    const nowMs = this.#clock.monotonicMs()
    if (nowMs < this.#pausedUntilMs) return this.#wakeAt(this.#pausedUntilMs, nowMs)
    this.#timeHasCome(nowMs)
    const slots = this.#failures > 0 ? 1 : sendsAtOnce
    for (let next = this.#ready.first(); next !== undefined; next = this.#ready.first()) {
      if (this.#open >= slots) return
      this.#judge(next, nowMs)
    }
    const next = this.#later.first()
    if (next !== undefined) this.#wakeAt(next.untilMs, nowMs)
  }

  /** How long a failed page waits for its next try. */
  retryDelayMs(page: Readonly<PendingPage>, result: SendResult): number {
    const failures = page.attempts.filter((attempt) => attempt.epoch === this.#owner.epoch).length
    return retryDelayMs(Math.max(1, failures), this.#random, retryAfterMs(result))
  }

  /** A request has ended: whether the receiver works is known again. */
  heard(result: SendResult): void {
    if (result.kind === 'delivered' || result.kind === 'refused') {
      this.#failures = 0
      this.#pausedUntilMs = 0
      return
    }
    this.#failures++
    this.#pausedUntilMs = this.#clock.monotonicMs() + retryDelayMs(this.#failures, this.#random, retryAfterMs(result))
  }

  /** Nothing of these pages is under way any more, and maybe a place for a request is free. */
  release(pages: readonly string[], place: boolean): void {
    for (const id of pages) {
      const page = this.#waiting.get(id)
      if (page === undefined) continue
      page.busy = false
      this.#judgeAgain(page)
    }
    if (place) this.#open--
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#timer = undefined
  }

  // ---- Who waits for what

  #judgeAgain(page: Waiting): void {
    if (page.busy) return
    this.#takeOut(page)
    this.#ready.add(page)
  }

  #takeOut(page: Waiting): void {
    this.#ready.delete(page)
    this.#later.delete(page)
    if (page.heldBy === undefined) return
    const held = this.#held.get(page.heldBy)!
    held.delete(page)
    if (held.size === 0) this.#held.delete(page.heldBy)
    page.heldBy = undefined
  }

  /** Those whose time has come; all of them where the receiver was configured anew, because its class decides how long they wait. */
  #timeHasCome(nowMs: number): void {
    const { receiver } = this
    const all = receiver !== this.#judgedFor
    this.#judgedFor = receiver
    for (let next = this.#later.first(); next !== undefined; next = this.#later.first()) {
      if (!all && next.untilMs > nowMs) return
      this.#judgeAgain(next)
    }
  }

  /** Takes it out of those that are ready, whatever the verdict. */
  #judge(waiting: Waiting, nowMs: number): void {
    const page = this.#owner.page(waiting.id)
    if (page === undefined) return this.settled(waiting.id)
    const verdict = verdictOn(page, this.#circumstances(page, waiting, nowMs))
    if (verdict.do === 'attempt') return this.#begin(page, verdict.possibleRepeat)
    this.#takeOut(waiting)
    if (verdict.do === 'wait') {
      waiting.untilMs = verdict.untilMs
      this.#later.add(waiting)
    } else if (verdict.do === 'hold') {
      const held = this.#held.get(verdict.for)
      if (held === undefined) this.#held.set(verdict.for, new Set([waiting]))
      else held.add(waiting)
      waiting.heldBy = verdict.for
    } else {
      waiting.busy = true
      this.#owner.settle(this, page, verdict.attempt, verdict.do)
    }
  }

  #begin(page: Readonly<PendingPage>, possibleRepeat: boolean): void {
    const pages = this.#waitedWith(page)
    for (const { id } of pages) {
      const waiting = this.#waiting.get(id)!
      this.#takeOut(waiting)
      waiting.busy = true
    }
    this.#open++
    this.#owner.begin(this, pages, possibleRepeat)
  }

  /** The page, or with it all others that waited for over an hour and of which no request may have arrived. */
  #waitedWith(page: Readonly<PendingPage>): readonly Readonly<PendingPage>[] {
    const oldMs = this.#owner.calendarMs() - this.#owner.digestAgeMs
    const fits = (other: Readonly<PendingPage>): boolean =>
      other.decidedAtMs < oldMs && other.action === page.action && this.#owner.canBeMember(other)
    if (!fits(page)) return [page]
    const pages = [page]
    for (const { id, busy } of this.#waiting.values()) {
      if (pages.length >= digestSizeLimit) break
      const other = this.#owner.page(id)
      if (other !== undefined && other !== page && !busy && fits(other)) pages.push(other)
    }
    return pages
  }

  #circumstances(page: Readonly<PendingPage>, waiting: Waiting, nowMs: number): Circumstances {
    return {
      epoch: this.#owner.epoch,
      nowMs,
      claimedAtMs: this.#owner.claimedAtMs,
      class: this.receiver.class,
      blindPolicy: this.receiver.blindPolicy ?? 'repeat',
      isPending: (id) => this.#owner.page(id) !== undefined,
      quietAtMs: (id) => this.#owner.quietAtMs(id),
      notBeforeMs: this.#notBeforeMs(page, waiting, nowMs),
    }
  }

  /** The page's wall time as a monotonic one, worked out once: a wall clock that jumps neither hurries nor stops a retry. */
  #notBeforeMs({ retryAtMs }: Readonly<PendingPage>, waiting: Waiting, nowMs: number): number {
    if (retryAtMs === 0) return 0
    if (waiting.notBefore?.retryAtMs === retryAtMs) return waiting.notBefore.atMs
    const nowWallMs = Math.max(this.#clock.wallMs(), this.#owner.calendarMs())
    const atMs = nowMs + Math.min(Math.max(0, retryAtMs - nowWallMs), retryAfterLimitMs)
    waiting.notBefore = { retryAtMs, atMs }
    return atMs
  }

  #wakeAt(atMs: number, nowMs: number): void {
    this.#timer = this.#clock.setTimer(atMs - nowMs, () => this.pump())
  }
}

function retryAfterMs(result: SendResult): number {
  return result.kind === 'failed' || result.kind === 'unknown' ? (result.retryAfterMs ?? 0) : 0
}
