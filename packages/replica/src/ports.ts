/**
 * What a replica needs from the outside. Everything here is handed in: the daemon hands in disks, sockets and clocks, the
 * simulator hands in its own, and the same replica code runs around both.
 */

/** A timer that was set; `cancel` is idempotent. */
export interface Timer {
  cancel(): void
}

/** The two clocks of a machine, and timers on the monotonic one. */
export interface Clock {
  /** Monotonic milliseconds; stands still while the machine is suspended. */
  monotonicMs(): number
  /** Milliseconds since 1970; may jump. */
  wallMs(): number
  setTimer(delayMs: number, callback: () => void): Timer
}

/** The source of chance. */
export interface Random {
  /** A number from 0 (included) to 1 (excluded). */
  next(): number
}

/** A record as a reader was given it. */
export interface StoredRecord {
  readonly offset: number
  readonly bytes: Uint8Array
  /** CRC-32 of `bytes`, unsigned, as the log holds it. */
  readonly checksum: number
}

/**
 * Who goes on when a log runs out of room. A log with a limit refuses what is `ordinary` there: events, and ticks with them, for
 * time in which no event is taken must not pass for time in which none came. The rest may use a small reserve beyond it: a part of
 * it an `act` on what was decided before (attempts, rules), more of it a `fact` (outcomes: what was sent was sent), and the last of it
 * what leads out of the want, `rescue` (claims, skips, and the checkpoints by which snapshots count).
 */
export type AppendRank = 'ordinary' | 'act' | 'fact' | 'rescue'

/**
 * A partition's log. Order per partition is total, offsets start at 0 and have no holes: one that the log used for itself is read as an
 * empty record.
 * Errors: {@link ReplicaError} with codes `LOG_FULL`, `LOG_FAILED`, `LOG_CLOSED`, `LOG_UNAVAILABLE`, `OFFSET_TRIMMED`.
 */
export interface LogPort {
  /** A random id, written when the log was created. */
  readonly id: string
  readonly partitions: number
  /**
   * Resolves with the offset of each record, once all are durable. Records of one call stand in order; nothing promises they stand together.
   * @param rank who goes on when room runs out; `ordinary` unless told. A log that does not keep its size itself need not heed it.
   */
  append(partition: number, records: readonly Uint8Array[], rank?: AppendRank): Promise<number[]>
  /**
   * Whether it wants a snapshot now, before the ticks bring one: it keeps what snapshots need, and soon has, or has, no room for
   * more. Absent where a log never does.
   */
  wantsSnapshot?(partition: number): boolean
  /**
   * Yields records from an offset on and goes on as they come; ends when the signal aborts. Never yields a record before it is
   * durable. May go silent without an error: who reads decides when to read anew.
   * @throws `OFFSET_TRIMMED` when `from` lies before the first offset that is left.
   */
  read(partition: number, from: number, signal: AbortSignal): AsyncIterable<readonly StoredRecord[]>
  /** Offset that the next record will get: whatever was appended before it was asked lies before it. */
  endOf(partition: number): Promise<number>
  /** First offset still there, and the offset the next record will get. Dearer than {@link endOf} where brokers are asked. */
  range(partition: number): Promise<{ readonly first: number; readonly end: number }>
  close(): Promise<void>
}

/** A partition's lease: it says who may claim, never who acts. */
export interface Lease {
  readonly partition: number
  /** The store's own token, for audit. */
  readonly token: string
}

/**
 * What a replica is to others: its state, but `following` only where it has caught up with the log and may claim; until then
 * `restoring`, or `diverged` where its state is in doubt.
 */
export type Standing = 'restoring' | 'following' | 'claiming' | 'owning' | 'stepping-down' | 'diverged'

/** What an instance tells the others of itself. */
export interface MemberData {
  /** What fails together: a rack, a data centre's zone. Members without one are each a zone of their own. */
  readonly zone?: string
  /** It is to be rid of its partitions: nobody counts on it. */
  readonly draining: boolean
  /** `host:port` at which other instances reach it. */
  readonly peers?: string
  readonly version: string
  /** Those that it runs. */
  readonly partitions: Readonly<Record<string, Standing>>
}

/** An instance that is alive, as coordination shows it. */
export interface Member {
  readonly instance: string
  readonly data: MemberData
}

