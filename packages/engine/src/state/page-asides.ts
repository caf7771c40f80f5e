import type { CutCopies } from './asides.ts'
import { chunkBits, chunkSize } from './columns.ts'

/**
 * Bytes copied at once, at most. Windows write to places all over their pool of events: copied by whole chunks of 128 KiB, the first record
 * after a cut of the production rules' state copied 7 MB and waited 10 ms for it.
 */
const pageBytes = 2_048
/** Memory for copies is made in such amounts: larger ones are fresh from the system each time. */
const slabPages = 32

/**
 * What {@link Asides} does, for cells of a fixed size: what is copied aside is the page of a chunk that changes, not the chunk. One per column;
 * between cuts it costs the check of a field at each write (not measurable).
 */
export class PageAsides {
  /** Place of the copy + 1 per page, 0 while it is as it stood, -1 where it may change; undefined when no cut is under way. */
  #places: Int32Array | undefined
  #slabs: Uint8Array[] = []
  /** Places that are free again. */
  #free: number[] = []
  #used = 0
  /** Chunks still to be released. */
  #left = 0
  #cut: CutCopies | undefined
  readonly #cellBytes: number
  /** Cells of a page, as a power of two. */
  readonly #pageBits: number
  readonly #bytes: (chunk: number, from: number, length: number) => Uint8Array

  /**
   * @param cellBytes bytes of a cell
   * @param bytes gives a view of some bytes of a chunk
   */
  constructor(cellBytes: number, bytes: (chunk: number, from: number, length: number) => Uint8Array) {
    this.#cellBytes = cellBytes
    this.#pageBits = Math.min(chunkBits, Math.max(0, 31 - Math.clz32(Math.floor(pageBytes / cellBytes))))
    this.#bytes = bytes
  }

  /** A cut: cells below `count` are kept as they stand until their chunk was {@link release}d. An older cut is forgotten. */
  begin(count: number, cut: CutCopies): void {
    this.end()
    if (count === 0) return
    this.#left = Math.ceil(count / chunkSize)
    this.#places = new Int32Array(this.#left << (chunkBits - this.#pageBits))
    this.#cut = cut
    cut.add(this)
  }

  get active(): boolean {
    return this.#places !== undefined
  }

  /** Call before a cell is changed. */
  keep(id: number): void {
    const places = this.#places!
    const page = id >>> this.#pageBits
    if (page >= places.length || places[page] !== 0) return
    const place = this.#free.pop() ?? this.#used++
    if (place >= this.#slabs.length * slabPages) this.#slabs.push(new Uint8Array(slabPages * this.#length))
    const chunk = page >>> (chunkBits - this.#pageBits)
    this.#slabs[Math.floor(place / slabPages)].set(
      this.#bytes(chunk, this.#from(page), this.#length),
      (place % slabPages) * this.#length,
    )
    places[page] = place + 1
    this.#cut!.bytes += this.#length
  }

  /** Makes `into`, which holds a chunk as it is now, what it was at the cut. */
  restore(chunk: number, into: Uint8Array): void {
    this.#each(chunk, (page, place) => {
      const at = (place % slabPages) * this.#length
      into.set(this.#slabs[Math.floor(place / slabPages)].subarray(at, at + this.#length), this.#from(page))
    })
  }

  /** Whether a chunk has changed since the cut. */
  changed(chunk: number): boolean {
    let changed = false
    this.#each(chunk, () => (changed = true))
    return changed
  }

  /** The chunk has been read: it may change. */
  release(chunk: number): void {
    const places = this.#places
    if (places === undefined) return
    this.#each(chunk, (_, place) => {
      this.#free.push(place)
      this.#cut!.bytes -= this.#length
    })
    const shift = chunkBits - this.#pageBits
    places.fill(-1, chunk << shift, (chunk + 1) << shift)
    if (--this.#left === 0) this.end()
  }

  end(): void {
    this.#places = undefined
    this.#slabs = []
    this.#free = []
    this.#used = 0
  }

  /** Bytes of a page. */
  get #length(): number {
    return this.#cellBytes << this.#pageBits
  }
  /** Where in its chunk a page begins. */
  #from(page: number): number {
    return (page & ((1 << (chunkBits - this.#pageBits)) - 1)) * this.#length
  }

  #each(chunk: number, visit: (page: number, place: number) => void): void {
    const places = this.#places
    if (places === undefined) return
    const shift = chunkBits - this.#pageBits
    for (let page = chunk << shift; page < (chunk + 1) << shift; page++)
      if (places[page] > 0) visit(page, places[page] - 1)
  }
}
