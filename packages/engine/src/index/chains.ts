import type { Dimension } from '../state/dimension.ts'

/**
 * The rows of each host, or of each service, in ascending order: what a query for one of them looks through instead of all rows.
 * A cache: built at the first such query, goes on with rows that are new at the end, and is built again (2 ms at 150,000 rows)
 * at a query after rows were freed or their ids given again. Who never asks pays nothing.
 */
export class RowChains {
  readonly #rows: Dimension
  /** Which part of the rows' key: 0 the host, 1 the service. */
  readonly #part: number
  /** By symbol: first and last row + 1. */
  #heads = new Int32Array(0)
  #tails = new Int32Array(0)
  /** By row: the next one + 1. */
  #next = new Int32Array(0)
  /** Rows below this are in their chains; -1: nothing is built. */
  #built = -1

  constructor(rows: Dimension, part: number) {
    this.#rows = rows
    this.#part = part
  }

  /** A row was given out. */
  added(row: number): void {
    if (this.#built < 0) return
    if (row < this.#built) this.forget()
    else this.#append(row)
  }

  /** Rows were freed, or all of them replaced. */
  forget(): void {
    this.#built = -1
  }

  /** The first row of a symbol from a row on, -1 if there is none. */
  from(symbol: number, row: number): number {
    if (this.#built < 0) this.#build()
    let at = symbol < this.#heads.length ? this.#heads[symbol] - 1 : -1
    while (at >= 0 && at < row) at = this.#next[at] - 1
    return at
  }

  /** The row after one, -1 at the end. */
  after(row: number): number {
    return this.#next[row] - 1
  }

  #build(): void {
    this.#heads.fill(0)
    this.#tails.fill(0)
    this.#built = 0
    for (let row = 0; row < this.#rows.high; row++) if (this.#rows.isAlive(row)) this.#append(row)
  }

  #append(row: number): void {
    const symbol = this.#rows.keyOf(row, this.#part)
    if (symbol >= this.#heads.length) {
      this.#heads = larger(this.#heads, symbol)
      this.#tails = larger(this.#tails, symbol)
    }
    if (row >= this.#next.length) this.#next = larger(this.#next, row)
    this.#next[row] = 0
    const last = this.#tails[symbol]
    if (last === 0) this.#heads[symbol] = row + 1
    else this.#next[last - 1] = row + 1
    this.#tails[symbol] = row + 1
    this.#built = row + 1
  }
}

function larger(cells: Int32Array, index: number): Int32Array<ArrayBuffer> {
  const copy = new Int32Array(Math.max(1024, index * 2))
  copy.set(cells)
  return copy
}
