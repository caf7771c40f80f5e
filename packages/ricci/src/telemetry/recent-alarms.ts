/** An alarm that was raised in the last hour. */
export interface RecentAlarm {
  readonly name: string
  /** Of the latest. */
  readonly detail: string
  /** How often, since this began. */
  readonly count: number
  /** Since the latest. */
  readonly msAgo: number
}

/** As long as alarms hold in the index. */
const keptMs = 3_600_000
/** There are some thirty names of alarms; an engine's may be named by rules. */
const mostNames = 64

/** What was alarmed of late, one entry a name: who looks at a server wants to see it without a search. */
export class RecentAlarms {
  readonly #alarms = new Map<string, { detail: string; count: number; atMs: number }>()

  /** @param nowMs monotonic */
  note(name: string, detail: string, nowMs: number): void {
    const count = (this.#alarms.get(name)?.count ?? 0) + 1
    // at the end again: what is first is the oldest
    this.#alarms.delete(name)
    this.#alarms.set(name, { detail, count, atMs: nowMs })
    if (this.#alarms.size > mostNames) this.#alarms.delete(this.#alarms.keys().next().value!)
  }

  /** The latest first. @param nowMs monotonic */
  told(nowMs: number): readonly RecentAlarm[] {
    return [...this.#alarms]
      .map(([name, { detail, count, atMs }]) => ({ name, detail, count, msAgo: nowMs - atMs }))
      .filter(({ msAgo }) => msAgo <= keptMs)
      .reverse()
  }
}
