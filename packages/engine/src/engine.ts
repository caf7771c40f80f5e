import type { Incident } from './decisions/incident.ts'
import type { CommandStatus } from './decisions/commands.ts'
import type { Listed } from './decisions/listing.ts'
import type { PageChanges, PendingPage } from './decisions/page.ts'
import type { Skew } from './event/skews.ts'
import type { SilentHosts } from './index/silent-hosts.ts'
import type { FlowPlace, FlowsView } from './flows/flow.ts'
import type { Mutation } from './mutations.ts'
import type { LogRecord, RulesRecord, SkipRecord } from './records.ts'
import type { RulesDescription } from './streams/stream.ts'
import type { StateCut } from './state/writer.ts'
import type { TraceQuestion } from './streams/trace.ts'
import type { RulesReport } from './streams/tree.ts'
import type { ChangePosition, ChangesOptions, ChangesPage } from './index/changes.ts'
import type { SortValues } from './query/sort.ts'
import type { Event } from '@ricci/client'

/** Told while records are applied; never asked. What it does has no influence on the engine. */
export interface EngineObserver {
  /** A page was decided. */
  onDecision?(page: Readonly<PendingPage>, offset: number): void
  /** A page left the state with this result. */
  onSettled?(page: Readonly<PendingPage>, result: string, offset: number): void
  /** Something an operator should hear of (see DESIGN: alarm); the owner's instance makes an event, a log line and a metric of it. */
  onAlarm?(name: string, detail: string, offset: number): void
  /** An event reached a `tap`. */
  onTap?(name: string, value: unknown, offset: number): void
  /** An event reached `forward(sink)`, in the batch of this position. */
  onFlow?(sink: string, place: FlowPlace, event: Event): void
  /** A user's function threw; the text is for people only. */
  onRuleError?(path: string, error: unknown, offset: number): void
  /** New rules are in force: which operators go on with their state. Not told after a restore. */
  onRules?(report: RulesReport, offset: number): void
  /** Every control record that was applied, after it was: claims, ticks, attempts, outcomes, checkpoints, rules. */
  onControl?(record: LogRecord, offset: number): void
}

/** What an engine is made from. */
export interface EngineOptions {
  readonly logId: string
  readonly partition: number
  /** Gives the description that a rules record's bundle stands for. What it throws refuses the record (see Engine.apply). */
  readonly loadRules: (record: RulesRecord) => RulesDescription
  readonly observer?: EngineObserver
  /** Whole, as {@link Engine.snapshot} gave it. */
  readonly snapshot?: Uint8Array
  /** Words in shared memory for the monitor of another thread: [operator, event within the record]. */
  readonly progress?: Int32Array
  /** Skips found by scanning the log ahead; they hold for records not applied yet. */
  readonly skips?: readonly SkipRecord[]
  /** For an engine that is thrown away: looks at the way to one rule. The state is that of an engine without. */
  readonly trace?: TraceQuestion
  /** For the simulator's mutation tests only: rules of the engine to take away. */
  readonly mutations?: ReadonlySet<Mutation>
}

/** The claim that holds: the first of the highest epoch. */
export interface Ownership {
  readonly epoch: number
  readonly instance: string
  /** Offset of the claim. */
  readonly offset: number
}

/** What two replicas at the same offset must agree on, as hex. */
export interface Hashes {
  /** Of every record applied. */
  readonly input: string
  /** Of every decision. */
  readonly decisions: string
}

/** Bounds of one page of an answer. */
export interface QueryOptions {
  /** At most this many events; at most 10,000. */
  readonly limit?: number
  /** As `nextCursor` of the page before. */
  readonly cursor?: number
  /**
   * In the order of its sort keys, then of host and service, and of that only what stands behind these values (`sortValuesOf` the last event that was had): goes on with
   * an answer at any engine of the same log. Empty: from the first on.
   */
  readonly behind?: SortValues
  /** Rows looked at in this call before it returns with a cursor; where the query is a costly one, fewer. */
  readonly budget?: number
}

/** One page of an answer. */
export interface QueryPage {
  /** Perhaps none, though more are to come: a sorted answer begins once all rows were looked at. */
  readonly events: Event[]
  /** Absent when the answer is complete. */
  readonly nextCursor?: number
  readonly appliedOffset: number
}

/** The open incidents, and the latest closed ones. */
export interface Incidents {
  readonly open: readonly Readonly<Incident>[]
  readonly closed: readonly Readonly<Incident>[]
}

