import { Hasher, WordHasher } from './hash.ts'

/** Small enough that writing, hashing or handing one on takes well under a millisecond. */
export const sliceBytes = 1 << 18

/** The hash of one part of the state: of one operator's column, of the texts, of the decisions. */
export interface StatePart {
  /** For people: the operator's path in the rules and its column, as in `by[1] > stable[0]: since`. */
  readonly name: string
  /** 16 hexadecimal digits. */
  readonly hash: string
}

/**
 * State as bytes, in slices of {@link sliceBytes}, hashed as they are filled: what replicas compare is the hash of what a snapshot
 * would hold. Everything is padded to words of 32 bits, and every slice but the last is full, so that the hash is one of words in
 * bulk, and that of a part follows from its own bytes, wherever it stands.
 */
export class SliceWriter {
  readonly #onSlice: ((slice: Uint8Array) => void) | undefined
  #current: Uint8Array
  #view: DataView
  #words: Int32Array
  #used = 0
  #hashed = 0
  #flushed = 0
  #hasher = new WordHasher()
  #part = ''
  readonly parts: StatePart[] = []

  /**
   * @param onSlice is given each slice, to keep; without it they are hashed only
   * @param buffer of {@link sliceBytes}, to use for all slices; only without `onSlice`
   */
  constructor(onSlice?: (slice: Uint8Array) => void, buffer = new Uint8Array(sliceBytes)) {
    this.#onSlice = onSlice
    this.#current = buffer
    this.#view = new DataView(buffer.buffer)
    this.#words = new Int32Array(buffer.buffer)
  }

  /** Bytes so far. */
  get written(): number {
    return this.#flushed + this.#used
  }

  int(value: number): void {
    if (this.#used === sliceBytes) this.#flush()
    this.#view.setInt32(this.#used, value)
    this.#used += 4
  }

  double(value: number): void {
    scratch.setFloat64(0, value)
    this.int(scratch.getInt32(0))
    this.int(scratch.getInt32(4))
  }

  /** Bytes with their length before them. */
  bytes(values: Uint8Array): void {
    this.int(values.length)
    this.raw(values)
  }

  text(value: string): void {
    this.bytes(utf8.encode(value))
  }

  raw(values: Uint8Array): void {
    this.#fill(values)
    this.align()
  }

  /** Some bytes out of a larger array, without a view for each; {@link align} follows the last of a run. */
  copy(values: Uint8Array, start: number, length: number): void {
    if (this.#used + length > sliceBytes) return this.#fill(values.subarray(start, start + length))
    const current = this.#current
    const at = this.#used
    for (let i = 0; i < length; i++) current[at + i] = values[start + i]
    this.#used = at + length
  }

  /** Zeros up to the next word. */
  align(): void {
    while ((this.#used & 3) !== 0) this.#current[this.#used++] = 0
  }

  /** What follows belongs to another part. */
  part(name: string): void {
    this.#endPart()
    this.#part = name
  }

  /** Hands out the last slice; gives the hash of all parts, 16 hexadecimal digits. */
  end(): string {
    this.#endPart()
    if (this.#used > 0) this.#flush()
    const all = new Hasher()
    for (const { hash } of this.parts) all.text(hash)
    return all.digest()
  }

  #endPart(): void {
    if (this.written === 0) return
    this.#hash()
    this.parts.push({ name: this.#part, hash: this.#hasher.digest() })
    this.#hasher = new WordHasher()
  }

  #hash(): void {
    this.#hasher.add(this.#words, this.#hashed >> 2, this.#used >> 2)
    this.#hashed = this.#used
  }

  #fill(values: Uint8Array): void {
    let from = 0
    while (from < values.length) {
      if (this.#used === sliceBytes) this.#flush()
      const count = Math.min(values.length - from, sliceBytes - this.#used)
      this.#current.set(count === values.length ? values : values.subarray(from, from + count), this.#used)
      this.#used += count
      from += count
    }
  }

  #flush(): void {
    this.#hash()
    const used = this.#used
    this.#flushed += used
    this.#used = 0
    this.#hashed = 0
    if (this.#onSlice === undefined) return
    if (used < sliceBytes) return this.#onSlice(this.#current.slice(0, used))
    this.#onSlice(this.#current)
    this.#current = new Uint8Array(sliceBytes)
    this.#view = new DataView(this.#current.buffer)
    this.#words = new Int32Array(this.#current.buffer)
  }
}

const scratch = new DataView(new ArrayBuffer(8))
const utf8 = new TextEncoder()
