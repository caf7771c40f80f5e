/**
 * A replica never calls its engine: it talks to a host that reads the log by itself, applies it, and reports. In the daemon the
 * host is a worker thread (event bytes do not cross threads), in tests and in the simulator it is {@link InThreadHost}.
 * Everything that crosses this border is plain data that can be cloned.
 */
import type {
  FlowHead,
  FlowPage,
  FlowPlace,
  Hashes,
  LogRecord,
  Ownership,
  PageChanges,
  QueryOptions,
  QueryPage,
  StatePart,
} from '@ricci/engine'

/** Every record but events: few, small, and what a replica steers by. A rules record comes without its bundle. */
export type ControlRecord = Exclude<LogRecord, { kind: 'events' }>

/** Hashes as they stand right after a record was applied, that of the state among them. */
export interface TakenHashes extends Hashes {
  readonly state: string
  /** What the state's hash is made of, in the order of the rules: tells which operator's state is unlike another's. */
  readonly parts: readonly StatePart[]
}

/**
 * A control record that was read from the log and applied. Checkpoints of what lies between a skipped record and its skip are not
 * told: whoever wrote them had applied what has been left out since.
 */
export interface Sighting {
  readonly offset: number
  readonly record: ControlRecord
  /** At each {@link checkpointTicks}th tick that was applied. */
  readonly hashes?: Hashes
}

/** A checkpoint at each 20th tick: decisions and input. */
export const checkpointTicks = 20
/**
 * The state is cut at each 600th tick, five to ten minutes apart, and hashed in steps while later records are applied; where a
 * snapshot is wanted it is of that cut.
 */
export const stateHashTicks = 600

/** An alarm that the engine raised. */
export interface HostAlarm {
  readonly name: string
  readonly detail: string
  readonly offset: number
}

/** What changed since the report before. Reports come in order, one per batch of records applied. */
export interface Progress {
  /** Offset of the last record that the reader was given, whether applied or not. */
  readonly readOffset: number
  readonly appliedOffset: number
  readonly ownership: Ownership | undefined
  readonly lastTick: number
  readonly ownedMs: number
  readonly calendarMs: number
  readonly rulesHash: string | undefined
  /** In the order of their offsets. */
  readonly sightings: readonly Sighting[]
  readonly pages: PageChanges
  /** Where the flows stand. */
  readonly flows: readonly FlowHead[]
  readonly alarms: readonly HostAlarm[]
  /** The state as it stood at an offset has been hashed; told a while after the record at that offset. */
  readonly cut?: StateTaken
}

/** The hash of the state at an offset. */
export interface StateTaken {
  readonly offset: number
  readonly tick: number
  readonly hashes: TakenHashes
  /** A snapshot of it was asked for and waits for {@link EngineHost.takeSnapshot}. */
  readonly kept: boolean
}

/** What a host gives up with; see HostFailure. */
export type HostFailureCode =
  /** The log holds what this release cannot read. */
  | 'RECORD_UNKNOWN'
  /** Records between the snapshot and the log's first are gone. */
  | 'OFFSET_TRIMMED'
  /** A record was applied that a later skip takes back. */
  | 'SKIP_PASSED'
  /** One event took more than two seconds. */
  | 'ENGINE_STUCK'
  /** In the midst of a record the engine threw, or its thread ended. */
  | 'ENGINE_DIED'
  /** Anything else. */
  | 'HOST_FAILED'

/** Why a host gave up. It reads no further; only a new one helps. */
export interface HostFailure {
  readonly code: HostFailureCode
  readonly message: string
  /** For `SKIP_PASSED` the record's offset; for `ENGINE_STUCK` and `ENGINE_DIED` where it stood. */
  readonly offset?: number
  readonly event?: number
  readonly branch?: string
}

/** What a host tells its replica. */
export interface HostEvents {
  onProgress(progress: Progress): void
  /** At most once, and last. */
  onFailure(failure: HostFailure): void
}

/** What a host starts from. */
export interface HostStart {
  /** A snapshot that counts; absent: from the log's first record. */
  readonly snapshot?: Uint8Array
  /** Offset up to which the snapshot goes; -1 without one. */
  readonly snapshotOffset: number
  /** Whether it may take its time with what the log holds by then, as long as it is not told to {@link EngineHost.hurry}: another owns. */
  readonly unhurried?: boolean
}

/** One generation of an engine behind an asynchronous border. Never started twice: what went wrong is replaced by a new host. */
export interface EngineHost {
  /**
   * Restores and begins to read. Resolves once the engine stands at the snapshot's offset and the reader is open.
   * @throws EngineError `SNAPSHOT_UNREADABLE`; ReplicaError `SNAPSHOT_VOID` when a skip in the log takes back what it holds.
   */
  start(from: HostStart): Promise<void>
  /** It is waited for, and goes on at full speed; or no more, and takes its time. May be called at any time. */
  hurry(on: boolean): void
  /** Answers from what is applied when the question arrives. @throws EngineError `QUERY_SYNTAX`, `QUERY_REGEX` */
  query(query: string, options?: QueryOptions): Promise<QueryPage>
  /** Batches of a flow behind a place, as they are when the question arrives; see `FlowsView.page`. */
  flowPage(sink: string, after: FlowPlace | undefined, atMost: number): Promise<FlowPage>
  /** Keeps a copy of the state at the next {@link stateHashTicks}th tick (told by `Progress.cut`), instead of an older one. */
  cutAtNextStateHash(): void
  /** Keeps a copy of the state right now: for a clean stop. Told by `Progress.cut` as well. */
  cutNow(): void
  /** Keeps a copy of the state as it is now, worked on in steps between later records; does nothing while one is being worked on. */
  cutSoon(): void
  /** The copy in slices; each is given once. Undefined when there is none. */
  takeSnapshot(): AsyncIterable<Uint8Array> | undefined
  /** Idempotent. No event is told once it was called. */
  stop(): Promise<void>
}

/** Makes a host; its replica keeps it until it fails or is stopped. */
export type HostFactory = (events: HostEvents) => EngineHost
