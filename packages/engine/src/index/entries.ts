import { chunkBits, chunkMask } from '../state/columns.ts'
import type { Dimension } from '../state/dimension.ts'
import type { Records } from '../state/records.ts'

/** Whether a row of the index holds an entry. */
export const Presence = { absent: 0, present: 1, late: 2 } as const
export type Presence = (typeof Presence)[keyof typeof Presence]

/** Words of a row's record that {@link Entries} needs: a double and a word. */
export const entryWords = 3

/** Per row of the index its {@link Presence} and when its TTL has passed, on owned time. They lie in the row's record, beside its key. */
export class Entries {
  readonly #records: Records
  readonly #at: number

  constructor(rows: Dimension) {
    this.#records = rows.records
    this.#at = rows.cellsAt
  }

  presence(row: number): Presence {
    const { chunks, words } = this.#records
    return chunks[row >>> chunkBits].ints[(row & chunkMask) * words + this.#at + 2] as Presence
  }
  due(row: number): number {
    const { chunks, words } = this.#records
    return chunks[row >>> chunkBits].doubles[((row & chunkMask) * words + this.#at) >> 1]
  }
  set(row: number, presence: Presence, due: number): void {
    const { ints, doubles } = this.#records.change(row)
    const at = (row & chunkMask) * this.#records.words + this.#at
    ints[at + 2] = presence
    doubles[at >> 1] = due
  }
  clear(row: number): void {
    this.set(row, Presence.absent, 0)
  }
}
