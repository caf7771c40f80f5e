import type { SilentHosts, Skew } from '@ricci/engine'
import type { ReplicaStats, Standing } from '@ricci/replica'
import type { Degraded } from '../http/backend.ts'
import type { ReceiverHealth } from '../receivers/health.ts'
import type { RecentAlarm } from '../telemetry/recent-alarms.ts'
import type { RulesSwitch } from './worker-protocol.ts'

/** Where a server listens; what is off is absent. */
export interface Addresses {
  readonly tcp?: string
  readonly udp?: string
  readonly http?: string
  readonly sse?: string
  readonly tls?: string
  readonly graphite?: string
  readonly opentsdb?: string
  /** What other instances are told. */
  readonly peers?: string
}

/** How a server is, as `/api/v1/status` and `ricci status` tell it. */
export interface ServerStatus {
  readonly instance: string
  readonly version: string
  readonly upMs: number
  /** Its wall clock when it said this. */
  readonly wallMs: number
  readonly ready: boolean
  readonly degraded: readonly Degraded[]
  readonly listen: Addresses
  readonly log: {
    readonly id: string
    /** Where it is, for people. */
    readonly place: string
    readonly partitions: number
  }
  /** Those that this instance keeps a replica of, by their numbers. */
  readonly partitions: readonly PartitionStatus[]
  readonly rules: RulesStatus
  readonly intake: {
    readonly connections: number
    readonly messages: number
    readonly events: number
    readonly queuedBytes: number
    readonly heldAcks: number
    /** What was taken in here and is not applied by the engines here. */
    readonly lagBytes: number
    readonly lagMs: number
  }
  /** How receivers have answered of late, as far as this instance asked them. */
  readonly receivers: readonly ReceiverHealth[]
  /** Alarms of this process in the last hour. */
  readonly alarms: readonly RecentAlarm[]
  /** What was not taken in, by reason, since the start. */
  readonly dropped: Readonly<Record<string, number>>
}

/** A partition on this instance. */
export interface PartitionStatus {
  readonly partition: number
  /** Absent while the log does not say. */
  readonly log: { readonly first: number; readonly end: number } | undefined
  readonly engine: {
    readonly appliedOffset: number
    readonly generation: number
    /** The clocks of hosts that are furthest from ours, as their marks tell; as of the engine's last answer. */
    readonly skews: readonly Skew[]
    /** Messages dropped as repeats by their producer mark, since the log began; as of the engine's last answer. */
    readonly repeats: number
    /** Hosts of which nothing is left in the index; as of the engine's last answer. */
    readonly silent: SilentHosts
    /** Keys and texts that found no room, and were left out. */
    readonly refused: number
    /** When the oldest page that waits was decided, wall clock; absent where none waits. */
    readonly oldestPageMs?: number
  }
  readonly replica: ReplicaStats
  /** What the others of the cluster may count on: `following` once it could take over. Absent before it is known. */
  readonly standing?: Standing
  /** Rules in force and their settings, in one word to compare by; absent while there are none. */
  readonly rules?: string
  readonly rulesInForce?: PartitionRules
}

/** The rules that a partition runs here. */
export interface PartitionRules {
  readonly hash: string
  /** Offset of their record. */
  readonly offset: number
  /** When they were switched to, by the partition's calendar: where this process saw it, or the log still says. */
  readonly atMs?: number
  /** What the switch did; absent where this process did not see it. */
  readonly switched?: RulesSwitch
}

export interface RulesStatus {
  readonly folder: string
  /** Hash of the rules that the engine runs. */
  readonly inForce?: string
  /** Hash of what the folder holds; it takes effect with a reload only. */
  readonly onDisk?: string
  /** What of folder and configuration is not what an engine here runs: `rules`, and settings as `engine.graceMs`. */
  readonly differs: readonly string[]
  /** Why the folder's could not be loaded or switched to, when they were looked at last; the old ones run on. */
  readonly error?: string
  /** What the latest switch that this process saw did to the state of operators. */
  readonly switched?: RulesSwitch
}
