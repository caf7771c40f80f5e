import type { ByteReader } from '../state/bytes.ts'
import { chunkBits, chunkMask, type Column } from '../state/columns.ts'
import { Records } from '../state/records.ts'
import type { StateWriter } from '../state/writer.ts'

/** Whether a row of the index holds an entry. */
export const Presence = { absent: 0, present: 1, late: 2 } as const
export type Presence = (typeof Presence)[keyof typeof Presence]

/** Per row of the index its {@link Presence} (word 2) and when its TTL has passed, on owned time (double 0). */
export class EntryColumn implements Column {
  readonly #records = new Records(1 << wordsBits)

  presence(row: number): Presence {
    const { ints } = this.#records.chunks[row >>> chunkBits]
    return ints[((row & chunkMask) << wordsBits) + presenceAt] as Presence
  }
  due(row: number): number {
    return this.#records.chunks[row >>> chunkBits].doubles[(row & chunkMask) << (wordsBits - 1)]
  }
  set(row: number, presence: Presence, due: number): void {
    const { ints, doubles } = this.#records.change(row)
    const at = (row & chunkMask) << wordsBits
    ints[at + presenceAt] = presence
    doubles[at >> 1] = due
  }
  clear(row: number): void {
    this.set(row, Presence.absent, 0)
  }

  ensure(count: number): void {
    this.#records.ensure(count)
  }
  write(out: StateWriter, count: number): void {
    this.#records.write(out, count)
  }
  read(from: ByteReader, count: number): void {
    this.#records.read(from, count)
  }
  get bytes(): number {
    return this.#records.bytes
  }
}

const wordsBits = 2
const presenceAt = 2
