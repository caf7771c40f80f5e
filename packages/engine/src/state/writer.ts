import { CutCopies } from './asides.ts'
import type { ByteReader } from './bytes.ts'
import { chunkSize } from './columns.ts'
import { CutList } from './cut-list.ts'
import { SliceWriter, type StatePart, sliceBytes } from './slices.ts'

type Piece = (out: SliceWriter) => void

/** The chunks of a column: the writing of one is a piece. */
interface Chunks {
  readonly count: number
  readonly write: (out: SliceWriter, index: number, used: number) => void
}

/** A long list: the writing of some of its members is a piece. */
interface Members {
  readonly members: number
  readonly write: Piece
}

/**
 * What columns and tables write their state to, for a snapshot and for the hash of it alike.
 *
 * With {@link copies} it is a cut: what is small is taken at once, chunks of columns are written later, piece by piece, while
 * records are applied in between, and a column keeps aside what is about to change. (Copying everything at the cut made
 * 50 MB of the production rules' state stall the engine for 30 to 80 ms; hashing it at once, for 40.) Without, everything is
 * written as it stands now, at once, and no cut that is under way notices.
 */
export class StateWriter {
  readonly copies: CutCopies | undefined
  readonly #pieces: (Piece | Chunks | Members)[] = []
  readonly #now: SliceWriter | undefined

  /** @param to where to write at once; without it this is a cut, for {@link StateCut} */
  constructor(to?: SliceWriter) {
    this.#now = to
    this.copies = to === undefined ? new CutCopies() : undefined
  }

