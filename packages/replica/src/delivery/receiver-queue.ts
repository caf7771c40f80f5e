import type { Attempt, PendingPage } from '@ricci/engine'
import { digestAgeMs, digestSizeLimit, retryAfterLimitMs, sendsAtOnce } from '../limits.ts'
import type { Clock, Random, SendResult, Timer } from '../ports.ts'
import type { Receiver } from '../options.ts'
import { retryDelayMs } from './backoff.ts'
import { verdictOn, type Circumstances } from './verdict.ts'

/** What a queue asks of the delivery it belongs to. */
export interface QueueOwner {
  readonly epoch: number
  readonly claimedAtMs: number
  page(id: string): Readonly<PendingPage> | undefined
  quietAtMs(trigger: string): number
  /** The log's calendar: the age of pages is judged by it. */
  calendarMs(): number
  /** Writes an attempt; `ended` is called exactly once, when nothing of it is under way and its outcome stands in the log. */
  begin(queue: ReceiverQueue, pages: readonly Readonly<PendingPage>[], possibleRepeat: boolean): void
  /** Writes an outcome for an attempt that will not be made. */
  settle(queue: ReceiverQueue, page: Readonly<PendingPage>, attempt: Attempt, as: 'give-up' | 'disown'): void
}

/**
 * The pages of one receiver, in the order of their decisions. Each receiver has its own: one that hangs or refuses delays no
 * other. While a receiver fails, one page at a time finds out whether it works again; a page that alone fails does not hold up
 * those behind it.
 */
export class ReceiverQueue {
  readonly name: string
  readonly #receiver: () => Receiver
  readonly #owner: QueueOwner
  readonly #clock: Clock
  readonly #random: Random
  readonly #waiting = new Set<string>()
  readonly #busy = new Set<string>()
  readonly #notBefore = new Map<string, { readonly retryAtMs: number; readonly atMs: number }>()
  #open = 0
  #failures = 0
  #pausedUntilMs = 0
  #timer: Timer | undefined
  #stopped = false

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

  add(id: string): void {
    this.#waiting.add(id)
  }

  remove(id: string): void {
    this.#waiting.delete(id)
    this.#notBefore.delete(id)
  }

  /** Begins whatever may begin now, and sets a timer for what may later. */
  pump(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#stopped) return
    const nowMs = this.#clock.monotonicMs()
    if (nowMs < this.#pausedUntilMs) return this.#wakeAt(this.#pausedUntilMs, nowMs)
    const slots = this.#failures > 0 ? 1 : sendsAtOnce
    let wakeAtMs = Infinity
    for (const id of this.#waiting) {
      if (this.#open >= slots) return
      if (this.#busy.has(id)) continue
      const page = this.#owner.page(id)
      if (page === undefined) {
        this.remove(id)
        continue
      }
      const verdict = verdictOn(page, this.#circumstances(page, nowMs))
      if (verdict.do === 'wait') wakeAtMs = Math.min(wakeAtMs, verdict.untilMs)
      else if (verdict.do === 'attempt') this.#begin(page, verdict.possibleRepeat, nowMs)
      else if (verdict.do !== 'hold') {
        this.#busy.add(id)
        this.#owner.settle(this, page, verdict.attempt, verdict.do)
      }
    }
    if (wakeAtMs < Infinity) this.#wakeAt(wakeAtMs, nowMs)
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
    for (const id of pages) this.#busy.delete(id)
    if (place) this.#open--
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #begin(page: Readonly<PendingPage>, possibleRepeat: boolean, nowMs: number): void {
    const pages = this.#waitedWith(page, nowMs)
    for (const { id } of pages) this.#busy.add(id)
    this.#open++
    this.#owner.begin(this, pages, possibleRepeat)
  }

  /** The page, or with it all others that waited for over an hour and of which no request may have arrived. */
  #waitedWith(page: Readonly<PendingPage>, nowMs: number): readonly Readonly<PendingPage>[] {
    const oldMs = this.#owner.calendarMs() - digestAgeMs
    const fits = (other: Readonly<PendingPage>): boolean =>
      other.decidedAtMs < oldMs &&
      other.action === page.action &&
      other.action !== 'resolve' &&
      other.members === undefined &&
      other.attempts.every((attempt) => attempt.result === 'failed')
    if (!fits(page)) return [page]
    const pages = [page]
    for (const id of this.#waiting) {
      if (pages.length >= digestSizeLimit) break
      const other = this.#owner.page(id)
      if (other === undefined || other === page || this.#busy.has(id) || !fits(other)) continue
      if (verdictOn(other, this.#circumstances(other, nowMs)).do !== 'give-up') pages.push(other)
    }
    return pages
  }

  #circumstances(page: Readonly<PendingPage>, nowMs: number): Circumstances {
    return {
      epoch: this.#owner.epoch,
      nowMs,
      claimedAtMs: this.#owner.claimedAtMs,
      class: this.receiver.class,
      blindPolicy: this.receiver.blindPolicy ?? 'repeat',
      isPending: (id) => this.#owner.page(id) !== undefined,
      quietAtMs: (trigger) => this.#owner.quietAtMs(trigger),
      notBeforeMs: this.#notBeforeMs(page, nowMs),
    }
  }

  /** The page's wall time as a monotonic one, worked out once: a wall clock that jumps neither hurries nor stops a retry. */
  #notBeforeMs(page: Readonly<PendingPage>, nowMs: number): number {
    if (page.retryAtMs === 0) return 0
    const known = this.#notBefore.get(page.id)
    if (known?.retryAtMs === page.retryAtMs) return known.atMs
    const nowWallMs = Math.max(this.#clock.wallMs(), this.#owner.calendarMs())
    const atMs = nowMs + Math.min(Math.max(0, page.retryAtMs - nowWallMs), retryAfterLimitMs)
    this.#notBefore.set(page.id, { retryAtMs: page.retryAtMs, atMs })
    return atMs
  }

  #wakeAt(atMs: number, nowMs: number): void {
    this.#timer = this.#clock.setTimer(atMs - nowMs, () => this.pump())
  }
}

function retryAfterMs(result: SendResult): number {
  return result.kind === 'failed' || result.kind === 'unknown' ? (result.retryAfterMs ?? 0) : 0
}
