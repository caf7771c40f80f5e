/**
 * The metrics of queues, each queue's in a ring of its own: what folds look at, next to each other. (Over rows, that are far apart, a
 * fold of a window of ten was a tenth of the production rules' time; over rings it is a loop over an array.)
 *
 * A cache beside rows that hold the same: it is neither hashed nor written, and made from the rows where it is missing. Rings have
 * 4 · 2ⁿ places in blocks of 16,384; a longer queue has none, and its folds go by its rows.
 */
export class NumberRings {
  readonly #blocks: Float64Array[] = []
  /** Per class: places of rings given back, and where the next one goes. */
  readonly #free: number[][] = []
  #end = 0

  /** A ring with room for so many numbers: its place, -1 where that are too many. */
  take(capacity: number): number {
    if (capacity > blockSize) return -1
    const free = this.#free[classOf(capacity)]
    if (free !== undefined && free.length > 0) return free.pop()!
    if ((this.#end & (blockSize - 1)) + capacity > blockSize) this.#end = (this.#end | (blockSize - 1)) + 1
    if (this.#end >>> blockBits === this.#blocks.length) this.#blocks.push(new Float64Array(blockSize))
    const place = this.#end
    this.#end += capacity
    return place
  }

  give(place: number, capacity: number): void {
    ;(this.#free[classOf(capacity)] ??= []).push(place)
  }

  set(place: number, at: number, value: number): void {
    this.#blocks[place >>> blockBits][(place & (blockSize - 1)) + at] = value
  }

  /** The sum of `count` numbers from `head` on, in their order. */
  sum(place: number, capacity: number, head: number, count: number): number {
    const block = this.#blocks[place >>> blockBits]
    const begin = place & (blockSize - 1)
    const first = Math.min(count, capacity - head)
    let sum = block[begin + head]
    for (let i = begin + head + 1; i < begin + head + first; i++) sum += block[i]
    for (let i = begin; i < begin + count - first; i++) sum += block[i]
    return sum
  }

  get bytes(): number {
    return this.#blocks.length * blockSize * 8
  }
}

const blockBits = 14
const blockSize = 1 << blockBits
export const smallestRing = 4

function classOf(capacity: number): number {
  return 31 - Math.clz32(capacity)
}
