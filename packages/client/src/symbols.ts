import { AttributeRun, TagRun } from './attributes.ts'
import { ByteTable } from './byte-table.ts'
import { CodecError } from './errors.ts'
import { ByteMemo } from './memo.ts'
import { MsgWriter } from './writer.ts'
import type { InternTable } from './cursor.ts'

/** Bounds of a symbol table. */
export interface SymbolLimits {
  /** Different texts. Columns that hold a verdict per symbol take a byte or four for each. */
  readonly maxSymbols?: number
  /** Bytes of all different texts together. */
  readonly maxSymbolTableBytes?: number
  /** Different sets of tags, and different sets of attributes. */
  readonly maxSets?: number
}

/** 150,000 keys of a fleet need about 1,500 symbols; a million leaves room for hosts and containers that come and go. */
export const maxSymbols = 1 << 20
/** 64 bytes for each of a million. */
export const maxSymbolTableBytes = 64 * 1024 * 1024
/** Sets are few where tags mean something: as many as hosts and kinds of services. */
export const maxSets = 1 << 18
/** Room for 16 members in each of the most sets there can be. */
const maxSetBytes = maxSets * 16 * 4

/** The caches of raw runs are emptied when they hold this much: 8,192 different runs of 128 bytes. */
const maxCachedRuns = 8192
const maxCachedRunBytes = 1024 * 1024
/** The place of a run too long for the cache: it holds its set until the next such run, and matches nothing. */
const notCached = maxCachedRuns + 1

/** What stays when a table is swept: an element that is not 0 for each id in use. Shorter arrays mean 0. */
export interface Marks {
  readonly symbols: Uint8Array
  readonly tagSets: Uint8Array
  readonly attributeSets: Uint8Array
}

/**
 * The table of all text that an engine's state refers to. It *is* state: ids are given in the order of calls, freed ones in the
 * order of the free list, and {@link dump} and {@link restore} keep both, so that every replica gives the same ids.
 *
 * Which ids are given never depends on a cache: a run of tags or attributes is cached only after all its texts were interned,
 * texts only vanish in {@link sweep}, and that empties the caches. So whoever walks a run that another had in its cache finds
 * every text of it in the table.
 */
export class SymbolTable implements InternTable {
  /** Runs of fields seen lately, with the sets they stand for. */
  readonly tagRuns = new RunCache()
  readonly attributeRuns = new RunCache()
  private readonly symbols: ByteTable
  private readonly tagSets: ByteTable
  private readonly attributeSets: ByteTable
  // What was asked for as text or array, kept until the next sweep.
  private texts: (string | undefined)[] = []
  private tagArrays: (Int32Array | undefined)[] = []
  private attributeArrays: (Int32Array | undefined)[] = []
  private tagFields: (ByteMemo | undefined)[] = []
  private attributeFields: (ByteMemo | undefined)[] = []
  /** Counts the sweeps: what someone kept about an id may be about another text since. A cache's matter, no state. */
  generation = 0
  private lastBytes: Uint8Array | undefined
  private lastView: DataView | undefined
  private scratch = new Uint8Array(1024)
  private scratchView = viewOver(this.scratch)
  private readonly tagRun = new TagRun()
  private readonly attributeRun = new AttributeRun()

  constructor(limits: SymbolLimits = {}) {
    this.symbols = new ByteTable(limits.maxSymbols ?? maxSymbols, limits.maxSymbolTableBytes ?? maxSymbolTableBytes)
    this.tagSets = new ByteTable(limits.maxSets ?? maxSets, maxSetBytes)
    this.attributeSets = new ByteTable(limits.maxSets ?? maxSets, maxSetBytes)
  }

  /** How full it is, from 0 to 1: by the fullest of texts, their bytes, sets of tags, sets of attributes. */
  get fullness(): number {
    return Math.max(this.symbols.fullness, this.tagSets.fullness, this.attributeSets.fullness)
  }

  /** Texts and sets that found no room so far. */
  get refused(): number {
    return this.symbols.refused + this.tagSets.refused + this.attributeSets.refused
  }

