import { CodecError } from './errors.ts'
import { copySlack } from './memo.ts'

/**
 * A set of byte strings with dense ids: the one structure behind symbols, sets of symbols and the cache of raw runs.
 *
 * Open addressing over Int32Arrays (id to hash, offset, length), contents end to end in one arena. Hash and comparison go by
 * 4-byte words through a DataView: a third of the time of a loop over bytes on the 20 to 40 bytes that services have.
 *
 * State are: contents by id and the order of the free list. Buckets, capacities and offsets follow from them and are not dumped.
 */
export class ByteTable {
  /** Ids in use. */
  size = 0
  /** Bytes of the contents in use. */
  bytes = 0
  /** New contents that found no room. Counted, not state. */
  refused = 0
  /** The highest id ever given; columns indexed by ids need this many rows plus one. */
  highestId = 0

  private buckets = new Int32Array(firstBuckets)
  private hashes = new Int32Array(firstEntries)
  private offsets = new Int32Array(firstEntries)
  /** -1 for an id that is free, so that nothing ever equals it. */
  private lengths = new Int32Array(firstEntries).fill(-1)
  private arena = new Uint8Array(firstArena)
  private view = new DataView(this.arena.buffer)
  private arenaEnd = 0
  private free: number[] = []

  constructor(
    private maxEntries: number,
    private maxBytes: number,
  ) {}

  /** How much of what it may hold it holds, from 0 to 1; more than 1 where the limits were lowered. */
  get fullness(): number {
    return Math.max(this.size / this.maxEntries, this.bytes / this.maxBytes)
  }

  /** Other limits from here on; what is there stays. */
  limit(maxEntries: number, maxBytes: number): void {
    this.maxEntries = maxEntries
    this.maxBytes = maxBytes
  }

  /** Whether id stands for exactly these bytes; false for free ids and for 0. */
  matches(id: number, view: DataView, start: number, length: number): boolean {
    return this.lengths[id] === length && sameBytes(this.view, this.offsets[id], view, start, length)
  }

  /** The id of these bytes, 0 if they are not in the table. */
  find(view: DataView, start: number, length: number): number {
    return this.lookup(hashBytes(view, start, length), view, start, length)
  }

  /** The id of these bytes, given a new one if they have none; 0 when the table is full. `view` and `bytes` start at the same place. */
  add(bytes: Uint8Array, view: DataView, start: number, length: number): number {
    const hash = hashBytes(view, start, length)
    const known = this.lookup(hash, view, start, length)
    return known !== 0 ? known : this.insert(hash, bytes, start, length)
  }

  lengthOf(id: number): number {
    return this.lengths[id]
  }

  /** The contents, as a view that is valid until the next change of the table. */
  contents(id: number): Uint8Array {
    return this.arena.subarray(this.offsets[id], this.offsets[id] + this.lengths[id])
  }

  /** Copies the contents to another place and gives their length. */
  copyTo(id: number, target: Uint8Array, at: number): number {
    const { arena } = this
    const length = this.lengths[id]
    const start = this.offsets[id]
    // Below this length a loop beats the call of `set` with its subarray (40 ns).
    if (length > 64) target.set(arena.subarray(start, start + length), at)
    else for (let i = 0; i < length; i++) target[at + i] = arena[start + i]
    return length
  }

  /** As {@link copyTo}, by words: up to {@link copySlack} bytes behind the end are overwritten. */
  copyWords(id: number, target: DataView, at: number): number {
    const { view } = this
    const length = this.lengths[id]
    const start = this.offsets[id]
    for (let i = 0; i < length; i += 4) target.setInt32(at + i, view.getInt32(start + i, true), true)
    return length
  }

  has(id: number): boolean {
    return id > 0 && id <= this.highestId && this.lengths[id] >= 0
  }

  /** The n-th word of the contents, for those that are lists of numbers. */
  word(id: number, n: number): number {
    return this.view.getInt32(this.offsets[id] + 4 * n, true)
  }

  /** Empties the table, keeping its buffers. */
  clear(): void {
    this.buckets.fill(0)
    this.lengths.fill(-1)
    this.size = this.bytes = this.highestId = this.arenaEnd = 0
    this.free.length = 0
  }