/** Sizes and counts, for status and metrics; no part of the state. */
export interface EngineStats {
  /** Entries in the index. */
  readonly indexSize: number
  readonly symbols: number
  readonly forks: number
  /** Keys refused because a `by` or the index was full. */
  readonly refusedForks: number
  /** Texts that found no room in their table: of events that were refused, or of rules whose branch ended there. */
  readonly refusedTexts: number
  readonly producers: number
  /** Messages dropped by their producer mark, because they were there before; since the log began. */
  readonly repeats: number
  readonly timersFired: number
  /** Times that an operator or a user's function threw. */
  readonly ruleErrors: number
  /** The clocks of hosts that are furthest from ours, by their marks; at most 20, and nothing that decides. */
  readonly skews: readonly Skew[]
  /** Hosts of which nothing is left in the index, since this engine began; nothing that decides. */
  readonly silent: SilentHosts
  /** Bytes of all columns and texts. */
  readonly bytes: number
}

/** What an operator takes and holds, for status and metrics; no part of the state. */
export interface OperatorStats {
  /** Its path, as in `by[1] > stable[0]`. */
  readonly operator: string
  /** Events, lists and values given to it since this engine began with these rules. */
  readonly taken: number
  /** Keys of which it keeps something; of a `by` those that it tells apart. 0 where it keeps nothing. */
  readonly keys: number
  /** Of its columns; of a `by` those of its keys. */
  readonly bytes: number
}

/** A deterministic state machine over one partition's log. It does no I/O, reads no clock, draws no random number. */
export interface Engine {
  /**
   * Applies the record at an offset; offsets must follow each other. Synchronous; never throws for what a record holds.
   * @param checksum CRC-32 of `bytes` as the log holds it
   *
   * Rules that cannot be loaded or built are refused with an alarm, on every replica alike, and the old ones run on: a log that
   * holds them must not become one that nobody can own.
   * @throws EngineError `RECORD_UNKNOWN`: the replica must stop.
   */
  apply(offset: number, bytes: Uint8Array, checksum: number): void
  /** Offset of the last record applied; -1 before the first. */
  readonly appliedOffset: number
  /** The highest claim so far. */
  readonly ownership: Ownership | undefined
  readonly lastTick: number
  readonly ownedMs: number
  readonly calendarMs: number
  /** Hash of the rules in force; undefined before the first rules record. */
  readonly rulesHash: string | undefined
  /** Offset of the record that put them in force; -1 before the first. */
  readonly rulesOffset: number
  /** Decided and not settled, in the order of their decisions. */
  pendingPages(): readonly Readonly<PendingPage>[]
  /** What happened to pages since it was last asked (or since the restore): for whoever keeps a copy of `pendingPages`. Not state. */
  takePageChanges(): PageChanges
  /** Open ones, and the last 1,000 that were closed. */
  incidents(): Incidents
  /**
   * The same and the pages that are not settled, one at a time: to be taken before the next record is applied, as many as are wanted.
   * @param cursor of the last one that was taken; `open`, `closed` or `page` begins with the first of that kind
   * @throws EngineError `CURSOR_INVALID`, at the first
   */
  listed(cursor?: string): Iterable<Listed>
  /** What one of the last 10,000 commands came to, by its id; undefined for one that was not applied, or is forgotten. */
  command(id: string): CommandStatus | undefined
  /** What rules sent to sinks, and is kept for them. */
  readonly flows: FlowsView
  /** Counts for people and metrics. */
  stats(): EngineStats
  /** What each operator takes and holds, in the order of the rules. */
  operatorStats(): readonly OperatorStats[]
  /** Paths of the operators in force by their numbers, which the progress words name. */
  operatorPaths(): readonly string[]
  /** @throws QueryError; EngineError `ANSWER_GONE` for a cursor that nobody went on from for too long, `CURSOR_INVALID` for values of another sort */
  query(query: string, options?: QueryOptions): QueryPage
  /**
   * A page of the events that changed the index: put in, or saying that their entry has gone. They come from a bounded ring that is
   * no state and begins to be filled when it is first asked for; where it does not reach back far enough, the page says so.
   * @param from as `next` of the page before, of this engine or of another on the same log; without it, what is applied from now on
   * @throws QueryError
   */
  changes(from?: ChangePosition, options?: ChangesOptions): ChangesPage
  /**
   * A cut of the state as it stands now, to be worked on in steps while later records are applied (chunks that change meanwhile
   * are copied aside, so go on soon). It gives the hash of the state, and to `onSlice` the snapshot, in slices of 256 KiB; the
   * header names log, partition, offset, rules hash, semantics and format. A newer cut ends an older one.
   */
  cut(onSlice?: (slice: Uint8Array) => void): StateCut
  /** The slices of a cut, worked on as they are asked for. EngineError `SNAPSHOT_UNREADABLE` when a newer cut ended it. */
  snapshot(): Iterable<Uint8Array>
  hashes(): Hashes
  /** Of the whole state, at once: some 20 ms at 50 MB. {@link cut} gives the same in steps. */
  stateHash(): string
}
