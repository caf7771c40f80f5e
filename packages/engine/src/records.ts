/**
 * The records of a partition's log: everything that can influence a decision is one of these.
 *
 * On the log a record is: kind (1 byte), version (1 byte), length of the JSON header (4 bytes, big-endian), the header, and a
 * binary tail. `events` records, the hot path, have no header: `receivedAtMs` as an 8-byte double and then the Riemann Msg as
 * it came, producer mark included. A record without bytes is an offset that the log used for itself. A reader that meets a kind or version it does not know must stop: it never skips.
 */
import { EngineError } from './errors.ts'
import { checkHeader } from './record-shapes.ts'

/** A Msg as an instance took it in. */
export interface EventsRecord {
  readonly kind: 'events'
  /** Wall clock of the instance that took the Msg in, milliseconds since 1970. */
  readonly receivedAtMs: number
  /** A Riemann Msg (protobuf), with its producer mark. */
  readonly msg: Uint8Array
}
/** A replica that holds the lease wants to own; the first of an epoch in log order wins it. */
export interface ClaimRecord {
  readonly kind: 'claim'
  readonly epoch: number
  readonly instance: string
  /** Engine semantics the claimant runs. */
  readonly semantics: number
  /** The coordination store's own token, kept for audit only. */
  readonly leaseToken?: string
  /** Random, drawn anew at each start of a replica: tells its claims from those of an earlier life of the same instance. */
  readonly life?: string
}
/** The passing of time, appended by the owner. */
export interface TickRecord {
  readonly kind: 'tick'
  /** Counts on from the highest tick in the log, across epochs. */
  readonly number: number
  readonly epoch: number
  /** Owner's monotonic time since its previous tick; 0 in the first after a claim; never above 2,000. */
  readonly elapsedMs: number
  readonly wallMs: number
  /** The wall clock went back for good: calendar time follows it. */
  readonly back?: boolean
}
/** The owner is about to send; without it nothing is sent. */
export interface AttemptRecord {
  readonly kind: 'attempt'
  readonly epoch: number
  /** Counts the attempts of an epoch from 1: (epoch, n) names this attempt. */
  readonly n: number
  /** Which instance is about to send. Kept for people: who owns an epoch is said by its claim. */
  readonly sender?: string
  readonly receiver: string
  /** Decision ids; more than one makes it a digest. */
  readonly pages: readonly string[]
  /** Why these go as one. */
  readonly digest?: 'waited' | 'overflow'
  /** A repeat of an attempt in doubt: which one. */
  readonly repeats?: string
}
/** How an attempt ended. */
export type OutcomeResult = 'delivered' | 'refused' | 'failed' | 'unknown' | 'overtaken' | 'gave-up'
/** How an attempt ended; it settles the page. */
export interface OutcomeRecord {
  readonly kind: 'outcome'
  /** Epoch and number of the attempt this is the outcome of. An outcome of an older epoch is accepted: it is a fact. */
  readonly epoch: number
  readonly n: number
  readonly receiver: string
  readonly pages: readonly string[]
  readonly result: OutcomeResult
  /** What the receiver said, at most 1,000 characters, for people. */
  readonly detail?: string
  /** For `failed`: not to be tried again before this wall time. */
  readonly retryAtMs?: number
}
/** A sink has taken what a flow held up to a position. Accepted when further, whatever its owner's epoch: it is a fact. */
export interface FlowedThroughRecord {
  readonly kind: 'flowed-through'
  readonly sink: string
  /** Offset of the record with which the flow began: positions count from there. */
  readonly begun: number
  /** Of the last batch that the sink has. */
  readonly position: number
}
/** What a person asked for, with who, from where and why. */
export interface CommandRecord {
  readonly kind: 'command'
  readonly id: string
  readonly name: 'acknowledge' | 'snooze' | 'resolve' | 'redrive' | 'drill'
  readonly who: string
  readonly from: string
  readonly why: string
  readonly arguments: Readonly<Record<string, string | number | boolean>>
}
/** The rules that hold from here on. */
export interface RulesRecord {
  readonly kind: 'rules'
  /** sha256 of the bundle, hex. */
  readonly hash: string
  readonly settings: Readonly<Record<string, unknown>>
  readonly semantics: number
  /** The compiled bundle, compressed; at most 1 MiB. */
  readonly bundle: Uint8Array
}
/**
 * The owner's hashes at an offset that lies behind; others compare theirs. That of the state is not there yet when its tick was
 * applied: it comes in a checkpoint of its own.
 */
export interface CheckpointRecord {
  readonly kind: 'checkpoint'
  readonly epoch: number
  readonly tick: number
  /** Offset of the record after which the hashes were taken: of a tick, or of the last record before a clean stop. */
  readonly offset: number
  readonly input: string
  readonly decisions: string
  /** Only at each 600th tick. */
  readonly state?: string
  /** With it: the first 8 digits of each part's hash, end to end, in the order of the rules. */
  readonly parts?: string
  readonly openPages: number
}
/** An event that stalls the rules is passed over. */
export interface SkipRecord {
  readonly kind: 'skip'
  /** Names the skip, so that it is idempotent. */
  readonly offset: number
  /** Which event of the record, from 0; -1 the whole record. */
  readonly event: number
  /** Path of the operator at which the engine stalled; empty: unknown, the event is left out everywhere. */
  readonly branch: string
}
/** An offset that the log used for itself: no bytes. It decides nothing. */
export interface HoleRecord {
  readonly kind: 'hole'
}
/** Every record that the log can hold. */
export type LogRecord =
  | EventsRecord
  | ClaimRecord
  | TickRecord
  | AttemptRecord
  | OutcomeRecord
  | FlowedThroughRecord
  | CommandRecord
  | RulesRecord
  | CheckpointRecord
  | SkipRecord
  | HoleRecord
