/** A calendar minute. */
const minuteMs = 60_000

export interface OverflowState {
  readonly rates: readonly (readonly [rule: string, minute: number, count: number])[]
  readonly digests: readonly (readonly [key: string, page: string])[]
}

/**
 * How many pages each rule decided in its last minute, and which digest takes the rest. Bounded by the rules' names: a rule
 * that decided nothing in the current minute is forgotten when another one's minute begins.
 */
export class Overflow {
  readonly #rates = new Map<string, { minute: number; count: number }>()
  readonly #digests = new Map<string, string>()

  /** Counts a page of a rule; false beyond the limit. */
  admit(rule: string, calendarMs: number, limit: number): boolean {
    const minute = Math.floor(calendarMs / minuteMs)
    let rate = this.#rates.get(rule)
    if (rate === undefined || rate.minute !== minute) {
      for (const [other, old] of this.#rates) if (old.minute !== minute) this.#rates.delete(other)
      this.#rates.set(rule, (rate = { minute, count: 0 }))
    }
    rate.count++
    return rate.count <= limit
  }

  /** When the minute ends whose pages a digest begun now stands for. */
  minuteEndMs(calendarMs: number): number {
    return (Math.floor(calendarMs / minuteMs) + 1) * minuteMs
  }

  digestOf(action: string, rule: string, receiver: string): string | undefined {
    return this.#digests.get(keyOf(action, rule, receiver))
  }

  remember(action: string, rule: string, receiver: string, page: string): void {
    this.#digests.set(keyOf(action, rule, receiver), page)
  }

  snapshot(): OverflowState {
    return {
      rates: [...this.#rates].map(([rule, { minute, count }]) => [rule, minute, count]),
      digests: [...this.#digests],
    }
  }

  restore(state: OverflowState): void {
    this.#rates.clear()
    this.#digests.clear()
    for (const [rule, minute, count] of state.rates) this.#rates.set(rule, { minute, count })
    for (const [key, page] of state.digests) this.#digests.set(key, page)
  }
}

function keyOf(action: string, rule: string, receiver: string): string {
  return JSON.stringify([action, rule, receiver])
}
