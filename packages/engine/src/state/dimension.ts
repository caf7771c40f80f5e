import type { ByteReader } from './bytes.ts'
import { chunkBits, chunkMask, type Column } from './columns.ts'
import type { Marks } from './marks.ts'
import { Records } from './records.ts'
import type { StateWriter } from './writer.ts'

/**
 * The record of an id, 32 bytes with keys of one or two parts.
 *   word 0: id in the parent dimension
 *   word 1: 0 on the free list, 1 alive, 2 alive and used since the last collection
 *   double 1: owned time of the collection before which the id was last used
 *   word 4: next free id + 1, for ids on the free list
 *   words 5 …: the key, then, from an even word on, cells of who opened the dimension
 *   last word: id + 1 of the follower, a cache (see Dimension.id2)
 */
const aliveAt = 1
const lastUsedAt = 1
const nextAt = 4
const keyAt = 5
const followerWords = 1

/**
 * A space of dense ids, one per distinct key: what `by` opens, and what the index keeps its rows in. Everything below has its
 * columns here, one cell per id. A key is (id in the parent dimension, up to {@link maximalKeys} symbol ids).
 *
 * Ids are state: they are given out in log order and reused through a free list that is state too. The hash table that finds an
 * id by its key is a cache, rebuilt when a snapshot is restored.
 */
export class Dimension {
  readonly parent: Dimension | undefined
  readonly keyCount: number
  /** Ids alive at most; settings may change it. */
  limit: number
  /** Ids beyond the limit that may be given out just now; see OwnAlarms. */
  reserve = 0
  /** Ids below this have been given out. */
  high = 0
  live = 0
  /** New keys refused because of the limit. Counted, not state. */
  refused = 0
  /** Told of each id given out, once its cells are there. Set by the tree. */
  onAdd: ((id: number) => void) | undefined
  /** For people: the path of the operator that opened it. */
  name = ''
  /** Columns of the operators below, in the order of the tree. */
  readonly columns: Column[] = []
  readonly #columnNames = new WeakMap<Column, string>()
  /** Records of the ids: the cells of who opened the dimension are its own affair, cleared when an id is given back. */
  readonly records: Records
  readonly #words: number
  /** Where these cells begin. */
  readonly cellsAt: number
  #freeHead = 0
  /** Open addressing over pairs of id + 1 and hash: a key that is not it is mostly passed over without a look at its record. */
  #slots = new Int32Array(2 * firstSlots)
  #mask = firstSlots - 1
  #previous = -1
  /** How far the guesses of {@link id2} are to be trusted: they were right lately. A cache. */
  #trust = mostTrust

