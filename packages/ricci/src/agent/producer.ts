import type { ProducerMark } from '@ricci/client'

/** A producer that was idle for so long takes a new incarnation: instances forget it after twice that. */
const idleLimitMs = 12 * 3_600_000

/** Gives the marks of one producer: one sequence from 1, per incarnation. */
export class Producer {
  readonly #name: string
  #incarnation = 0
  #sequence = 0
  #lastMs = 0

  /** @param name unlike that of any other producer alive */
  constructor(name: string) {
    this.#name = name
  }

  /** The next mark, for something sent now for the first time. */
  next(wallMs: number): ProducerMark {
    if (this.#sequence === 0 || wallMs - this.#lastMs > idleLimitMs) {
      // higher than the one before even where the clock went back
      this.#incarnation = Math.max(Math.floor(wallMs), this.#incarnation + 1)
      this.#sequence = 0
    }
    this.#lastMs = wallMs
    return { producer: this.#name, incarnation: this.#incarnation, sequence: ++this.#sequence, sentAtMs: wallMs }
  }
}
