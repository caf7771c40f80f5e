/**
 * What keeps a snapshot true while records are applied: chunks that are still to be written are copied aside before they are
 * first changed. One per column; between snapshots it costs the check of a field at each write (not measurable).
 */
export class Asides<T> {
  /** Per chunk 1 while it is to be written; undefined when no snapshot is under way. */
  #pending: Uint8Array | undefined
  #copies = new Map<number, T>()
  #left = 0
  readonly #copy: (chunk: T) => T

  constructor(copy: (chunk: T) => T) {
    this.#copy = copy
  }

  /** A cut: the first `chunks` chunks are kept as they stand until each was {@link release}d. An older cut is forgotten. */
  begin(chunks: number): void {
    this.#pending = chunks === 0 ? undefined : new Uint8Array(chunks).fill(1)
    this.#copies = new Map()
    this.#left = chunks
  }

  get active(): boolean {
    return this.#pending !== undefined
  }

  /** Call before a chunk is changed. */
  keep(index: number, chunk: T): void {
    const pending = this.#pending!
    if (index >= pending.length || pending[index] === 0) return
    pending[index] = 0
    this.#copies.set(index, this.#copy(chunk))
  }

  /** The chunk as it stood at the cut. */
  at(index: number, chunk: T): T {
    return this.#copies.get(index) ?? chunk
  }

  /** The chunk has been written: it may change. */
  release(index: number): void {
    if (this.#pending === undefined) return
    this.#pending[index] = 0
    this.#copies.delete(index)
    if (--this.#left === 0) this.#pending = undefined
  }
}
