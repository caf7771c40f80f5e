import type { CommandRecord } from '../records.ts'
import { boundedText, type Incident, type PageDescription } from './incident.ts'
import type { SettledResult } from './pages.ts'
import type { Moment } from './moment.ts'
import type { DecisionSettings } from './settings.ts'

/** Command ids remembered, so that a command that comes twice acts once. */
const commandLimit = 10_000

/** What a command came to: what it did, or why it did nothing. */
export type CommandResult =
  | 'acknowledged'
  | 'snoozed'
  | 'resolved'
  | 'redriven'
  | 'nothing-to-redrive'
  | 'drilled'
  /** None is open of that rule and key, or another than the one that was meant. */
  | 'no-incident'
  | 'malformed'

/** A command that was applied. */
interface AppliedCommand {
  readonly did: CommandResult
  /** Of its record. */
  readonly offset: number
  /** Of a drill: id of its page, and what became of that. */
  readonly page?: string
  readonly result?: string
  readonly detail?: string
}

/** The same as it is asked for. */
export interface CommandStatus extends AppliedCommand {
  /** Of a drill's page that is not settled, how often it was tried. */
  readonly attempts?: number
}

/** What commands act on. */
export interface Commanded {
  readonly at: Moment
  readonly settings: DecisionSettings
  incident(rule: string, key: string): Incident | undefined
  acknowledge(incident: Incident, record: CommandRecord, untilMs: number, via: unknown): void
  snooze(incident: Incident, record: CommandRecord, untilMs: number): void
  close(incident: Incident, reason: string, provenance: unknown): void
  /** Decides triggers anew that failed for good; whether there were any. */
  redrive(incident: Incident): boolean
  /** A page for one receiver, whatever the limits; gives its id. */
  page(rule: string, to: string, description: PageDescription): string
}

type Seen = { -readonly [name in keyof AppliedCommand]: AppliedCommand[name] }

/** What people do to incidents. State: the latest commands by their ids, and what they came to. */
export class Commands {
  #seen = new Map<string, Seen>()
  /** By the page of a drill that is not settled, its command; derived. */
  readonly #drills = new Map<string, Seen>()
  readonly #on: Commanded

  constructor(on: Commanded) {
    this.#on = on
  }

  get(id: string): AppliedCommand | undefined {
    return this.#seen.get(id)
  }

  /** Gives what it came to; undefined for one that was there before: it acts once. */
  apply(record: CommandRecord): CommandResult | undefined {
    if (this.#seen.has(record.id)) return undefined
    const seen: Seen = { did: 'malformed', offset: this.#on.at.offset }
    this.#seen.set(record.id, seen)
    if (this.#seen.size > commandLimit) this.#seen.delete(this.#seen.keys().next().value!)
    // whoever appended it: what people are shown, and every snapshot holds, has its bounds
    const { who, from, why } = record
    const bounded = { ...record, who: boundedText(who), from: boundedText(from), why: boundedText(why) }
    if (record.name === 'drill') this.#drill(bounded, seen)
    else seen.did = this.#toIncident(bounded)
    return seen.did
  }

  /** A page was settled: of a drill's it is remembered. */
  settled(page: string, result: SettledResult, detail: string | undefined): void {
    const seen = this.#drills.get(page)
    if (seen === undefined) return
    this.#drills.delete(page)
    seen.result = result
    if (detail !== undefined) seen.detail = boundedText(detail)
  }

  snapshot(): readonly (readonly [id: string, AppliedCommand])[] {
    return Array.from(this.#seen, ([id, seen]) => [id, { ...seen }])
  }

  restore(commands: readonly (readonly [id: string, AppliedCommand])[]): void {
    this.#seen = new Map(commands.map(([id, seen]) => [id, { ...seen }]))
    this.#drills.clear()
    for (const seen of this.#seen.values()) {
      if (seen.page !== undefined && seen.result === undefined) this.#drills.set(seen.page, seen)
    }
  }

  #drill(record: CommandRecord, seen: Seen): void {
    const { receiver } = record.arguments
    if (typeof receiver !== 'string') return
    seen.did = 'drilled'
    seen.page = this.#on.page('drill', receiver, drillPage(record))
    this.#drills.set(seen.page, seen)
  }

  #toIncident(record: CommandRecord): CommandResult {
    const on = this.#on
    const { who, why, from, arguments: given } = record
    const incident = on.incident(String(given['rule']), String(given['key'] ?? ''))
    if (incident === undefined) return 'no-incident'
    // the one that was meant may have closed meanwhile, and another of its rule and key be open
    if (given['incident'] !== undefined && given['incident'] !== incident.id) return 'no-incident'
    switch (record.name) {
      case 'resolve':
        on.close(incident, `resolved by ${who}${why === '' ? '' : `: ${why}`}`, { command: record.id, who, from, why })
        return 'resolved'
      case 'acknowledge': {
        const untilMs = this.#untilMs(given, on.settings.acknowledgedMs)
        if (untilMs === undefined) return 'malformed'
        on.acknowledge(incident, record, untilMs, given['via'])
        return 'acknowledged'
      }
      case 'snooze': {
        const untilMs = this.#untilMs(given)
        if (untilMs === undefined) return 'malformed'
        on.snooze(incident, record, untilMs)
        return 'snoozed'
      }
      case 'redrive':
        return on.redrive(incident) ? 'redriven' : 'nothing-to-redrive'
      case 'drill':
        return 'malformed'
    }
  }

  /** `forMs` from now, or `untilMs`, a calendar time to come; undefined where neither is one. */
  #untilMs({ forMs, untilMs }: CommandRecord['arguments'], otherwiseMs?: number): number | undefined {
    const { calendarMs } = this.#on.at
    if (untilMs !== undefined) return typeof untilMs === 'number' && untilMs > calendarMs ? untilMs : undefined
    const ms = forMs ?? otherwiseMs
    return typeof ms === 'number' && ms > 0 ? calendarMs + ms : undefined
  }
}

function drillPage(record: CommandRecord): PageDescription {
  return {
    severity: 'info',
    summary: `Drill: ${record.why}. Nothing is wrong.`,
    host: '',
    service: '',
    provenance: () => ({ command: record.id, who: record.who, from: record.from }),
  }
}
