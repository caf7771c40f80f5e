import { EngineError } from '@ricci/engine'
import { ReplicaError } from './errors.ts'
import type { EngineHost, HostEvents, HostFactory } from './host.ts'
import type { LogPort, SnapshotPort } from './ports.ts'

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
  const newestFirst = [...(await snapshots.list(partition))].sort((a, b) => b.offset - a.offset)
  for (const info of newestFirst) {
    if (options.avoid.has(info.name) || info.offset + 1 < first) continue
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
      return { host, from: info.name }
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
  return { host, from: undefined }
}

function isUnusable(error: unknown): error is Error {
  return (
    (error instanceof EngineError && error.code === 'SNAPSHOT_UNREADABLE') ||
    (error instanceof ReplicaError && error.code === 'SNAPSHOT_VOID')
  )
}
