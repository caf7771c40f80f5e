/** Counts of what was refused because of a limit, in the order of {@link limits}. */
export type Refusals = readonly [
  events: number,
  texts: number,
  forks: number,
  rows: number,
  producers: number,
  buffers: number,
  flows: number,
]

/** Ticks between two tellings of a limit: half a minute to a minute. */
const limitTicks = 60
const limits = [
  { name: 'symbols-full', what: 'events were refused: the table of texts is full (setting `symbols`)' },
  {
    name: 'symbols-full',
    what: 'texts of such events, or made by rules, whose branch ends there, found no room in the table (setting `symbols`)',
  },
  { name: 'forks-full', what: 'events were refused by a `by` that is full (setting `forksPerBy`)' },
  { name: 'index-full', what: 'events were refused by the index, which is full (setting `indexRows`)' },
  {
    name: 'producers-full',
    what: 'producers were let go to make room for others: duplicates of theirs would not be known',
  },
  { name: 'buffers-full', what: 'events found the buffer or window of their fork full (setting `eventsPerBuffer`)' },
  { name: 'flow-full', what: 'events for sinks were dropped, the oldest first: they take less than rules send' },
] as const

/**
 * Limits that were reached are told of once a minute, or an event for each refusal would make the storm that they prevent.
 * Counts only: what was told is no state.
 */
export class LimitAlarms {
  #told: Refusals = [0, 0, 0, 0, 0, 0, 0]
  #toldAt = -Infinity

  /** @param alarm told of each limit that refused more than when it was last told */
  check(tick: number, now: Refusals, alarm: (name: string, detail: string) => void): void {
    if (tick < this.#toldAt + limitTicks) return
    now.forEach((count, i) => {
      const more = count - this.#told[i]
      if (more > 0) alarm(limits[i].name, `${more} ${limits[i].what}`)
      if (more > 0) this.#toldAt = tick
    })
    this.#told = now
  }
}