/** The name of a kind of record. */
export type RecordKind = LogRecord['kind']

/** Kind bytes. The reserved ones belong to later releases; reading one stops the replica. */
const kindBytes = {
  events: 1,
  claim: 2,
  tick: 3,
  attempt: 4,
  outcome: 5,
  'flowed-through': 6,
  command: 7,
  rules: 9,
  checkpoint: 11,
  skip: 12,
} as const satisfies Record<Exclude<RecordKind, 'hole'>, number>
const reservedKinds: Readonly<Record<number, string>> = { 8: 'registry', 10: 'derived events' }
/** By kind byte: looked up several times a record. */
const kindNames: (RecordKind | undefined)[] = []
for (const [name, byte] of Object.entries(kindBytes)) kindNames[byte] = name as RecordKind

/** The one version of every kind so far. */
const recordVersion = 1
const headerStart = 6
const eventsStart = 2 + 8

const utf8 = new TextEncoder()
const text = new TextDecoder()

/** Encodes a record as it stands in the log. */
export function encodeRecord(record: LogRecord): Uint8Array {
  if (record.kind === 'events') return encodeEventsRecord(record.receivedAtMs, record.msg)
  if (record.kind === 'hole') return noBytes
  const { kind, ...rest } = record
  const tail = 'bundle' in rest ? rest.bundle : noBytes
  const header = utf8.encode(JSON.stringify('bundle' in rest ? { ...rest, bundle: undefined } : rest))
  const bytes = new Uint8Array(headerStart + header.length + tail.length)
  bytes[0] = kindBytes[kind]
  bytes[1] = recordVersion
  new DataView(bytes.buffer).setUint32(2, header.length)
  bytes.set(header, headerStart)
  bytes.set(tail, headerStart + header.length)
  return bytes
}

/** Encodes an events record around a Msg's bytes, copying them once. */
export function encodeEventsRecord(receivedAtMs: number, msg: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(eventsStart + msg.length)
  writeEventsHeader(bytes, receivedAtMs)
  bytes.set(msg, eventsStart)
  return bytes
}

/** Length of what stands before the Msg in an events record. */
export const eventsHeaderLength = eventsStart

/** Writes an events record's head into the first {@link eventsHeaderLength} bytes. */
export function writeEventsHeader(bytes: Uint8Array, receivedAtMs: number): void {
  bytes[0] = kindBytes.events
  bytes[1] = recordVersion
  scratch.setFloat64(0, receivedAtMs)
  bytes.set(scratchBytes, 2)
}

/** A DataView of its own for each record would cost more than the rest of its head. */
const scratchBytes = new Uint8Array(8)
const scratch = new DataView(scratchBytes.buffer)

function receivedAt(bytes: Uint8Array): number {
  for (let i = 0; i < 8; i++) scratchBytes[i] = bytes[2 + i]
  return scratch.getFloat64(0)
}

/**
 * The kind of a record, from its first two bytes.
 * @throws EngineError `RECORD_UNKNOWN` for a kind or version this release does not know: the replica must stop.
 */
export function kindOf(bytes: Uint8Array): RecordKind {
  if (bytes.length === 0) return 'hole'
  const kind = kindNames[bytes[0]]
  if (kind === undefined) {
    const reserved = reservedKinds[bytes[0]]
    throw new EngineError(
      'RECORD_UNKNOWN',
      `the log holds a record of kind ${bytes[0]}${reserved === undefined ? '' : ` (${reserved})`}, which this release does not know; run the release that wrote it`,
    )
  }
  if (bytes[1] !== recordVersion) {
    throw new EngineError(
      'RECORD_UNKNOWN',
      `the log holds a ${kind} record of version ${bytes[1]}, this release knows ${recordVersion}; run the release that wrote it`,
    )
  }
  return kind
}

/**
 * Decodes a record. The `msg` of an events record is a view into `bytes`, not a copy.
 * @throws EngineError `RECORD_UNKNOWN` (see {@link kindOf}) or `RECORD_MALFORMED`.
 */
export function decodeRecord(bytes: Uint8Array): LogRecord {
  const kind = kindOf(bytes)
  if (kind === 'hole') return { kind }
  if (kind === 'events') {
    if (bytes.length < eventsStart)
      throw new EngineError('RECORD_MALFORMED', 'an events record is shorter than its header')
    return { kind, receivedAtMs: receivedAt(bytes), msg: bytes.subarray(eventsStart) }
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = bytes.length < headerStart ? Infinity : view.getUint32(2)
  if (headerStart + length > bytes.length) {
    throw new EngineError('RECORD_MALFORMED', `a ${kind} record is shorter than its header`)
  }
  const header = parsed(kind, text.decode(bytes.subarray(headerStart, headerStart + length)))
  checkHeader(kind, header)
  const bundle = kind === 'rules' ? { bundle: bytes.subarray(headerStart + length) } : {}
  // The kind byte has the last word: a header that names a kind of its own is still of this one.
  return { ...header, ...bundle, kind } as LogRecord
}

function parsed(kind: string, json: string): unknown {
  try {
    return JSON.parse(json)
  } catch (error) {
    throw new EngineError('RECORD_MALFORMED', `the header of a ${kind} record is no JSON: ${(error as Error).message}`)
  }
}

const noBytes = new Uint8Array(0)
