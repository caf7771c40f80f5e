/**
 * Readers of the index's changes, on the main thread: each goes on across the generations of the engine. It asks the worker that
 * runs for a page, hands it on, and asks for the next once that one was taken. When a worker is replaced the next one keeps changes
 * from the place on where the reader that is furthest behind stands, so that applying the log again brings each what it has not had,
 * once. Where that cannot be (the snapshot is newer than the reader's place, or the reader so slow that the ring went round), the
 * page says so.
 */
import type { ChangePosition } from '@ricci/engine'
import { RicciError } from '../errors.ts'
import type { WatchPage } from '../http/backend.ts'
import type { WorkerHost } from './worker-host.ts'
import type { ChangesText, JsonShape } from './worker-protocol.ts'

/** Readers at a time: each looks at every change, some 30 ns of the engine's thread, and every browser with a dashboard is one. */
const maxSubscriptions = 256

interface Subscription {
  readonly query: string
  readonly shape: JsonShape
  /** Where it goes on: all before has been handed on, or does not match. */
  position: ChangePosition
}

/** The part of a worker's host that it needs. */
export type ChangeSource = Pick<WorkerHost, 'changes'>

export class Subscriptions {
  private readonly open = new Set<Subscription>()

  /** @param source waits for a worker that runs, until a monotonic time; throws `NOT_EVALUATED` then */
  constructor(private readonly source: (deadlineMs: number) => Promise<ChangeSource>) {}

  /** From where on a new engine has to keep changes; undefined while nobody reads. */
  get earliest(): ChangePosition | undefined {
    const positions = [...this.open].map(({ position }) => position)
    return positions.length === 0 ? undefined : positions.reduce((a, b) => (isBefore(b, a) ? b : a))
  }

  /**
   * Resolves once the query is accepted; then yields what changes the index and matches, until the signal aborts.
   * @throws RicciError `NOT_EVALUATED`, `TOO_MANY_WATCHES`; QueryError
   */
  async watch(
    query: string,
    shape: JsonShape,
    signal: AbortSignal,
    deadlineMs: number,
  ): Promise<AsyncIterable<WatchPage>> {
    if (this.open.size >= maxSubscriptions) {
      throw new RicciError(
        'TOO_MANY_WATCHES',
        `${maxSubscriptions} readers watch the index already; end one of them, or ask with a query now and then`,
      )
    }
    for (;;) {
      const source = await this.source(deadlineMs)
      try {
        const { next } = await source.changes(query, shape, undefined).page
        const subscription = { query, shape, position: next }
        if (!signal.aborted) this.open.add(subscription)
        signal.addEventListener('abort', () => this.open.delete(subscription), { once: true })
        return this.pages(subscription, source, signal)
      } catch (error) {
        if (!isAway(error)) throw error
      }
    }
  }

  private async *pages(
    subscription: Subscription,
    source: ChangeSource,
    signal: AbortSignal,
  ): AsyncGenerator<WatchPage> {
    try {
      for (let restored = false; !signal.aborted;) {
        const asked = source.changes(subscription.query, subscription.shape, subscription.position, (position) => {
          subscription.position = position
        })
        let page: ChangesText | undefined
        try {
          page = await unlessAborted(signal, asked.page)
        } catch (error) {
          if (!isAway(error)) throw error
          const next = await unlessAborted(signal, this.source(Infinity))
          if (next === undefined) return
          source = next
          restored = true
          continue
        } finally {
          asked.cancel()
        }
        if (page === undefined) return
        const from = subscription.position
        subscription.position = page.next
        yield pageFor(page, from, restored)
        restored = false
      }
    } finally {
      this.open.delete(subscription)
    }
  }
}

/**
 * What was promised, or undefined once the signal aborts. Not raced with a promise of that: until it settles it holds all that was ever
 * raced with it, here every page that a reader was given.
 */
function unlessAborted<T>(signal: AbortSignal, promised: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const end = (): void => resolve(undefined)
    if (signal.aborted) end()
    signal.addEventListener('abort', end, { once: true })
    void promised.then(resolve, reject).then(() => signal.removeEventListener('abort', end))
  })
}

function pageFor({ lines, gapUntil }: ChangesText, from: ChangePosition, restored: boolean): WatchPage {
  if (gapUntil === undefined) return { lines }
  const why = restored
    ? 'the engine was restored from a snapshot that is newer'
    : 'they came faster than they were read, and only the latest are kept'
  return {
    lines,
    stale: true,
    gap: `changes by the records ${from.offset} to ${gapUntil.offset} are missing here: ${why}`,
  }
}

function isBefore(a: ChangePosition, b: ChangePosition): boolean {
  return a.offset < b.offset || (a.offset === b.offset && a.nth < b.nth)
}

function isAway(error: unknown): boolean {
  return (error as { code?: string }).code === 'ENGINE_AWAY'
}