  /** Room for this many symbols from here on, and for bytes and sets in the same proportion as {@link maxSymbols}. */
  limitSymbols(count: number): void {
    const share = count / maxSymbols
    this.symbols.limit(count, share * maxSymbolTableBytes)
    for (const sets of [this.tagSets, this.attributeSets]) sets.limit(share * maxSets, share * maxSetBytes)
  }

  /** Symbols in use. */
  get size(): number {
    return this.symbols.size
  }

  /** Bytes of all texts and sets in use. */
  get bytes(): number {
    return this.symbols.bytes + this.tagSets.bytes + this.attributeSets.bytes
  }

  /** The highest symbol id so far: columns by symbol have one row more. */
  get highestId(): number {
    return this.symbols.highestId
  }

  get highestTagSet(): number {
    return this.tagSets.highestId
  }

  get highestAttributeSet(): number {
    return this.attributeSets.highestId
  }

  intern(bytes: Uint8Array, start: number, length: number): number {
    if (bytes !== this.lastBytes) {
      this.lastBytes = bytes
      this.lastView = viewOver(bytes)
    }
    return this.internSlice(bytes, this.lastView!, start, length)
  }

  /** As {@link intern}, for a caller that has a DataView over the same bytes at hand. */
  internSlice(bytes: Uint8Array, view: DataView, start: number, length: number): number {
    const known = this.symbols.find(view, start, length)
    return known !== 0 ? known : this.internNew(bytes, view, start, length)
  }

  internText(text: string): number {
    const length = this.toScratch(text)
    return this.symbols.add(this.scratch, this.scratchView, 0, length)
  }

  /** The id of a text that has one, else 0. Interns nothing. */
  find(text: string): number {
    const length = this.toScratch(text)
    return this.symbols.find(this.scratchView, 0, length)
  }

  /** Whether a symbol is exactly these bytes: how a decoder checks a guess without hashing. False for 0. */
  matches(id: number, view: DataView, start: number, length: number): boolean {
    return this.symbols.matches(id, view, start, length)
  }

  text(id: number): string {
    const known = this.texts[id]
    if (known !== undefined) return known
    if (!this.symbols.has(id)) return ''
    return (this.texts[id] = decoder.decode(this.symbols.contents(id)))
  }

  byteLength(id: number): number {
    return this.symbols.lengthOf(id)
  }

  /** Copies a symbol's UTF-8 and gives its length. Goes by words: `target` must have {@link copySlack} bytes behind it to spare. */
  copyBytes(id: number, target: DataView, at: number): number {
    return this.symbols.copyWords(id, target, at)
  }

  internTags(ids: readonly number[]): number {
    const words = ids.length < 2 ? ids : [...new Set(ids)]
    return words.length === 0 ? 0 : this.internWords(this.tagSets, words)
  }

  tagsOf(set: number): Int32Array {
    return (this.tagArrays[set] ??= wordsOf(this.tagSets, set))
  }

  internAttributes(pairs: readonly number[]): number {
    if (pairs.length === 0) return 0
    const values = new Map<number, number>()
    for (let i = 0; i < pairs.length; i += 2) values.set(pairs[i], pairs[i + 1])
    const keys = [...values.keys()]
    if (keys.length > 1) keys.sort((a, b) => compareBytes(this.symbols.contents(a), this.symbols.contents(b)))
    const words: number[] = []
    for (const key of keys) words.push(key, values.get(key)!)
    return this.internWords(this.attributeSets, words)
  }

  attributesOf(set: number): Int32Array {
    return (this.attributeArrays[set] ??= wordsOf(this.attributeSets, set))
  }

  /** A set of tags as its fields stand in an event; valid until the next {@link sweep}. */
  encodedTags(set: number): ByteMemo {
    const known = this.tagFields[set]
    if (known !== undefined) return known
    const writer = new MsgWriter(256)
    writer.tagSymbols(this.tagsOf(set), this)
    return (this.tagFields[set] = memoOf(writer))
  }

