/**
 * Who waits for changes of the index, on the worker's side. A request is answered with a page as soon as something matches, and is
 * held until then; whoever reads slowly asks for the next page later and holds nothing here meanwhile. Changes are looked at
 * between records, in the engine's ring: never while one is applied, and for a few readers a turn, so that records go on between.
 */
import type { ChangePosition, ChangesOptions, ChangesPage } from '@ricci/engine'
import { jsonWriters } from './json.ts'
import type { ChangesText, JsonShape } from './worker-protocol.ts'

/** Changes looked at in a step: about a millisecond of work. */
const pageBudget = 20_000
/**
 * Changes told at a time. A reader that does not read holds some pages, as text, in its socket and on the way there. With 256 such
 * readers and descriptions of 500 bytes, pages of 2,000 changes made the process 2 GB large and held an ack back for 20 s; with pages
 * of 200 it was 0.6 GB and 1 s, on the same two busy cores.
 */
export const pageLimit = 200
/**
 * Requests looked at in a turn. All 256 readers may ask at once: with 20,000 events of 500 bytes and none of the 256 reading, the
 * slowest ack took 380 and 840 ms when all were served in one turn and each page was taken apart on its way, and 20 and 90 ms so; the
 * process was 500 to 560 MB large, and 260 to 300 MB so.
 */
export const readersPerTurn = 4

interface Watch {
  readonly query: string
  readonly shape: JsonShape
  from: ChangePosition | undefined
}

/** What the answers go to. */
export interface WatchAnswers {
  /** As `Engine.changes`. */
  changes(from: ChangePosition | undefined, options: ChangesOptions): ChangesPage
  answer(id: number, page: ChangesText): void
  refuse(id: number, error: unknown): void
  /** These have seen all before a position, and found nothing. */
  nothing(ids: readonly number[], before: ChangePosition): void
}

export class Watches {
  private readonly asked = new Map<number, Watch>()
  /** Those of them who have not seen all that is applied; who waits longest comes first. */
  private readonly behind = new Set<number>()
  private scheduled = false

  constructor(private readonly answers: WatchAnswers) {}

  /** Without a place to begin at it is answered in its turn with the place that is then. */
  ask(id: number, query: string, shape: JsonShape, from: ChangePosition | undefined): void {
    this.asked.set(id, { query, shape, from })
    this.behind.add(id)
    this.schedule()
  }

  cancel(id: number): void {
    this.asked.delete(id)
    this.behind.delete(id)
  }

  /** Records were applied. */
  applied(): void {
    for (const id of this.asked.keys()) this.behind.add(id)
    this.schedule()
  }

  private schedule(): void {
    if (this.scheduled || this.behind.size === 0) return
    this.scheduled = true
    setImmediate(() => {
      this.scheduled = false
      this.turn()
      this.schedule()
    })
  }

  private turn(): void {
    const idle: number[] = []
    let before: ChangePosition | undefined
    for (const id of [...this.behind].slice(0, readersPerTurn)) {
      this.behind.delete(id)
      const seen = this.look(id, this.asked.get(id)!)
      if (seen === undefined) continue
      idle.push(id)
      before = seen
    }
    // nothing is applied in a turn: they have all seen the same
    if (before !== undefined) this.answers.nothing(idle, before)
  }

  /** Gives the position before which all was seen, where nothing was found and nothing is left to look at. */
  private look(id: number, watch: Watch): ChangePosition | undefined {
    const { query, shape, from } = watch
    let page: ChangesPage
    try {
      page = this.answers.changes(from, { query, limit: pageLimit, budget: pageBudget })
    } catch (error) {
      this.asked.delete(id)
      this.answers.refuse(id, error)
      return
    }
    const { changes, next, gapUntil, appliedOffset } = page
    if (from === undefined || changes.length > 0 || gapUntil !== undefined) {
      this.asked.delete(id)
      const jsonOf = jsonWriters[shape]
      const lines = encoder.encode(changes.map(({ event }) => `${jsonOf(event)}\n`).join(''))
      const after = changes.slice(0, -1).flatMap(({ offset, nth }) => [offset, nth + 1])
      after.push(next.offset, next.nth)
      this.answers.answer(id, { lines, after, next, ...(gapUntil === undefined ? {} : { gapUntil }) })
      return
    }
    watch.from = next
    if (next.offset > appliedOffset) return { offset: appliedOffset + 1, nth: 0 }
    this.behind.add(id)
  }
}

const encoder = new TextEncoder()
