/**
 * Readers of the index's changes, on the main thread: each goes on across the generations of the engine. It asks the worker that
 * runs for a page, hands it on, and asks for the next once that one was taken. When a worker is replaced the next one keeps changes
 * from the place on where the reader that is furthest behind stands, so that applying the log again brings each what it has not had,
 * once. Where that cannot be (the snapshot is newer than the reader's place, or the reader so slow that the ring went round), the
 * page says so.
 */
import type { ChangePosition } from '@ricci/engine'
import type { Clock } from '@ricci/replica'
import { RicciError } from '../errors.ts'
import type { WatchPage } from '../http/backend.ts'
import type { WorkerHost } from './worker-host.ts'
import type { ChangesText, JsonShape } from './worker-protocol.ts'

/**
 * Readers at a time: a wall of dashboards is some three hundred, and instances that keep each other's changes are as well. Each looks at every change, some 30 ns of the engine's
 * thread; where none of so many reads, 20,000 events of 500 bytes make the process half a gigabyte large.
 */
export const maxSubscriptions = 512

interface Subscription {
  readonly query: string
  readonly shape: JsonShape
  /** Where it goes on: all before has been handed on, or does not match. */
  position: ChangePosition
}

/**
 * A reader whom nothing matches is told so often where it stands: it can go on there at another instance as long as that keeps the changes since, some ten
 * seconds of them on a busy partition.
 */
const placeMs = 5_000

/** The part of a worker's host that it needs. */
export type ChangeSource = Pick<WorkerHost, 'changes'>

export class Subscriptions {
  private readonly open = new Set<Subscription>()

  /** @param source waits for a worker that runs, until a monotonic time; throws `NOT_EVALUATED` then */
  constructor(
    private readonly source: (deadlineMs: number) => Promise<ChangeSource>,
    private readonly partition: number,
    private readonly clock: Clock,
  ) {}

  /** From where on a new engine has to keep changes; undefined while nobody reads. */
  get earliest(): ChangePosition | undefined {
    const positions = [...this.open].map(({ position }) => position)
    return positions.length === 0 ? undefined : positions.reduce((a, b) => (isBefore(b, a) ? b : a))
  }

  /**
   * Resolves once the query is accepted; then yields what changes the index and matches, until the signal aborts; besides, at the beginning and now and then, pages
   * without lines that say where it goes on.
   * @param from where to go on; without it, from now on
   * @throws RicciError `NOT_EVALUATED`, `TOO_MANY_WATCHES`; QueryError
   */
  async watch(
    query: string,
    shape: JsonShape,
    signal: AbortSignal,
    deadlineMs: number,
    from?: ChangePosition,
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
        const subscription = { query, shape, position: from ?? next }
        if (!signal.aborted) this.open.add(subscription)
        signal.addEventListener('abort', () => this.open.delete(subscription), { once: true })
        return this.pages(subscription, source, signal, from !== undefined)
      } catch (error) {
        if (!isAway(error)) throw error
      }
    }
  }

  private async *pages(
    subscription: Subscription,
    source: ChangeSource,
    signal: AbortSignal,
    goesOn: boolean,
  ): AsyncGenerator<WatchPage> {
    try {
      let told = subscription.position
      yield this.placeAt(told)
      for (let lost = goesOn ? lostSince : lostWhileSlow; !signal.aborted;) {
        const { query, shape, position } = subscription
        const asked = source.changes(query, shape, position, (passed) => {
          // an engine that is behind has yet to come to where it is to go on
          if (isBefore(subscription.position, passed)) subscription.position = passed
        })
        const answer = new Awaited(asked.page, signal, this.clock)
        let page: ChangesText | undefined
        try {
          // the question stays asked: of three hundred whom nothing concerns, asking anew with each place took a thirtieth of a core
          while ((page = await answer.within(placeMs)) === undefined && !signal.aborted) {
            if (!isBefore(told, subscription.position)) continue
            told = subscription.position
            yield this.placeAt(told)
          }
        } catch (error) {
          if (!isAway(error)) throw error
          const next = await new Awaited(this.source(Infinity), signal, this.clock).within(Infinity)
          if (next === undefined) return
          source = next
          lost = lostByRestore
          continue
        } finally {
          asked.cancel()
        }
        if (page === undefined) return
        const from = subscription.position
        told = subscription.position = page.next
        yield this.pageFor(page, from, lost)
        lost = lostWhileSlow
      }
    } finally {
      this.open.delete(subscription)
    }
  }

  private placeAt({ offset, nth }: ChangePosition): WatchPage {
    return { lines: nothing, at: { partition: this.partition, after: [offset, nth] } }
  }

  private pageFor({ lines, after, gapUntil }: ChangesText, from: ChangePosition, lost: string): WatchPage {
    const page = { lines, at: { partition: this.partition, after } }
    if (gapUntil === undefined) return page
    const gap = `changes by the records ${from.offset} to ${gapUntil.offset} are missing here: ${lost}`
    return { ...page, stale: true, gap }
  }
}

type Settled<T> = { readonly value: T } | { readonly error: unknown }

/**
 * What was promised, waited for in turns. Nothing is added to the promise with each turn, nor is it raced with one of the signal: until that settles it holds all that was ever
 * raced with it, here every page that a reader was given.
 */
class Awaited<T> {
  #settled: Settled<T> | undefined
  #wake = (): void => undefined

  constructor(
    promised: Promise<T>,
    private readonly signal: AbortSignal,
    private readonly clock: Clock,
  ) {
    const settle = (settled: Settled<T>): void => {
      this.#settled = settled
      this.#wake()
    }
    promised.then(
      (value) => settle({ value }),
      (error: unknown) => settle({ error }),
    )
  }

  /** Waits on: gives undefined once the signal aborts or the time has passed. @throws what the promise rejected with */
  async within(ms: number): Promise<T | undefined> {
    const { signal, clock } = this
    if (this.#settled === undefined && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = ms === Infinity ? undefined : clock.setTimer(ms, () => this.#wake())
        this.#wake = () => {
          timer?.cancel()
          signal.removeEventListener('abort', this.#wake)
          resolve()
        }
        signal.addEventListener('abort', this.#wake, { once: true })
      })
    }
    if (signal.aborted || this.#settled === undefined) return undefined
    if ('error' in this.#settled) throw this.#settled.error
    return this.#settled.value
  }
}

const nothing = new Uint8Array()

/** Why changes are missing. */
const lostWhileSlow = 'they came faster than they were read, and only the latest are kept'
const lostSince = 'they are older than what the engine keeps'
const lostByRestore = 'the engine was restored from a snapshot that is newer'

function isBefore(a: ChangePosition, b: ChangePosition): boolean {
  return a.offset < b.offset || (a.offset === b.offset && a.nth < b.nth)
}

function isAway(error: unknown): boolean {
  return (error as { code?: string }).code === 'ENGINE_AWAY'
}