  /**
   * @param limit ids at most; a key beyond it is refused (id -1), no live one is evicted
   * @param cellWords words of each record for who opens the dimension
   */
  constructor(parent: Dimension | undefined, keyCount: number, limit: number, cellWords = 0) {
    this.parent = parent
    this.keyCount = keyCount
    this.limit = limit
    const keyEnd = keyAt + Math.max(2, keyCount)
    this.cellsAt = (keyEnd + 1) & ~1
    this.#words = ((cellWords === 0 ? keyEnd : this.cellsAt + cellWords) + followerWords + 1) & ~1
    this.records = new Records(this.#words, this.#words - followerWords)
    if (keyCount === 0) this.#add(0, noKeys, 0)
  }

  /** Adds an operator's column; it gets cells for all ids there are. The name is for people. */
  attach(column: Column, name: string): void {
    column.ensure(this.high)
    this.#columnNames.set(column, name)
    this.columns.push(column)
  }
  detach(column: Column): void {
    const at = this.columns.indexOf(column)
    if (at >= 0) this.columns.splice(at, 1)
  }

  /** Whether an id is in use. */
  isAlive(id: number): boolean {
    return this.#word(id, aliveAt) !== 0
  }
  parentOf(id: number): number {
    return this.#word(id, 0)
  }
  /** A part of the key of an id. */
  keyOf(id: number, part: number): number {
    return this.#word(id, keyAt + part)
  }
  /** Whether an id was last used before a moment of owned time; one that was used since it was last asked is taken to be used at `now`. */
  idle(id: number, now: number, before: number): boolean {
    const at = (id & chunkMask) * this.#words
    if (this.#word(id, aliveAt) === usedLately) {
      const chunk = this.records.change(id)
      chunk.ints[at + aliveAt] = 1
      chunk.doubles[(at >> 1) + lastUsedAt] = now
    }
    return this.records.chunks[id >>> chunkBits].doubles[(at >> 1) + lastUsedAt] < before
  }

  /**
   * Id of a key with one or two parts (a missing second is 0), made if new; -1 when the dimension is full.
   *
   * Agents send their keys in the same order, so the next one is mostly the one that followed last time (hashing alone was 16 % of
   * the production rules' time), and lies next in memory. Where orders are new each round a wrong guess costs a cache miss: who was
   * wrong lately looks the key up at once and only watches whether the guess would have been right.
   */
  id2(parent: number, first: number, second: number, now: number): number {
    const previous = this.#previous
    if (previous < 0) return (this.#previous = this.#lookUp(parent, first, second, now))
    const { ints } = this.records.chunks[previous >>> chunkBits]
    const at = (previous & chunkMask) * this.#words
    if (this.#is(ints, at, parent, first, second)) {
      if (ints[at + aliveAt] !== usedLately) this.#use(previous)
      return previous
    }
    const followerAt = at + this.#words - 1
    const guess = ints[followerAt] - 1
    if (guess >= 0 && this.#trust > 0) {
      const { ints: guessed } = this.records.chunks[guess >>> chunkBits]
      const guessedAt = (guess & chunkMask) * this.#words
      if (this.#is(guessed, guessedAt, parent, first, second)) {
        if (guessed[guessedAt + aliveAt] !== usedLately) this.#use(guess)
        if (this.#trust < mostTrust) this.#trust++
        return (this.#previous = guess)
      }
    }
    const id = this.#lookUp(parent, first, second, now)
    if (id === guess) this.#trust++
    else {
      if (this.#trust > 0) this.#trust--
      if (id >= 0) ints[followerAt] = id + 1
    }
    return (this.#previous = id)
  }

  #is(ints: Int32Array, at: number, parent: number, first: number, second: number): boolean {
    return (
      ints[at + keyAt] === first && ints[at + keyAt + 1] === second && ints[at] === parent && ints[at + aliveAt] !== 0
    )
  }

  #lookUp(parent: number, first: number, second: number, now: number): number {
    scratchKey[0] = first
    scratchKey[1] = second
    return this.id(parent, scratchKey, now)
  }

  /** Id of a key, made if new; -1 when the dimension is full. */
  id(parent: number, key: ArrayLike<number>, now: number): number {
    const id = this.find(parent, key)
    if (id >= 0) {
      if (this.#word(id, aliveAt) !== usedLately) this.#use(id)
      return id
    }
    if (this.live >= this.limit + this.reserve) {
      this.refused++
      return -1
    }
    return this.#add(parent, key, now)
  }

  /** Id of a key that is there, else -1. Changes nothing. */
  find(parent: number, key: ArrayLike<number>): number {
    const hash = hashKey(parent, key, this.keyCount)
    const slots = this.#slots
    let slot = hash & this.#mask
    for (;;) {
      const id = slots[2 * slot] - 1
      if (id < 0) return -1
      if (slots[2 * slot + 1] === hash && this.#matches(id, parent, key)) return id
      slot = (slot + 1) & this.#mask
    }
  }

  #use(id: number): void {
    this.records.change(id).ints[(id & chunkMask) * this.#words + aliveAt] = usedLately
  }

  #word(id: number, field: number): number {
    return this.records.chunks[id >>> chunkBits].ints[(id & chunkMask) * this.#words + field]
  }

  /** The id of a dimension further out that an id of this one lies in; -1 where that one is not around it. */
  idIn(outer: Dimension, id: number): number {
    if (outer === this) return id
    return this.parent === undefined ? -1 : this.parent.idIn(outer, this.parentOf(id))
  }

  /** Gives an id back: its cells are cleared and it may be given out again. */
  free(id: number): void {
    for (const column of this.columns) column.clear(id)
    const at = (id & chunkMask) * this.#words
    const { ints } = this.records.change(id)
    ints.fill(0, at, at + this.#words)
    ints[at + nextAt] = this.#freeHead
    this.#freeHead = id + 1
    this.live--
    this.#previous = -1
    this.#stale = true
  }
  #stale = false

  /** Rebuilds what finds ids after some were freed. Call once after a batch of {@link free}. */
  settle(): void {
    if (this.#stale) this.#rehash(this.#slots.length / 2)
    this.#stale = false
  }

  #matches(id: number, parent: number, key: ArrayLike<number>): boolean {
    const { ints } = this.records.chunks[id >>> chunkBits]
    const at = (id & chunkMask) * this.#words
    for (let i = 0; i < this.keyCount; i++) if (ints[at + keyAt + i] !== key[i]) return false
    return ints[at] === parent
  }

  #add(parent: number, key: ArrayLike<number>, now: number): number {
    let id: number
    if (this.#freeHead > 0) {
      id = this.#freeHead - 1
      this.#freeHead = this.#word(id, nextAt)
    } else {
      id = this.high++
      if ((id & chunkMask) === 0) this.#ensure()
    }
    this.live++
    const { ints, doubles } = this.records.change(id)
    const at = (id & chunkMask) * this.#words
    ints[at] = parent
    ints[at + aliveAt] = usedLately
    doubles[(at >> 1) + lastUsedAt] = now
    ints[at + nextAt] = 0
    for (let i = 0; i < this.keyCount; i++) ints[at + keyAt + i] = key[i]
    if (this.live * 4 > this.#slots.length) this.#rehash(this.#slots.length)
    else this.#insert(id)
    this.onAdd?.(id)
    return id
  }

  #ensure(): void {
    this.records.ensure(this.high)
    for (const column of this.columns) column.ensure(this.high)
  }

  #insert(id: number): void {
    for (let i = 0; i < this.keyCount; i++) scratchInsert[i] = this.keyOf(id, i)
    const hash = hashKey(this.parentOf(id), scratchInsert, this.keyCount)
    let slot = hash & this.#mask
    while (this.#slots[2 * slot] !== 0) slot = (slot + 1) & this.#mask
    this.#slots[2 * slot] = id + 1
    this.#slots[2 * slot + 1] = hash
  }

  #rehash(size: number): void {
    this.#slots = new Int32Array(2 * size)
    this.#mask = size - 1
    for (let id = 0; id < this.high; id++) if (this.isAlive(id)) this.#insert(id)
  }

  write(out: StateWriter): void {
    out.part(`${this.name}: keys`)
    out.int(this.high)
    out.int(this.live)
    out.int(this.#freeHead)
    this.records.write(out, this.high)
    for (const column of this.columns) {
      out.part(this.#columnNames.get(column)!)
      column.write(out, this.high)
    }
  }

  read(from: ByteReader): void {
    this.high = from.int()
    this.live = from.int()
    this.#freeHead = from.int()
    this.records.read(from, this.high)
    for (const column of this.columns) column.read(from, this.high)
    this.#previous = -1
    let size = firstSlots
    while (size < this.live * 2) size *= 2
    this.#rehash(size)
  }

  mark(marks: Marks): void {
    for (let i = 0; i < this.keyCount; i++) for (let id = 0; id < this.high; id++) marks.symbol(this.keyOf(id, i))
    for (const column of this.columns) column.mark?.(marks, this.high)
  }

  /** Of its ids and their keys alone, without the columns below. */
  get idBytes(): number {
    return this.records.bytes + this.#slots.byteLength
  }

  get bytes(): number {
    return this.columns.reduce((sum, column) => sum + column.bytes, this.idBytes)
  }
}

/** Slots at first; doubled when half of them are taken. */
const firstSlots = 1024
const usedLately = 2
/** Guesses that may fail one after another before they are no longer looked at. */
const mostTrust = 8
/** More parts than anybody keys by; a `by` with more is refused when the rules are built. */
export const maximalKeys = 8
const noKeys: number[] = []
const scratchKey = new Int32Array(2)
const scratchInsert = new Int32Array(maximalKeys)

function hashKey(parent: number, key: ArrayLike<number>, count: number): number {
  let h = Math.imul(parent + 1, 0x9e3779b1 | 0)
  for (let i = 0; i < count; i++) {
    h = Math.imul(h ^ key[i], 0x85ebca6b | 0)
    h ^= h >>> 15
  }
  h = Math.imul(h, 0xc2b2ae35 | 0)
  return h ^ (h >>> 13)
}
