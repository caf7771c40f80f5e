import type { Event } from '@ricci/client'
import type { ChangePosition } from '@ricci/engine'
import type { PlacementView } from '@ricci/replica'
import type { Registry } from 'prom-client'
import type { Explainer } from '../explain/explainer.ts'
import type { IncidentFilter } from '../incidents/incident-filter.ts'
import type { DrillReport } from '../incidents/drills.ts'
import type { Asker, CommandRequest, CommandsAnswer } from '../incidents/incident-commands.ts'
import type { Freshness, ListedKind, Missing } from '../peers/protocol.ts'
import type { Inbound } from '../receivers/inbound.ts'
import type { ReceiverTest, ReceiverView } from '../receivers/try.ts'
import type { ClusterStatus } from '../server/cluster-status.ts'
import type { RecordsRequest } from '../server/log-lines.ts'
import type { Overview } from '../server/overview.ts'
import type { RulesOverview } from '../server/rules-overview.ts'
import type { RulesPreview } from '../server/rules-switch.ts'
import type { Reload, ReloadOptions } from '../server/server-rules.ts'
import type { JsonShape } from '../server/worker-protocol.ts'

/** A part that does not work as it should while the server still answers. */
export interface Degraded {
  readonly part: string
  readonly detail: string
}

/** DESIGN 11.14: ready is who takes events and answers the API; what is merely worse than it should be is named. */
export interface Readiness {
  readonly ready: boolean
  readonly degraded: readonly Degraded[]
}

export interface QueryRequest {
  readonly query: string
  /** At most so many events in all. */
  readonly limit?: number
  /** As the answer before gave it, or empty at first: in the order of the query's sort, then of host and service. */
  readonly cursor?: string
  readonly shape: JsonShape
}

/** An answer that has begun. */
export interface QueryAnswer {
  /** Each the JSON texts of some events, joined by `,` and a newline (never empty). */
  readonly pages: AsyncIterable<Uint8Array>
  /** Partitions whose events are not in it. */
  readonly missing: readonly Missing[]
  /** How far each of the others was applied. */
  readonly fresh: readonly Freshness[]
  /** Where the next answer goes on, once all pages were read; undefined where there is no more, or no cursor was asked for. */
  cursor(): string | undefined
}

/** A page of what was decided and still counts. */
export interface IncidentsRequest {
  /** At most so many incidents and pages in all; fewer where they are long. */
  readonly limit: number
  /** As the answer before gave it. */
  readonly cursor?: string
  readonly filter?: IncidentFilter
  /** Which, in this order; all by default. */
  readonly kinds?: readonly ListedKind[]
}

/** A place in the sequence of one partition's changes: it means the same at every instance. */
export interface WatchPlace extends ChangePosition {
  readonly partition: number
}

/** Where a watch goes on in one partition. */
export interface PagePlaces {
  readonly partition: number
  /** Offset and number of the place after each line of a page, one pair after the other; of a page without lines one. */
  readonly after: readonly number[]
}

/** Changes of the index, in their order. */
export interface WatchPage {
  /** A sentence for who watches: changes before these are missing, and why. */
  readonly gap?: string
  /** Who keeps a picture of the index looks at it anew: what it was told before may no longer hold. */
  readonly stale?: boolean
  /** Absent where the page is of no partition. */
  readonly at?: PagePlaces
  /** The JSON text of each event, a newline after each; they stay bytes until they are sent. May be empty. */
  readonly lines: Uint8Array
}

