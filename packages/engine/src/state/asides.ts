/** Something that keeps copies for a cut. */
interface Keeper {
  /** Nothing is kept any more. */
  end(): void
}

/** What one cut of the state holds in copies, over all columns. */
export class CutCopies {
  bytes = 0
  readonly #keepers: Keeper[] = []

  add(keeper: Keeper): void {
    this.#keepers.push(keeper)
  }

  /** Lets go of all copies, whether they were read or not. */
  end(): void {
    for (const keeper of this.#keepers) keeper.end()
    this.#keepers.length = 0
    this.bytes = 0
  }
}

/**
 * What keeps a cut true while records are applied: chunks that are still to be read and change are copied aside first. One per
 * column of texts; cells of a fixed size have {@link PageAsides}.
 */
export class Asides<T extends { readonly byteLength: number }> {
  /** Per chunk 1 while it is to be read; undefined when no cut is under way. */
  #pending: Uint8Array | undefined
  #copies = new Map<number, T>()
  #left = 0
  #cut: CutCopies | undefined
  readonly #copy: (index: number) => T

  /** @param copy gives a chunk as it stands, for good */
  constructor(copy: (index: number) => T) {
    this.#copy = copy
  }

  /** A cut: the first `chunks` chunks are kept as they stand until each was {@link release}d. An older cut is forgotten. */
  begin(chunks: number, cut: CutCopies): void {
    this.#pending = chunks === 0 ? undefined : new Uint8Array(chunks).fill(1)
    this.#copies = new Map()
    this.#left = chunks
    this.#cut = cut
    cut.add(this)
  }

  get active(): boolean {
    return this.#pending !== undefined
  }

  /** Call before a chunk is changed. */
  keep(index: number): void {
    const pending = this.#pending!
    if (index >= pending.length || pending[index] === 0) return
    pending[index] = 0
    const copy = this.#copy(index)
    this.#cut!.bytes += copy.byteLength
    this.#copies.set(index, copy)
  }

  /** The chunk as it stood at the cut, where it has changed since. */
  at(index: number): T | undefined {
    return this.#copies.get(index)
  }

  /** The chunk has been read: it may change. */
  release(index: number): void {
    if (this.#pending === undefined) return
    this.#pending[index] = 0
    const copy = this.#copies.get(index)
    if (copy !== undefined) {
      this.#cut!.bytes -= copy.byteLength
      this.#copies.delete(index)
    }
    if (--this.#left === 0) this.end()
  }

  end(): void {
    this.#pending = undefined
    this.#copies = new Map()
  }
}
