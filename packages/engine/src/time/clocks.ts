/**
 * The engine's two clocks and the order in which timers fire.
 *
 * Owned time is the sum of the ticks' elapsed time; calendar time is the highest wall time the log has seen. Both are moved by
 * records only. A timer fires when its clock reaches its deadline, before the record that moved the clock is applied, and sees
 * its deadline as now (the end of the move, where a gap made it late); timers set meanwhile fire in the same move. Order: by how
 * long before the end of the move that is, then by operator identity, then by id.
 */
import type { TimerColumn } from './timers.ts'

export class Clock {
  now = 0
  /** Where the move under way ends; equal to `now` outside a move. */
  target = 0
  readonly timers: TimerColumn[] = []

  /** Adds a column of timers; where it stands among the others has no influence. */
  attach(timers: TimerColumn): void {
    this.timers.push(timers)
  }
  detach(timers: TimerColumn): void {
    const at = this.timers.indexOf(timers)
    if (at >= 0) this.timers.splice(at, 1)
  }
}

interface Due {
  readonly lag: number
  readonly timers: TimerColumn
  readonly id: number
  readonly deadline: number
}

/** Moves both clocks together and fires what is due. */
export class Clocks {
  readonly owned = new Clock()
  readonly calendar = new Clock()
  /** Deadlines of things that fire because something did not happen are kept at least this far away after a claim or gap. */
  graceUntil = 0
  /** Owned time at which that grace began, or the one that it prolongs: a deadline before it had passed already. */
  graceFrom = 0
  /** A move of the calendar that nobody's owned time covers. */
  inGap = false
  /** Told before each timer fires: the clocks stand at its deadline. Set by the engine. */
  beforeFire: () => void = () => {}
  moving = false
  #heap: Due[] = []

  /**
   * Moves the clocks. With `gap`, calendar timers that came due fire at its end, and so does every periodic one that is set: the
   * window it runs for touches the gap.
   */
  move(ownedTo: number, calendarTo: number, gap: boolean): void {
    const { owned, calendar } = this
    owned.target = ownedTo
    calendar.target = calendarTo
    this.moving = true
    this.inGap = gap
    for (const timers of owned.timers) timers.collect(ownedTo, this)
    for (const timers of calendar.timers) timers.collect(calendarTo, this)
    for (let due = this.#pop(); due !== undefined; due = this.#pop()) {
      const { timers, id, deadline, lag } = due
      if (timers.get(id) !== deadline) continue
      // a deadline that had passed already when it was set fires now: time never goes back within a move
      owned.now = Math.min(ownedTo, Math.max(owned.now, ownedTo - lag))
      calendar.now = gap ? calendarTo : Math.min(calendarTo, Math.max(calendar.now, calendarTo - lag))
      this.beforeFire()
      timers.fire(id, gap && timers.clock === calendar)
    }
    owned.now = ownedTo
    calendar.now = calendarTo
    this.moving = false
    this.inGap = false
  }

  /** A timer that comes due within the move under way. */
  due(timers: TimerColumn, id: number, deadline: number): void {
    const atEnd = this.inGap && timers.clock === this.calendar
    const due = { lag: atEnd ? 0 : timers.clock.target - deadline, timers, id, deadline }
    const heap = this.#heap
    let at = heap.length
    heap.push(due)
    while (at > 0) {
      const above = (at - 1) >> 1
      if (!earlier(due, heap[above])) break
      heap[at] = heap[above]
      at = above
    }
    heap[at] = due
  }

  #pop(): Due | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && earlier(heap[child + 1], heap[child])) child++
      if (!earlier(heap[child], last)) break
      heap[at] = heap[child]
      at = child
    }
    heap[at] = last
    return first
  }
}

function earlier(a: Due, b: Due): boolean {
  if (a.lag !== b.lag) return a.lag > b.lag
  if (a.timers.identity !== b.timers.identity) return a.timers.identity < b.timers.identity
  return a.id < b.id
}
