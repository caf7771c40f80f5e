/**
 * Records: cells of several fields that are read together, next to each other, one record per dense id.
 *
 * Where keys come in an order new each round every event is a handful of cache misses, each some 100 to 200 ns at a million keys
 * (the line and its page's address). A column for each field of an event, of a key and of a timer made that 23 lines an event; records make it six.
 */
import type { ByteReader } from './bytes.ts'
import { chunkBits, chunkSize } from './columns.ts'
import { PageAsides } from './page-asides.ts'
import type { StateWriter } from './writer.ts'

/** 2,048 records: views of the same bytes. */
export class RecordChunk {
  readonly ints: Int32Array
  readonly doubles: Float64Array
  readonly bigs: BigInt64Array
  readonly bytes: Uint8Array
  readonly byteLength: number

  /** @param words of 32 bits in a record, even */
  constructor(words: number) {
    const length = chunkSize * words * 4
    this.byteLength = length
    const buffer = new ArrayBuffer(length + lineBytes)
    this.ints = new Int32Array(buffer, toLine, length >> 2)
    this.doubles = new Float64Array(buffer, toLine, length >> 3)
    this.bigs = new BigInt64Array(buffer, toLine, length >> 3)
    this.bytes = new Uint8Array(buffer, toLine, length)
  }
}

/** A line of the processor's cache. */
const lineBytes = 64
/** Large buffers begin 16 bytes into a page, behind the allocator's header: from here on they begin with a line. A guess that can only cost speed. */
const toLine = 48

/**
 * Chunks of records. Who owns them reads and writes the chunks by itself, at `(id & chunkMask) * words`, and calls {@link change}
 * before each write. Doubles are written with every NaN the same, for records are hashed as words.
 */
export class Records {
  readonly chunks: RecordChunk[] = []
  readonly words: number
  /** The first words of a record that are state; those behind them are a cache, neither hashed nor written. */
  readonly #state: number
  readonly #initial: ((chunk: RecordChunk) => void) | undefined
  readonly #asides: PageAsides

  /** @param initial fills a new chunk; zeros without it */
  constructor(words: number, state = words, initial?: (chunk: RecordChunk) => void) {
    this.words = words
    this.#state = state
    this.#initial = initial
    this.#asides = new PageAsides(words * 4, (index, from, length) => {
      const { bytes } = this.chunks[index]
      return bytes.subarray(from, from + length)
    })
  }

  ensure(count: number): void {
    while (this.chunks.length << chunkBits < count) {
      const chunk = new RecordChunk(this.words)
      this.#initial?.(chunk)
      this.chunks.push(chunk)
    }
  }

  /** The chunk of an id, about to be changed. */
  change(id: number): RecordChunk {
    const chunk = this.chunks[id >>> chunkBits]
    if (this.#asides.active) this.#asides.keep(id)
    return chunk
  }

  write(out: StateWriter, count: number): void {
    const { copies } = out
    if (copies !== undefined) this.#asides.begin(count, copies)
    out.chunks(count, (slices, index, used) => {
      const ints = copies === undefined ? this.chunks[index].ints : this.#atCut(index)
      const cells = this.#stateOf(ints, used)
      slices.raw(new Uint8Array(cells.buffer, cells.byteOffset, used * this.#state * 4))
      if (copies !== undefined) this.#asides.release(index)
    })
  }

  /** The cache words of what was read are as they were before: their owner fills them. */
  read(from: ByteReader, count: number): void {
    this.ensure(count)
    this.#each(count, (chunk, used) => {
      if (this.#state === this.words) return from.raw(chunk.bytes.subarray(0, used * this.words * 4))
      const cells = packed.of(used * this.#state)
      from.raw(new Uint8Array(cells.buffer, 0, used * this.#state * 4))
      for (let i = 0, at = 0; i < used; i++, at += this.words) {
        for (let k = 0; k < this.#state; k++) chunk.ints[at + k] = cells[i * this.#state + k]
      }
    })
  }

  get bytes(): number {
    return this.chunks.length * (chunkSize * this.words * 4 + lineBytes)
  }

  /** A chunk as it stood at the cut; valid until the next call. */
  #atCut(index: number): Int32Array {
    const { ints } = this.chunks[index]
    if (!this.#asides.changed(index)) return ints
    const whole = restored.of(ints.length)
    whole.set(ints)
    this.#asides.restore(index, new Uint8Array(whole.buffer))
    return whole
  }

  /** The state of the first records of a chunk, end to end; valid until the next call. */
  #stateOf(ints: Int32Array, used: number): Int32Array {
    if (this.#state === this.words) return ints
    const cells = packed.of(used * this.#state)
    for (let i = 0, at = 0; i < used; i++, at += this.words) {
      for (let k = 0; k < this.#state; k++) cells[i * this.#state + k] = ints[at + k]
    }
    return cells
  }

  #each(count: number, visit: (chunk: RecordChunk, used: number) => void): void {
    for (let from = 0; from < count; from += chunkSize) {
      visit(this.chunks[from >>> chunkBits], Math.min(chunkSize, count - from))
    }
  }
}

/** Writes a double of a record; every NaN has the same bits. */
export function writeDouble(chunk: RecordChunk, at: number, value: number): void {
  if (value === value) chunk.doubles[at] = value
  else {
    chunk.ints[2 * at] = canonicalNaN[0]
    chunk.ints[2 * at + 1] = canonicalNaN[1]
  }
}

const canonicalNaN = new Int32Array(Float64Array.of(NaN).buffer)

/** Memory that is used anew each time. */
class Scratch {
  #cells = new Int32Array(0)
  of(words: number): Int32Array {
    if (this.#cells.length < words) this.#cells = new Int32Array(words)
    return this.#cells
  }
}

const packed = new Scratch()
const restored = new Scratch()