  /** A set of attributes as its fields stand in an event; valid until the next {@link sweep}. */
  encodedAttributes(set: number): ByteMemo {
    const known = this.attributeFields[set]
    if (known !== undefined) return known
    const writer = new MsgWriter(256)
    writer.attributeSymbols(this.attributesOf(set), this)
    return (this.attributeFields[set] = memoOf(writer))
  }

  /** The value of one attribute of a set, as a symbol; 0 when the set does not have it. */
  attribute(set: number, key: number): number {
    const pairs = this.attributesOf(set)
    for (let i = 0; i < pairs.length; i += 2) if (pairs[i] === key) return pairs[i + 1]
    return 0
  }

  /**
   * Interns a run of tag fields as it stands in an event. Gives the run's place in {@link tagRuns}, whose `sets` has the set;
   * 0 when the table is full.
   */
  internTagRun(bytes: Uint8Array, view: DataView, start: number, length: number): number {
    const known = this.tagRuns.find(view, start, length)
    if (known !== 0) return known
    const { tagRun } = this
    const ids: number[] = []
    tagRun.start(bytes, view, start, length)
    while (tagRun.next()) {
      const id = this.internSlice(bytes, view, tagRun.tagAt, tagRun.tagLength)
      if (id === 0) return 0
      ids.push(id)
    }
    const set = this.internTags(ids)
    return set === 0 ? 0 : this.tagRuns.add(bytes, view, start, length, set)
  }

  /**
   * As {@link internTagRun}, for attributes. Those named tags, time, ttl or metric are left out, and those that override
   * a field of the event: `attributeRuns.overrides` says that there are such, and the decoder looks them up itself.
   */
  internAttributeRun(bytes: Uint8Array, view: DataView, start: number, length: number): number {
    const known = this.attributeRuns.find(view, start, length)
    if (known !== 0) return known
    const { attributeRun } = this
    const pairs: number[] = []
    let overrides = false
    attributeRun.start(bytes, view, start, length)
    while (attributeRun.next()) {
      if (attributeRun.isDropped()) continue
      if (attributeRun.overrides() !== undefined) {
        overrides = true
        continue
      }
      const key = this.internSlice(bytes, view, attributeRun.keyAt, attributeRun.keyLength)
      const value = this.internSlice(bytes, view, attributeRun.valueAt, attributeRun.valueLength)
      if (key === 0 || value === 0) return 0
      pairs.push(key, value)
    }
    const set = this.internAttributes(pairs)
    if (set === 0 && pairs.length > 0) return 0
    return this.attributeRuns.add(bytes, view, start, length, set, overrides)
  }

  /**
   * Frees what is not marked, sets and symbols; what a marked set holds stays. Ids that stay keep their meaning, freed ones are
   * given again, so it must happen at the same place of the log on every replica. Gives how many symbols were freed.
   */
  sweep(marks: Marks): number {
    const symbols = new Uint8Array(this.highestId + 1)
    symbols.set(marks.symbols.subarray(0, symbols.length))
    for (const [sets, marked] of [
      [this.tagSets, marks.tagSets],
      [this.attributeSets, marks.attributeSets],
    ] as const) {
      sets.sweep(marked)
      for (let set = 1; set <= sets.highestId; set++) {
        for (let n = sets.lengthOf(set) >> 2; n-- > 0;) symbols[sets.word(set, n)] = 1
      }
    }
    this.forget()
    return this.symbols.sweep(symbols)
  }

  /** Hash of all state, 32 bits, unsigned. */
  hash(): number {
    const hashes = [this.symbols.hash(), this.tagSets.hash(), this.attributeSets.hash()]
    return hashes.reduce((hash, next) => (Math.imul(hash, 0x01000193) ^ next) >>> 0, 0x811c9dc5)
  }

  /** All state, for {@link restore}. */
  dump(): Uint8Array {
    const tables = [this.symbols, this.tagSets, this.attributeSets]
    const bytes = new Uint8Array(dumpHeaderLength + tables.reduce((sum, { dumpLength }) => sum + dumpLength, 0))
    const view = viewOver(bytes)
    view.setUint32(0, dumpMagic)
    let at = dumpHeaderLength
    for (const [i, table] of tables.entries()) {
      const length = table.dumpLength
      view.setUint32(4 + 4 * i, length)
      table.dump(bytes.subarray(at, at + length))
      at += length
    }
    return bytes
  }

