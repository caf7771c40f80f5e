import type { Clock, Timer } from './clock.ts'

/** What was begun under one term. */
interface Span {
  going: number
  /** Runs once the term has ended, while something goes on. */
  grace?: Timer
}

/**
 * What goes on under a candidate's terms. Each term's work has a grace of its own: what was begun under a later term, resumed meanwhile,
 * overruns nothing.
 */
export class Works {
  readonly #clock: Clock
  readonly #graceMs: number
  readonly #overrun: () => void
  readonly #ended = new Set<Span>()
  #present: Span = { going: 0 }
  #going = 0

  /** @param overrun called when work of a term goes on longer than the grace after its end */
  constructor(clock: Clock, graceMs: number, overrun: () => void) {
    this.#clock = clock
    this.#graceMs = graceMs
    this.#overrun = overrun
  }

  /** How much goes on. */
  get going(): number {
    return this.#going
  }

  /** Something has begun; call what this gives once it has ended. */
  begin(): () => void {
    const span = this.#present
    span.going++
    this.#going++
    return () => {
      this.#going--
      if (--span.going === 0) this.#forget(span)
    }
  }

  /**
   * The present term has ended. What overran an earlier one and still goes on has its grace once more: the name is held for it again, and
   * nobody would be told.
   */
  termEnded(): void {
    const span = this.#present
    this.#present = { going: 0 }
    if (span.going > 0) this.#ended.add(span)
    for (const ended of this.#ended) {
      ended.grace ??= this.#clock.setTimer(this.#graceMs, () => {
        ended.grace = undefined
        this.#overrun()
      })
    }
  }

  /** Nobody is told of an overrun any more. */
  close(): void {
    for (const span of this.#ended) this.#forget(span)
  }

  #forget(span: Span): void {
    span.grace?.cancel()
    this.#ended.delete(span)
  }
}
