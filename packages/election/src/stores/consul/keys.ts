import { createHash } from 'node:crypto'
import type { GroupView, HandOverRequest, Json, Member, NameView, Release } from '../../store.ts'
import type { KvEntry } from './client.ts'

/** Journal entries of longer ids, and of those that URLs cannot have, lie under a hash: Consul has its keys in URLs and in memory. */
const maxIdInKey = 200

/**
 * Where a group lies in Consul's key-value store. One recursive read of `folder` gives the whole of it; the journal, which grows, lies
 * beside it.
 *
 * ```
 * election/groups/GROUP/members/SESSION    locked by that session; its value: who it is and what it publishes
 * election/groups/GROUP/names/NAME         locked by its holder; its value: who that is, or how it was given up
 * election/groups/GROUP/requests/NAME      who asks for it, of the tenure under which token
 * election/journal/GROUP/NAME/ID           an action, begun or done
 * ```
 */
export class Keys {
  readonly folder: string
  readonly #journal: string

  constructor(prefix: string, group: string) {
    this.folder = `${prefix}/groups/${group}/`
    this.#journal = `${prefix}/journal/${group}/`
  }

  member(session: string): string {
    return `${this.folder}members/${session}`
  }

  name(name: string): string {
    return `${this.folder}names/${name}`
  }

  request(name: string): string {
    return `${this.folder}requests/${name}`
  }

  actions(name: string): string {
    return `${this.#journal}${name}/`
  }

  action(name: string, id: string): string {
    const readable = encodeURIComponent(id)
    // No encoded id begins like this.
    const hashed = (): string => `%sha256-${createHash('sha256').update(id).digest('hex')}`
    // A path of a URL has no parts `.` and `..`.
    const isKey = readable.length <= maxIdInKey && !/^\.{1,2}$/.test(readable)
    return this.actions(name) + (isKey ? readable : hashed())
  }
}

/** What a member's key says. */
export interface MemberValue {
  readonly id: string
  readonly data: Json
}

/** What a name's key says while it is held. */
export interface HolderValue {
  readonly id: string
  readonly leaseMs: number
}

/** What it says once it was given up. */
export interface ReleasedValue extends Release {
  /**
   * The LockIndex of the tenure that ended so. Whatever value an operator puts back, from a backup for one, does not speak for
   * a later tenure that ended otherwise.
   */
  readonly lock: number | undefined
}

/** What a request's key says. */
export interface RequestValue extends HandOverRequest {
  readonly token: string
}

/** A group as it lies there. */
export interface Found {
  readonly view: GroupView
  /** The LockIndex of each name. */
  readonly locks: ReadonlyMap<string, number>
  /** Members whose session has ended, and requests to earlier tenures: nobody needs them any more. */
  readonly garbage: readonly KvEntry[]
}

/** Reads what lies below a group's folder. What people wrote there by hand is passed over. */
export function understand(entries: readonly KvEntry[], keys: Keys): Found {
  const members = new Map<string, Member>()
  const names = new Map<string, NameView>()
  const locks = new Map<string, number>()
  const garbage: KvEntry[] = []
  const below = (kind: string): [string, KvEntry][] => {
    const start = `${keys.folder}${kind}/`
    return entries.flatMap((entry) => (entry.Key.startsWith(start) ? [[entry.Key.slice(start.length), entry]] : []))
  }
  for (const [session, entry] of below('members')) {
    const { id, data }: Partial<MemberValue> = valueOf(entry)
    if (entry.Session === session) members.set(session, { session, id: text(id) ?? session, data: data ?? null })
    else garbage.push(entry)
  }
  const requests = new Map(below('requests'))
  for (const [name, entry] of below('names')) {
    locks.set(name, entry.LockIndex)
    const request = requests.get(name)
    const asked: Partial<RequestValue> = request === undefined ? {} : valueOf(request)
    const current = entry.Session !== undefined && asked.token === String(entry.ModifyIndex)
    if (current) requests.delete(name)
    names.set(name, {
      name,
      version: String(entry.ModifyIndex),
      // No other write has this number, and all later ones have a higher one.
      token: BigInt(entry.ModifyIndex),
      ...(entry.Session === undefined ? released(entry) : held(entry, entry.Session, members)),
      ...(current && { request: requestOf(asked) }),
    })
  }
  garbage.push(...requests.values())
  return { view: { members: [...members.values()], names }, locks, garbage }
}

function requestOf({ by, to, attempt }: Partial<RequestValue>): HandOverRequest {
  return {
    by: text(by) ?? '',
    ...(text(to) !== undefined && { to }),
    ...(text(attempt) !== undefined && { attempt }),
  }
}

function held(
  entry: KvEntry,
  session: string,
  members: ReadonlyMap<string, Member>,
): Pick<NameView, 'holder' | 'settled' | 'leaseMs'> {
  const { id, leaseMs }: Partial<HolderValue> = valueOf(entry)
  const holder = { session, id: members.get(session)?.id ?? text(id) ?? session }
  return { holder, settled: false, leaseMs: duration(leaseMs) }
}

function released(entry: KvEntry): Pick<NameView, 'settled' | 'leaseMs' | 'successor'> {
  const { settled, leaseMs: given, successor, lock }: Partial<ReleasedValue> = valueOf(entry)
  const leaseMs = duration(given)
  // Said of an earlier tenure, or by nobody.
  if (lock === undefined || lock !== entry.LockIndex) return { settled: false, leaseMs }
  return { settled: settled === true, leaseMs, ...(text(successor) !== undefined && { successor }) }
}

/** A number of ms; 0 where an operator has written what is none. */
function duration(value: unknown): number {
  return typeof value === 'number' && value > 0 ? value : 0
}

/** An entry's value; nothing where it is none of ours. */
export function valueOf(entry: KvEntry): Readonly<Record<string, never>> {
  try {
    const value: unknown = JSON.parse(Buffer.from(entry.Value ?? '', 'base64').toString('utf8'))
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, never>>) : {}
  } catch {
    return {}
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