  /**
   * A table with the state of the one that was dumped: it gives the same ids from here on.
   * @throws CodecError `DUMP_UNREADABLE`
   */
  static restore(bytes: Uint8Array, limits?: SymbolLimits): SymbolTable {
    const table = new SymbolTable(limits)
    const view = viewOver(bytes)
    if (bytes.length < dumpHeaderLength || view.getUint32(0) !== dumpMagic) {
      throw new CodecError('DUMP_UNREADABLE', 'this is no dump of a symbol table; restore from another snapshot')
    }
    let at = dumpHeaderLength
    for (const [i, part] of [table.symbols, table.tagSets, table.attributeSets].entries()) {
      const end = at + view.getUint32(4 + 4 * i)
      part.restore(bytes.subarray(at, end))
      at = end
    }
    return table
  }

  private internNew(bytes: Uint8Array, view: DataView, start: number, length: number): number {
    if (isAscii(view, start, length)) return this.symbols.add(bytes, view, start, length)
    // Valid UTF-8 comes out of decoding and encoding as it went in, everything else in its repaired form.
    const repaired = encoder.encode(decoder.decode(bytes.subarray(start, start + length)))
    return this.symbols.add(repaired, viewOver(repaired), 0, repaired.length)
  }

  private internWords(sets: ByteTable, words: readonly number[]): number {
    this.reserveScratch(4 * words.length)
    for (let i = 0; i < words.length; i++) this.scratchView.setInt32(4 * i, words[i], true)
    return sets.add(this.scratch, this.scratchView, 0, 4 * words.length)
  }

  private toScratch(text: string): number {
    this.reserveScratch(3 * text.length)
    return encoder.encodeInto(text, this.scratch).written
  }

  private reserveScratch(length: number): void {
    if (length <= this.scratch.length) return
    this.scratch = new Uint8Array(2 * length)
    this.scratchView = viewOver(this.scratch)
  }

  private forget(): void {
    this.generation++
    this.tagRuns.clear()
    this.attributeRuns.clear()
    this.texts = []
    this.tagArrays = []
    this.attributeArrays = []
    this.tagFields = []
    this.attributeFields = []
  }
}

/** Raw runs of fields to the sets they stand for: a cache, emptied when full. Place 0 is no run. */
class RunCache {
  readonly sets = new Int32Array(notCached + 1)
  readonly overrides = new Uint8Array(notCached + 1)
  private readonly runs = new ByteTable(maxCachedRuns, maxCachedRunBytes)

  matches(run: number, view: DataView, start: number, length: number): boolean {
    return this.runs.matches(run, view, start, length)
  }

  find(view: DataView, start: number, length: number): number {
    return this.runs.find(view, start, length)
  }

  add(bytes: Uint8Array, view: DataView, start: number, length: number, set: number, overrides = false): number {
    let run = this.runs.add(bytes, view, start, length)
    if (run === 0) {
      this.runs.clear()
      run = this.runs.add(bytes, view, start, length) || notCached
    }
    this.sets[run] = set
    this.overrides[run] = overrides ? 1 : 0
    return run
  }

  clear(): void {
    this.runs.clear()
  }
}

const dumpMagic = 0x52535931 // RSY1
const dumpHeaderLength = 16
const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

function memoOf(writer: MsgWriter): ByteMemo {
  const memo = new ByteMemo(writer.length)
  memo.keep(writer.bytes, 0, writer.length)
  return memo
}

function viewOver(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function isAscii(view: DataView, start: number, length: number): boolean {
  let any = 0
  for (let i = 0; i < length; i++) any |= view.getUint8(start + i)
  return any < 0x80
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i] - b[i]
  return a.length - b.length
}

function wordsOf(sets: ByteTable, set: number): Int32Array {
  return Int32Array.from({ length: sets.has(set) ? sets.lengthOf(set) >> 2 : 0 }, (_, n) => sets.word(set, n))
}
