/**
 * The latest changes of the index, in a ring: subscriptions are served from it between records, never while one is applied.
 *
 * It belongs to the engine and is no state: neither hashed nor in snapshots, and no rule can see it. But which changes a record
 * makes, and in which order, follows from the log alone, so a place in their sequence means the same to every engine that applies
 * that record: a reader may go on at another engine, or at one restored, where it stopped at the first.
 *
 * It costs nothing until somebody reads, and again once as many changes as it holds have come that nobody asked for. With a reader
 * each change is copied by numbers and ids: 30 ns by itself; all in all a reader whom nothing matches made decode + index over
 * 150,000 keys dearer by 90 to 130 ns of 400 an event (the benchmark `watch`).
 */
import { type Event, EventCursor, cursorToEvent, Kind, type SymbolTable } from '@ricci/client'
import type { CompiledQuery } from '../query/cache.ts'
import type { Marks } from '../state/marks.ts'
import type { Index } from './store.ts'

/** A place in the sequence of changes: before change number `nth`, from 0, of those that the record at `offset` makes. */
export interface ChangePosition {
  readonly offset: number
  readonly nth: number
}

/** An event that changed the index: put in, or saying that its entry has expired or was taken out. */
export interface IndexChange {
  /** Offset of the record that made it. */
  readonly offset: number
  /** Its number, from 0, among the changes that the record makes. */
  readonly nth: number
  readonly event: Event
}

/** Bounds of one page of changes, and what it is of. */
export interface ChangesOptions {
  /** Only changes that match this query; its sort and limit do not matter here. */
  readonly query?: string
  /** At most this many changes; at most 10,000. */
  readonly limit?: number
  /** Changes looked at in this call before it returns; where the query is a costly one, fewer. */
  readonly budget?: number
}

/** Changes in the order in which they happened. */
export interface ChangesPage {
  readonly changes: readonly IndexChange[]
  /** Where the next page begins. Past everything applied, once the reader has caught up. */
  readonly next: ChangePosition
  /** The page begins here and not where it was asked to: what lies before has fallen out of the ring, or was never in it. */
  readonly gapUntil?: ChangePosition
  readonly appliedOffset: number
}

/** Which changes somebody wants. */
type Wanted = Pick<CompiledQuery, 'matches' | 'cost'>

/** How much the ring holds: powers of two, so that places in it are found by a mask. */
export interface ChangeLimits {
  readonly changes: number
  readonly textBytes: number
}

/**
 * Changes kept: all entries of a fleet of 150,000 keys may expire at one tick, and such a fleet sends as many events in ten seconds,
 * longer than a worker that stalled takes to be replaced. 64 bytes each: 17 MB when full.
 */
const maxKeptChanges = 1 << 18
/** Bytes of descriptions kept: 64 for each change. Where they are longer, fewer changes are kept. */
const maxKeptTextBytes = 1 << 24

/** Changes one page holds at most, as with queries. */
const largestPage = 10_000
/** A page ends once its descriptions come to this many bytes: it becomes text as a whole. */
const largestPageTextBytes = 1 << 20
/** Changes looked at in one call unless told otherwise: about 3 ms. */
const defaultBudget = 100_000

export class ChangeRing {
  readonly #index: Index
  readonly #table: SymbolTable
  /** The engine: says which record it applies, or applied last. */
  readonly #at: { readonly appliedOffset: number }
  readonly #limits: ChangeLimits
  #kept: Kept | undefined
  /** Changes known begin here. */
  #first: ChangePosition = { offset: 0, nth: 0 }
  /** Slot of the next change, and how many are kept before it. */
  #head = 0
  #size = 0
  /** Changes since somebody last asked. */
  #unread = 0
  /** Of the newest change. */
  #lastOffset = -1
  #lastNth = -1
  /** Bytes of descriptions so far, those left free at the buffer's end included; counted round and round in 32 bits. */
  #written = 0
  readonly #cursor = new EventCursor()

  constructor(
    index: Index,
    table: SymbolTable,
    at: { readonly appliedOffset: number },
    limits: ChangeLimits = { changes: maxKeptChanges, textBytes: maxKeptTextBytes },
  ) {
    this.#index = index
    this.#table = table
    this.#at = at
    this.#limits = limits
  }