/** Who may claim which partition, and who is there. */
export interface CoordinationPort {
  /** Becomes a member that others see, without a campaign. Idempotent. */
  join(): void
  /**
   * Says what others are to know of this instance; the latest is what counts. Many in a row cost the store one write; what it did not
   * take is written again until it does.
   */
  publish(data: MemberData): void
  /**
   * Who is alive, this instance among them, as the store showed it last, sorted by name: empty before it has. While the store is away it stays
   * as it was. Who has published nothing is not told of; of two that go by one name, only what both say.
   */
  members(): readonly Member[]
  /**
   * Tells of each change of `members`. Of one that has gone it tells before any lease that was free because of that is given: a preference
   * that changes in `listener` counts. Gives how to end it.
   */
  onMembers(listener: (members: readonly Member[]) => void): () => void
  /**
   * Campaigns for a partition until `signal` aborts. `onChange` is told the lease when this instance holds it, undefined when it
   * may no longer rely on it. The store being away is silence, not a loss: an owner goes on until it reads a higher claim.
   */
  campaign(partition: number, onChange: (lease: Lease | undefined) => void, signal: AbortSignal): void
  /** How long this instance leaves the partition's lease to others when it is free; 0 unless told. May change while it campaigns. */
  prefer(partition: number, holdBackMs: number): void
  /**
   * Asks whoever holds the partition's lease to give it to this instance, which campaigns for it. The holder heeds that where this
   * instance has published that it follows, and goes on campaigning behind it. Gives whether anybody was asked; the lease comes as ever.
   * Rejects, or does not answer, while the store is away.
   */
  requestHandOver(partition: number): Promise<boolean>
  /** Gives the partition's lease, if it is held here, to this member before all others, and goes on campaigning behind it. */
  handOver(partition: number, to: string): void
  /**
   * Whether anybody holds the partition's lease now, alive as far as the store knows: its session has not lapsed.
   * Rejects, or does not answer, while the store is away.
   */
  isHeld(partition: number): Promise<boolean>
  close(): Promise<void>
}

/** What is known of a snapshot without reading it. */
export interface SnapshotInfo {
  readonly name: string
  readonly partition: number
  /** Offset of the last record applied. */
  readonly offset: number
  readonly bytes: number
}

/**
 * Where snapshots are kept; any instance can fetch them. A snapshot that was not stored whole is not listed.
 *
 * What is fetched is, byte for byte, what was stored, or nothing: that is the store's to see to, by a checksum of the whole (CRC-32
 * at least) that it works out while it stores, keeps beside the bytes and holds against them at every fetch. Nobody else looks again: an engine
 * reads most of a snapshot as numbers, and would take a changed one for its state. (That the state was the owner's when it was cut
 * is another matter: who stores has seen the owner's checkpoint name the same hash.)
 */
export interface SnapshotPort {
  list(partition: number): Promise<readonly SnapshotInfo[]>
  store(
    partition: number,
    offset: number,
    slices: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  ): Promise<SnapshotInfo>
  /** @throws ReplicaError `SNAPSHOT_UNREADABLE` when it is gone, or its bytes are not those of its checksum; an older one helps */
  fetch(info: SnapshotInfo): Promise<Uint8Array>
  remove(info: SnapshotInfo): Promise<void>
}

/** What a transport is asked to send: a page, or a digest of pages, to one receiver. */
export interface SendRequest {
  readonly receiver: string
  readonly idempotencyKey: string
  readonly dedupKey: string
  /** `acknowledge`: somebody has taken on the incident of this key. */
  readonly action: 'trigger' | 'acknowledge' | 'resolve' | 'notify'
  readonly severity: string
  readonly summary: string
  readonly host: string
  readonly service: string
  readonly rule: string
  readonly decidedAtMs: number
  readonly provenance: unknown
  /** For a digest: ids of the decisions it stands for, not of all where they are many. */
  readonly members?: readonly string[]
  /** For a digest: how many they are in all. */
  readonly memberCount?: number
  /**
   * An attempt in doubt went before: at a blind receiver (class C) this may be a repeat. One that can be looked up (class B) is to be asked
   * first: where the page is there already it is `delivered`, and where nobody can tell now nothing is sent.
   */
  readonly possibleRepeat: boolean
}

/** How a request to a receiver ended. */
export type SendResult =
  | { readonly kind: 'delivered'; readonly detail?: string }
  | { readonly kind: 'refused'; readonly detail: string }
  | { readonly kind: 'failed'; readonly detail: string; readonly retryAfterMs?: number }
  /** The request went out, and no answer came or none that says: it may have taken effect. */
  | { readonly kind: 'unknown'; readonly detail: string; readonly retryAfterMs?: number }

/** Keyed (one open incident per key), one that can be looked up afterwards, or blind. */
export type ReceiverClass = 'A' | 'B' | 'C'

/** Sends requests to receivers. */
export interface Transport {
  /**
   * Sends one request. `mayStart` is asked again where the bytes are handed to the kernel: false means nothing was sent and
   * the result is `failed`. Ends at once when `signal` aborts, its connection too: a request must not arrive later than that.
   */
  send(request: SendRequest, mayStart: () => boolean, signal: AbortSignal): Promise<SendResult>
}
