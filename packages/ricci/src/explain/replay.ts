/** What the throw-away thread does: reads a stretch of the log, and for a silence runs a traced engine over it. */
import { decodeMsg } from '@ricci/client'
import {
  createEngine,
  decodeRecord,
  kindOf,
  printText,
  type Engine,
  type Incident,
  type PendingPage,
  type SkipRecord,
} from '@ricci/engine'
import type { LogPort } from '@ricci/replica'
import type { EvaluatedRules } from '../rules/evaluate.ts'
import { History, type IncidentTold } from './history.ts'
import { skipOf, stretch } from './reading.ts'
import { SilenceSearch, type Silence, type SilenceQuestion } from './silence.ts'

/** How far it is. */
export interface Progress {
  readonly read: number
  readonly of: number
}

/** What both kinds of explanation are given. */
export interface Reading {
  readonly log: Pick<LogPort, 'id' | 'read'>
  readonly partition: number
  readonly signal: AbortSignal
  readonly onProgress: (progress: Progress) => void
}

/** What of the log an incident's history is read from. */
export interface HistoryJob {
  readonly kind: 'incident'
  readonly incident: Incident
  /** Pages that wait, of any incident. */
  readonly waiting: readonly PendingPage[]
  readonly from: number
  readonly until: number
}

/** Reads what was done about an incident. */
export async function readHistory(reading: Reading, job: HistoryJob): Promise<IncidentTold> {
  const { log, partition, signal, onProgress } = reading
  const history = new History(job.incident, job.waiting)
  for await (const records of stretch(log, partition, job.from, job.until, signal)) {
    for (const { offset, bytes } of records) {
      history.take(offset, bytes)
      if (history.done) return history.told(partition, job.from <= job.incident.openedOffset)
    }
    onProgress({ read: records[records.length - 1].offset - job.from, of: job.until - job.from })
  }
  return history.told(partition, job.from <= job.incident.openedOffset)
}

/** What of the log is replayed for a silence. */
export interface SilenceJob {
  readonly kind: 'silence'
  readonly question: SilenceQuestion
  /** Whole, and the offset up to which it goes; without one the log's first record begins. */
  readonly snapshot?: { readonly bytes: Uint8Array; readonly offset: number }
  /** Behind the snapshot, or the log's first record. */
  readonly from: number
  /** Offset at which the time asked for ends. */
  readonly until: number
  /** Where the log ends: skips are written behind what they skip. */
  readonly end: number
}

/** Runs a traced engine over the stretch. @throws EngineError `SNAPSHOT_UNREADABLE`, `RECORD_UNKNOWN` */
export async function replaySilence(
  reading: Reading,
  job: SilenceJob,
  loadRules: (bundle: Uint8Array, nowMs: () => number) => EvaluatedRules,
): Promise<Silence> {
  const { log, partition, signal, onProgress } = reading
  const { question, snapshot, from, until, end } = job
  // what once stalled an engine would stall this one
  const skips: SkipRecord[] = []
  for await (const records of stretch(log, partition, from, end, signal)) {
    for (const { bytes } of records) {
      const skip = skipOf(bytes)
      if (skip !== undefined) skips.push(skip)
    }
    onProgress({ read: (records[records.length - 1].offset - from) / 10, of: until - from })
  }
  const search = new SilenceSearch(question)
  let explain: (error: unknown) => string = String
  const engine: Engine = createEngine({
    logId: log.id,
    partition,
    loadRules: ({ bundle }) => {
      const rules = loadRules(bundle, () => engineOf()?.calendarMs ?? 0)
      explain = (error) => rules.explain(error)
      search.rules(rules.description)
      return rules.description
    },
    observer: { ...search.observer, onRuleError: (_path, error) => search.threw(explain(error)) },
    snapshot: snapshot?.bytes,
    skips,
    trace: search.trace(),
  })
  // while a snapshot is restored there is none yet
  function engineOf(): Engine | undefined {
    return engine
  }
  for await (const records of stretch(log, partition, from, until, signal)) {
    for (const { offset, bytes, checksum } of records) applied(engine, search, question, offset, bytes, checksum)
    onProgress({ read: records[records.length - 1].offset - from, of: until - from })
  }
  const where = { partition, from, until, ...(snapshot !== undefined && { snapshot: snapshot.offset }) }
  return search.found(where, engine.incidents().open, lastSeen(engine, question.host))
}

function applied(
  engine: Engine,
  search: SilenceSearch,
  question: SilenceQuestion,
  offset: number,
  bytes: Uint8Array,
  checksum: number,
): void {
  search.begin(engine.calendarMs)
  if (!hasEventsOf(bytes, question)) return engine.apply(offset, bytes, checksum)
  const seen = search.events
  const { repeats } = engine.stats()
  engine.apply(offset, bytes, checksum)
  if (search.events > seen) return
  search.begin(engine.calendarMs)
  search.unseen(engine.stats().repeats > repeats)
}

function hasEventsOf(bytes: Uint8Array, { host, service }: SilenceQuestion): boolean {
  if (kindOf(bytes) !== 'events') return false
  try {
    const record = decodeRecord(bytes)
    if (record.kind !== 'events') return false
    const { events = [] } = decodeMsg(record.msg)
    return events.some((event) => event.host === host && (service === undefined || event.service === service))
  } catch {
    return false // the engine tells of what it cannot read
  }
}

function lastSeen(engine: Engine, host: string): Silence['lastSeen'] {
  let last: { atMs: number; service?: string } | undefined
  for (const { time, service } of engine.query(`host = ${printText(host)}`).events) {
    if (time !== undefined && (last === undefined || time * 1000 > last.atMs)) last = { atMs: time * 1000, service }
  }
  return last
}
