/**
 * Columns: the state of operators and of the index, one cell per dense id of a dimension.
 *
 * Cells lie in chunks of 2,048, so that growing never copies (doubling 26 columns to a million rows stalled 100 ms; chunks
 * cost 5 to 10 % of speed and no stall).
 */
import type { ByteReader } from './bytes.ts'
import type { Marks } from './marks.ts'
import { PageAsides } from './page-asides.ts'
import type { StateWriter } from './writer.ts'

export const chunkBits = 11
export const chunkSize = 1 << chunkBits
export const chunkMask = chunkSize - 1

/** What a dimension needs of a column; cells are only meaningful below the dimension's high-water mark. */
export interface Column {
  /** Makes room for ids below `count`; new cells hold the initial value. */
  ensure(count: number): void
  /** Back to the initial value: a freed id leaves no trace. */
  clear(id: number): void
  /** Cells below `count`, for a snapshot and for the hash of the state: equal state, equal bytes. */
  write(out: StateWriter, count: number): void
  read(from: ByteReader, count: number): void
  /** Marks symbols, tag sets and attribute sets that cells below `count` name. */
  mark?(marks: Marks, count: number): void
  /** Whether a cell keeps its id alive, however long it was not used: a timer that is set, an index entry. */
  holds?(id: number): boolean
  /** Lets go of what cells that are free for use still hold; at collections. */
  tidy?(): void
  /** Bytes held. */
  readonly bytes: number
}

type Cells = Float64Array | Int32Array | Uint8Array

/** A kind of typed arrays. */
interface CellType<T extends Cells> {
  readonly BYTES_PER_ELEMENT: number
  new (length: number): T
  new (buffer: ArrayBuffer, from: number, length: number): T
}

abstract class TypedColumn<T extends Cells> implements Column {
  chunks: T[] = []
  readonly initial: number
  readonly #type: CellType<T>
  readonly #asides: PageAsides

  protected constructor(type: CellType<T>, initial: number) {
    this.initial = initial
    this.#type = type
    const size = type.BYTES_PER_ELEMENT
    this.#asides = new PageAsides(size, (index, from, length) => {
      const { buffer, byteOffset } = this.chunks[index]
      return new Uint8Array(buffer, byteOffset + from, length)
    })
  }

  /** Makes what is equal equal bits. */
  protected canonical(_chunk: T, _used: number): void {}

  ensure(count: number): void {
    while (this.chunks.length << chunkBits < count) {
      const chunk = new this.#type(chunkSize)
      if (this.initial !== 0) chunk.fill(this.initial)
      this.chunks.push(chunk)
    }
  }

  get(id: number): number {
    return this.chunks[id >>> chunkBits][id & chunkMask]
  }

  set(id: number, value: number): void {
    const chunk = this.chunks[id >>> chunkBits]
    if (this.#asides.active) this.#asides.keep(id)
    chunk[id & chunkMask] = value
  }

  clear(id: number): void {
    this.set(id, this.initial)
  }

  // Many columns are mostly zero (free lists, graces, parents at the top): a chunk of nothing but zeros is a word
  write(out: StateWriter, count: number): void {
    const { copies } = out
    if (copies !== undefined) this.#asides.begin(count, copies)
    out.chunks(count, (slices, index, used) => {
      const chunk = copies === undefined ? this.chunks[index] : this.#atCut(index)
      const empty = isZero(chunk, used)
      slices.int(empty ? 0 : 1)
      if (!empty) {
        this.canonical(chunk, used)
        slices.raw(bytesOf(chunk, used))
      }
      if (copies !== undefined) this.#asides.release(index)
    })
  }

  /** A chunk as it stood at the cut; valid until the next call of any column. */
  #atCut(index: number): T {
    const chunk = this.chunks[index]
    if (!this.#asides.changed(index)) return chunk
    const whole = new this.#type(restored.buffer, 0, chunkSize)
    whole.set(chunk)
    this.#asides.restore(index, restored)
    return whole
  }

  readChunk(from: ByteReader, index: number, used: number): void {
    const chunk = this.chunks[index]
    if (from.int() === 0) chunk.fill(0 as never, 0, used)
    else from.raw(bytesOf(chunk, used))
  }

  read(from: ByteReader, count: number): void {
    this.ensure(count)
    for (let begin = 0; begin < count; begin += chunkSize) {
      this.readChunk(from, begin >>> chunkBits, Math.min(chunkSize, count - begin))
    }
  }

  get bytes(): number {
    return this.chunks.length === 0 ? 0 : this.chunks.length * this.chunks[0].byteLength
  }
}

const restored = new Uint8Array(chunkSize * Float64Array.BYTES_PER_ELEMENT)

/** Whether all bits are zero, looked at in words: -0 is something. */
function isZero(chunk: Cells, used: number): boolean {
  const bytes = used * chunk.BYTES_PER_ELEMENT
  const words = new Int32Array(chunk.buffer, chunk.byteOffset, bytes >> 2)
  for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false
  for (let i = words.length * (4 / chunk.BYTES_PER_ELEMENT); i < used; i++) if (chunk[i] !== 0) return false
  return true
}

/** The first cells of a chunk as bytes. */
export function bytesOf(chunk: Cells, used: number): Uint8Array {
  return new Uint8Array(chunk.buffer, chunk.byteOffset, used * chunk.BYTES_PER_ELEMENT)
}

/** Makes every NaN the same bits: which ones a computed NaN has is the compiler's choice, and no difference of state. */
export function sameNaN(chunk: Float64Array, used: number): void {
  for (let i = 0; i < used; i++) {
    if (chunk[i] === chunk[i]) continue
    const words = new Int32Array(chunk.buffer, chunk.byteOffset + 8 * i, 2)
    words[0] = 0
    words[1] = 0x7ff80000
  }
}

/** Doubles; cells start as `initial`. */
export class F64Column extends TypedColumn<Float64Array> {
  constructor(initial = 0) {
    super(Float64Array, initial)
  }
  protected override canonical(chunk: Float64Array, used: number): void {
    sameNaN(chunk, used)
  }
}

/** 32-bit integers; cells start as `initial`. */
export class I32Column extends TypedColumn<Int32Array> {
  constructor(initial = 0) {
    super(Int32Array, initial)
  }
}

/** Symbol ids of the engine's table; 0 is absent. */
export class SymbolColumn extends I32Column {
  mark(marks: Marks, count: number): void {
    for (let id = 0; id < count; id++) marks.symbol(this.get(id))
  }
}

/** Small numbers, kinds and flags. */
export class U8Column extends TypedColumn<Uint8Array> {
  constructor(initial = 0) {
    super(Uint8Array, initial)
  }
}

/** Rare things as plain JSON data, for operators whose state no column fits. Absent until set. */
export class ObjectColumn<T = unknown> implements Column {
  #cells = new Map<number, T>()

  get(id: number): T | undefined {
    return this.#cells.get(id)
  }
  set(id: number, value: T): void {
    this.#cells.set(id, value)
  }
  ensure(): void {}
  clear(id: number): void {
    this.#cells.delete(id)
  }
  write(out: StateWriter): void {
    out.json(this.#sorted())
  }
  read(from: ByteReader): void {
    this.#cells = new Map(from.json<[number, T][]>())
  }
  get bytes(): number {
    return this.#cells.size * estimatedObjectBytes
  }
  #sorted(): [number, T][] {
    return [...this.#cells].sort((a, b) => a[0] - b[0])
  }
}

/** An estimate for the count of bytes; object columns are for rare things. */
const estimatedObjectBytes = 256
