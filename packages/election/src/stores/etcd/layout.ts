import type { GroupView, HandOverRequest, Json, Member, NameView, Release } from '../../store.ts'
import type { Entry } from './client.ts'

/**
 * How a group lies in etcd. Every value is JSON.
 *
 * ```
 * election/groups/GROUP/member/LEASE   under the member's lease   { id, data }
 * election/groups/GROUP/leader/NAME    under its holder's lease   { id }
 * election/groups/GROUP/tenure/NAME    under none                 { atMs, session, trusted }          by each acquisition
 *                                                                 { atMs, token, settled, successor }  by each release
 * election/groups/GROUP/request/NAME   under none                 { token, by, to, attempt }
 * ```
 *
 * A name is held while its `leader` key is there under a lease; whatever ends the lease removes the key in the same
 * revision as the member's. A key without a lease is somebody's edit and nobody's tenure.
 *
 * The **token** is the revision that wrote the `leader` key. Nobody but an acquisition writes it, so it is the key's `create_revision`; after
 * an operator's edit it is that of the edit, which nobody holds. Revisions are the store's own counter and rise over deletions.
 *
 * The **version** is the revision that wrote the `tenure` key: each acquisition and each clean release does, in one transaction with
 * the `leader` key. What else ends a tenure leaves it: the free time that follows has the version of that tenure, which none before had. A
 * name whose `tenure` key is not there cannot be acquired: it is made first, as a tenure that did not end cleanly, since what had been there is
 * not known any more.
 */
export class Layout {
  /** What all keys of the group begin with. */
  readonly root: string

  constructor(prefix: string, group: string) {
    this.root = `${prefix}/groups/${group}/`
  }

  member(session: string): string {
    return `${this.root}member/${session}`
  }

  leader(name: string): string {
    return `${this.root}leader/${name}`
  }

  tenure(name: string): string {
    return `${this.root}tenure/${name}`
  }

  request(name: string): string {
    return `${this.root}request/${name}`
  }

  /**
   * What a read shows.
   * @param trusting whether a tenure that was held under a trusted lease has settled once that has ended
   */
  view(entries: readonly Entry[], trusting: boolean): GroupView {
    const { members, leaders, tenures, requests } = this.sort(entries)
    const live = new Set(members.map(({ session }) => session))
    const names = new Set([...leaders.keys(), ...tenures.keys()])
    const views = Array.from(names, (name): [string, NameView] => {
      const leader = leaders.get(name)
      const tenure = tenures.get(name)
      const version = tenure?.revision ?? noVersion
      if (leader !== undefined) {
        const token = BigInt(leader.revision)
        const request = requestOf(requests.get(name), token)
        const holder = { session: leader.lease, id: textOf(valueOf(leader).id) }
        const leaseMs = tenure === undefined ? 0 : leaseOf(tenure)
        return [
          name,
          { name, version, token, holder, settled: false, leaseMs, ...(request !== undefined && { request }) },
        ]
      }
      return [name, { name, version, ...endOf(tenure!, (session) => trusting && !live.has(session)) }]
    })
    return { members, names: new Map(views) }
  }

  /** Tenures that ended long ago: names that nobody campaigns for any more. */
  forgotten(entries: readonly Entry[], beforeMs: number): readonly { name: string; version: string }[] {
    const { leaders, tenures } = this.sort(entries)
    const old = [...tenures].filter(([name, tenure]) => !leaders.has(name) && Number(valueOf(tenure).atMs) < beforeMs)
    return old.map(([name, { revision }]) => ({ name, version: revision }))
  }

  private sort(entries: readonly Entry[]): Sorted {
    const sorted: Sorted = { members: [], leaders: new Map(), tenures: new Map(), requests: new Map() }
    for (const entry of entries) {
      const [kind, name] = entry.key.slice(this.root.length).split('/')
      if (kind === 'member' && entry.lease !== noLease) sorted.members.push(memberOf(entry))
      else if (kind === 'leader' && entry.lease !== noLease) sorted.leaders.set(name, entry)
      else if (kind === 'tenure') sorted.tenures.set(name, entry)
      else if (kind === 'request') sorted.requests.set(name, entry)
    }
    return sorted
  }
}

/** The lease of a key that has none. */
export const noLease = '0'

/** The version of a name whose `tenure` key is not there: the revision that etcd compares a missing key as. */
export const noVersion = '0'

/** What a member publishes. */
export function memberValue(id: string, data: Json): string {
  return JSON.stringify({ id, data })
}

/** A name's `leader` key. */
export function leaderValue(id: string): string {
  return JSON.stringify({ id })
}

/** A name's `tenure` key as an acquisition writes it. @param trusted the holder acts no longer than its lease lasts */
export function heldValue(atMs: number, session: string, trusted: boolean, leaseMs: number): string {
  return JSON.stringify({ atMs, session, trusted, leaseMs })
}

/** A name's `tenure` key as a release writes it, or, with the token 0, before the first acquisition. */
export function endedValue(atMs: number, token: bigint, { settled, leaseMs = 0, successor }: Release): string {
  return JSON.stringify({ atMs, token: String(token), settled, leaseMs, successor })
}

/** A name's `request` key. */
export function requestValue(token: bigint, request: HandOverRequest): string {
  return JSON.stringify({ ...request, token: String(token) })
}

interface Sorted {
  readonly members: Member[]
  readonly leaders: Map<string, Entry>
  readonly tenures: Map<string, Entry>
  readonly requests: Map<string, Entry>
}

/** How a tenure ended that nobody holds any more. @param isOver whether a session's lease has ended */
function endOf(
  entry: Entry,
  isOver: (session: string) => boolean,
): Pick<NameView, 'token' | 'settled' | 'leaseMs' | 'successor'> {
  const leaseMs = leaseOf(entry)
  const { token, settled, successor, session, trusted } = valueOf(entry)
  if (typeof token === 'string' && /^\d+$/.test(token)) {
    return {
      token: BigInt(token),
      settled: settled === true,
      leaseMs,
      ...(typeof successor === 'string' && { successor }),
    }
  }
  // Not released: the acquisition that wrote this wrote the leader key under the same revision.
  const expired = trusted === true && typeof session === 'string' && isOver(session)
  return { token: BigInt(entry.revision), settled: expired, leaseMs }
}

/** How long whoever wrote a `tenure` key may act after it was lost, in ms; 0 where it does not say. */
function leaseOf(tenure: Entry): number {
  const { leaseMs } = valueOf(tenure)
  return typeof leaseMs === 'number' && leaseMs > 0 ? leaseMs : 0
}

function memberOf(entry: Entry): Member {
  const { id, data } = valueOf(entry)
  return { session: entry.lease, id: textOf(id), data: (data ?? null) as Json }
}

/** A request to this tenure; one to an earlier tenure is none. */
function requestOf(entry: Entry | undefined, token: bigint): HandOverRequest | undefined {
  if (entry === undefined) return undefined
  const { token: addressed, by, to, attempt } = valueOf(entry)
  if (addressed !== String(token)) return undefined
  return {
    by: textOf(by),
    ...(typeof to === 'string' && { to }),
    ...(typeof attempt === 'string' && { attempt }),
  }
}

/** What a key holds; nothing where an operator has written what is no JSON object. */
function valueOf({ value }: Entry): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(value)
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
