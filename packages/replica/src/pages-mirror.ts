import type { PageChanges, PendingPage } from '@ricci/engine'
import { doubtMs } from './limits.ts'

/** Settled pages whose time of quiet is kept; beyond it all is forgotten, and none is quiet for a while. */
const quietLimit = 10_000

/** The engine's pending pages as its reports tell of them. */
export class PagesMirror {
  readonly #pages = new Map<string, Readonly<PendingPage>>()
  readonly #byAttempt = new Map<string, string>()
  /**
   * When the last request of a settled page must have ended, where that is not `doubtMs` after we began to know of pages: an owner writes
   * an attempt before its request begins, so what we have read of for that long is not under way any more. Pruned: what has passed says nothing.
   */
  readonly #quietAt = new Map<string, number>()
  #sinceMs = 0

  /** @param nowMs monotonic */
  apply(changes: PageChanges, nowMs: number): void {
    for (const page of changes.changed) {
      this.#pages.set(page.id, page)
      for (const attempt of page.attempts) this.#byAttempt.set(nameOf(attempt), page.id)
    }
    for (const { id, inDoubt } of changes.settled) {
      this.#noteQuiet(id, inDoubt, nowMs)
      const page = this.#pages.get(id)
      if (page === undefined) continue
      this.#pages.delete(id)
      for (const attempt of page.attempts) {
        if (this.#byAttempt.get(nameOf(attempt)) === id) this.#byAttempt.delete(nameOf(attempt))
      }
    }
  }

  get(id: string): Readonly<PendingPage> | undefined {
    return this.#pages.get(id)
  }

  has(id: string): boolean {
    return this.#pages.has(id)
  }

  /** The page that holds an attempt: the digest it made rather than the pages it named. */
  byAttempt(epoch: number, n: number): Readonly<PendingPage> | undefined {
    const id = this.#byAttempt.get(nameOf({ epoch, n }))
    return id === undefined ? undefined : this.#pages.get(id)
  }

  values(): IterableIterator<Readonly<PendingPage>> {
    return this.#pages.values()
  }

  get size(): number {
    return this.#pages.size
  }

  /** When no request of a settled page can be under way any more; monotonic. */
  quietAtMs(settled: string): number {
    return this.#quietAt.get(settled) ?? this.#sinceMs + doubtMs
  }

  /** Nothing is known, from now on (monotonic). */
  clear(nowMs: number): void {
    this.#pages.clear()
    this.#byAttempt.clear()
    this.#quietAt.clear()
    this.#sinceMs = nowMs
  }

  #noteQuiet(id: string, inDoubt: boolean, nowMs: number): void {
    const knowsMs = this.#sinceMs + doubtMs
    if (inDoubt) this.#quietAt.set(id, nowMs + doubtMs)
    else if (nowMs < knowsMs) this.#quietAt.set(id, 0)
    if (this.#quietAt.size < quietLimit) return
    if (nowMs >= knowsMs) for (const [one, atMs] of this.#quietAt) if (atMs <= nowMs) this.#quietAt.delete(one)
    if (this.#quietAt.size < quietLimit) return
    this.#quietAt.clear()
    this.#sinceMs = nowMs
  }
}

function nameOf(attempt: { readonly epoch: number; readonly n: number }): string {
  return `${attempt.epoch}.${attempt.n}`
}