/** What the HTTP side asks of the server around it. Text, not objects: answers are encoded where the events are. */
export interface HttpBackend {
  readonly metrics: Registry
  /** Brings what the metrics read up to date, as far as that is soon done. */
  refresh(): Promise<void>
  readiness(): Readiness
  /** For people and programs; every value can be written as JSON. */
  status(): Promise<unknown>
  /** The same of all instances at once, from any of them. */
  overview(): Promise<Overview>
  /** @throws QueryError, also at the first page; RicciError `NOT_EVALUATED`; EngineError `CURSOR_INVALID` */
  query(request: QueryRequest): Promise<QueryAnswer>
  /**
   * Some of the open incidents, of the closed ones and of the pages not settled, with a cursor where there are more, as JSON text.
   * @throws EngineError `CURSOR_INVALID`; RicciError `NOT_EVALUATED`
   */
  incidents(request: IncidentsRequest): Promise<string>
  /**
   * Does something to incidents, in the name of who asks.
   * @throws RicciError `NO_INCIDENT`, `INCIDENT_CLOSED`, `INCIDENT_AMBIGUOUS`, `COMMAND_REFUSED`, `ENGINE_AWAY`; ReplicaError: why the log does not take it
   */
  command(request: CommandRequest, asker: Asker): Promise<CommandsAnswer>
  /**
   * Sends a receiver (by default that of the schedule) a page marked as a drill, and says how far it came, within 30 s.
   * @throws RicciError `NO_RECEIVER`; ReplicaError: why the log does not take it
   */
  drill(
    request: { readonly to?: string; readonly id: string; readonly why: string },
    asker: Asker,
  ): Promise<DrillReport>
  /** Of the log whose changes are told. @throws RicciError `NOT_RUNNING` */
  logId(): string
  /**
   * Resolves once the query is accepted; then yields changes of the index that match, as they come, until the signal aborts; besides, at the
   * beginning and now and then, pages that only say where it goes on.
   * @param from where who watched before goes on; without it, from now on
   */
  watch(
    query: string,
    shape: JsonShape,
    signal: AbortSignal,
    from?: readonly WatchPlace[],
  ): Promise<AsyncIterable<WatchPage>>
  /**
   * Resolves when the partitions of these events have them, and may be told.
   * @throws RicciError `INTAKE_FULL`, `EVENT_MALFORMED`; ReplicaError: why the log does not take them
   */
  take(events: readonly Event[]): Promise<void>
  /**
   * What a partition's log holds, a JSON text a line, until the signal aborts or the log's end is reached where it is not followed.
   * @throws RicciError `NO_PARTITION`; ReplicaError `OFFSET_TRIMMED`, `LOG_UNAVAILABLE`
   */
  records(request: RecordsRequest, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>
  /** The way back from a receiver; undefined where it has none. */
  inbound(receiver: string): Inbound | undefined
  /** The receivers of the configuration. */
  receivers(): readonly ReceiverView[]
  /** Sends a receiver test pages; whoever asks while that goes on hears the same. @throws RicciError `NO_RECEIVER` */
  tryReceiver(name: string): Promise<ReceiverTest>
  readonly rules: RulesBackend
  /** Answers why somebody was paged, or was not. @throws RicciError `NOT_RUNNING` */
  explainer(): Pick<Explainer, 'incident' | 'silence'>
  /** @throws RicciError `NO_CLUSTER` where this server works alone */
  cluster(): ClusterBackend
}

/** Rules in force, and the way to others. */
export interface RulesBackend {
  /** Of every instance that answers. */
  status(): Promise<RulesOverview>
  /** What the folder of this instance would change. @throws RicciError `RULES_…` */
  diff(): Promise<RulesPreview>
  /** Switches to what the folder of this instance holds. @throws RicciError `RULES_…`: the old rules run on */
  reload(options: ReloadOptions): Promise<Reload>
}

/** What can be asked of any instance about all of them. */
export interface ClusterBackend {
  status(): ClusterStatus
  /** Who is to keep a partition, who does, and why. @param of its number, or the key of events in it. @throws RicciError `NO_PARTITION` */
  explain(of: { readonly partition: number } | { readonly key: string }): PlacementView
  /** Has an instance give up what it keeps, or take part again. @throws RicciError `NO_INSTANCE`, `PEER_UNREACHABLE` */
  drain(instance: string, drain: boolean): Promise<void>
}
