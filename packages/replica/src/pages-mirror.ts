import type { PageChanges, PendingPage } from '@ricci/engine'

/** The engine's pending pages as its reports tell of them. */
export class PagesMirror {
  readonly #pages = new Map<string, Readonly<PendingPage>>()
  readonly #byAttempt = new Map<string, string>()

  apply(changes: PageChanges): void {
    for (const page of changes.changed) {
      this.#pages.set(page.id, page)
      for (const attempt of page.attempts) this.#byAttempt.set(nameOf(attempt), page.id)
    }
    for (const { id } of changes.settled) {
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

  clear(): void {
    this.#pages.clear()
    this.#byAttempt.clear()
  }
}

function nameOf(attempt: { readonly epoch: number; readonly n: number }): string {
  return `${attempt.epoch}.${attempt.n}`
}