  /**
   * Frees every id that is not marked (`marked[id]` is 0 or beyond its end); lower ids are given again first. Ids that stay keep
   * their number. Costs a copy of what stays: 2 ms a million bytes.
   */
  sweep(marked: Uint8Array): number {
    const freed: number[] = []
    for (let id = this.highestId; id > 0; id--) {
      if (this.lengths[id] < 0 || marked[id]) continue
      freed.push(id)
      this.bytes -= this.lengths[id]
      this.lengths[id] = -1
    }
    if (freed.length === 0) return 0
    for (const id of freed) this.free.push(id)
    this.size -= freed.length
    this.compact()
    this.rehash(this.buckets.length)
    return freed.length
  }

  /** Hash of all state, 32 bits, unsigned. */
  hash(): number {
    let hash = mix(0x52696363, this.highestId)
    for (let id = 1; id <= this.highestId; id++) hash = mix(hash, this.lengths[id] < 0 ? -1 : this.hashes[id])
    for (const id of this.free) hash = mix(hash, id)
    return finish(hash) >>> 0
  }

  /** Bytes of {@link dump}. */
  get dumpLength(): number {
    return 4 * (2 + this.highestId + this.free.length) + this.bytes
  }

  /**
   * All state: highest id, length by id (-1: free), free list, contents in the order of ids. All numbers little-endian.
   * @param bytes where to write it, of {@link dumpLength}
   */
  dump(bytes = new Uint8Array(this.dumpLength)): Uint8Array {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const { arena, lengths, offsets, highestId } = this
    let at = 0
    const put = (value: number) => {
      view.setInt32(at, value, true)
      at += 4
    }
    put(this.highestId)
    put(this.free.length)
    for (let id = 1; id <= highestId; id++) put(lengths[id])
    for (const id of this.free) put(id)
    // most contents follow each other in the arena as their ids do: copied by runs it takes a tenth of the time of one by one
    let from = 0
    let end = 0
    const copyRun = (): void => {
      if (end - from > 64) bytes.set(arena.subarray(from, end), at)
      else for (let i = from; i < end; i++) bytes[at + i - from] = arena[i]
      at += end - from
    }
    for (let id = 1; id <= highestId; id++) {
      const length = lengths[id]
      if (length < 0) continue
      const offset = offsets[id]
      if (offset !== end) {
        copyRun()
        from = offset
      }
      end = offset + length
    }
    copyRun()
    return bytes
  }

  /**
   * Takes over what {@link dump} gave, in place of what the table holds.
   * @throws CodecError `DUMP_UNREADABLE`
   */
  restore(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const words = bytes.length >> 2
    const highestId = words < 2 ? -1 : view.getInt32(0, true)
    const free = words < 2 ? -1 : view.getInt32(4, true)
    if (highestId < 0 || free < 0 || free > highestId || 2 + highestId + free > words) throw unreadable()
    this.clear()
    this.growEntries(highestId + 1)
    let at = 4 * (2 + highestId + free)
    for (let id = 1; id <= highestId; id++) {
      const length = view.getInt32(4 * (1 + id), true)
      if (length < -1 || at + length > bytes.length) throw unreadable()
      this.lengths[id] = length
      if (length < 0) continue
      this.hashes[id] = hashBytes(view, at, length)
      this.offsets[id] = this.arenaEnd
      this.reserve(length)
      this.arena.set(bytes.subarray(at, at + length), this.arenaEnd)
      this.arenaEnd += length
      this.bytes += length
      this.size++
      at += length
    }
    for (let i = 0; i < free; i++) {
      const id = view.getInt32(4 * (2 + highestId + i), true)
      if (id < 1 || id > highestId || this.lengths[id] >= 0) throw unreadable()
      this.free.push(id)
    }
    this.highestId = highestId
    if (at !== bytes.length || this.size + free !== highestId) throw unreadable()
    let buckets = firstBuckets
    while (buckets < 2 * this.size) buckets *= 2
    this.rehash(buckets)
  }

