import type { Incident } from './incident.ts'

/** Closed incidents that are still shown, with their provenance. */
const closedLimit = 1_000
/** Open incidents of all rules together; further ones are counted into a digest and have no life of their own. */
export const openLimit = 100_000

/** {@link Incidents} as plain data. */
export interface IncidentsState {
  readonly open: readonly Incident[]
  readonly closed: readonly Incident[]
}

/** The incidents that are open, by rule and key, and the latest closed ones. Part of the decisions' state. */
export class Incidents {
  readonly #open = new Map<string, Map<string, Incident>>()
  #openCount = 0
  #closed: Incident[] = []

  get(rule: string, key: string): Incident | undefined {
    return this.#open.get(rule)?.get(key)
  }

  hasRule(rule: string): boolean {
    return this.#open.has(rule)
  }

  rules(): readonly string[] {
    return [...this.#open.keys()]
  }

  ofRule(rule: string): readonly Incident[] {
    return [...(this.#open.get(rule)?.values() ?? [])]
  }

  get full(): boolean {
    return this.#openCount >= openLimit
  }

  /** In the order of their opening within a rule. */
  get open(): readonly Incident[] {
    return [...this.#open.values()].flatMap((byKey) => [...byKey.values()])
  }

  /** Newest last. */
  get closed(): readonly Incident[] {
    return this.#closed
  }

  add(incident: Incident): void {
    let byKey = this.#open.get(incident.rule)
    if (byKey === undefined) this.#open.set(incident.rule, (byKey = new Map()))
    byKey.set(incident.key, incident)
    this.#openCount++
  }

  close(incident: Incident, closed: NonNullable<Incident['closed']>): void {
    const byKey = this.#open.get(incident.rule)!
    byKey.delete(incident.key)
    if (byKey.size === 0) this.#open.delete(incident.rule)
    this.#openCount--
    incident.closed = closed
    this.#closed.push(incident)
    if (this.#closed.length > closedLimit) this.#closed.shift()
  }

  /** The trigger of an open incident was settled, or a digest's page stands in its place. */
  deliveryOf(page: { readonly rule: string; readonly key: string; readonly id: string }) {
    return this.get(page.rule, page.key)?.deliveries.find((delivery) => delivery.trigger === page.id)
  }

  /** The calendar was set back: snoozes end that much earlier. */
  shiftSnoozes(byMs: number): void {
    for (const incident of this.open) {
      const { snoozed } = incident
      if (snoozed !== undefined) incident.snoozed = { ...snoozed, untilMs: snoozed.untilMs + byMs }
    }
  }

  snapshot(): IncidentsState {
    return { open: this.open.map(copyOf), closed: this.#closed.map(copyOf) }
  }

  restore(state: IncidentsState): void {
    this.#open.clear()
    this.#openCount = 0
    for (const incident of state.open) this.add(copyOf(incident))
    this.#closed = state.closed.map(copyOf)
  }
}

function copyOf(incident: Readonly<Incident>): Incident {
  return { ...incident, deliveries: incident.deliveries.map((d) => ({ ...d })) }
}
