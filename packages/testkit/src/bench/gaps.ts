import { performance, PerformanceObserver } from 'node:perf_hooks'
import { setImmediate as turn } from 'node:timers/promises'

/** Milliseconds of each stretch; `own`: with the collector taken out. */
export interface Longest {
  readonly all: readonly number[]
  readonly own: readonly number[]
}

/** Times from one record to the next, and how much of each was the garbage collector's. */
export class Gaps {
  private readonly stretches: number[] = []
  private readonly places: number[] = []
  private readonly beganMs: number[] = []
  private readonly endedMs: number[] = []
  private readonly ms: number[] = []
  private readonly collections: { readonly from: number; readonly to: number }[] = []
  private readonly observer = new PerformanceObserver((list) => this.collected(list.getEntries()))

  constructor() {
    this.observer.observe({ entryTypes: ['gc'] })
  }

  /**
   * @param place the record's place in its round
   * @param ms what is measured of it; it ends now
   */
  add(stretch: number, place: number, beganMs: number, ms: number): void {
    this.stretches.push(stretch)
    this.places.push(place)
    this.beganMs.push(beganMs)
    this.endedMs.push(performance.now())
    this.ms.push(ms)
  }

  /**
   * The longest of each stretch beyond what is usual at its place, milliseconds, and the longest where the collector is taken out of each.
   * @param usual of each place in a round: windows that all end at one tick make its record long, whatever else is done
   */
  async longest(stretches: number, usual: readonly number[]): Promise<Longest> {
    // what the collector did is told when the loop turns
    await turn()
    await turn()
    this.collected(this.observer.takeRecords())
    this.observer.disconnect()
    this.collections.sort((a, b) => a.from - b.from)
    const all = new Array<number>(stretches).fill(0)
    const own = new Array<number>(stretches).fill(0)
    let next = 0
    for (const [i, ms] of this.ms.entries()) {
      while (next < this.collections.length && this.collections[next].to <= this.beganMs[i]) next++
      let collected = 0
      for (let at = next; at < this.collections.length && this.collections[at].from < this.endedMs[i]; at++) {
        const { from, to } = this.collections[at]
        collected += Math.min(to, this.endedMs[i]) - Math.max(from, this.beganMs[i])
      }
      // collections are timed on the wall, gaps by the thread: in proportion
      const share = Math.min(1, collected / (this.endedMs[i] - this.beganMs[i]))
      const stretch = this.stretches[i]
      const usualMs = usual[this.places[i]] ?? 0
      all[stretch] = Math.max(all[stretch], ms - usualMs)
      own[stretch] = Math.max(own[stretch], ms * (1 - share) - usualMs)
    }
    return { all, own }
  }

  private collected(entries: readonly { readonly startTime: number; readonly duration: number }[]): void {
    for (const { startTime, duration } of entries) this.collections.push({ from: startTime, to: startTime + duration })
  }
}
