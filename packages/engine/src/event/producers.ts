import type { ProducerMark } from '@ricci/client'

interface Producer {
  incarnation: number
  highest: number
  /** Open gaps as [first, last], ascending; what lies in one has not been seen. */
  gaps: [number, number][]
  /** Owned time at which the oldest open gap was opened; undefined without one, or once it was told. */
  gapSinceMs?: number
  lastSeenMs: number
}

/** A gap open for this long is evidence of loss. */
const gapPatienceMs = 60_000
/** More open gaps than this are not a reordering any more. */
const maximalGaps = 64
/** Idle for this long, a producer is forgotten; producers take a new incarnation after half of it. */
const forgetAfterMs = 24 * 3_600_000
/** At some 200 bytes each, 20 MB. The one idle for longest makes room. */
const maximalProducers = 100_000

export interface Loss {
  readonly producer: string
  readonly missing: number
}

/**
 * Tells by producer marks what was there before and what is missing. A sequence that lies in no open gap and is not higher than
 * the highest is a duplicate. State; times are owned time.
 */
export class Producers {
  #known = new Map<string, Producer>()
  readonly #gapped = new Set<string>()

  /** Takes a mark in. False for a duplicate: its Msg is dropped before a byte of its events is decoded. */
  accept(mark: ProducerMark, nowMs: number, lost: (loss: Loss) => void): boolean {
    let known = this.#known.get(mark.producer)
    if (known === undefined || known.incarnation < mark.incarnation) {
      if (known === undefined) this.#makeRoom()
      this.#known.delete(mark.producer)
      this.#gapped.delete(mark.producer)
      known = { incarnation: mark.incarnation, highest: 0, gaps: [], lastSeenMs: nowMs }
      this.#known.set(mark.producer, known)
    }
    if (mark.incarnation < known.incarnation) return false
    if (mark.sequence <= known.highest) {
      if (!closeGap(known, mark.sequence)) return false
      if (known.gaps.length === 0) {
        delete known.gapSinceMs
        this.#gapped.delete(mark.producer)
      }
    } else {
      if (mark.sequence > known.highest + 1) {
        known.gaps.push([known.highest + 1, mark.sequence - 1])
        known.gapSinceMs ??= nowMs
        this.#gapped.add(mark.producer)
        if (known.gaps.length > maximalGaps) {
          const [first, last] = known.gaps.shift()!
          lost({ producer: mark.producer, missing: last - first + 1 })
        }
      }
      known.highest = mark.sequence
    }
    known.lastSeenMs = nowMs
    return true
  }

  /** At each tick: gaps that have been open for too long are told, once. */
  check(nowMs: number, lost: (loss: Loss) => void): void {
    for (const name of this.#gapped) {
      const known = this.#known.get(name)!
      if (known.gapSinceMs === undefined || nowMs - known.gapSinceMs < gapPatienceMs) continue
      lost({ producer: name, missing: known.gaps.reduce((sum, [first, last]) => sum + last - first + 1, 0) })
      known.gaps = []
      delete known.gapSinceMs
      this.#gapped.delete(name)
    }
  }

  /** Forgets who has been idle for a day. */
  forget(nowMs: number): void {
    for (const [name, known] of this.#known) {
      if (nowMs - known.lastSeenMs < forgetAfterMs) continue
      this.#known.delete(name)
      this.#gapped.delete(name)
    }
  }

  get size(): number {
    return this.#known.size
  }

  snapshot(): unknown {
    return [...this.#known].map(([name, p]) => [
      name,
      p.incarnation,
      p.highest,
      p.gaps,
      p.gapSinceMs ?? null,
      p.lastSeenMs,
    ])
  }

  restore(state: unknown): void {
    this.#known = new Map()
    this.#gapped.clear()
    type Row = [string, number, number, [number, number][], number | null, number]
    for (const [name, incarnation, highest, gaps, since, lastSeenMs] of state as Row[]) {
      const known: Producer = { incarnation, highest, gaps, lastSeenMs }
      if (since !== null) known.gapSinceMs = since
      this.#known.set(name, known)
      if (gaps.length > 0) this.#gapped.add(name)
    }
  }

  #makeRoom(): void {
    if (this.#known.size < maximalProducers) return
    let oldest: string | undefined
    let oldestMs = Infinity
    for (const [name, known] of this.#known) {
      if (known.lastSeenMs < oldestMs) {
        oldest = name
        oldestMs = known.lastSeenMs
      }
    }
    this.#known.delete(oldest!)
    this.#gapped.delete(oldest!)
  }
}

/** Whether the sequence lay in an open gap; takes it out. */
function closeGap(known: Producer, sequence: number): boolean {
  const at = known.gaps.findIndex(([first, last]) => sequence >= first && sequence <= last)
  if (at < 0) return false
  const [first, last] = known.gaps[at]
  const rest: [number, number][] = []
  if (first < sequence) rest.push([first, sequence - 1])
  if (sequence < last) rest.push([sequence + 1, last])
  known.gaps.splice(at, 1, ...rest)
  return true
}
