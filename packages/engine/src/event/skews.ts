import type { SymbolTable } from '@ricci/client'

/** How far a host's clock is from that of the instance that took its messages in. */
export interface Skew {
  readonly host: string
  /** Milliseconds by which it is ahead; below 0 it is behind, by at most that much: the way the message took is in it. */
  readonly aheadMs: number
}

interface Measured {
  window: number
  /** Of this window and of the one before: what the quickest message said. */
  ahead: number
  aheadBefore: number
}

/** The quickest message of this long and of the time before speaks for a host: one that waited in a queue says nothing of its clock. */
const windowMs = 300_000
/** At some 100 bytes each, a megabyte. Hosts beyond it are not measured until others fell silent. */
const mostHosts = 10_000
/** Silent for this many windows, a host is forgotten. */
const keptWindows = 12
/** So many are told of, those furthest away first. */
const mostTold = 20

/**
 * Measures each host's clock by its marks: a sender's time when it sent against ours when it came. For people's eyes: it decides
 * nothing, is no state, and begins anew with each engine.
 */
export class Skews {
  readonly #hosts = new Map<number, Measured>()

  /** @param nowMs calendar time */
  note(host: number, aheadMs: number, nowMs: number): void {
    const window = Math.floor(nowMs / windowMs)
    const measured = this.#hosts.get(host)
    if (measured === undefined) {
      if (this.#hosts.size < mostHosts && Number.isFinite(aheadMs)) {
        this.#hosts.set(host, { window, ahead: aheadMs, aheadBefore: -Infinity })
      }
    } else if (measured.window === window) {
      if (aheadMs > measured.ahead) measured.ahead = aheadMs
    } else {
      measured.aheadBefore = measured.window === window - 1 ? measured.ahead : -Infinity
      measured.ahead = aheadMs
      measured.window = window
    }
  }

  /** Forgets who has been silent for an hour. */
  forget(nowMs: number): void {
    const oldest = Math.floor(nowMs / windowMs) - keptWindows
    for (const [host, { window }] of this.#hosts) if (window < oldest) this.#hosts.delete(host)
  }

  /** Ids of hosts mean something else from now on. */
  clear(): void {
    this.#hosts.clear()
  }

  /** The clocks that are furthest away, furthest first. */
  worst(table: SymbolTable): readonly Skew[] {
    return [...this.#hosts]
      .map(([host, { ahead, aheadBefore }]) => ({ host, aheadMs: Math.max(ahead, aheadBefore) }))
      .sort((a, b) => Math.abs(b.aheadMs) - Math.abs(a.aheadMs))
      .slice(0, mostTold)
      .map(({ host, aheadMs }) => ({ host: host === 0 ? '' : table.text(host), aheadMs: Math.round(aheadMs) }))
  }
}
