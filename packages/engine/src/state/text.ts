import { Asides } from './asides.ts'
import type { ByteReader } from './bytes.ts'
import { bytesOf, chunkBits, chunkSize, I32Column } from './columns.ts'
import type { StateWriter } from './writer.ts'

/**
 * Text that seldom repeats (descriptions too long to lie with their event), as bytes in slots: a cell keeps its slot and is overwritten in place while the new
 * text fits (measured: 2.2 M events a second against 1.6 M with a JavaScript string per row, and no garbage).
 *
 * Slots come in classes of 32 · 2ⁿ bytes from pages of 64 KiB (larger texts have a page of their own). A cell holds slot + 1 and
 * length + 1, so that 0 is "absent". Where a text lies has no influence on anything, so it is neither hashed nor kept in
 * snapshots: texts are written and read back as text.
 */
export class TextColumn {
  #slots = new I32Column()
  #lengths = new I32Column()
  #pages: Uint8Array[] = []
  /** Texts of a chunk of cells as they are written: where they lie says nothing, and may be given to another chunk's cell. */
  readonly #asides = new Asides<Uint8Array>((index) => this.#packed(index))
  /** Cells there were at the cut. */
  #cutCount = 0
  /** Per class: free slots, and where the page being filled goes on. */
  readonly #free: number[][] = []
  readonly #slotPages: number[] = []
  readonly #slotOffsets: number[] = []
  readonly #slotClasses: number[] = []
  readonly #open: { page: number; offset: number }[] = []
  #bytes = 0

  /** Cells there are: only up to the highest id that ever had a text. */
  #cells(count: number): number {
    return Math.min(count, this.#lengths.chunks.length * chunkSize)
  }

  /** Keeps a copy of the bytes. */
  set(id: number, bytes: Uint8Array, start: number, length: number): void {
    this.#slots.ensure(id + 1)
    this.#lengths.ensure(id + 1)
    if (this.#asides.active) this.#asides.keep(id >>> chunkBits)
    let slot = this.#slots.get(id) - 1
    const size = sizeClass(length)
    if (slot < 0 || this.#slotClasses[slot] < size || this.#slotClasses[slot] > size + slackClasses) {
      if (slot >= 0) this.#free[this.#slotClasses[slot]].push(slot)
      slot = this.#take(size)
      this.#slots.set(id, slot + 1)
    }
    this.#lengths.set(id, length + 1)
    const pageNumber = this.#slotPages[slot]
    const page = this.#pages[pageNumber]
    const offset = this.#slotOffsets[slot]
    // a loop beats `set(subarray)` below some hundred bytes: no view is made
    if (length < 200) for (let i = 0; i < length; i++) page[offset + i] = bytes[start + i]
    else page.set(bytes.subarray(start, start + length), offset)
  }

  /** Length in bytes, -1 when absent. */
  length(id: number): number {
    return this.#lengths.get(id) - 1
  }
  /** The page the text of a cell lies in; only when it is there. */
  page(id: number): Uint8Array {
    return this.#pages[this.#slotPages[this.#slots.get(id) - 1]]
  }
  start(id: number): number {
    return this.#slotOffsets[this.#slots.get(id) - 1]
  }

  clear(id: number): void {
    const slot = this.#slots.get(id) - 1
    if (slot < 0) return
    if (this.#asides.active) this.#asides.keep(id >>> chunkBits)
    this.#free[this.#slotClasses[slot]].push(slot)
    this.#slots.set(id, 0)
    this.#lengths.set(id, 0)
  }

  /** Lengths of a chunk's cells, then their texts. */
  write(out: StateWriter, ids: number): void {
    const { copies } = out
    const count = this.#cells(ids)
    out.int(count)
    if (copies !== undefined) {
      this.#asides.begin(Math.ceil(count / chunkSize), copies)
      this.#cutCount = count
    }
    out.chunks(count, (slices, index, used) => {
      const packed = copies === undefined ? undefined : this.#asides.at(index)
      if (packed !== undefined) slices.raw(packed)
      else {
        const lengths = this.#lengths.chunks[index]
        const slots = this.#slots.chunks[index]
        slices.raw(bytesOf(lengths, used))
        for (let i = 0; i < used; i++) {
          if (lengths[i] <= 1) continue
          const slot = slots[i] - 1
          slices.copy(this.#pages[this.#slotPages[slot]], this.#slotOffsets[slot], lengths[i] - 1)
        }
        slices.align()
      }
      if (copies !== undefined) this.#asides.release(index)
    })
  }

  /** What {@link write} would write of a chunk. */
  #packed(index: number): Uint8Array {
    const used = Math.min(chunkSize, this.#cutCount - index * chunkSize)
    const lengths = this.#lengths.chunks[index]
    const slots = this.#slots.chunks[index]
    let size = 4 * used
    for (let i = 0; i < used; i++) if (lengths[i] > 1) size += lengths[i] - 1
    const packed = new Uint8Array(size)
    packed.set(bytesOf(lengths, used))
    let at = 4 * used
    for (let i = 0; i < used; i++) {
      if (lengths[i] <= 1) continue
      const slot = slots[i] - 1
      const page = this.#pages[this.#slotPages[slot]]
      const start = this.#slotOffsets[slot]
      const end = at + lengths[i] - 1
      for (let from = start; at < end;) packed[at++] = page[from++]
    }
    return packed
  }

  read(from: ByteReader): void {
    const count = from.int()
    this.#slots.ensure(count)
    this.#lengths.ensure(count)
    const { source } = from
    for (let begin = 0; begin < count; begin += chunkSize) {
      const chunk = this.#lengths.chunks[begin >>> chunkBits]
      from.raw(bytesOf(chunk, Math.min(chunkSize, count - begin)))
      for (let id = begin; id < Math.min(count, begin + chunkSize); id++) {
        const length = this.length(id)
        if (length >= 0) this.set(id, source, from.skip(length), length)
      }
      from.align()
    }
  }

  get bytes(): number {
    return this.#bytes + this.#slots.bytes + this.#lengths.bytes
  }

  #take(size: number): number {
    const free = (this.#free[size] ??= [])
    const reused = free.pop()
    if (reused !== undefined) return reused
    const bytes = smallestSlot << size
    let open = this.#open[size]
    if (open === undefined || open.offset + bytes > this.#pages[open.page].length) {
      open = this.#open[size] = { page: this.#pages.length, offset: 0 }
      this.#pages.push(new Uint8Array(Math.max(pageBytes, bytes)))
      this.#bytes += Math.max(pageBytes, bytes)
    }
    const slot = this.#slotPages.length
    this.#slotPages.push(open.page)
    this.#slotOffsets.push(open.offset)
    this.#slotClasses.push(size)
    open.offset += bytes
    return slot
  }
}

const smallestSlot = 32
const pageBytes = 1 << 16
/** A slot up to four times too large is kept: texts vary by digits. */
const slackClasses = 2

function sizeClass(length: number): number {
  return length <= smallestSlot ? 0 : 27 - Math.clz32(length - 1)
}
