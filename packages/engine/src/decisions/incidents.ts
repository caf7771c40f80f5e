import { CutList, type Place } from '../state/cut-list.ts'
import type { InOrder } from './listing.ts'
import type { ChangingDelivery, ChangingIncident, Incident } from './incident.ts'

/** Closed incidents that are still shown, with their provenance. */
const closedLimit = 1_000
/** Open incidents of all rules together; further ones are counted into a digest and have no life of their own. */
export const openLimit = 100_000

/** Keys of one group that are told apart: they are looked through at each event of one of them. */
export const memberLimit = 1_000
/** Of all groups together: as many as could be open as incidents of their own. */
const membersLimit = openLimit

/** {@link Incidents} as plain data. */
export interface IncidentsState {
  readonly open: Iterable<Incident>
  readonly closed: readonly Incident[]
}

/** The incidents that are open, by rule and key, and the latest closed ones. Part of the decisions' state. */
export class Incidents {
  readonly #list = new CutList<ChangingIncident>(copyOf)
  readonly #open = new Map<string, Map<string, Place<ChangingIncident>>>()
  /** Nobody changes them any more. */
  #closed: Incident[] = []
  /** Members of all that is open; derived. */
  #members = 0

  get(rule: string, key: string): Incident | undefined {
    return this.#open.get(rule)?.get(key)?.value
  }

  /** An open incident, to be changed now. */
  change(incident: Incident): ChangingIncident {
    const place = this.#open.get(incident.rule)!.get(incident.key)!
    this.#list.keep(place)
    return place.value
  }

  hasRule(rule: string): boolean {
    return this.#open.has(rule)
  }

  get full(): boolean {
    return this.#list.length >= openLimit
  }

  /** In the order of their opening. */
  get open(): Iterable<Incident> & InOrder<Incident> {
    return this.#list
  }

  /** Newest last. */
  get closed(): readonly Incident[] {
    return this.#closed
  }

  add(incident: ChangingIncident): void {
    this.#members += incident.members?.length ?? 0
    let byKey = this.#open.get(incident.rule)
    if (byKey === undefined) this.#open.set(incident.rule, (byKey = new Map()))
    byKey.set(incident.key, this.#list.add(incident))
  }

  /** Gives the incident, now closed: to be changed at this record only. */
  close({ rule, key }: Incident, closed: NonNullable<Incident['closed']>): ChangingIncident {
    const byKey = this.#open.get(rule)!
    const place = byKey.get(key)!
    byKey.delete(key)
    if (byKey.size === 0) this.#open.delete(rule)
    this.#list.remove(place)
    this.#members -= place.value.members?.length ?? 0
    place.value.closed = closed
    this.#closed.push(place.value)
    if (this.#closed.length > closedLimit) this.#closed.shift()
    return place.value
  }

  /** Where the trigger of an open incident was settled, or a digest's page stands in its place: to be changed now. */
  changeDelivery(page: {
    readonly rule: string
    readonly key: string
    readonly id: string
  }): ChangingDelivery | undefined {
    const incident = this.get(page.rule, page.key)
    const at = incident?.deliveries.findIndex((delivery) => delivery.trigger === page.id) ?? -1
    return at < 0 ? undefined : this.change(incident!).deliveries[at]
  }

  /**
   * A further member of an incident is bad. Where too many are known one that is well makes room.
   * @returns false where none is, and the new one is not remembered
   */
  join(incident: Incident, key: string, host: string): boolean {
    const changed = this.change(incident)
    const members = (changed.members ??= [])
    if (members.length >= memberLimit || this.#members >= membersLimit) {
      const well = members.findIndex(({ bad }) => !bad)
      if (well < 0) return false
      members.splice(well, 1)
      this.#members--
    }
    members.push({ key, host, bad: true })
    this.#members++
    return true
  }

  /** The calendar was set back: acknowledgements and snoozes end that much earlier. */
  shiftPromises(byMs: number): void {
    for (const incident of this.#list) {
      for (const name of ['acknowledged', 'snoozed'] as const) {
        const promised = incident[name]
        if (promised !== undefined) this.change(incident)[name] = { ...promised, untilMs: promised.untilMs + byMs }
      }
    }
  }

  snapshot(): IncidentsState {
    return { open: this.#list, closed: this.#closed.slice() }
  }

  restore(state: IncidentsState): void {
    this.#open.clear()
    this.#list.clear()
    this.#members = 0
    for (const incident of state.open) this.add(copyOf(incident))
    this.#closed = state.closed.map(copyOf)
  }
}

function copyOf(incident: Incident): ChangingIncident {
  const { deliveries, hosts, members } = incident
  return {
    ...incident,
    deliveries: deliveries.map((d) => ({ ...d })),
    ...(hosts === undefined ? {} : { hosts: hosts.slice() }),
    ...(members === undefined ? {} : { members: members.map((m) => ({ ...m })) }),
  } as ChangingIncident
}