  int(value: number): void {
    this.#add((out) => out.int(value))
  }
  double(value: number): void {
    this.#add((out) => out.double(value))
  }
  /** Bytes that do not change any more, with their length before them. */
  bytes(values: Uint8Array): void {
    this.#add((out) => out.bytes(values))
  }
  /** Plain data as JSON, at once. */
  json(value: unknown): void {
    const text = JSON.stringify(value)
    this.#add((out) => out.text(text))
  }
  /**
   * Plain data that nobody changes any more, as JSON when its turn comes; its long lists, and each {@link CutList}, some members at a time
   * (the text of all pages and incidents, made at the cut, took 10 ms of it where a thousand waited). {@link readLists} reads it.
   */
  lists(value: unknown): void {
    const lists: (readonly unknown[] | CutList<unknown>)[] = []
    const outline = JSON.stringify(outlineOf(value, lists))
    this.#add((out) => out.text(outline))
    for (const list of lists) {
      const members = list.length
      let next: (count: number) => readonly unknown[]
      if (list instanceof CutList && this.copies !== undefined) {
        list.begin(this.copies)
        next = (count) => list.write(count)
      } else {
        // not taken out of the list at a time: its iterator would be held between the pieces
        const all = list instanceof CutList ? list.toJSON() : list
        let from = 0
        next = (count) => all.slice(from, (from += count))
      }
      const write = (out: SliceWriter): void => out.text(JSON.stringify(next(listMembers)))
      if (this.#now === undefined) this.#pieces.push({ members, write })
      else for (let from = 0; from < members; from += listMembers) write(this.#now)
    }
  }
  /** What follows is this part of the state, for who looks for a difference. */
  part(name: string): void {
    this.#add((out) => out.part(name))
  }

  /** Cells below `count`, chunk by chunk. In a cut, `write` must give what stood there when it was made. */
  chunks(count: number, write: Chunks['write']): void {
    const now = this.#now
    if (now === undefined) this.#pieces.push({ count, write })
    else for (let index = 0; index < chunksOf(count); index++) write(now, index, usedOf(count, index))
  }

  /** The pieces in their order. */
  *pieces(): Generator<Piece, void, undefined> {
    for (const piece of this.#pieces) {
      if (typeof piece === 'function') yield piece
      else if ('members' in piece) for (let from = 0; from < piece.members; from += listMembers) yield piece.write
      else {
        const { count, write } = piece
        for (let index = 0; index < chunksOf(count); index++) yield (out) => write(out, index, usedOf(count, index))
      }
    }
  }

  #add(piece: Piece): void {
    if (this.#now === undefined) this.#pieces.push(piece)
    else piece(this.#now)
  }
}

/** Reads what {@link StateWriter.lists} wrote. */
export function readLists(from: ByteReader): unknown {
  const lists: { readonly list: unknown[]; readonly length: number }[] = []
  const fill = (part: unknown): unknown => {
    if (typeof part !== 'object' || part === null) return part
    const length = (part as Record<string, unknown>)[longList]
    if (typeof length === 'number') {
      const list: unknown[] = []
      lists.push({ list, length })
      return list
    }
    for (const name of Object.keys(part)) {
      ;(part as Record<string, unknown>)[name] = fill((part as Record<string, unknown>)[name])
    }
    return part
  }
  const value = fill(from.json())
  for (const { list, length } of lists) while (list.length < length) list.push(...from.json<unknown[]>())
  return value
}

/** Plain data without its long lists, which are put into `lists` in their order; their places stay. */
function outlineOf(part: unknown, lists: (readonly unknown[] | CutList<unknown>)[]): unknown {
  if (part instanceof CutList || (Array.isArray(part) && part.length > listMembers)) {
    lists.push(part)
    return { [longList]: part.length }
  }
  if (Array.isArray(part)) return part.map((member) => outlineOf(member, lists))
  if (typeof part !== 'object' || part === null) return part
  return Object.fromEntries(Object.entries(part).map(([name, value]) => [name, outlineOf(value, lists)]))
}

/** Members of a list that are made text at once: with 8 KiB of provenance each, half a megabyte. */
const listMembers = 64
/** Stands for a list that follows; no field of ours has this name. */
const longList = '\u0000list'

/** Chunks that are looked through in a step, where they are too empty to fill it. */
const piecesPerStep = 64

/** The state as it stood at one position of the log, read step by step while later records are applied. */
export class StateCut {
  /** Offset of the last record applied when it was made. */
  readonly offset: number
  /** The last tick then. */
  readonly tick: number
  readonly #copies: CutCopies
  readonly #pieces: Iterator<Piece>
  readonly #out: SliceWriter
  #hash: string | undefined
  #ended = false

  /**
   * @param writer a cut, with everything written to it
   * @param onSlice is given the slices of the snapshot, to keep; without it the state is hashed only
   */
  constructor(offset: number, tick: number, writer: StateWriter, onSlice?: (slice: Uint8Array) => void) {
    this.offset = offset
    this.tick = tick
    this.#copies = writer.copies!
    this.#pieces = writer.pieces()
    this.#out = new SliceWriter(onSlice)
  }

  /** Does some more of the work, about 256 KiB of state. False when all is done or {@link end} was called. */
  step(): boolean {
    if (this.#ended) return false
    const until = this.#out.written + sliceBytes
    for (let pieces = 0; pieces < piecesPerStep && this.#out.written < until; pieces++) {
      const next = this.#pieces.next()
      if (next.done === true) {
        this.#hash = this.#out.end()
        this.end()
        return false
      }
      next.value(this.#out)
    }
    return true
  }

  /** The same as `Engine.stateHash` gave at the cut; undefined until all is done. */
  get hash(): string | undefined {
    return this.#hash
  }

  /** What the hash is made of; whole once it is there. */
  get parts(): readonly StatePart[] {
    return this.#out.parts
  }

  /** Bytes that are held only for this cut, because what was to be read has changed. Never more than the columns' own. */
  get copiedBytes(): number {
    return this.#copies.bytes
  }

  /** Gives up what is not done yet. */
  end(): void {
    this.#ended = true
    this.#copies.end()
  }
}

function chunksOf(count: number): number {
  return Math.ceil(count / chunkSize)
}

function usedOf(count: number, index: number): number {
  return Math.min(chunkSize, count - index * chunkSize)
}
