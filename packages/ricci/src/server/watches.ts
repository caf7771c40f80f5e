/**
 * Who waits for changes of the index, on the worker's side. A request is answered with a page as soon as something matches, and is
 * held until then; whoever reads slowly asks for the next page later and holds nothing here meanwhile. Changes are looked at
 * between records, in the engine's ring: never while one is applied.
 */
import type { ChangePosition, ChangesOptions, ChangesPage } from '@ricci/engine'
import { jsonOfEvent } from './json.ts'
import type { ChangesText } from './worker-protocol.ts'

/** Changes looked at in a step: about a millisecond of work. */
const pageBudget = 20_000
/**
 * Changes told at a time. A reader that does not read holds some pages, as text, in its socket and on the way there. With 256 such
 * readers and descriptions of 500 bytes, pages of 2,000 changes made the process 2 GB large and held an ack back for 20 s; with pages
 * of 200 it was 0.6 GB and 1 s, on the same two busy cores.
 */
export const pageLimit = 200

interface Watch {
  readonly query: string
  from: ChangePosition | undefined
  /** It has seen all that is applied. */
  caughtUp: boolean
}

/** What the answers go to. */
export interface WatchAnswers {
  /** As `Engine.changes`. */
  changes(from: ChangePosition | undefined, options: ChangesOptions): ChangesPage
  answer(id: number, page: ChangesText): void
  refuse(id: number, error: unknown): void
}

export class Watches {
  private readonly asked = new Map<number, Watch>()

  constructor(private readonly answers: WatchAnswers) {}

  /** Without a place to begin at it is answered at once, with the place that is now. */
  ask(id: number, query: string, from: ChangePosition | undefined): void {
    this.asked.set(id, { query, from, caughtUp: false })
    this.look(id)
  }

  cancel(id: number): void {
    this.asked.delete(id)
  }

  /** Records were applied. Gives the requests that have seen all of it and found nothing. */
  applied(): readonly number[] {
    for (const [id, watch] of this.asked) if (watch.caughtUp) this.look(id)
    return [...this.asked].filter(([, { caughtUp }]) => caughtUp).map(([id]) => id)
  }

  private look(id: number): void {
    const watch = this.asked.get(id)
    if (watch === undefined) return
    const { query, from } = watch
    let page: ChangesPage
    try {
      page = this.answers.changes(from, { query, limit: pageLimit, budget: pageBudget })
    } catch (error) {
      this.asked.delete(id)
      return this.answers.refuse(id, error)
    }
    const { changes, next, gapUntil, appliedOffset } = page
    if (from === undefined || changes.length > 0 || gapUntil !== undefined) {
      this.asked.delete(id)
      const lines = encoder.encode(changes.map(({ event }) => jsonOfEvent(event)).join('\n'))
      return this.answers.answer(id, { lines, next, ...(gapUntil === undefined ? {} : { gapUntil }) })
    }
    watch.from = next
    watch.caughtUp = next.offset > appliedOffset
    // records are applied before it looks further
    if (!watch.caughtUp) setImmediate(() => this.look(id))
  }
}

const encoder = new TextEncoder()