  /** A page of the changes from a place on; without one, from after the last record applied. */
  read(from: ChangePosition | undefined, which: Wanted, options: ChangesOptions): ChangesPage {
    const { appliedOffset } = this.#at
    const end = { offset: appliedOffset + 1, nth: 0 }
    const wanted = from ?? end
    this.#keepFrom(wanted, end)
    const gapUntil = isBefore(wanted, this.#first) ? this.#first : undefined
    const limit = Math.min(options.limit ?? largestPage, largestPage)
    const { changes, behind } = this.#collect(gapUntil ?? wanted, which, limit, options.budget ?? defaultBudget)
    const next = behind > 0 ? this.#positionOf(behind) : isBefore(wanted, end) ? end : wanted
    return { changes, next, appliedOffset, ...(gapUntil === undefined ? {} : { gapUntil }) }
  }

  /**
   * Texts are about to be freed that nothing of the state names: changes that name such a one cannot be told any more, nor, so that
   * what is kept has no holes, those before them.
   */
  forgetUnmarked({ symbols, tagSets, attributeSets }: Marks): void {
    const event = this.#cursor
    const freed = (id: number, marks: Uint8Array): boolean => id !== 0 && marks[id] !== 1
    for (let behind = 1; behind <= this.#size; behind++) {
      this.#load(behind)
      if (
        freed(event.host, symbols) ||
        freed(event.service, symbols) ||
        freed(event.state, symbols) ||
        freed(event.tags, tagSets) ||
        freed(event.attributes, attributeSets)
      ) {
        while (this.#size >= behind) this.#dropOldest()
        return
      }
    }
  }

  /** Begins to keep changes, from the first that somebody wants and that is still to come. */
  #keepFrom(wanted: ChangePosition, end: ChangePosition): void {
    this.#unread = 0
    const earliest = isBefore(wanted, end) ? end : wanted
    if (this.#kept === undefined) {
      this.#kept = new Kept(this.#limits)
      this.#first = earliest
      this.#index.onChange = this.#keep
    } else if (this.#size === 0 && isBefore(earliest, this.#first)) this.#first = earliest
  }

  #stop(): void {
    this.#index.onChange = unread
    this.#kept = undefined
    this.#size = 0
    this.#head = 0
    this.#written = 0
  }

  readonly #keep = (event: EventCursor): void => {
    const kept = this.#kept!
    const offset = this.#at.appliedOffset
    const nth = offset === this.#lastOffset ? this.#lastNth + 1 : 0
    this.#lastOffset = offset
    this.#lastNth = nth
    if (offset < this.#first.offset) return
    const { changes, textBytes } = this.#limits
    if (++this.#unread > changes) return this.#stop()
    if (this.#size === changes) this.#dropOldest()
    const { descriptionLength: length } = event
    if (length > textBytes) return this.#dropAllUpTo(offset, nth)
    if (length > 0) {
      // a text lies in one piece: what is left at the buffer's end stays free if it is too short
      const at = this.#written & (textBytes - 1)
      if (at + length > textBytes) this.#written = (this.#written + textBytes - at) | 0
      const end = this.#written + length
      while (this.#size > 0 && ((end - kept.textStart(this.#slot(this.#size))) | 0) > textBytes) this.#dropOldest()
    }
    kept.put(this.#head, event, offset, nth, this.#written)
    if (length > 0) this.#written = (this.#written + length) | 0
    this.#head = (this.#head + 1) & (changes - 1)
    this.#size++
  }

  /** Slot of the change that lies so many behind the end. */
  #slot(behind: number): number {
    return (this.#head - behind) & (this.#limits.changes - 1)
  }

  #dropOldest(): void {
    const { offset, nth } = this.#positionOf(this.#size--)
    this.#first = { offset, nth: nth + 1 }
  }

  /** A description longer than all room for them: as if it had been kept and everything had fallen out. */
  #dropAllUpTo(offset: number, nth: number): void {
    this.#size = 0
    this.#first = { offset, nth: nth + 1 }
  }

  #positionOf(behind: number): ChangePosition {
    const slot = this.#slot(behind)
    return { offset: this.#kept!.offset(slot), nth: this.#kept!.nth(slot) }
  }

  #load(behind: number): void {
    this.#kept!.load(this.#slot(behind), this.#cursor)
  }

  /** Changes from a place on, and how many behind the end the first lies that was not looked at. */
  #collect(
    from: ChangePosition,
    { matches, cost }: Wanted,
    limit: number,
    budget: number,
  ): { changes: IndexChange[]; behind: number } {
    const changes: IndexChange[] = []
    const event = this.#cursor
    let behind = this.#behindOf(from)
    let textRoom = largestPageTextBytes
    for (; behind > 0 && budget > 0 && changes.length < limit && textRoom > 0; behind--, budget -= cost(event)) {
      this.#load(behind)
      if (!matches(event)) continue
      changes.push({ ...this.#positionOf(behind), event: cursorToEvent(event, this.#table) })
      textRoom -= event.descriptionLength
    }
    return { changes, behind }
  }

  /** How many changes lie at a place or after it. */
  #behindOf(from: ChangePosition): number {
    let none = 0
    let all = this.#size
    while (none < all) {
      const middle = Math.ceil((none + all) / 2)
      if (isBefore(this.#positionOf(middle), from)) all = middle - 1
      else none = middle
    }
    return none
  }
}

/**
 * Slots for changes: the cursor's numbers and ids side by side, as a change is written and read as a whole (columns would be a cache
 * line each), and descriptions in a ring of their own, whose size is exact.
 */
class Kept {
  readonly #ints: Int32Array
  readonly #doubles: Float64Array
  /** Integers beyond 2^53, by slot: rare. */
  readonly #bigs = new Map<number, bigint>()
  readonly #texts: Uint8Array

  constructor({ changes, textBytes }: ChangeLimits) {
    this.#ints = new Int32Array(changes * intsPerChange)
    this.#doubles = new Float64Array(changes * doublesPerChange)
    this.#texts = new Uint8Array(textBytes)
  }

  /** @param textStart where its description goes, counted as the ring counts what is written */
  put(slot: number, event: EventCursor, offset: number, nth: number, textStart: number): void {
    const ints = this.#ints
    const i = slot * intsPerChange
    const kinds = event.timeKind | (event.metricKind << 2) | (event.ttlKind << 4)
    if (((ints[i] >> 2) & 3) === Kind.big) this.#bigs.delete(slot)
    if (event.metricKind === Kind.big) this.#bigs.set(slot, event.metricBig)
    ints[i] = (nth << kindBits) | kinds
    ints[i + 1] = event.host
    ints[i + 2] = event.service
    ints[i + 3] = event.state
    ints[i + 4] = event.tags
    ints[i + 5] = event.attributes
    ints[i + 6] = textStart
    const length = event.descriptionLength
    ints[i + 7] = length
    const doubles = this.#doubles
    const d = slot * doublesPerChange
    doubles[d] = offset
    doubles[d + 1] = event.time
    doubles[d + 2] = event.metric
    doubles[d + 3] = event.ttl
    if (length <= 0) return
    const texts = this.#texts
    const at = textStart & (texts.length - 1)
    const { descriptionBytes: from, descriptionStart: start } = event
    // a loop beats `set(subarray)` below some hundred bytes: no view is made
    if (length < 200) for (let n = 0; n < length; n++) texts[at + n] = from[start + n]
    else texts.set(from.subarray(start, start + length), at)
  }

  /** The description's bytes stay in the ring: valid until its slot is written again. */
  load(slot: number, into: EventCursor): void {
    const ints = this.#ints
    const i = slot * intsPerChange
    const kinds = ints[i]
    into.timeKind = (kinds & 3) as Kind
    into.metricKind = ((kinds >> 2) & 3) as Kind
    into.ttlKind = ((kinds >> 4) & 3) as Kind
    into.host = ints[i + 1]
    into.service = ints[i + 2]
    into.state = ints[i + 3]
    into.tags = ints[i + 4]
    into.attributes = ints[i + 5]
    into.descriptionBytes = this.#texts
    into.descriptionStart = ints[i + 6] & (this.#texts.length - 1)
    into.descriptionLength = ints[i + 7]
    const doubles = this.#doubles
    const d = slot * doublesPerChange
    into.time = doubles[d + 1]
    into.metric = doubles[d + 2]
    into.ttl = doubles[d + 3]
    into.metricBig = into.metricKind === Kind.big ? this.#bigs.get(slot)! : 0n
  }

  offset(slot: number): number {
    return this.#doubles[slot * doublesPerChange]
  }

  nth(slot: number): number {
    return this.#ints[slot * intsPerChange] >>> kindBits
  }

  textStart(slot: number): number {
    return this.#ints[slot * intsPerChange + 6]
  }
}

const intsPerChange = 8
const doublesPerChange = 4
/** Kinds of time, metric and ttl share a word with the change's number within its record, which has 26 bits: 67 million. */
const kindBits = 6

function isBefore(a: ChangePosition, b: ChangePosition): boolean {
  return a.offset < b.offset || (a.offset === b.offset && a.nth < b.nth)
}

function unread(): void {}
