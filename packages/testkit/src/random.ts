import type { Random } from '@ricci/replica'

/**
 * A random source that gives the same numbers for the same seed on every machine (sfc32, 128 bits of state).
 * `fork` gives an independent source under a name: what one part of a test draws shifts nothing in another.
 */
export class SeededRandom implements Random {
  #a: number
  #b: number
  #c: number
  #count = 1
  readonly #seed: string

  constructor(seed: number | string) {
    this.#seed = String(seed)
    this.#a = hash(this.#seed, 0x9e3779b9)
    this.#b = hash(this.#seed, 0x243f6a88)
    this.#c = hash(this.#seed, 0xb7e15162)
    for (let round = 0; round < 12; round++) this.next()
  }

  /** From 0 (included) to 1 (excluded), 32 bits fine. */
  next(): number {
    const sum = (this.#a + this.#b + this.#count++) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum
    return (sum >>> 0) / 4_294_967_296
  }

  /** A whole number from 0 (included) to `limit` (excluded). */
  below(limit: number): number {
    return Math.floor(this.next() * limit)
  }

  /** A number from `low` (included) to `high` (excluded). */
  between(low: number, high: number): number {
    return low + this.next() * (high - low)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]
  }

  /** A copy in random order. */
  shuffled<T>(list: readonly T[]): T[] {
    const copy = [...list]
    for (let i = copy.length - 1; i > 0; i--) {
      const j = this.below(i + 1)
      ;[copy[i], copy[j]] = [copy[j], copy[i]]
    }
    return copy
  }

  /** Waiting times of events that happen at random once in `mean`. */
  exponential(mean: number): number {
    return -Math.log(1 - this.next()) * mean
  }

  /** An independent source, decided by this one's seed and the name alone. */
  fork(name: string): SeededRandom {
    return new SeededRandom(`${this.#seed}/${name}`)
  }
}

/** FNV-1a with a final mix: seeds that differ in one digit start far apart. */
function hash(text: string, basis: number): number {
  let value = basis
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  value = Math.imul(value ^ (value >>> 15), 0x85ebca6b)
  return (value ^ (value >>> 13)) | 0
}
