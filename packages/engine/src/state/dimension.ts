import type { ByteReader, ByteWriter } from './bytes.ts'
import { chunkMask, type Column, F64Column, I32Column, U8Column } from './columns.ts'
import type { Hasher } from './hash.ts'
import type { Marks } from './marks.ts'

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
  /** Ids below this have been given out. */
  high = 0
  live = 0
  /** New keys refused because of the limit. Counted, not state. */
  refused = 0
  /** Told of each id given out, once its cells are there. Set by the tree. */
  onAdd: ((id: number) => void) | undefined
  /** Columns of the operators below, in the order of the tree. */
  readonly columns: Column[] = []
  readonly keys: I32Column[] = []
  readonly parents = new I32Column()
  /** Owned time of the collection before which an id was last used. */
  readonly lastUsed = new F64Column()
  /** 0 on the free list, 1 alive, 2 alive and used since the last collection. */
  readonly alive = new U8Column()
  /** Next free id + 1, for ids on the free list. */
  readonly #next = new I32Column()
  #freeHead = 0
  readonly #first: I32Column
  readonly #second: I32Column
  /** Below the top there is one parent only: no need to compare it. */
  readonly #below: boolean
  #slots = new Int32Array(1024)
  #mask = 1023
  /**
   * The id that was asked for after another, the last time: agents send their keys in the same order, so the next one is
   * mostly known without hashing, and lies next in memory. A cache (hashing alone: 16 % of the production rules' time).
   */
  readonly #followers = new I32Column(-1)
  #previous = -1

  /** @param limit ids at most; a key beyond it is refused (id -1), no live one is evicted */
  constructor(parent: Dimension | undefined, keyCount: number, limit: number) {
    this.parent = parent
    this.keyCount = keyCount
    this.limit = limit
    for (let i = 0; i < keyCount; i++) this.keys.push(new I32Column())
    this.#first = this.keys[0]
    this.#second = this.keys[1]
    this.#below = parent === undefined || parent.keyCount === 0
    if (keyCount === 0) this.#add(0, noKeys, 0)
  }

  /** Adds an operator's column; it gets cells for all ids there are. */
  attach(column: Column): void {
    column.ensure(this.high)
    this.columns.push(column)
  }
  detach(column: Column): void {
    const at = this.columns.indexOf(column)
    if (at >= 0) this.columns.splice(at, 1)
  }

  /** Id of a key with one or two parts (a missing second is 0), made if new; -1 when the dimension is full. */
  id2(parent: number, first: number, second: number, now: number): number {
    const previous = this.#previous
    if (previous >= 0) {
      const guess = this.#followers.get(previous)
      if (guess >= 0 && this.#is(guess, parent, first, second)) {
        this.#previous = guess
        this.alive.set(guess, 2)
        return guess
      }
      if (this.#is(previous, parent, first, second)) {
        this.alive.set(previous, 2)
        return previous
      }
    }
    scratchKey[0] = first
    scratchKey[1] = second
    const id = this.id(parent, scratchKey, now)
    if (id < 0) return id
    if (previous >= 0) this.#followers.set(previous, id)
    this.#previous = id
    return id
  }

  #is(id: number, parent: number, first: number, second: number): boolean {
    return (
      this.#first.get(id) === first &&
      (this.keyCount === 1 || this.#second.get(id) === second) &&
      (this.#below || this.parents.get(id) === parent) &&
      this.alive.get(id) !== 0
    )
  }

  /** Id of a key, made if new; -1 when the dimension is full. */
  id(parent: number, key: ArrayLike<number>, now: number): number {
    let slot = hashKey(parent, key, this.keyCount) & this.#mask
    for (;;) {
      const id = this.#slots[slot] - 1
      if (id < 0) break
      if (this.#matches(id, parent, key)) {
        this.alive.set(id, 2)
        return id
      }
      slot = (slot + 1) & this.#mask
    }
    if (this.live >= this.limit) {
      this.refused++
      return -1
    }
    return this.#add(parent, key, now)
  }

  /** Id of a key that is there, else -1. Changes nothing. */
  find(parent: number, key: ArrayLike<number>): number {
    let slot = hashKey(parent, key, this.keyCount) & this.#mask
    for (;;) {
      const id = this.#slots[slot] - 1
      if (id < 0) return -1
      if (this.#matches(id, parent, key)) return id
      slot = (slot + 1) & this.#mask
    }
  }

  /** The id of a dimension further out that an id of this one lies in; -1 where that one is not around it. */
  idIn(outer: Dimension, id: number): number {
    if (outer === this) return id
    return this.parent === undefined ? -1 : this.parent.idIn(outer, this.parents.get(id))
  }

  /** Gives an id back: its cells are cleared and it may be given out again. */
  free(id: number): void {
    for (const column of this.columns) column.clear(id)
    for (const key of this.keys) key.set(id, 0)
    this.parents.set(id, 0)
    this.lastUsed.set(id, 0)
    this.alive.set(id, 0)
    this.#next.set(id, this.#freeHead)
    this.#freeHead = id + 1
    this.live--
    this.#previous = -1
    this.#stale = true
  }
  #stale = false

  /** Rebuilds what finds ids after some were freed. Call once after a batch of {@link free}. */
  settle(): void {
    if (this.#stale) this.#rehash(this.#slots.length)
    this.#stale = false
  }

  #matches(id: number, parent: number, key: ArrayLike<number>): boolean {
    for (let i = 0; i < this.keyCount; i++) if (this.keys[i].get(id) !== key[i]) return false
    return this.parents.get(id) === parent
  }

  #add(parent: number, key: ArrayLike<number>, now: number): number {
    let id: number
    if (this.#freeHead > 0) {
      id = this.#freeHead - 1
      this.#freeHead = this.#next.get(id)
      this.#next.set(id, 0)
    } else {
      id = this.high++
      if ((id & chunkMask) === 0) this.#ensure()
    }
    this.live++
    for (let i = 0; i < this.keyCount; i++) this.keys[i].set(id, key[i])
    this.parents.set(id, parent)
    this.lastUsed.set(id, now)
    this.alive.set(id, 2)
    if (this.live * 2 > this.#slots.length) this.#rehash(this.#slots.length * 2)
    else this.#insert(id)
    this.onAdd?.(id)
    return id
  }

  #ensure(): void {
    this.#followers.ensure(this.high)
    for (const column of this.#own()) column.ensure(this.high)
    for (const column of this.columns) column.ensure(this.high)
  }

  #own(): Column[] {
    return [...this.keys, this.parents, this.lastUsed, this.alive, this.#next]
  }

  #insert(id: number): void {
    for (let i = 0; i < this.keyCount; i++) scratchInsert[i] = this.keys[i].get(id)
    let slot = hashKey(this.parents.get(id), scratchInsert, this.keyCount) & this.#mask
    while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask
    this.#slots[slot] = id + 1
  }

  #rehash(size: number): void {
    this.#slots = new Int32Array(size)
    this.#mask = size - 1
    for (let id = 0; id < this.high; id++) if (this.alive.get(id) !== 0) this.#insert(id)
  }

  hash(hasher: Hasher): void {
    hasher.int(this.high)
    hasher.int(this.#freeHead)
    for (const column of this.#own()) column.hash(hasher, this.high)
    for (const column of this.columns) column.hash(hasher, this.high)
  }

  write(out: ByteWriter): void {
    out.int(this.high)
    out.int(this.live)
    out.int(this.#freeHead)
    for (const column of this.#own()) column.write(out, this.high)
    for (const column of this.columns) column.write(out, this.high)
  }

  read(from: ByteReader): void {
    this.high = from.int()
    this.live = from.int()
    this.#freeHead = from.int()
    for (const column of this.#own()) column.read(from, this.high)
    for (const column of this.columns) column.read(from, this.high)
    this.#followers.ensure(this.high)
    this.#previous = -1
    let size = 1024
    while (size < this.live * 2) size *= 2
    this.#rehash(size)
  }

  mark(marks: Marks): void {
    for (const key of this.keys) for (let id = 0; id < this.high; id++) marks.symbol(key.get(id))
    for (const column of this.columns) column.mark?.(marks, this.high)
  }

  get bytes(): number {
    const columns = [...this.#own(), ...this.columns].reduce((sum, column) => sum + column.bytes, 0)
    return columns + this.#slots.byteLength
  }
}

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