  private lookup(hash: number, view: DataView, start: number, length: number): number {
    const { buckets, hashes } = this
    const mask = buckets.length - 1
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const id = buckets[at]
      if (id === 0) return 0
      if (hashes[id] === hash && this.matches(id, view, start, length)) return id
    }
  }

  private insert(hash: number, bytes: Uint8Array, start: number, length: number): number {
    if (this.size >= this.maxEntries || this.bytes + length > this.maxBytes) {
      this.refused++
      return 0
    }
    const id = this.free.pop() ?? ++this.highestId
    if (id >= this.lengths.length) this.growEntries(2 * id)
    this.reserve(length)
    this.arena.set(bytes.subarray(start, start + length), this.arenaEnd)
    this.hashes[id] = hash
    this.offsets[id] = this.arenaEnd
    this.lengths[id] = length
    this.arenaEnd += length
    this.bytes += length
    this.size++
    // At most half full: the mean probe stays below 1.5 for keys that are there, 2.5 for those that are not.
    if (2 * this.size > this.buckets.length) this.rehash(2 * this.buckets.length)
    else this.place(id)
    return id
  }

  private place(id: number): void {
    const { buckets } = this
    const mask = buckets.length - 1
    let at = this.hashes[id] & mask
    while (buckets[at] !== 0) at = (at + 1) & mask
    buckets[at] = id
  }

  private rehash(buckets: number): void {
    if (buckets === this.buckets.length) this.buckets.fill(0)
    else this.buckets = new Int32Array(buckets)
    for (let id = 1; id <= this.highestId; id++) if (this.lengths[id] >= 0) this.place(id)
  }

  private growEntries(entries: number): void {
    if (entries <= this.lengths.length) return
    const lengths = new Int32Array(entries).fill(-1)
    lengths.set(this.lengths)
    this.lengths = lengths
    this.hashes = grown(this.hashes, entries)
    this.offsets = grown(this.offsets, entries)
  }

  private reserve(length: number): void {
    if (this.arenaEnd + length + copySlack > this.arena.length) {
      this.replaceArena(Math.max(2 * this.arena.length, this.arenaEnd + length + copySlack))
    }
  }

  private replaceArena(capacity: number): void {
    const arena = new Uint8Array(capacity)
    arena.set(this.arena.subarray(0, this.arenaEnd))
    this.arena = arena
    this.view = new DataView(arena.buffer)
  }

  private compact(): void {
    const arena = new Uint8Array(Math.max(firstArena, 2 * this.bytes + copySlack))
    let end = 0
    for (let id = 1; id <= this.highestId; id++) {
      if (this.lengths[id] < 0) continue
      const length = this.copyTo(id, arena, end)
      this.offsets[id] = end
      end += length
    }
    this.arena = arena
    this.view = new DataView(arena.buffer)
    this.arenaEnd = end
  }
}

/** Sizes at the start, all doubled as needed: a table of one agent's own events stays below 100 kB. */
const firstEntries = 1024
const firstBuckets = 2048
const firstArena = 32 * 1024

function grown(array: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(length)
  larger.set(array)
  return larger
}

function unreadable(): CodecError {
  return new CodecError('DUMP_UNREADABLE', 'this is no dump of a symbol table; restore from another snapshot')
}

/** Whether `length` bytes at two places are equal, four at a time; the last word overlaps the one before it. */
export function sameBytes(a: DataView, aStart: number, b: DataView, bStart: number, length: number): boolean {
  if (length < 4) {
    for (let i = 0; i < length; i++) if (a.getUint8(aStart + i) !== b.getUint8(bStart + i)) return false
    return true
  }
  const last = length - 4
  for (let i = 0; i < last; i += 4) {
    if (a.getInt32(aStart + i, true) !== b.getInt32(bStart + i, true)) return false
  }
  return a.getInt32(aStart + last, true) === b.getInt32(bStart + last, true)
}

/** 32 bits over bytes, four at a time; not for use against people who choose their input. */
export function hashBytes(view: DataView, start: number, length: number): number {
  let hash = length
  if (length < 4) {
    for (let i = 0; i < length; i++) hash = mix(hash, view.getUint8(start + i))
    return finish(hash)
  }
  const last = length - 4
  for (let i = 0; i < last; i += 4) hash = mix(hash, view.getInt32(start + i, true))
  return finish(mix(hash, view.getInt32(start + last, true)))
}

function mix(hash: number, word: number): number {
  return Math.imul(((hash << 5) | (hash >>> 27)) ^ word, 0x9e3779b1)
}

function finish(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b)
  return hash ^ (hash >>> 13)
}
