import { createHash } from 'node:crypto'
import { pause } from '../../bounded.ts'
import type { Clock } from '../../clock.ts'
import { ElectionError, hasCode } from '../../errors.ts'
import { keptLeaseMs } from '../../lease.ts'
import type {
  Acquisition,
  GroupView,
  HandOverRequest,
  Journal,
  JournalEntry,
  Json,
  NameView,
  Release,
  SessionOptions,
  StoreSession,
} from '../../store.ts'
import type { Row } from './connection.ts'
import { missingTables, stateOf } from './failures.ts'
import type { Lanes } from './lanes.ts'
import type { Listener } from './listener.ts'
import type { Statement, Statements } from './schema.ts'

/** How often a group is looked at where nothing tells of changes, in ms, or four times a lease: a name that was released waits for half of it. */
const pollMs = 250

/** After which part of its TTL a session is tried again that could not be ended. */
const againAfter = 1 / 16

/** A member as its row is read. */
interface MemberRow {
  readonly session: string
  readonly id: string
  readonly data: Json
  readonly renewals: string
  readonly ttlMs: number
  /** Until it expires by the database's clock, in ms; null where it may not be judged by that. */
  readonly leftMs: number | null
}

/** A name as its row is read. */
interface NameRow {
  readonly name: string
  readonly version: string
  readonly token: string
  readonly holder: string | null
  readonly holderId: string | null
  readonly settled: boolean
  readonly leaseMs: number
  readonly successor: string | null
  readonly request: HandOverRequest | null
}

/** What is known of another member's life. */
interface Life {
  readonly renewals: string
  /** When this number of renewals was read first, in monotonic ms; its TTL later nobody need believe the member alive. */
  readonly sinceMs: number
  readonly ttlMs: number
  /** When it may be ended, in monotonic ms: by watching, or by the database's clock if that is sooner. */
  readonly dueMs: number
  /** When ending it may be tried again, in monotonic ms. */
  notBeforeMs: number
}

/** What a session is made of. */
export interface SessionParts {
  readonly id: string
  readonly options: SessionOptions
  readonly ttlMs: number
  readonly lanes: Lanes
  /** Absent where the store cannot tell of changes. */
  readonly listener: Listener | undefined
  readonly statements: Statements
  readonly channel: string
}

/**
 * A row in `members`. Reading renews it, in the same statement, so that a read is a confirm. Who stops reading is ended by whoever
 * finds it due first, before its own next read: by the evidence of having seen its renewals stand still for its TTL, or, where the row allows
 * that, by the database's clock. Ending it deletes the row and frees its names, settled: it had its whole TTL, and its lease is no longer.
 */
export class PostgresSession implements StoreSession {
  readonly id: string
  readonly leaseMs: number
  readonly rereadMs: number
  readonly journal: Journal
  readonly #parts: SessionParts
  readonly #clock: Clock
  readonly #group: string
  #lives: ReadonlyMap<string, Life> = new Map()
  #interrupted = false
  /** How often it was asked to publish. */
  #published = 0
  /** Until when nobody is ended, in monotonic ms: after the server was away its holders, too, need a moment to come back. */
  #spareUntilMs = 0
  /** Whether somebody has asked for a change, where nothing tells of any. */
  #asked = false

  constructor(parts: SessionParts) {
    const { options, ttlMs } = parts
    this.#parts = parts
    this.#clock = options.clock
    this.#group = options.group
    this.id = parts.id
    this.leaseMs = options.leaseMs
    // Also the sign of life of a member that holds nothing.
    this.rereadMs = ttlMs / 4
    this.journal = this.#makeJournal()
  }

