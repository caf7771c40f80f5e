import { EngineError, type Mutation } from '@ricci/engine'
import { ReplicaError } from './errors.ts'
import type { EngineHost, HostEvents, HostFactory } from './host.ts'
import { askLimitMs, carryLimitMs } from './limits.ts'
import type { Clock, SnapshotInfo, SnapshotPort } from './ports.ts'
import { within } from './timers.ts'

export interface RestoreOptions {
  readonly snapshots: SnapshotPort
  readonly partition: number
  readonly clock: Clock
  readonly hostFactory: HostFactory
  readonly events: HostEvents
  /** The log's first record, and where it ends. */
  readonly first: number
  readonly end: number
  /** Whether the host may take its time: another owns. */
  readonly unhurried: boolean
  /** Names of snapshots not to begin from: one that led to a state unlike the owner's. */
  readonly avoid: ReadonlySet<string>
  readonly onAlarm: (name: string, detail: string) => void
  /** What it is about to do, for whoever asks why it takes so long. */
  readonly onStep: (doing: string) => void
  /** Tests only. */
  readonly mutations?: ReadonlySet<Mutation>
}

export interface Restored {
  readonly host: EngineHost
  /** Whether no other way led here: what the host's state is, is all there is. */
  readonly lastResort: boolean
  /** Name of the snapshot it began from. */
  readonly from: string | undefined
}

/**
 * Starts a host from the newest snapshot that can be used, else from the log's first record. A snapshot is passed over when it
 * cannot be read, when a later skip takes back what it holds, or when the log does not reach that far. A store that hangs is as
 * good as one that is away.
 * @throws ReplicaError `OFFSET_TRIMMED` when no snapshot meets the records that are left; `TIMED_OUT`,
 * `SNAPSHOT_UNREADABLE` when one may, and cannot be had
 */
export async function restore(options: RestoreOptions): Promise<Restored> {
  const { snapshots, clock, first, end, onAlarm, onStep } = options
  const isBlind = options.mutations?.has('log-start') === true
  const newestFirst = [...(await listed(options))].sort((a, b) => b.offset - a.offset)
  const doubted = newestFirst.filter((info) => options.avoid.has(info.name))
  // The log's whole length is the better judge of a doubted snapshot; where it is trimmed, doubt is better than nothing.
  const tried = newestFirst.filter((info) => !doubted.includes(info)).concat(first > 0 ? doubted : [])
  let unfetched: SnapshotInfo | undefined
  for (const info of tried) {
    if (info.offset + 1 < first && !isBlind) continue
    if (info.offset >= end) {
      onAlarm(
        'log-shorter',
        `snapshot ${info.name} goes up to ${info.offset}, the log ends before ${end}: records were lost`,
      )
      continue
    }
    let snapshot: Uint8Array
    onStep(`fetching snapshot ${info.name}`)
    try {
      snapshot = await within(clock, carryLimitMs, `the store, for snapshot ${info.name},`, snapshots.fetch(info))
    } catch (error) {
      // An older one, or the log itself, gives the same state: it only takes longer.
      unfetched = info
      onAlarm('snapshot-unusable', `snapshot ${info.name} cannot be fetched: ${String(error)}`)
      continue
    }
    onStep(`starting an engine from snapshot ${info.name}`)
    const host = options.hostFactory(options.events)
    try {
      await host.start({
        snapshot,
        snapshotOffset: isBlind ? Math.max(info.offset, first - 1) : info.offset,
        unhurried: options.unhurried,
      })
      return { host, from: info.name, lastResort: doubted.includes(info) }
    } catch (error) {
      await host.stop()
      if (!isUnusable(error)) throw error
      onAlarm('snapshot-unusable', `snapshot ${info.name} is passed over: ${error.message}`)
    }
  }
  if (first > 0 && unfetched !== undefined) {
    const why = `the log begins at record ${first} and the store does not give snapshot ${unfetched.name}, which is needed`
    throw new ReplicaError('SNAPSHOT_UNREADABLE', `${why}; it is asked again`, true)
  }
  if (first > 0) {
    const why = `the log begins at record ${first} and no snapshot reaches there: what was decided before is lost; restore a snapshot, or begin a new log`
    throw new ReplicaError('OFFSET_TRIMMED', why, true)
  }
  onStep('starting an engine at the first record of the log')
  const host = options.hostFactory(options.events)
  try {
    await host.start({ snapshotOffset: -1, unhurried: options.unhurried })
  } catch (error) {
    await host.stop()
    throw error
  }
  return { host, from: undefined, lastResort: true }
}

/** Snapshots only save time while the log still has its first record: a store that is away keeps nobody from starting then. */
async function listed(options: RestoreOptions): Promise<readonly SnapshotInfo[]> {
  const { snapshots, partition, clock, first, onAlarm, onStep } = options
  onStep('asking which snapshots there are')
  try {
    return await within(clock, askLimitMs, 'the store of snapshots', snapshots.list(partition))
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
