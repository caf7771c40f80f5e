import type { SendResult } from '@ricci/replica'

/** How a receiver has answered of late, as far as this process asked it. */
export interface ReceiverHealth {
  readonly name: string
  /** Since it took a page last; absent where it has taken none. */
  readonly deliveredMsAgo?: number
  /** Absent while its latest answer was that it took a page, and before the first. */
  readonly failing?: {
    readonly forMs: number
    /** Since the latest request that failed. */
    readonly lastMsAgo: number
    readonly requests: number
    readonly detail: string
  }
}

/** Of a receiver: when it last took a page, and what it has not taken since. */
interface Seen {
  deliveredMs?: number
  failing?: { readonly sinceMs: number; readonly lastMs: number; readonly requests: number; readonly detail: string }
}

/** Remembers the latest answers of each receiver: as many entries as the configuration has receivers. */
export class ReceiversHealth {
  readonly #seen = new Map<string, Seen>()
  readonly #monotonicMs: () => number

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs
  }

  note(name: string, { kind, detail = kind }: SendResult): void {
    const nowMs = this.#monotonicMs()
    const seen = this.#seen.get(name) ?? {}
    this.#seen.set(name, seen)
    if (kind === 'delivered') Object.assign(seen, { deliveredMs: nowMs, failing: undefined })
    else {
      const { sinceMs, requests } = seen.failing ?? { sinceMs: nowMs, requests: 0 }
      seen.failing = { sinceMs, lastMs: nowMs, requests: requests + 1, detail }
    }
  }

  /** Of the receivers with these names. */
  told(names: Iterable<string>): readonly ReceiverHealth[] {
    const nowMs = this.#monotonicMs()
    return [...names].map((name) => {
      const { deliveredMs, failing } = this.#seen.get(name) ?? {}
      return {
        name,
        ...(deliveredMs !== undefined && { deliveredMsAgo: nowMs - deliveredMs }),
        ...(failing && { failing: failingAt(failing, nowMs) }),
      }
    })
  }
}

function failingAt(
  { sinceMs, lastMs, requests, detail }: Required<Seen>['failing'],
  nowMs: number,
): ReceiverHealth['failing'] {
  return { forMs: nowMs - sinceMs, lastMsAgo: nowMs - lastMs, requests, detail }
}
