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
  /** Of pending pages, the attempts in doubt with the time at which we first read of each. */
  readonly #doubts = new Map<string, ReadonlyMap<string, number>>()
  #sinceMs = 0

  /** @param nowMs monotonic */
  apply(changes: PageChanges, nowMs: number): void {
    for (const page of changes.changed) {
      this.#pages.set(page.id, page)
      for (const attempt of page.attempts) this.#byAttempt.set(nameOf(attempt), page.id)
      this.#noteDoubts(page, nowMs)
    }
    for (const { id, inDoubt } of changes.settled) {
      this.#noteQuiet(id, inDoubt, nowMs)
      this.#doubts.delete(id)
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

  /** When no request of a page, settled or with an attempt in doubt, can be under way any more; monotonic. */
  quietAtMs(id: string): number {
    const doubts = this.#doubts.get(id)
    if (doubts !== undefined) return Math.max(...doubts.values()) + doubtMs
    return this.#quietAt.get(id) ?? this.#sinceMs + doubtMs
  }

  /** Nothing is known, from now on (monotonic). */
  clear(nowMs: number): void {
    this.#pages.clear()
    this.#byAttempt.clear()
    this.#quietAt.clear()
    this.#doubts.clear()
    this.#sinceMs = nowMs
  }

  /** An attempt is in doubt until it has an outcome that says; its request has ended `doubtMs` after we first read of it. */
  #noteDoubts({ id, attempts }: Readonly<PendingPage>, nowMs: number): void {
    const before = this.#doubts.get(id)
    const doubtful = attempts.filter(({ result }) => result === undefined || result === 'unknown').map(nameOf)
    if (doubtful.length === 0) this.#doubts.delete(id)
    else this.#doubts.set(id, new Map(doubtful.map((name) => [name, before?.get(name) ?? nowMs])))
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
