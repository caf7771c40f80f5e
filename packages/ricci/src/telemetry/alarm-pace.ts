/**
 * How often an alarm becomes an event. Its line and its metric come each time.
 *
 * The engine keeps some room for alarms' events beyond its limits (`reservedForAlarms`). Their first texts, or an event that finds
 * even that room taken, still count as refused, which is told of a minute later, whether anybody else sends anything or not: one
 * event each time would never end. So what tells of a limit is an event twice in its ttl, which keeps its entry alive; in between
 * there is the line.
 */
const ofLimits: ReadonlySet<string> = new Set(['symbols-full', 'forks-full', 'index-full'])

export class AlarmPace {
  readonly #told = new Map<string, number>()
  readonly #everyMs: number

  /** @param ttlMs for which an alarm's event holds in the index */
  constructor(ttlMs: number) {
    this.#everyMs = ttlMs / 2
  }

  /** Whether this alarm becomes an event now. @param nowMs monotonic */
  due(name: string, nowMs: number): boolean {
    if (!ofLimits.has(name)) return true
    if (nowMs < (this.#told.get(name) ?? -Infinity) + this.#everyMs) return false
    this.#told.set(name, nowMs)
    return true
  }
}
