/**
 * Answers that need more than a row to go on from: sorted ones, and those of which only so many are wanted. Records are applied between
 * their pages; what has gone since, or does not match any more, is left out.
 */
import { type Event, EventCursor, cursorToEvent, type SymbolTable } from '@ricci/client'
import { EngineError } from '../errors.ts'
import type { CompiledQuery } from '../query/cache.ts'
import { compareSorted, sortReader, type SortValues } from '../query/sort.ts'
import type { Index } from './store.ts'

/** Rows in ascending order; -1 ends them. */
export interface Walk {
  from(row: number): number
  after(row: number): number
}

/** What is asked, of what. */
export interface Asked {
  readonly index: Index
  readonly table: SymbolTable
  readonly compiled: CompiledQuery
  /** Through all rows that may match, as they stand now. */
  readonly walk: () => Walk
}

/** A page, and where the next one goes on. */
export interface AnswerPage {
  readonly events: Event[]
  readonly nextCursor?: number
}

interface Answer {
  page(limit: number, budget: number): { readonly events: Event[]; readonly done: boolean }
  /** Rows that it holds. */
  readonly held: number
}

/** Rows that all answers under way hold, at some 100 bytes each: two of a full index. */
const mostHeld = 2_000_000
/** As if it held so many more: an answer that holds none costs something, too. */
const heldByEach = 1_000

const cursor = new EventCursor()

/** Whether a row holds an entry that matches; the cursor is on it then. */
export function matching({ index, compiled }: Asked, row: number): boolean {
  if (!index.present(row)) return false
  index.load(row, cursor)
  return compiled.matches(cursor)
}

/** What it cost to look at that row. */
export function costOf({ compiled }: Asked): number {
  return compiled.cost(cursor)
}

/** The event the cursor is on. */
export function found({ table }: Asked): Event {
  return cursorToEvent(cursor, table)
}

/** The answers under way, by cursors below 0. Those that nobody went on with for longest make room. No state. */
export class Answers {
  readonly #open = new Map<number, Answer>()
  #begun = 0

  /** @param behind sorted in any case, and what stands behind these values. @throws EngineError `CURSOR_INVALID` */
  begin(asked: Asked, limit: number, budget: number, behind?: SortValues): AnswerPage {
    const sorted = asked.compiled.query.sort !== undefined || behind !== undefined
    return this.#page(--this.#begun, sorted ? new Sorted(asked, behind) : new Limited(asked), limit, budget)
  }

  /** @throws EngineError `ANSWER_GONE` */
  goOn(cursor: number, limit: number, budget: number): AnswerPage {
    const answer = this.#open.get(cursor)
    if (answer === undefined) {
      throw new EngineError(
        'ANSWER_GONE',
        'so many others asked meanwhile that the rest of this answer was let go; ask again',
      )
    }
    this.#open.delete(cursor)
    return this.#page(cursor, answer, limit, budget)
  }

  #page(id: number, answer: Answer, limit: number, budget: number): AnswerPage {
    const { events, done } = answer.page(limit, budget)
    if (done) return { events }
    this.#open.set(id, answer)
    let held = 0
    for (const { held: rows } of this.#open.values()) held += rows + heldByEach
    for (const [oldest, { held: rows }] of this.#open) {
      if (held <= mostHeld || oldest === id) break
      this.#open.delete(oldest)
      held -= rows + heldByEach
    }
    return { events, nextCursor: id }
  }
}

/** `limit` without `sort`: the first that match. */
class Limited implements Answer {
  readonly held = 0
  readonly #asked: Asked
  #row = 0
  #left: number

  constructor(asked: Asked) {
    this.#asked = asked
    this.#left = asked.compiled.query.limit!
  }

  page(limit: number, budget: number): { events: Event[]; done: boolean } {
    const asked = this.#asked
    const events: Event[] = []
    const most = Math.min(limit, this.#left)
    const walk = asked.walk()
    let row = walk.from(this.#row)
    for (; row >= 0 && budget > 0 && events.length < most; row = walk.after(row), budget -= costOf(asked)) {
      if (matching(asked, row)) events.push(found(asked))
    }
    this.#row = row
    this.#left -= events.length
    return { events, done: this.#row < 0 || this.#left === 0 }
  }
}

interface Entry {
  readonly row: number
  readonly values: SortValues
}

/** Rows sorted at once, in some milliseconds. A whole index is sorted run by run, and given by merging them. */
const runLength = 4_096
/** What a row that is to be sorted costs of the budget, as measured: those that are only looked at cost 1. */
const sortedCost = 8

/** `sort by`: first all rows are looked at, then events are given. */
class Sorted implements Answer {
  held = 0
  readonly #asked: Asked
  readonly #read: (event: EventCursor) => SortValues
  readonly #compare: (a: Entry, b: Entry) => number
  readonly #isBehind: (values: SortValues) => boolean
  /** Each in order, the next to be given last. */
  readonly #runs: Entry[][] = []
  #collected: Entry[] = []
  /** The next to be looked at; -1 once all were. */
  #row = 0
  #left: number

  constructor(asked: Asked, behind: SortValues = []) {
    const { sort = [], limit = Infinity } = asked.compiled.query
    this.#asked = asked
    this.#read = sortReader(sort, asked.table)
    const compare = compareSorted(sort)
    this.#compare = (a, b) => compare(b.values, a.values)
    // host and service come behind the keys
    if (behind.length > 0 && behind.length !== sort.length + 2) {
      throw new EngineError('CURSOR_INVALID', 'the cursor is of a query with another sort; begin without one')
    }
    this.#isBehind = behind.length === 0 ? () => true : (values) => compare(values, behind) > 0
    this.#left = limit
  }

  page(limit: number, budget: number): { events: Event[]; done: boolean } {
    const asked = this.#asked
    const events: Event[] = []
    if (this.#row >= 0) budget = this.#collect(budget)
    if (this.#row >= 0) return { events, done: false }
    for (; this.#left > 0 && this.#runs.length > 0; budget -= this.#runs.length + costOf(asked)) {
      if (budget <= 0 || events.length === limit) return { events, done: false }
      const entry = this.#take()
      if (!matching(asked, entry.row)) continue
      events.push(found(asked))
      this.#left--
    }
    return { events, done: true }
  }

  /** Looks at rows; gives what is left of the budget. */
  #collect(budget: number): number {
    const asked = this.#asked
    const walk = asked.walk()
    let row = walk.from(this.#row)
    for (; row >= 0 && budget > 0; row = walk.after(row), budget -= costOf(asked)) {
      if (!matching(asked, row)) continue
      budget -= sortedCost
      const values = this.#read(cursor)
      if (!this.#isBehind(values)) continue
      this.#collected.push({ row, values })
      if (this.#collected.length === runLength) this.#endRun()
    }
    this.#row = row
    if (row < 0) this.#endRun()
    return budget
  }

  #endRun(): void {
    if (this.#collected.length === 0) return
    const run = this.#collected.sort(this.#compare)
    if (run.length > this.#left) run.splice(0, run.length - this.#left)
    this.#runs.push(run)
    this.#collected = []
    this.held += run.length
  }

  /** The first of all that are left. */
  #take(): Entry {
    let first = 0
    for (let i = 1; i < this.#runs.length; i++) {
      if (this.#compare(this.#runs[i].at(-1)!, this.#runs[first].at(-1)!) > 0) first = i
    }
    const run = this.#runs[first]
    const entry = run.pop()!
    this.held--
    if (run.length === 0) this.#runs.splice(first, 1)
    return entry
  }
}
