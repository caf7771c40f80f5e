/** What an incident is, as state: plain data, served to people and carried by snapshots. */
import { RunningHash } from './hash.ts'

/** Told when something is decided, and only then: it may cost. */
export interface PageDescription {
  readonly severity: string
  readonly summary: string
  readonly host: string
  readonly service: string
  /** The user's own key for keyed receivers; default: the id of the decision that opened the incident. */
  readonly dedupKey?: string
  /** The events and operator values that led here; anything JSON can hold, cut at 8 KiB. Asked only where a page or an incident of its own keeps it: it costs most. */
  readonly provenance: () => unknown
}

/** How an incident's trigger fared at one receiver. */
export interface IncidentDelivery {
  readonly receiver: string
  /** Id of the trigger's page; of the digest's page once a digest stands for it. */
  readonly trigger: string
  /** Result with which the trigger was settled; a digest has its own. */
  readonly result?: string
  /** Id of the page that takes the trigger back, once the incident is closed and where one is sent. */
  readonly resolve?: string
  /** A trigger that was refused or given up may have opened the incident there all the same. */
  readonly mayBeOpen?: true
}

/** Open from the first bad event of its key to the first that is not bad. Identified by rule and key, never by a place in the rules. */
export interface Incident {
  /** Id of the decision that opened it. */
  readonly id: string
  readonly rule: string
  readonly key: string
  readonly dedupKey: string
  readonly severity: string
  readonly summary: string
  readonly host: string
  readonly service: string
  readonly openedAtMs: number
  readonly openedOffset: number
  readonly provenance: unknown
  readonly deliveries: readonly IncidentDelivery[]
  /** Somebody has taken it on, until a calendar time: nobody else is told meanwhile. */
  readonly acknowledged?: Promised
  /** Until which calendar time whoever looks after it wants nobody else told. */
  readonly snoozed?: Promised
  /** Owned time since which nobody has taken it on: escalation counts from here. */
  readonly unattendedSinceMs: number
  /** Who else is to be told, as the rule said when it opened. */
  readonly escalate?: readonly EscalationStep[]
  /** How many of these were. */
  readonly escalated: number
  /** Where its key names no host: those that were bad so far, at most {@link hostLimit}. A further one breaks an acknowledgement. */
  readonly hosts?: readonly string[]
  /** Of an incident that is one for a whole group: the keys that were bad so far, in the order in which they first were. A further one breaks an acknowledgement. */
  readonly members?: readonly IncidentMember[]
  /** More were bad than are remembered: the incident may end before they are well. Each of them that is bad after that opens another. */
  readonly membersLost?: true
  readonly closed?: {
    readonly atMs: number
    readonly offset: number
    readonly reason: string
    readonly provenance: unknown
  }
}

/** One of those that an incident is for. */
export interface IncidentMember {
  readonly key: string
  readonly host: string
  /** Whether it is bad now: while any is, the incident is open. */
  readonly bad: boolean
}

/** What somebody said to look after, and until when. */
export interface Promised {
  readonly who: string
  readonly from: string
  readonly why: string
  readonly atMs: number
  readonly untilMs: number
}

/** Another receiver, told when nobody took the incident on for so long. */
export interface EscalationStep {
  /** Owned time since it opened, or since an acknowledgement ended. */
  readonly afterMs: number
  readonly to: string
}

/** Who is told of an incident, and who else if nobody looks after it. */
export interface Told {
  readonly to: readonly string[]
  readonly escalate?: readonly EscalationStep[]
}

type Changing<T> = { -readonly [name in keyof T]: T[name] }

/** A delivery that may be changed. */
export type ChangingDelivery = Changing<IncidentDelivery>

/** An incident that may be changed: a new one, or one whose list was told so ({@link Incidents.change}). */
export type ChangingIncident = Changing<
  Pick<Incident, 'acknowledged' | 'snoozed' | 'closed' | 'unattendedSinceMs' | 'escalated' | 'membersLost'>
> &
  Omit<Incident, 'deliveries' | 'hosts' | 'members'> & {
    readonly deliveries: ChangingDelivery[]
    readonly hosts?: string[]
    members?: Changing<IncidentMember>[]
  }

/** A page that stands for many: one attempt, one incident at a keyed receiver, resolved when all it stands for have. */
export interface Digest {
  /** Id of its page. */
  readonly id: string
  readonly receiver: string
  readonly dedupKey: string
  readonly rule: string
  readonly key: string
  readonly severity: string
  readonly summary: string
  readonly host: string
  readonly service: string
  /** Incidents it stands for that are still open. */
  readonly open: number
  /** Result with which its page was settled: how their triggers fared. */
  readonly result?: string
}

/** A digest that may be changed: its list was told so. */
export type ChangingDigest = Changing<Digest>

/** Hosts of one incident that are told apart: a list is looked through at each of its bad events. */
export const hostLimit = 100
/** Longest provenance kept with a decision, in bytes of JSON: ten thousand pages with the longest are 80 MB. */
export const provenanceLimit = 8_192
/** Longest summary and key, in characters: what receivers show (PagerDuty cuts at 1,024). */
export const textLimit = 1_024

/** Provenance as it is kept: canonical JSON data, never more than {@link provenanceLimit} bytes, whatever a rule hands in. */
export function boundedProvenance(value: unknown): unknown {
  const json = jsonOf(value)
  if (json === null) return { error: 'the provenance is no plain data' }
  if (json === undefined) return null
  if (json.length * mostBytes <= provenanceLimit || utf8Length(json) <= provenanceLimit) return JSON.parse(json)
  // the events say more than the way they went
  if (typeof value === 'object' && value !== null && 'steps' in value) {
    const { steps: _, ...rest } = value
    return boundedProvenance(rest)
  }
  // Cut text is text, not JSON any more: escaped once more it may grow by half, hence less than half the limit.
  return { cut: wholeCharacters(json.slice(0, provenanceLimit * 0.3)) }
}

export function boundedText(text: string): string {
  return text.length <= textLimit ? text : wholeCharacters(text.slice(0, textLimit - 1)) + '…'
}

/** A key cut like a text, with a hash of the whole: long ones that begin alike stay different incidents. */
export function boundedKey(key: string): string {
  if (key.length <= textLimit) return key
  const hash = new RunningHash()
  hash.mix(key)
  return `${wholeCharacters(key.slice(0, textLimit - hash.text.length - 1))}…${hash.text}`
}

/** Bytes of one unit of a string in UTF-8, at most. */
const mostBytes = 3

/** Null for what is no plain data, undefined for what JSON leaves out. */
function jsonOf(value: unknown): string | null | undefined {
  try {
    const json = JSON.stringify(value) as string | undefined
    // a function called for each value makes it three times as dear; it changes numbers only that are `null` without it
    if (json?.includes('null') !== true) return json
  } catch {
    // a bigint, perhaps
  }
  try {
    return JSON.stringify(value, plain) as string | undefined
  } catch {
    return null
  }
}

function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value
}

/** Never half a surrogate pair at the end. */
function wholeCharacters(text: string): string {
  const last = text.charCodeAt(text.length - 1)
  return last >= 0xd800 && last < 0xdc00 ? text.slice(0, -1) : text
}

function utf8Length(text: string): number {
  let length = text.length
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    // A surrogate pair is two units here and four bytes there.
    if (code > 0x7f) length += code > 0x7ff && (code < 0xd800 || code > 0xdfff) ? 2 : 1
  }
  return length
}
