import { SymbolTable } from '@ricci/client'
import { EngineError } from './errors.ts'
import { ByteReader } from './state/bytes.ts'

/** A change of how snapshots are written is a new number. */
export const snapshotFormat = 1
export const snapshotMagic = 0x52494343 // "RICC"

/** State that is neither columns nor texts; the head of a snapshot. */
export interface SnapshotHeader {
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
 * Reads the head of a snapshot of a given log, partition and engine semantics.
 * @throws EngineError `SNAPSHOT_UNREADABLE`
 */
export function readSnapshotHead(
  bytes: Uint8Array,
  wanted: Pick<SnapshotHeader, 'logId' | 'partition' | 'semantics'>,
): SnapshotHead {
  const from = new ByteReader(bytes)
  const magic = from.int()
  const header = magic === snapshotMagic ? from.json<SnapshotHeader>() : undefined
  if (header?.format !== snapshotFormat || header.semantics !== wanted.semantics) {
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