  async read(signal: AbortSignal): Promise<GroupView> {
    const { statements, listener, ttlMs } = this.#parts
    listener?.check()
    await this.#endTheDead(signal)
    const values = [this.id, this.#group]
    const row = await this.#once(statements.read, values, signal).catch((error: unknown) => {
      this.#interrupted = true
      // It may be only the connection that is broken: another is worth a try at once.
      if (signal.aborted || !hasCode(error, 'STORE_UNAVAILABLE')) throw error
      return this.#once(statements.read, values, signal)
    })
    if (row.renewed === '0') throw lost()
    if (this.#interrupted) this.#spareUntilMs = this.#clock.monotonicMs() + ttlMs
    this.#interrupted = false
    const members = JSON.parse(row.members!) as readonly MemberRow[]
    const names = JSON.parse(row.names!) as readonly NameRow[]
    this.#lives = this.#judge(members)
    const changesInMs = this.#freedInMs(names)
    return { ...viewOf(members, names), ...(changesInMs !== undefined && { changesInMs }) }
  }

  async changed(signal: AbortSignal): Promise<void> {
    const { listener, ttlMs } = this.#parts
    if (listener !== undefined) return listener.changed(signal)
    // Nobody tells: it may have.
    await pause(this.#clock, this.#asked ? Math.min(ttlMs / 4, pollMs) : 0, signal)
    this.#asked = true
    signal.throwIfAborted()
  }

  async acquire(seen: NameView | undefined, name: string, signal: AbortSignal): Promise<Acquisition> {
    const { statements, channel } = this.#parts
    if (seen === undefined) {
      // Absent is no version: it may have been absent before, too, and deleted by somebody in between. It gets one, and a row, first.
      await this.#call(statements.prepare, [this.#group, name], signal)
      return { kind: 'changed' }
    }
    const leaseMs = Math.ceil(keptLeaseMs(this.leaseMs, seen))
    const row = await this.#once(
      statements.acquire,
      [this.id, this.#group, name, seen.version, channel, leaseMs],
      signal,
    )
    if (row.renewed === '0') throw lost()
    return row.token === null ? { kind: 'changed' } : { kind: 'acquired', token: BigInt(row.token) }
  }

  async release(
    name: string,
    token: bigint,
    { settled, leaseMs = 0, successor }: Release,
    signal: AbortSignal,
  ): Promise<void> {
    const { statements, channel } = this.#parts
    const values = [this.id, this.#group, name, `${token}`, settled, successor ?? null, channel, Math.ceil(leaseMs)]
    await this.#call(statements.release, values, signal)
  }

  async publish(data: Json, signal: AbortSignal): Promise<void> {
    const { statements, channel } = this.#parts
    const row = await this.#once(
      statements.publish,
      [this.id, JSON.stringify(data), channel, ++this.#published],
      signal,
    )
    if (row.changed === '0') throw lost()
  }

  async close(signal: AbortSignal): Promise<void> {
    const { statements, lanes, listener, channel } = this.#parts
    try {
      await this.#call(statements.leave, [this.id, channel], signal)
    } finally {
      await Promise.all([lanes.close(), listener?.close()])
    }
  }

  /** Ends the sessions that the last read showed to be due: their names are free in what is read next. */
  async #endTheDead(signal: AbortSignal): Promise<void> {
    const now = this.#clock.monotonicMs()
    const due = [...this.#lives].filter(([, { dueMs }]) => dueMs <= now)
    if (due.length === 0) return
    const arrays = [
      due.map(([session]) => session),
      due.map(([, { renewals }]) => renewals),
      due.map(([, { sinceMs, ttlMs }]) => sinceMs + ttlMs <= now),
    ]
    await this.#call(this.#parts.statements.evict, [...arrays, this.#parts.channel], signal)
    // Who is still there after that has just been renewing, or is ended by another at this moment.
    for (const [, life] of due) life.notBeforeMs = this.#clock.monotonicMs() + life.ttlMs * againAfter
  }

  /** When each of the others may be ended. What was known of one whose renewals have not changed is kept. */
  #judge(members: readonly MemberRow[]): ReadonlyMap<string, Life> {
    const now = this.#clock.monotonicMs()
    return new Map(
      members
        .filter(({ session }) => session !== this.id)
        .map(({ session, renewals, ttlMs, leftMs }): [string, Life] => {
          const known = this.#lives.get(session)
          const sinceMs = known?.renewals === renewals ? known.sinceMs : now
          // The database's clock counts parts of a millisecond; one more, so that it agrees when it is asked.
          const deadMs = Math.min(sinceMs + ttlMs, leftMs === null ? Infinity : now + leftMs + 1)
          const notBeforeMs = known?.renewals === renewals ? known.notBeforeMs : 0
          const dueMs = Math.max(deadMs, this.#spareUntilMs, notBeforeMs)
          return [session, { renewals, sinceMs, ttlMs, dueMs, notBeforeMs }]
        }),
    )
  }

  /** After how long the first name becomes free, should its holder be dead. */
  #freedInMs(names: readonly NameRow[]): number | undefined {
    const due = names.flatMap(({ holder }) => this.#lives.get(holder ?? '')?.dueMs ?? [])
    return due.length === 0 ? undefined : Math.max(0, Math.min(...due) - this.#clock.monotonicMs())
  }

  async #call(statement: Statement, values: readonly unknown[], signal: AbortSignal): Promise<readonly Row[]> {
    const urgent = statement === this.#parts.statements.read
    try {
      return await this.#parts.lanes.call(statement, values, signal, urgent)
    } catch (error) {
      // Without its tables the store knows no session; the next one makes them again.
      if (hasCode(error, 'STORE_REFUSED') && missingTables.includes(stateOf(error.cause) ?? '')) throw lost()
      throw error
    }
  }

  /** The one row of a statement's answer. */
  async #once(statement: Statement, values: readonly unknown[], signal: AbortSignal): Promise<Row> {
    return (await this.#call(statement, values, signal))[0]
  }

  #makeJournal(): Journal {
    const { statements } = this.#parts
    const at = (name: string, ...rest: readonly unknown[]): readonly unknown[] => [this.#group, name, ...rest]
    return {
      begin: async (name, token, id, attempt, signal): Promise<JournalEntry> => {
        for (;;) {
          const row = await this.#once(statements.begin, [this.id, ...at(name, `${token}`, id, attempt)], signal)
          if (row.fence === '0') return { kind: 'stale' }
          if (row.noted === '1' || row.attempt === attempt) return { kind: 'begun' }
          if (row.token !== null) {
            return { kind: 'exists', token: BigInt(row.token), attempt: row.attempt!, done: row.done === 't' }
          }
          // Another's entry came in after this statement had begun: the next one sees it.
        }
      },
      finish: async (name, id, attempt, signal) => {
        await this.#call(statements.finish, at(name, id, attempt), signal)
      },
      withdraw: async (name, id, attempt, signal) => {
        await this.#call(statements.withdraw, at(name, id, attempt), signal)
      },
      prune: async (name, olderThanMs, signal) =>
        Number((await this.#once(statements.prune, at(name, olderThanMs), signal)).pruned),
    }
  }
}

/** What rows say about a group. A holder that is no member holds nothing any more, and nobody knows whether it has stopped. */
function viewOf(members: readonly MemberRow[], names: readonly NameRow[]): GroupView {
  const alive = new Set(members.map(({ session }) => session))
  return {
    members: members.map(({ session, id, data }) => ({ session, id, data })),
    names: new Map(
      names.map(
        ({ name, version, token, holder, holderId, settled, leaseMs, successor, request }): [string, NameView] => {
          const held = holder !== null && alive.has(holder)
          const view = { name, version, token: BigInt(token), settled, leaseMs }
          if (!held) return [name, { ...view, ...(successor !== null && { successor }) }]
          return [name, { ...view, holder: { session: holder, id: holderId! }, ...(request !== null && { request }) }]
        },
      ),
    ),
  }
}

/** What the answer to `look` says. */
export function lookedAt(row: Row): GroupView {
  return viewOf(JSON.parse(row.members!), JSON.parse(row.names!))
}

/** The channel that a group's changes are told on: its name may have any letters and be long, a channel's not. */
export function channelOf(schema: string, group: string): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([schema, group]))
    .digest('hex')
  return `election_${hash.slice(0, 32)}`
}

function lost(): ElectionError {
  return new ElectionError('SESSION_LOST', 'PostgreSQL no longer knows the session: it was silent for too long', true)
}
