/** Which incidents and pages are asked for, and how people name one. */
import type { Incident, PendingPage } from '@ricci/engine'

/** What is not named lets all pass. */
export interface IncidentFilter {
  /** Names of incidents, any of which will do: see {@link namesOf}. */
  readonly refs?: readonly string[]
  readonly rule?: string
  readonly host?: string
  readonly severity?: string
  /** Each is a part of its rule, key, host, service or summary; capitals do not matter. */
  readonly words?: readonly string[]
  /** Told without what they rest on, for who lists many. */
  readonly brief?: boolean
}

/** Makes a test of a filter, of open and closed incidents and of pages. */
export function filtered(filter: IncidentFilter = {}): (one: Readonly<Incident> | Readonly<PendingPage>) => boolean {
  const { rule, host, severity } = filter
  const refs = filter.refs === undefined ? undefined : new Set(filter.refs)
  const words = filter.words?.map((word) => word.toLowerCase()) ?? []
  return (one) => {
    if (rule !== undefined && one.rule !== rule) return false
    if (host !== undefined && one.host !== host && !hostsOf(one).includes(host)) return false
    if (severity !== undefined && one.severity !== severity) return false
    if (refs !== undefined && !namesOf(one).some((name) => refs.has(name))) return false
    if (words.length === 0) return true
    const about = [one.rule, one.key, one.host, one.service, one.summary, ...hostsOf(one)]
    const text = about.join('\n').toLowerCase()
    return words.every((word) => text.includes(word))
  }
}

/** Those that joined an incident. */
function hostsOf(one: Readonly<Incident> | Readonly<PendingPage>): readonly string[] {
  if (!('deliveries' in one)) return []
  return one.members?.map(({ host }) => host) ?? one.hosts ?? []
}

/**
 * What people may call an incident by: its id, its short id, its key at receivers, and the ids of its pages, each of which stands in some message. A
 * page goes by those of its incident.
 */
export function namesOf(one: Readonly<Incident> | Readonly<PendingPage>): string[] {
  const ids = [
    one.id,
    ...('deliveries' in one
      ? one.deliveries.flatMap(({ trigger, resolve }) => (resolve === undefined ? [trigger] : [trigger, resolve]))
      : [one.incident ?? one.id]),
  ]
  return [one.dedupKey, ...ids.flatMap((id) => [id, ...endsOf(id)])]
}

/** The short form of a decision's id: partition, offset and place in its record. No other decision of the log has it. */
export function shortId(id: string): string {
  return endsOf(id)[1] ?? id
}

/** The partition in which a decision was made, of its id. */
export function partitionOfId(id: string): number {
  return Number(id.split('.')[1])
}

/**
 * The partitions that ids of incidents name, in ascending order; undefined where some name is no id of this log, which may be of any.
 * @param partitions how many the log has
 */
export function partitionsNamed(refs: readonly string[], partitions: number): readonly number[] | undefined {
  const named = new Set<number>()
  for (const ref of refs) {
    const [, partition] = idForm.exec(ref) ?? []
    if (partition === undefined || Number(partition) >= partitions) return undefined
    named.add(Number(partition))
  }
  return named.size === 0 ? undefined : [...named].sort((a, b) => a - b)
}

/** A decision's id, whole or one of its {@link endsOf}. */
const idForm = /^(?:[\w-]+\.(?=(?:\d+\.){3}\w+$))?(\d{1,4})\.\d+(?:\.\d+(?:\.\w+)?)?$/

/** The record at which a decision was made, of its id. */
export function offsetOfId(id: string): number {
  return Number(id.split('.')[2])
}

/** Of log, partition, offset, ordinal and checksum, those without the log; a prefix of them ends where one of them does. */
function endsOf(id: string): string[] {
  const parts = id.split('.')
  if (parts.length !== 5) return []
  const [, partition, offset, ordinal, checksum] = parts
  const short = `${partition}.${offset}.${ordinal}`
  return [`${short}.${checksum}`, short, `${partition}.${offset}`]
}
