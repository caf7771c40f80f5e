/** What people may call an incident by: each of these stands in some message or list. */
import type { Incident, PendingPage } from '@ricci/engine'

/** The short form of a decision's id: partition, offset and place in its record. No other decision of the log has it. */
export function shortId(id: string): string {
  return id.split('.').slice(-4, -1).join('.')
}

/** The partition in which a decision was made, of its id. */
export function partitionIn(id: string): number {
  return Number(id.split('.').at(-4))
}

/** The record at which a decision was made, of its id. */
export function offsetIn(id: string): number {
  return Number(id.split('.').at(-3))
}

/** Whether a name means this incident: its id, short id (its ordinal may be left out), key at receivers, or the id of one of its pages. */
export function isNamed(name: string, incident: Incident, waiting: readonly PendingPage[]): boolean {
  if (name === incident.dedupKey) return true
  const pages = waiting.filter((page) => page.incident === incident.id).map(({ id }) => id)
  const ids = [
    incident.id,
    ...incident.deliveries.flatMap(({ trigger, resolve }) => [trigger, resolve ?? '']),
    ...pages,
  ]
  return ids.some((id) => id !== '' && (id === name || shortId(id) === name)) || isBegun(name, incident.id)
}

function isBegun(name: string, id: string): boolean {
  return shortId(id).startsWith(`${name}.`) && name.includes('.')
}
