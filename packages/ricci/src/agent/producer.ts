import { maxProducerIdleMs, type ProducerMark } from '@ricci/client'

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
    if (this.#sequence === 0 || wallMs - this.#lastMs > maxProducerIdleMs) {
      // higher than the one before even where the clock went back
      this.#incarnation = Math.max(Math.floor(wallMs), this.#incarnation + 1)
      this.#sequence = 0
    }
    this.#lastMs = wallMs
    return { producer: this.#name, incarnation: this.#incarnation, sequence: ++this.#sequence, sentAtMs: wallMs }
  }
}
