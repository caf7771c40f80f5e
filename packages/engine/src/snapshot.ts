/**
 * An engine's whole state: its hash, and how it is written and read. It is written in this order: the head (plain data), the table
 * of texts, the rules' record, the clocks, the producers, the decisions, the index' rows, then dimension by dimension in the order of
 * the tree. A column that something new brings along is written and hashed with its dimension; nothing need be said of it here.
 */
import { SymbolTable } from '@ricci/client'
import type { Decisions, DecisionsState } from './decisions/decisions.ts'
import { EngineError } from './errors.ts'
import type { Producers } from './event/producers.ts'
import type { Index } from './index/store.ts'
import { decodeRecord, type RulesRecord } from './records.ts'
import { ByteReader, ByteWriter } from './state/bytes.ts'
import { Hasher } from './state/hash.ts'
import { engineSemantics, type RulesInForce } from './streams/rules-in-force.ts'
import type { Clocks } from './time/clocks.ts'

/** A change of how snapshots are written is a new number. */
const snapshotFormat = 2
const snapshotMagic = 0x52494343 // "RICC"

/** Everything of an engine that is state. */
export interface EngineState {
  readonly logId: string
  readonly partition: number
  appliedOffset: number
  lastTick: number
  readonly table: SymbolTable
  readonly clocks: Clocks
  readonly index: Index
  readonly decisions: Decisions
  readonly producers: Producers
  /** Of every record applied. */
  readonly input: Hasher
  readonly rules: RulesInForce
}

/** State that is neither columns nor texts; the head of a snapshot. */
interface SnapshotHeader {
  readonly format: number
  readonly semantics: number
  readonly logId: string
  readonly partition: number
  readonly offset: number
  readonly rulesHash: string | null
  readonly lastTick: number
  readonly indexSize: number
  readonly inputLanes: readonly [number, number]
  readonly skipped: Record<string, string[]>
  readonly rulesOffset: number
}

/** What of a snapshot must be there before an engine is built around it. */
export interface SnapshotHead {
  readonly header: SnapshotHeader
  readonly table: SymbolTable
  /** Stands behind the table. */
  readonly from: ByteReader
}

/**
 * Reads the head of a snapshot of a given log and partition.
 * @throws EngineError `SNAPSHOT_UNREADABLE`
 */
export function readSnapshotHead(bytes: Uint8Array, wanted: Pick<SnapshotHeader, 'logId' | 'partition'>): SnapshotHead {
  const from = new ByteReader(bytes)
  const magic = from.int()
  const header = magic === snapshotMagic ? from.json<SnapshotHeader>() : undefined
  if (header?.format !== snapshotFormat || header.semantics !== engineSemantics) {
    throw new EngineError(
      'SNAPSHOT_UNREADABLE',
      'the snapshot was not written by this release; take another or start from the log',
    )
  }
  if (header.logId !== wanted.logId || header.partition !== wanted.partition) {
    throw new EngineError(
      'SNAPSHOT_UNREADABLE',
      `the snapshot belongs to log ${header.logId}, partition ${header.partition}, not to ${wanted.logId}, ${wanted.partition}`,
    )
  }
  return { header, table: SymbolTable.restore(from.bytes()), from }
}

/** Hash of the whole state: of all columns, about 5 ms at 150,000 keys. */
export function hashState(state: EngineState): string {
  const { clocks, rules } = state
  const hasher = new Hasher()
  hasher.int(state.table.hash())
  hasher.number(clocks.owned.now)
  hasher.number(clocks.calendar.now)
  hasher.number(clocks.graceUntil)
  hasher.text(JSON.stringify([headerOf(state), state.producers.snapshot()]))
  state.index.rows.hash(hasher)
  for (const dimension of rules.tree?.dimensions ?? []) dimension.hash(hasher)
  state.decisions.mixState((text) => hasher.text(text))
  return hasher.digest()
}

/** The state as it stands now. What lies in chunks is only copied when it is changed before it was taken. */
export function writeState(state: EngineState): ByteWriter {
  const { clocks, rules } = state
  const out = new ByteWriter()
  out.int(snapshotMagic)
  out.json(headerOf(state))
  const table = state.table.dump()
  out.int(table.reduce((sum, part) => sum + part.length, 0))
  for (const part of table) out.raw(part)
  out.bytes(rules.record)
  out.double(clocks.owned.now)
  out.double(clocks.calendar.now)
  out.double(clocks.graceUntil)
  out.json(state.producers.snapshot())
  out.json(state.decisions.snapshot())
  state.index.rows.write(out)
  for (const dimension of rules.tree?.dimensions ?? []) dimension.write(out)
  return out
}

/**
 * Reads what stands behind a snapshot's head into an engine that was made around its table.
 * @param load puts the rules in force, so that there are columns to read into
 */
export function readState(
  state: EngineState,
  { from, header }: SnapshotHead,
  load: (record: RulesRecord, bytes: Uint8Array) => void,
): void {
  const { clocks, rules } = state
  const record = from.bytes()
  if (record.length > 0) load(decodeRecord(record) as RulesRecord, record)
  state.appliedOffset = header.offset
  state.lastTick = header.lastTick
  state.index.size = header.indexSize
  state.input.lanes = header.inputLanes
  rules.skips.restore(header.skipped, header.offset)
  rules.offset = header.rulesOffset
  clocks.owned.now = clocks.owned.target = from.double()
  clocks.calendar.now = clocks.calendar.target = from.double()
  clocks.graceUntil = from.double()
  state.producers.restore(from.json())
  state.decisions.restore(from.json<DecisionsState>())
  state.index.rows.read(from)
  state.index.rowsChanged()
  for (const dimension of rules.tree?.dimensions ?? []) dimension.read(from)
  rules.quarantine()
  if (!from.finished) {
    throw new EngineError('SNAPSHOT_UNREADABLE', 'the snapshot holds more than this release reads; take an older one')
  }
}

function headerOf(state: EngineState): SnapshotHeader {
  const { rules } = state
  return {
    format: snapshotFormat,
    semantics: engineSemantics,
    logId: state.logId,
    partition: state.partition,
    offset: state.appliedOffset,
    rulesHash: rules.hash ?? null,
    lastTick: state.lastTick,
    indexSize: state.index.size,
    inputLanes: state.input.lanes,
    skipped: rules.skips.snapshot(),
    rulesOffset: rules.offset,
  }
}
