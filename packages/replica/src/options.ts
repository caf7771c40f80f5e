import type { FlowHead, Mutation, RulesRecord } from '@ricci/engine'
import type { DeliveryCounters } from './delivery/counters.ts'
import type { FlowCounters, Sink } from './flows/sink.ts'
import type { HostFactory, Progress } from './host.ts'
import type { ReplicaState } from './life.ts'
import type {
  Clock,
  CoordinationPort,
  LogPort,
  Random,
  ReceiverClass,
  SnapshotPort,
  Standing,
  Transport,
} from './ports.ts'

/** A receiver's transport and how attempts in doubt are treated there. */
export interface Receiver {
  readonly transport: Transport
  readonly class: ReceiverClass
  /** Class C only: what becomes of an attempt in doubt. Default `repeat`: rather twice than never. */
  readonly blindPolicy?: 'repeat' | 'miss'
}

/** What a replica is made from: its ports, and its bounds. */
export interface ReplicaOptions {
  /** Name of this instance, the same after a restart. */
  readonly instance: string
  readonly partition: number
  readonly log: LogPort
  readonly coordination: CoordinationPort
  readonly snapshots: SnapshotPort
  readonly hostFactory: HostFactory
  /** By the names that rules use; `self` is the one that alarms about the log itself go to. May change while it runs. */
  readonly transports: ReadonlyMap<string, Receiver>
  /** Where flows go, by the names that rules use. May change while it runs. */
  readonly sinks: ReadonlyMap<string, Sink>
  readonly clock: Clock
  readonly random: Random
  /** Engine semantics this release runs. */
  readonly semantics?: number
  /** Appended by the first owner of a log that holds no rules; never looked at again. */
  readonly rules?: RulesRecord
  /** Something an operator should hear of: the daemon makes an event, a log line and a metric of it. */
  readonly onAlarm?: (name: string, detail: string) => void
  readonly onStateChange?: (state: ReplicaState, before: ReplicaState, why: string) => void
  /** What the replica is to others, at each change: for the placement. */
  readonly onStanding?: (standing: Standing) => void
  /** Every report of the host in force, after the replica has acted on it. */
  readonly onProgress?: (progress: Progress) => void
  /** What waited for so long goes as one digest. For tests and the simulator, whose runs last minutes; default: an hour. */
  readonly digestAgeMs?: number
  /** Tests only. */
  readonly mutations?: ReadonlySet<Mutation>
}

/** Where a replica stands, for status and metrics. */
export interface ReplicaStats extends DeliveryCounters {
  readonly state: ReplicaState
  /** Why it is in this state. */
  readonly why: string
  /** Highest epoch in the log as far as it was applied. */
  readonly epoch: number
  readonly owner: string | undefined
  /** For how long nobody was seen to own: no tick was read for some seconds. Undefined while somebody is. */
  readonly ownerMissingMs: number | undefined
  readonly appliedOffset: number
  readonly readOffset: number
  readonly lastTick: number
  readonly rulesHash: string | undefined
  readonly pendingPages: number
  readonly flows: readonly FlowStats[]
  /** How often this replica became the owner, and how often a host was started, since `start`. */
  readonly ownerships: number
  readonly generations: number
}

/** A flow, and what this replica has sent of it since `start`. */
export interface FlowStats extends FlowHead, FlowCounters {
  /** Calendar time that the oldest event kept has waited for; 0 where there is none. */
  readonly lagMs: number
}
