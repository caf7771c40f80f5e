/** Several sources as one: what comes first is given first, and no source is asked for more than one step ahead. */

/** Begins a source; leaving it early ends it. */
export type Source<T> = () => AsyncIterable<T>

/**
 * Gives what all sources give. The first error of any of them ends it.
 * @param atOnce sources that have begun at a time; the others wait for the end of one
 */
export async function* asTheyCome<T>(sources: readonly Source<T>[], atOnce: number): AsyncGenerator<T> {
  const waiting = [...sources]
  const begun = new Set<AsyncIterator<T>>()
  const ready: { from: AsyncIterator<T>; step?: IteratorResult<T>; error?: unknown }[] = []
  let wake = (): void => undefined
  const ask = (from: AsyncIterator<T>): void => {
    const tell = (news: { step?: IteratorResult<T>; error?: unknown }): void => {
      ready.push({ from, ...news })
      wake()
    }
    from.next().then(
      (step) => tell({ step }),
      (error: unknown) => tell({ error }),
    )
  }
  try {
    for (;;) {
      while (begun.size < atOnce && waiting.length > 0) {
        const source = waiting.shift()!()[Symbol.asyncIterator]()
        begun.add(source)
        ask(source)
      }
      if (begun.size === 0) return
      // no race of promises: one that stays open would hold all that was ever raced with it
      if (ready.length === 0) await new Promise<void>((resolve) => (wake = resolve))
      const { from, step, error } = ready.shift()!
      if (step === undefined || step.done === true) begun.delete(from)
      if (step === undefined) throw error
      if (step.done === true) continue
      ask(from)
      yield step.value
    }
  } finally {
    leave(begun)
  }
}

/** Ends them without waiting: one may be in the midst of something that takes long. */
export function leave<T>(all: Iterable<AsyncIterator<T>>): void {
  for (const source of all) void source.return?.().catch(() => undefined)
}
