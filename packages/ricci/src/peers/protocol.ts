/** What instances of a cluster ask each other. The same interface is answered from this process and, by a client, from another. */
import type { CommandStatus } from '@ricci/engine'
import type { SnapshotInfo } from '@ricci/replica'
import type { AuditEntry } from '../access/audit.ts'
import type { WatchPage, WatchPlace } from '../http/backend.ts'
import type { IncidentFilter } from '../incidents/incident-filter.ts'
import type { AnswerForm, JsonShape } from '../server/worker-protocol.ts'

/** A query for some of the partitions. */
export interface PeerQuery {
  readonly query: string
  readonly form: AnswerForm
  readonly partitions: readonly number[]
  /** At most so many events in all. */
  readonly limit?: number
  /** Sorted in any case, and what stands behind the values that it says: see `QueryCursor`. */
  readonly cursor?: string
  /** How long it may wait for the log to be applied. */
  readonly waitMs: number
}

/** How far a partition was applied when it answered, and how old that is. */
export interface Freshness {
  readonly partition: number
  /** Who answered for it. */
  readonly instance: string
  /** Offset of the last record applied. */
  readonly offset: number
  /** Since the latest moment that the partition's records tell of: its owner's ticks and the events' arrivals. */
  readonly ageMs: number
}

/** A partition that was not answered for. */
export interface Missing {
  readonly partition: number
  /** Why: `NOT_EVALUATED`, `NOT_HERE`, … */
  readonly code: string
}

/** An answer that has begun: whose it is is known before its first page. */
export interface PeerAnswer {
  readonly fresh: readonly Freshness[]
  readonly missing: readonly Missing[]
  /** As the form says: fields of a Msg, or JSON texts joined by `,` and a newline; never empty. Ends early with an error when an engine goes away. */
  readonly pages: AsyncIterable<Uint8Array>
}

/** In this order incidents and pages are listed. */
export const listedKinds = ['open', 'closed', 'page'] as const
export type ListedKind = (typeof listedKinds)[number]

/** Incidents or pages of one kind, of some partitions one after the other. */
export interface PeerListing {
  readonly kind: ListedKind
  /** In ascending order. */
  readonly partitions: readonly number[]
  /** Of the first of the partitions those behind it. */
  readonly cursor?: string
  readonly limit: number
  readonly filter?: IncidentFilter
  readonly waitMs: number
}

/** One incident or page. */
export interface ListedItem {
  readonly cursor: string
  readonly value: unknown
}

/** What a partition has of a kind. */
export interface PartitionListing {
  readonly partition: number
  readonly items: readonly ListedItem[]
  /** There are more of it. */
  readonly more: boolean
  /** Where they begin, if not behind the last item: a filter let none of those between pass. */
  readonly behind?: string
}

/** What was listed, in the order of the partitions. */
export interface PeerListed {
  /** Partitions that are answered for; behind the first with more than was wanted the others were not looked at. */
  readonly fresh: readonly { readonly partition: number }[]
  readonly listed: readonly PartitionListing[]
  readonly missing: readonly Missing[]
}

/** What became of commands, in the partitions that they were appended to. */
export interface PeerCommands {
  readonly partitions: readonly number[]
  /** Ids, in whichever of the partitions they are. */
  readonly ids: readonly string[]
  /** How long it may wait for the log to be applied. */
  readonly waitMs: number
}

/** What they came to, by their ids: of partitions that are answered for, one that is not here was not applied. */
export interface PeerCommanded {
  readonly fresh: readonly { readonly partition: number }[]
  readonly commands: Readonly<Record<string, CommandStatus>>
  readonly missing: readonly Missing[]
}

/** A watch over some of the partitions. */
export interface PeerWatch {
  readonly query: string
  readonly shape: JsonShape
  readonly partitions: readonly number[]
  /** Where to go on, in those that are named; in the others from now on. */
  readonly from?: readonly WatchPlace[]
}

/** Answers from the partitions that one instance runs. */
export interface PartitionsBackend {
  /**
   * Resolves once each of the partitions is applied up to the log's end, or known to be missing.
   * @param signal nobody waits for the answer any more
   * @throws QueryError; RicciError `TOO_MANY_QUERIES`
   */
  query(request: PeerQuery, signal: AbortSignal): Promise<PeerAnswer>
  incidents(request: PeerListing, signal: AbortSignal): Promise<PeerListed>
  commands(request: PeerCommands, signal: AbortSignal): Promise<PeerCommanded>
  /**
   * Resolves once the query is accepted; then yields changes as they come, until the signal aborts.
   * @throws RicciError `NOT_HERE`, also later: a partition has left; `NOT_EVALUATED`, `TOO_MANY_WATCHES`; QueryError
   */
  watch(request: PeerWatch, signal: AbortSignal): Promise<AsyncIterable<WatchPage>>
}

/** A set of rules that is about to be switched to. */
export interface PeerRules {
  /** As base64. */
  readonly bundle: string
  readonly settings: Readonly<Record<string, unknown>>
}

/** All that an instance answers to others. */
export interface PeerBackend extends PartitionsBackend {
  /** Of a partition, those that this instance itself has; each belongs to who fetched it. */
  snapshots(partition: number): Promise<readonly SnapshotInfo[]>
  /** @throws ReplicaError `SNAPSHOT_UNREADABLE` */
  snapshot(info: SnapshotInfo, signal: AbortSignal): Promise<Uint8Array>
  /** What can be written as JSON. */
  status(): Promise<unknown>
  /** Loads rules as an engine would, and throws them away. @throws RicciError `RULES_INVALID`, `RULES_TIMEOUT` */
  tryRules(rules: PeerRules): Promise<void>
  /** Takes it out of the ranking, or back in. */
  drain(on: boolean): Promise<void>
  /** Hears which tokens are known elsewhere, and tells those known there. */
  tokens(known: readonly unknown[]): Promise<readonly unknown[]>
  /** Its own entries of the audit, the newest first. */
  audit(limit: number): Promise<readonly AuditEntry[]>
}
