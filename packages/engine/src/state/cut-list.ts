import type { CutCopies } from './asides.ts'

/** A member's place in a {@link CutList}; stays the same until it is removed. */
export interface Place<T> {
  readonly value: T
}

interface Link<T> extends Place<T> {
  /** Counts the members added so far: those of a cut are below its end. No state. */
  readonly order: number
  before: Link<T> | undefined
  after: Link<T> | undefined
  /** What is written of it, where it has changed since the cut and was not written yet. */
  aside: unknown
  /** Removed since the cut: it stays linked until it was written. */
  removed: boolean
  /** It is one of the list's rungs. */
  rung: boolean
}

/** Members between two rungs, at most: what is walked to a member that is looked for. */
const rungEvery = 256

/**
 * State as objects, in the order in which they were added: pages, incidents, producers. At a cut nothing is copied: members are written later, some at
 * a time, and one that changes or is removed before its turn is copied aside first. (To copy 100,000 open incidents at the cut held it for 120 ms and more.)
 *
 * Whoever changes a member calls {@link keep} before.
 */
export class CutList<T> {
  #first: Link<T> | undefined
  #last: Link<T> | undefined
  #added = 0
  #length = 0
  /** Every so many-th member, in their order, so that one is found without all before it. Derived, no state. */
  #rungs: Link<T>[] = []
  readonly #copy: (value: T) => unknown

  // ---- Of a cut that is under way, no state
  #cut: CutCopies | undefined
  /** The next to be written. */
  #next: Link<T> | undefined
  /** Orders below it belong to the cut. */
  #end = 0
  #touched: Link<T>[] = []

  /** @param copy gives what is written of a member, as plain data that no later change of it reaches */
  constructor(copy: (value: T) => unknown) {
    this.#copy = copy
  }

  get length(): number {
    return this.#length
  }

  *[Symbol.iterator](): Generator<T, void, undefined> {
    for (let link = this.#first; link !== undefined; link = link.after) if (!link.removed) yield link.value
  }

  /**
   * The members from the first on of which something holds.
   * @param isBehind false of some first members, true of all others
   */
  *from(isBehind: (value: T) => boolean): Generator<T, void, undefined> {
    let low = 0
    for (let high = this.#rungs.length; low < high;) {
      const middle = (low + high) >>> 1
      if (isBehind(this.#rungs[middle].value)) high = middle
      else low = middle + 1
    }
    let link = low === 0 ? this.#first : this.#rungs[low - 1]
    while (link !== undefined && !isBehind(link.value)) link = link.after
    for (; link !== undefined; link = link.after) if (!link.removed) yield link.value
  }

  add(value: T): Place<T> {
    const before = this.#last
    const order = this.#added++
    const rung = order % rungEvery === 0
    const link = { value, order, before, after: undefined, aside: undefined, removed: false, rung }
    if (rung) this.#rungs.push(link)
    if (before === undefined) this.#first = link
    else before.after = link
    this.#last = link
    this.#length++
    return link
  }

  /** Call before a member is changed. */
  keep(place: Place<T>): void {
    if (this.#isWaiting(place as Link<T>)) this.#keepAside(place as Link<T>)
  }

  remove(place: Place<T>): void {
    const link = place as Link<T>
    this.#length--
    if (!this.#isWaiting(link)) return this.#unlink(link)
    this.#keepAside(link)
    link.removed = true
  }

  clear(): void {
    this.end()
    this.#first = this.#last = undefined
    this.#rungs = []
    this.#length = 0
  }

  /** A cut: all members are kept as they stand until {@link write} wrote them. An older cut is forgotten. */
  begin(cut: CutCopies): void {
    this.end()
    this.#next = this.#first
    if (this.#next === undefined) return
    this.#cut = cut
    this.#end = this.#added
    cut.add(this)
  }

  /** The next members as they stood at the cut, at most `count`. */
  write(count: number): unknown[] {
    const written: unknown[] = []
    let link = this.#next
    while (written.length < count && link !== undefined && link.order < this.#end) {
      const { after } = link
      written.push(link.aside ?? this.#copy(link.value))
      this.#letGo(link)
      link = after
    }
    this.#next = link
    if (link === undefined || link.order >= this.#end) this.end()
    return written
  }

  end(): void {
    if (this.#cut === undefined) return
    for (const link of this.#touched) this.#letGo(link)
    this.#touched = []
    this.#cut = undefined
    this.#next = undefined
    this.#end = 0
  }

  /** All members as they stand now, as {@link write} gives them. */
  toJSON(): unknown[] {
    return Array.from(this, this.#copy)
  }

  /** Whether it belongs to a cut and was not written yet. */
  #isWaiting({ order }: Link<T>): boolean {
    return this.#cut !== undefined && order < this.#end && order >= this.#next!.order
  }

  #keepAside(link: Link<T>): void {
    if (link.aside !== undefined) return
    link.aside = this.#copy(link.value)
    this.#touched.push(link)
    this.#cut!.bytes += estimatedBytes
  }

  /** It was written, or need not be any more. */
  #letGo(link: Link<T>): void {
    if (link.aside === undefined) return
    link.aside = undefined
    this.#cut!.bytes -= estimatedBytes
    if (link.removed) this.#unlink(link)
  }

  #unlink(link: Link<T>): void {
    const { before, after } = link
    if (before === undefined) this.#first = after
    else before.after = after
    if (after === undefined) this.#last = before
    else after.before = before
    if (link.rung) this.#moveRung(link)
  }

  /** The next member is a rung in its place, where it is none already. */
  #moveRung(link: Link<T>): void {
    const at = this.#rungAt(link.order)
    const { after } = link
    if (after === undefined || after.rung) this.#rungs.splice(at, 1)
    else {
      after.rung = true
      this.#rungs[at] = after
    }
  }

  #rungAt(order: number): number {
    let low = 0
    for (let high = this.#rungs.length; low < high;) {
      const middle = (low + high) >>> 1
      if (this.#rungs[middle].order < order) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Of a copy; what it shares with the member is not copied. */
const estimatedBytes = 512
