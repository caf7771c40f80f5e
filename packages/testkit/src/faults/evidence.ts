/** What a log that survived says, read by a fresh engine: no state of the killed processes is believed. */
import { readMark, type Event } from '@ricci/client'
import { createEngine, decodeRecord, type EngineOptions, type Hashes, type PendingPage } from '@ricci/engine'
import type { StoredRecord } from '@ricci/replica'
import { EmbeddedLog, evaluateBundle, nodeDisk } from 'ricci/embedded'
import { OwnedTime } from '../simulator/oracle/owned-time.ts'

/** A life that came to own a partition. */
export interface Ownership {
  readonly partition: number
  readonly epoch: number
  readonly instance: string
  /** Wall clock of its first tick; of the last record before the claim where it had none. */
  readonly fromMs: number
}

/** By which hosts tell that they are there, and which rule says that they do not. */
export interface Presence {
  readonly service: string
  readonly rule: string
  readonly ttlMs: number
}

/** A watchdog may bark so much before its time: as long as the longest regular tick. */
const tickMs = 1_000

export interface Evidence {
  readonly records: number
  /** Rules records that switched the rules. */
  readonly switches: number
  /** Msgs that the log holds more than once under one mark. */
  readonly repeated: number
  /** Claims that won their epoch: lives that came to own. */
  readonly claims: number
  readonly ownerships: readonly Ownership[]
  /** Sequences of each producer that the log holds. */
  readonly held: ReadonlyMap<string, ReadonlySet<number>>
  /** How many events of each sequence (their metric) reached the rules; those that expired are no events of a producer. */
  readonly applied: ReadonlyMap<number, number>
  readonly decided: ReadonlyMap<string, Readonly<PendingPage>>
  /** How pages ended, by id. */
  readonly settled: ReadonlyMap<string, string>
  readonly pending: ReadonlySet<string>
  /** Ids that attempt records name, with their number. */
  readonly attempts: ReadonlyMap<string, number>
  /** Checkpoints of the killed processes that the fresh engine's hashes were compared with, and those that differed. */
  readonly checkpoints: number
  /** How many of them told of the whole state as well: at a clean stop they do. */
  readonly states: number
  readonly differing: readonly string[]
  /** Hosts that were called silent while the log holds their word, by {@link Presence}. */
  readonly falseWatchdogs: readonly string[]
}

/** Of which log, and which of its partitions. */
export interface WhichLog {
  readonly logId: string
  readonly partition: number
  readonly presence?: Presence
  /** The rules of a rules record; its bundle, unless told. */
  readonly loadRules?: EngineOptions['loadRules']
}

/** Reads the whole log of a data directory that nobody uses any more. */
export async function readEvidence(dataDirectory: string): Promise<Evidence> {
  const log = await EmbeddedLog.open({ dataDirectory, disk: nodeDisk, clock: { wallMs: () => Date.now() } })
  try {
    return judgeRecords(await readAll(log), { logId: log.id, partition: 0 })
  } finally {
    await log.close()
  }
}

