/** Records of a log for people: what each says, in few words of JSON, as they come. */
import { decodeMsg, type Event, type ProducerMark } from '@ricci/client'
import {
  decodeRecord,
  kindOf,
  type EventsRecord,
  type LogRecord,
  type RulesRecord,
  type TickRecord,
} from '@ricci/engine'
import { ReplicaError, SteadyReader, type Clock, type LogPort, type StoredRecord } from '@ricci/replica'
import { RicciError } from '../errors.ts'

/** What is wanted of a partition's log. */
export interface RecordsRequest {
  readonly partition: number
  /** The first offset wanted; without it the last records. */
  readonly from?: number
  /** So many of the last ones, where `from` is not said. */
  readonly last?: number
  /** Only these kinds. */
  readonly kinds?: readonly string[]
  /** Go on as records come; else end where the log ends now. */
  readonly follow: boolean
}

/** What the records of a kind say. */
export type RecordDetail =
  | EventsDetail
  | Omit<TickRecord, 'wallMs'>
  | (Omit<RulesRecord, 'bundle'> & { readonly bundleBytes: number })
  | Exclude<LogRecord, EventsRecord | TickRecord | RulesRecord>
  /** This release does not know it, or it is damaged. */
  | { readonly kind: 'unreadable'; readonly error: string }

/** What came in one message. */
export interface EventsDetail {
  readonly kind: 'events'
  readonly events: number
  readonly hosts: Names
  readonly services: Names
  readonly mark?: ProducerMark
}

/** How many different ones there are, and the first of them. */
export interface Names {
  readonly count: number
  readonly first: readonly string[]
}

/** A record as it is told of. */
export type RecordLine = RecordDetail & {
  readonly offset: number
  readonly bytes: number
  /** The time that the record tells of, milliseconds since 1970; most tell of none. */
  readonly atMs?: number
}

/** Names that a line has. */
const mostNames = 5

/** What one record says. */
export function recordLine({ offset, bytes }: StoredRecord): RecordLine {
  const head = { offset, bytes: bytes.length }
  try {
    const record = decodeRecord(bytes)
    switch (record.kind) {
      case 'events':
        return { ...head, atMs: record.receivedAtMs, ...eventsDetail(record) }
      case 'tick': {
        const { wallMs, ...rest } = record
        return { ...head, atMs: wallMs, ...rest }
      }
      case 'rules': {
        const { bundle, ...rest } = record
        return { ...head, ...rest, bundleBytes: bundle.length }
      }
      default:
        return { ...head, ...record }
    }
  } catch (error) {
    return { ...head, kind: 'unreadable', error: (error as Error).message }
  }
}

function eventsDetail({ kind, msg }: EventsRecord): EventsDetail {
  const { events = [], mark } = decodeMsg(msg)
  return {
    kind,
    events: events.length,
    hosts: namesOf(events, ({ host }) => host),
    services: namesOf(events, ({ service }) => service),
    ...(mark !== undefined && { mark }),
  }
}

function namesOf(events: readonly Event[], of: (event: Event) => string | undefined): Names {
  const names = new Set(events.map((event) => of(event) ?? ''))
  return { count: names.size, first: [...names].slice(0, mostNames) }
}

/**
 * The lines of a partition's records, a newline after each, as long as the signal does not abort; whoever takes them is waited for. Any
 * instance can: it reads the log itself.
 * @throws RicciError `NO_PARTITION`; ReplicaError `OFFSET_TRIMMED`, `LOG_UNAVAILABLE`, before the first line
 */
export async function recordLines(
  log: LogPort,
  clock: Clock,
  { partition, from, last = 0, kinds, follow }: RecordsRequest,
  signal: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  if (partition >= log.partitions) {
    const there = `there is no partition ${partition}; the log has ${log.partitions}, from 0 on`
    throw new RicciError('NO_PARTITION', there)
  }
  const { first, end } = await log.range(partition)
  if (from !== undefined && from < first) {
    const message = `offset ${from} is gone, as retention has it; the log of partition ${partition} begins at ${first}`
    throw new ReplicaError('OFFSET_TRIMMED', message, false)
  }
  const until = follow ? Infinity : end
  const wanted = kinds === undefined ? undefined : new Set(kinds)
  if (from !== undefined) return texts(batches(log, clock, partition, from, until, signal), { until, wanted })
  // the last ones of a rare kind lie far apart; those of a frequent one are not looked for
  const isRare = wanted !== undefined && !wanted.has('events') && !wanted.has('tick')
  const begin = Math.max(first, end - Math.max(last, isRare && last > 0 ? rareRecords : 0))
  const records = batches(log, clock, partition, begin, until, signal)
  return texts(records, { until, wanted, ...(isRare && { last: { count: last, before: end } }) })
}

/** As many as a quiet day's ticks: read in a second. */
const rareRecords = 100_000

/** Which records are told of. */
interface Choice {
  /** Those before this offset. */
  readonly until: number
  readonly wanted: ReadonlySet<string> | undefined
  /** Of those before an offset only so many of the last that are wanted. */
  readonly last?: { readonly count: number; readonly before: number }
}

async function* texts(
  all: AsyncIterable<readonly StoredRecord[]>,
  { until, wanted, last = { count: 0, before: 0 } }: Choice,
): AsyncGenerator<Uint8Array> {
  const held: string[] = []
  for await (const records of all) {
    let text = ''
    for (const record of records) {
      if (record.offset >= until) break
      if (wanted === undefined || wanted.has(kindIn(record))) {
        const line = `${JSON.stringify(recordLine(record))}\n`
        if (record.offset >= last.before) text += line
        else if (held.push(line) > last.count) held.shift()
      }
      if (record.offset + 1 === last.before) text += held.splice(0).join('')
      if (text.length < pieceLength) continue
      yield Buffer.from(text)
      text = ''
      await nextTurn()
    }
    if (text !== '') yield Buffer.from(text)
    await nextTurn()
  }
}

/** Between two pieces others have their turn. */
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function kindIn({ bytes }: StoredRecord): RecordLine['kind'] {
  try {
    return kindOf(bytes)
  } catch {
    return 'unreadable'
  }
}

/** A batch of the log may hold a hundred thousand records: their texts are made piece by piece. */
const pieceLength = 64 << 10

/** The batches of a reader that begins anew where brokers fall silent; one at a time. */
async function* batches(
  log: LogPort,
  clock: Clock,
  partition: number,
  from: number,
  until: number,
  signal: AbortSignal,
): AsyncGenerator<readonly StoredRecord[]> {
  if (from >= until) return
  let batch: readonly StoredRecord[] | undefined
  let failure: unknown
  let wake = (): void => undefined
  let taken = (): void => undefined
  const tell = (): void => wake()
  const reader = new SteadyReader({
    ...{ log, partition, clock, from },
    onRecords: (records) => {
      batch = records
      tell()
      return new Promise<void>((resolve) => (taken = resolve))
    },
    onFailure: (error) => {
      failure = error
      tell()
    },
  })
  signal.addEventListener('abort', tell)
  try {
    while (!signal.aborted) {
      if (failure !== undefined) throw failure
      if (batch === undefined) {
        await new Promise<void>((resolve) => (wake = resolve))
        continue
      }
      const records = batch
      yield records
      batch = undefined
      taken()
      if (records[records.length - 1].offset + 1 >= until) return
    }
  } finally {
    signal.removeEventListener('abort', tell)
    taken()
    await reader.stop()
  }
}
