import { EngineError } from '@ricci/engine'
import { ReplicaError } from './errors.ts'
import type { EngineHost, HostEvents, HostFactory } from './host.ts'
import type { LogPort, SnapshotInfo, SnapshotPort } from './ports.ts'

export interface RestoreOptions {
  readonly log: LogPort
  readonly snapshots: SnapshotPort
  readonly partition: number
  readonly hostFactory: HostFactory
  readonly events: HostEvents
  /** Names of snapshots not to begin from: one that led to a state unlike the owner's. */
  readonly avoid: ReadonlySet<string>
  readonly onAlarm: (name: string, detail: string) => void
}

export interface Restored {
  readonly host: EngineHost
  /** Whether no other way led here: what the host's state is, is all there is. */
  readonly lastResort: boolean
  /** Where the log ended when it began: what lies before is history, its owner may be long gone. */
  readonly end: number
  /** Name of the snapshot it began from. */
  readonly from: string | undefined
}

/**
 * Starts a host from the newest snapshot that can be used, else from the log's first record. A snapshot is passed over when it
 * cannot be read, when a later skip takes back what it holds, or when the log does not reach that far.
 * @throws ReplicaError `OFFSET_TRIMMED` when no snapshot meets the records that are left
 */
export async function restore(options: RestoreOptions): Promise<Restored> {
  const { log, snapshots, partition, onAlarm } = options
  const { first, end } = await log.range(partition)
  const newestFirst = [...(await listed(options, first))].sort((a, b) => b.offset - a.offset)
  const doubted = newestFirst.filter((info) => options.avoid.has(info.name))
  // The log's whole length is the better judge of a doubted snapshot; where it is trimmed, doubt is better than nothing.
  const tried = newestFirst.filter((info) => !doubted.includes(info)).concat(first > 0 ? doubted : [])
  for (const info of tried) {
    if (info.offset + 1 < first) continue
    if (info.offset >= end) {
      onAlarm(
        'log-shorter',
        `snapshot ${info.name} goes up to ${info.offset}, the log ends before ${end}: records were lost`,
      )
      continue
    }
    let snapshot: Uint8Array
    try {
      snapshot = await snapshots.fetch(info)
    } catch (error) {
      // An older one, or the log itself, gives the same state: it only takes longer.
      onAlarm('snapshot-unusable', `snapshot ${info.name} cannot be fetched: ${String(error)}`)
      continue
    }
    const host = options.hostFactory(options.events)
    try {
      await host.start({ snapshot, snapshotOffset: info.offset })
      return { host, from: info.name, lastResort: doubted.includes(info), end }
    } catch (error) {
      await host.stop()
      if (!isUnusable(error)) throw error
      onAlarm('snapshot-unusable', `snapshot ${info.name} is passed over: ${error.message}`)
    }
  }
  if (first > 0) {
    const why = `the log begins at record ${first} and no snapshot reaches there: what was decided before is lost; restore a snapshot, or begin a new log`
    throw new ReplicaError('OFFSET_TRIMMED', why, true)
  }
  const host = options.hostFactory(options.events)
  try {
    await host.start({ snapshotOffset: -1 })
  } catch (error) {
    await host.stop()
    throw error
  }
  return { host, from: undefined, lastResort: true, end }
}

/** Snapshots only save time while the log still has its first record: a store that is away keeps nobody from starting then. */
async function listed(
  { snapshots, partition, onAlarm }: RestoreOptions,
  first: number,
): Promise<readonly SnapshotInfo[]> {
  try {
    return await snapshots.list(partition)
  } catch (error) {
    if (first > 0) throw error
    onAlarm('snapshot-unusable', `the store of snapshots cannot be asked, the whole log is read: ${String(error)}`)
    return []
  }
}

function isUnusable(error: unknown): error is Error {
  return (
    (error instanceof EngineError && error.code === 'SNAPSHOT_UNREADABLE') ||
    (error instanceof ReplicaError && error.code === 'SNAPSHOT_VOID')
  )
}