/** What the records of a partition, from its first on, say. */
export function judgeRecords(stored: readonly StoredRecord[], which: WhichLog): Evidence {
  const { logId, partition, presence, loadRules = ({ bundle }) => evaluateBundle(bundle) } = which
  const held = new Map<string, Set<number>>()
  const applied = new Map<number, number>()
  const decided = new Map<string, Readonly<PendingPage>>()
  const settled = new Map<string, string>()
  const attempts = new Map<string, number>()
  const marks = new Set<string>()
  const hashes = new Map<number, Hashes & { readonly state: string }>()
  const differing: string[] = []
  const falseWatchdogs: string[] = []
  const ownerships: Ownership[] = []
  const time = new OwnedTime()
  const lastHeardMs = new Map<string, number>()
  let claim: Omit<Ownership, 'fromMs'> | undefined
  let claims = 0
  let switches = 0
  let repeated = 0
  let states = 0
  let checkpoints = 0
  const engine = createEngine({
    logId,
    partition,
    loadRules,
    observer: {
      onDecision: (page) => {
        decided.set(page.id, structuredClone(page))
        if (page.rule !== presence?.rule || page.action !== 'trigger') return
        const silentMs = time.ownedMs - (lastHeardMs.get(page.host) ?? -Infinity)
        if (silentMs >= presence.ttlMs - tickMs) return
        const heard = `was heard ${silentMs} ms of owned time before, and its word holds for ${presence.ttlMs} ms`
        falseWatchdogs.push(`${page.host} was called silent: it ${heard} (partition ${partition})`)
      },
      onSettled: (page, result) => void settled.set(page.id, result),
      onTap: (_name, value) => {
        const { metric, state, service, host } = value as Event
        if (state === 'expired') return
        if (service === presence?.service) lastHeardMs.set(host!, time.ownedMs)
        applied.set(Number(metric), (applied.get(Number(metric)) ?? 0) + 1)
      },
    },
  })
  const records = stored.map(({ bytes }) => decodeRecord(bytes))
  const hashed = new Set(records.map((record) => (record.kind === 'checkpoint' ? record.offset : -1)))
  for (const [at, record] of records.entries()) {
    const { offset, bytes, checksum } = stored[at]
    const owned = engine.ownership?.epoch
    const rulesHash = engine.rulesHash
    time.apply(record)
    engine.apply(offset, bytes, checksum)
    if (hashed.has(offset)) hashes.set(offset, { ...engine.hashes(), state: engine.stateHash() })
    if (rulesHash !== undefined && engine.rulesHash !== rulesHash) switches++
    if (record.kind === 'events') {
      const mark = readMark(record.msg)
      if (mark === undefined) throw new Error(`record ${offset} has no producer mark`)
      const sequences = held.get(mark.producer) ?? new Set()
      const name = `${mark.producer}/${mark.incarnation}/${mark.sequence}`
      if (marks.has(name)) repeated++
      marks.add(name)
      held.set(mark.producer, sequences.add(mark.sequence))
    } else if (record.kind === 'claim' && engine.ownership?.epoch !== owned) {
      claims++
      if (claim !== undefined) ownerships.push({ ...claim, fromMs: time.calendarMs })
      claim = { partition, epoch: record.epoch, instance: record.instance }
    } else if (record.kind === 'tick' && record.epoch === claim?.epoch) {
      ownerships.push({ ...claim, fromMs: record.wallMs })
      claim = undefined
    } else if (record.kind === 'attempt') {
      for (const id of record.pages) attempts.set(id, (attempts.get(id) ?? 0) + 1)
    } else if (record.kind === 'checkpoint') {
      const ours = hashes.get(record.offset)
      checkpoints++
      if (record.state !== undefined) states++
      const sameState = record.state === undefined || record.state === ours?.state
      if (ours?.input !== record.input || ours.decisions !== record.decisions || !sameState) {
        differing.push(`the checkpoint of tick ${record.tick} has other hashes than a fresh engine`)
      }
    }
  }
  if (claim !== undefined) ownerships.push({ ...claim, fromMs: time.calendarMs })
  const pending = new Set(engine.pendingPages().map(({ id }) => id))
  return {
    records: records.length,
    switches,
    repeated,
    claims,
    ownerships,
    held,
    applied,
    decided,
    settled,
    pending,
    attempts,
    checkpoints,
    states,
    differing,
    falseWatchdogs,
  }
}

/** What all partitions of a log say together. */
export function together(parts: readonly Evidence[]): Evidence {
  const sum = (of: (part: Evidence) => number): number => parts.reduce((total, part) => total + of(part), 0)
  const held = new Map<string, Set<number>>()
  const applied = new Map<number, number>()
  for (const part of parts) {
    for (const [name, sequences] of part.held) {
      const known = held.get(name) ?? new Set()
      for (const sequence of sequences) known.add(sequence)
      held.set(name, known)
    }
    for (const [metric, times] of part.applied) applied.set(metric, (applied.get(metric) ?? 0) + times)
  }
  return {
    records: sum(({ records }) => records),
    switches: sum(({ switches }) => switches),
    repeated: sum(({ repeated }) => repeated),
    claims: sum(({ claims }) => claims),
    ownerships: parts.flatMap(({ ownerships }) => ownerships),
    held,
    applied,
    decided: new Map(parts.flatMap(({ decided }) => [...decided])),
    settled: new Map(parts.flatMap(({ settled }) => [...settled])),
    pending: new Set(parts.flatMap(({ pending }) => [...pending])),
    attempts: new Map(parts.flatMap(({ attempts }) => [...attempts])),
    checkpoints: sum(({ checkpoints }) => checkpoints),
    states: sum(({ states }) => states),
    differing: parts.flatMap(({ differing }) => differing),
    falseWatchdogs: parts.flatMap(({ falseWatchdogs }) => falseWatchdogs),
  }
}

async function readAll(log: EmbeddedLog): Promise<StoredRecord[]> {
  const { first, end } = await log.range(0)
  if (first !== 0) throw new Error(`the log begins at ${first}: its beginning was taken away under the test`)
  const records: StoredRecord[] = []
  const done = new AbortController()
  if (end === 0) return records
  for await (const batch of log.read(0, 0, done.signal)) {
    records.push(...batch)
    if (records.length >= end) break
  }
  return records
}
