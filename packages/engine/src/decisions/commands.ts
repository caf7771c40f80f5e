import type { CommandRecord } from '../records.ts'
import type { ChangingIncident, Incident, PageDescription } from './incident.ts'
import type { Moment } from './moment.ts'

/** Command ids remembered, so that a command that comes twice acts once. */
const commandLimit = 10_000

/** What commands act on. */
export interface Commanded {
  readonly at: Moment
  incident(rule: string, key: string): Incident | undefined
  /** The same, to be changed now. */
  change(incident: Incident): ChangingIncident
  close(incident: Incident, reason: string, provenance: unknown): void
  /** Decides triggers anew that failed for good; whether there were any. */
  redrive(incident: Incident): boolean
  notify(rule: string, to: readonly string[], describe: () => PageDescription): void
}

/** What people do to incidents. State: the ids of the latest commands. */
export class Commands {
  #seen = new Set<string>()
  readonly #on: Commanded

  constructor(on: Commanded) {
    this.#on = on
  }

  /** How many ids are remembered, for the state's hash. */
  get size(): number {
    return this.#seen.size
  }

  /** Gives whether it did anything; one that comes twice acts once. */
  apply(record: CommandRecord): boolean {
    if (this.#seen.has(record.id)) return false
    this.#seen.add(record.id)
    if (this.#seen.size > commandLimit) this.#seen.delete(this.#seen.values().next().value!)
    const on = this.#on
    const { who, why, from, arguments: given } = record
    if (record.name === 'drill') {
      const { receiver } = given
      if (typeof receiver !== 'string') return false
      on.notify('drill', [receiver], () => drillPage(record))
      return true
    }
    const incident = on.incident(String(given['rule']), String(given['key'] ?? ''))
    if (incident === undefined) return false
    switch (record.name) {
      case 'resolve':
        on.close(incident, `resolved by ${who}: ${why}`, { command: record.id, who, from, why })
        return true
      case 'acknowledge':
        on.change(incident).acknowledged = { who, why, atMs: on.at.calendarMs }
        return true
      case 'snooze': {
        const { forMs } = given
        if (typeof forMs !== 'number' || !(forMs > 0)) return false
        on.change(incident).snoozed = { who, why, untilMs: on.at.calendarMs + forMs }
        return true
      }
      case 'redrive':
        return on.redrive(incident)
    }
  }

  snapshot(): readonly string[] {
    return [...this.#seen]
  }

  restore(ids: readonly string[]): void {
    this.#seen = new Set(ids)
  }
}

function drillPage(record: CommandRecord): PageDescription {
  return {
    severity: 'info',
    summary: `Drill: ${record.why}. Nothing is wrong.`,
    host: '',
    service: '',
    provenance: { command: record.id, who: record.who, from: record.from },
  }
}
