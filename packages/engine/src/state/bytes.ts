import { EngineError } from '../errors.ts'

const decoder = new TextDecoder()

/** Reads what a `SliceWriter` wrote. Throws EngineError `SNAPSHOT_UNREADABLE` where the bytes end too early. */
export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  int(): number {
    return this.#view.getInt32(this.#take(4))
  }

  double(): number {
    return this.#view.getFloat64(this.#take(8))
  }

  bytes(): Uint8Array {
    const length = this.int()
    const at = this.#take(length)
    this.align()
    return this.#bytes.subarray(at, at + length)
  }

  text(): string {
    return decoder.decode(this.bytes())
  }

  json<T>(): T {
    return JSON.parse(this.text()) as T
  }

  raw(into: Uint8Array): void {
    const at = this.#take(into.length)
    into.set(this.#bytes.subarray(at, at + into.length))
    this.align()
  }

  /** The bytes themselves, and where the next `length` of them stand: for reading many short pieces without a view for each. */
  get source(): Uint8Array {
    return this.#bytes
  }
  skip(length: number): number {
    return this.#take(length)
  }

  /** On to the next word, behind what {@link skip} passed over. */
  align(): void {
    this.#take(-this.#at & 3)
  }

  get finished(): boolean {
    return this.#at === this.#bytes.length
  }

  #take(count: number): number {
    const at = this.#at
    if (count < 0 || at + count > this.#bytes.length) {
      throw new EngineError(
        'SNAPSHOT_UNREADABLE',
        'the snapshot ends too early; take an older one, the log fills in the rest',
      )
    }
    this.#at = at + count
    return at
  }
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}
