import type { QueryOptions, QueryPage, RulesRecord } from '@ricci/engine'
import type { HostFactory } from './host.ts'
import type { Mutation } from '@ricci/engine'
import type { Clock, CoordinationPort, LogPort, Random, ReceiverClass, SnapshotPort, Transport } from './ports.ts'

/** What each state means, how it is entered and left, stands above {@link Replica}. */
export type ReplicaState = 'stopped' | 'restoring' | 'following' | 'claiming' | 'owning' | 'stepping-down' | 'diverged'

/** A receiver's transport and how attempts in doubt are treated there. */
export interface Receiver {
  readonly transport: Transport
  readonly class: ReceiverClass
  /** Class C only: what becomes of an attempt in doubt. Default `repeat`: rather twice than never. */
  readonly blindPolicy?: 'repeat' | 'miss'
}

export interface ReplicaOptions {
  /** Name of this instance, the same after a restart. */
  readonly instance: string
  readonly partition: number
  readonly log: LogPort
  readonly coordination: CoordinationPort
  readonly snapshots: SnapshotPort
  readonly hostFactory: HostFactory
  /** By the names that rules use; `self` is the one that alarms about the log itself go to. */
  readonly transports: ReadonlyMap<string, Receiver>
  readonly clock: Clock
  readonly random: Random
  /** Appended by the first owner of a log that holds no rules; never looked at again. */
  readonly rules?: RulesRecord
  /** Something an operator should hear of: the daemon makes an event, a log line and a metric of it. */
  readonly onAlarm?: (name: string, detail: string) => void
  readonly onStateChange?: (state: ReplicaState, before: ReplicaState, why: string) => void
  /** Tests only. */
  readonly mutations?: ReadonlySet<Mutation>
}

export interface ReplicaStats {
  readonly state: ReplicaState
  readonly epoch: number
  readonly appliedOffset: number
  readonly readOffset: number
  readonly lastTick: number
  readonly pendingPages: number
  readonly attempts: number
  readonly delivered: number
  readonly refused: number
  readonly failed: number
  readonly unknown: number
  readonly possibleRepeats: number
  readonly pagesRepaired: number
  readonly takeovers: number
  readonly rereads: number
}

/** One partition's replica on one instance: skeleton, filled in step by step. */
export interface ReplicaApi {
  readonly state: ReplicaState
  start(): Promise<void>
  stop(): Promise<void>
  stats(): ReplicaStats
  query(query: string, options?: QueryOptions): Promise<QueryPage>
}
