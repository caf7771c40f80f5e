/**
 * What a server stands on: a log, snapshots, coordination. Embedded, all of it lies in the data folder of one process; in a cluster the log is
 * RabbitMQ's and coordination a store's, and any number of servers do the same work.
 */
import { storeFromUrl } from '@ricci/election'
import type { Clock, CoordinationPort, LogPort, SnapshotPort } from '@ricci/replica'
import type { ClusterConfig, Config } from '../config/config.ts'
import { coordinationInProcess, GroupCoordination } from '../coordination/index.ts'
import type { RecordLog } from '../intake/appender.ts'
import { EmbeddedLog, nodeDisk } from '../log/index.ts'
import { keepLogId, knownLogId } from '../log/rabbitmq/known-log.ts'
import { RabbitLog, type RabbitLogOptions } from '../log/rabbitmq/rabbit-log.ts'
import type { Degraded } from '../http/backend.ts'
import { SplitWatch } from '../log/rabbitmq/split.ts'
import { DiskSnapshots } from '../snapshots/index.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import { ProtectingSnapshots } from './protected-log.ts'
import { untilThere } from './until-there.ts'
import type { LogSource } from './worker-protocol.ts'

/** A log as a server uses it. */
export interface ServerLog extends LogPort, RecordLog {
  /** Why it takes no events now; undefined while it does. */
  readonly trouble: string | undefined
}

export interface Backends {
  readonly log: ServerLog
  /** Offset that a partition's next record will get, as far as is known without asking. */
  end(partition: number): number
  /** A partition is read here: its end is to be known, and appends to it are read back. Gives what ends that. */
  follow(partition: number): () => void
  /** How the engine's worker reads the log by itself. */
  readonly source: LogSource
  /** Where the log is, for people. */
  readonly place: string
  readonly snapshots: SnapshotPort
  readonly coordination: CoordinationPort
  /** What of them is worse than it should be. */
  degraded(): readonly Degraded[]
  /** The log, where it is RabbitMQ's, and how it was opened. */
  readonly rabbit?: { readonly log: RabbitLog; readonly options: RabbitLogOptions }
  /** Nobody else is there. */
  readonly alone: boolean
  /** Does what needs the log as soon as it can be done; where it cannot for now, why is told as often as it changes. */
  whenThere<T>(action: () => Promise<T>): Promise<T>
  /** Wakes a worker that sleeps at the log's end; by itself it reads on where the source can tell. */
  onSleeperWanted(wake: () => void): void
}

export interface BackendsOptions {
  readonly config: Config
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** Told at once how to close what was opened; in the reverse order. */
  readonly opened: (close: () => unknown) => void
  /** Told what is waited for, in a sentence without its subject. */
  readonly onWait: (why: string) => void
  /** Nobody waits for brokers any more. */
  readonly signal: AbortSignal
}

/** Opens what the configuration names. Waits for brokers that are not there yet, as long as it takes. @throws ReplicaError */
export function openBackends(options: BackendsOptions): Promise<Backends> {
  const { cluster } = options.config
  return cluster === undefined ? openEmbedded(options) : openCluster(cluster, options)
}

async function openEmbedded({ config, clock, telemetry, opened }: BackendsOptions): Promise<Backends> {
  const { dataFolder: dataDirectory, retention } = config
  const log = await EmbeddedLog.open({
    dataDirectory,
    disk: nodeDisk,
    clock,
    limits: { maxBytes: retention.bytes, maxAgeMs: retention.ageMs },
    report: (event) => telemetry.logEvent(event),
  })
  opened(() => log.close())
  const snapshots = new ProtectingSnapshots(await openSnapshots(config), 0, log)
  await snapshots.protect()
  const coordination = coordinationInProcess(config.instance, clock)
  opened(() => coordination.close())
  return {
    log,
    end: () => log.progress.end,
    follow: () => () => undefined,
    source: { kind: 'embedded', id: log.id, dataDirectory, progress: log.progress.buffer },
    place: dataDirectory,
    snapshots,
    coordination,
    degraded: () => [],
    alone: true,
    whenThere: (action) => action(),
    onSleeperWanted: (wake) => (log.onSleeperWanted = wake),
  }
}

async function openCluster(
  { brokers, management, store, tls, partitions }: ClusterConfig,
  { config, clock, telemetry, opened, onWait, signal }: BackendsOptions,
): Promise<Backends> {
  const lock = await nodeDisk.lock(config.dataFolder)
  opened(() => lock.release())
  const options: Omit<RabbitLogOptions, 'clock' | 'onTrouble'> = {
    urls: brokers.map((broker) => broker.reveal()),
    name: config.instance,
    topology: { partitions, maxAgeMs: config.retention.ageMs, maxBytes: config.retention.bytes },
    ...(tls !== undefined && { tls }),
  }
  const onTrouble = (what: string): void => telemetry.log.warn(`log on RabbitMQ: ${what}`)
  const tell = (what: string): void => {
    const why = `waits for RabbitMQ: ${what}`
    onWait(why)
    telemetry.log.warn(why)
  }
  const whenThere = <T>(action: () => Promise<T>): Promise<T> => untilThere(action, { clock, signal, tell })
  const knownId = knownLogId(config.dataFolder, options.urls)
  const log = await whenThere(() => RabbitLog.open({ ...options, clock, onTrouble, knownId }))
  try {
    keepLogId(config.dataFolder, options.urls, log.id)
  } catch (error) {
    telemetry.log.warn({ err: error }, 'the id of the log could not be kept: a start needs the brokers to say it')
  }
  opened(() => log.close())
  const onChange = (restart: readonly string[]): void => {
    for (const detail of splitsOf(restart)) telemetry.alarm('brokers-split', detail)
  }
  const split = new SplitWatch({ urls: management.map((url) => url.reveal()), clock, onChange })
  opened(() => split.close())
  split.start()
  const leases = storeFromUrl(store, { env: process.env })
  const { description } = leases
  const coordination = new GroupCoordination({
    // those of another log are of another cluster, though they use the same store
    name: `ricci-${log.id}`,
    store: leases,
    id: config.instance,
    clock,
    profile: 'fast',
    onTrouble: (what) => telemetry.log.warn(`coordination: ${what}`),
  })
  opened(() => coordination.close())
  return {
    log,
    end: (partition) => log.end(partition),
    follow: (partition) => log.follow(partition),
    source: { kind: 'rabbitmq', id: log.id, options },
    place: `RabbitMQ (${options.urls.map((url) => new URL(url).host).join(', ')})`,
    snapshots: await openSnapshots(config),
    coordination,
    rabbit: { log, options: { ...options, clock } },
    degraded: () => {
      const splits = splitsOf(split.restart ?? []).map((detail) => ({ part: 'brokers', detail }))
      if (coordination.members().length === 0) {
        const detail = `waits for ${description} to say who is alive: no partition is kept here before it does`
        return [...splits, { part: 'coordination', detail }]
      }
      const { trouble } = coordination
      if (trouble === undefined) return splits
      const detail = `${trouble}: who owns goes on, and nobody can take over meanwhile`
      return [...splits, { part: 'coordination', detail }]
    },
    alone: false,
    whenThere,
    onSleeperWanted: () => undefined,
  }
}

function splitsOf(restart: readonly string[]): readonly string[] {
  if (restart.length === 0) return []
  return [
    `RabbitMQ is split, and stays so until ${restart.join(' and ')} is restarted; Ricci goes on through the others`,
  ]
}

function openSnapshots({ dataFolder }: Config): Promise<DiskSnapshots> {
  return DiskSnapshots.open({ dataDirectory: dataFolder, disk: nodeDisk })
}
