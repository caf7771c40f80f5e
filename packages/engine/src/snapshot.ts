/**
 * An engine's whole state: how it is written and read, and its hash, which is that of what would be written. In this order: the head (plain data), the table
 * of texts, the rules' record, the clocks, the producers, the decisions, the index' rows, then dimension by dimension in the order of
 * the tree, and at last, from engine semantics 2 on, the flows. A column that something new brings along is written with its dimension; nothing need be said of it here.
 */
import { SymbolTable } from '@ricci/client'
import type { Decisions, DecisionsState } from './decisions/decisions.ts'
import { EngineError } from './errors.ts'
import type { Producers } from './event/producers.ts'
import type { Flows } from './flows/flows.ts'
import type { Index } from './index/store.ts'
import { decodeRecord, type RulesRecord } from './records.ts'
import { ByteReader } from './state/bytes.ts'
import type { Hasher } from './state/hash.ts'
import { sliceBytes, SliceWriter } from './state/slices.ts'
import { readLists, StateCut, StateWriter } from './state/writer.ts'
import { engineSemantics, type RulesInForce } from './streams/rules-in-force.ts'
import type { Clocks } from './time/clocks.ts'

/** A change of how snapshots are written is a new number. */
const snapshotFormat = 7
const snapshotMagic = 0x52494343 // "RICC"
/** The first with flows in its state. */
const flowSemantics = 2

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
  readonly flows: Flows
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
  if (header?.format !== snapshotFormat || !(header.semantics >= 1 && header.semantics <= engineSemantics)) {
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

/** Hash of the whole state as it stands now, worked out at once: some 20 ms at 50 MB. */
export function hashState(state: EngineState): string {
  const out = new SliceWriter(undefined, hashBuffer)
  write(state, new StateWriter(out))
  return out.end()
}

/** Begins to read the state as it stands now, in steps. What lies in chunks is only copied when it changes before it was read. */
export function cutState(state: EngineState, onSlice?: (slice: Uint8Array) => void): StateCut {
  const writer = new StateWriter()
  write(state, writer)
  return new StateCut(state.appliedOffset, state.lastTick, writer, onSlice)
}

/**
 * Works on a cut as far as slices are asked for; `slices` is where it puts them.
 * @throws EngineError `SNAPSHOT_UNREADABLE` when it was ended before
 */
export function* slicesOf(cut: StateCut, slices: Uint8Array[]): Generator<Uint8Array, void, undefined> {
  while (cut.step()) yield* slices.splice(0)
  if (cut.hash === undefined) {
    throw new EngineError('SNAPSHOT_UNREADABLE', 'a newer snapshot was cut before this one was carried away')
  }
  yield* slices
}

function write(state: EngineState, out: StateWriter): void {
  const { clocks, rules } = state
  out.part('the head')
  out.int(snapshotMagic)
  out.json(headerOf(state))
  out.part('the texts')
  out.bytes(state.table.dump())
  out.part('the rules')
  out.bytes(rules.record)
  out.part('the clocks')
  out.double(clocks.owned.now)
  out.double(clocks.calendar.now)
  out.double(clocks.graceUntil)
  out.double(clocks.graceFrom)
  out.part('the producers')
  out.double(state.producers.repeats)
  out.lists(state.producers.snapshot())
  out.part('the decisions')
  out.lists(state.decisions.snapshot())
  state.index.rows.write(out)
  for (const dimension of rules.tree?.dimensions ?? []) dimension.write(out)
  if (rules.semantics >= flowSemantics) state.flows.write(out)
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
  rules.semantics = header.semantics
  state.appliedOffset = header.offset
  state.lastTick = header.lastTick
  state.index.size = header.indexSize
  state.input.lanes = header.inputLanes
  rules.skips.restore(header.skipped, header.offset, header.rulesOffset)
  rules.offset = header.rulesOffset
  clocks.owned.now = clocks.owned.target = from.double()
  clocks.calendar.now = clocks.calendar.target = from.double()
  clocks.graceUntil = from.double()
  clocks.graceFrom = from.double()
  state.producers.repeats = from.double()
  state.producers.restore(readLists(from))
  state.decisions.restore(readLists(from) as DecisionsState)
  state.index.rows.read(from)
  state.index.rowsChanged()
  for (const dimension of rules.tree?.dimensions ?? []) dimension.read(from)
  if (rules.semantics >= flowSemantics) state.flows.read(from)
  rules.quarantine()
  if (!from.finished) {
    throw new EngineError('SNAPSHOT_UNREADABLE', 'the snapshot holds more than this release reads; take an older one')
  }
}

function headerOf(state: EngineState): SnapshotHeader {
  const { rules } = state
  return {
    format: snapshotFormat,
    semantics: rules.semantics,
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

/** For hashing at once: nothing else happens meanwhile, in whichever engine. */
const hashBuffer = new Uint8Array(sliceBytes)
