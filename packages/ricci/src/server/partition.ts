/** One partition on this instance: the engine's workers, and the replica that decides around them. */
import type { ResourceLimits } from 'node:worker_threads'
import type { RulesRecord } from '@ricci/engine'
import { Replica, type Clock, type Random, type Receiver, type Sink, type Standing } from '@ricci/replica'
import type { Progress } from '../intake/lag.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import type { Backends } from './backends.ts'
import { EngineService } from './engine-service.ts'
import { fingerprintOf } from './rules-source.ts'
import { timeOfRecord } from './record-time.ts'
import type { PartitionRules, PartitionStatus } from './status.ts'
import type { RulesInForce } from './worker-protocol.ts'

/** What all partitions of an instance share. */
export interface PartitionOptions {
  readonly instance: string
  readonly backends: Pick<Backends, 'log' | 'alone' | 'source' | 'coordination' | 'snapshots' | 'follow'>
  /** By the names that rules use. */
  readonly receivers: ReadonlyMap<string, Receiver>
  /** Where flows go, by the names that rules use. */
  readonly sinks: ReadonlyMap<string, Sink>
  readonly clock: Clock
  readonly random: Random
  readonly telemetry: Telemetry
  /** The folder's, for whoever finds its log empty. */
  readonly rules: RulesRecord | undefined
  readonly engineLimits: ResourceLimits | undefined
  /** Something about it may be seen to have changed. */
  readonly onChange: () => void
  readonly onRules: (rules: RulesInForce) => void
  /** What it is to other instances has changed. */
  readonly onStanding: (partition: number, standing: Standing) => void
}

/** Where a partition begins is asked no oftener: it costs brokers two consumers, and who looks at all partitions each second would keep them busy. */
const firstKnownMs = 10_000

const caughtUp: readonly (Standing | undefined)[] = ['following', 'claiming', 'owning', 'stepping-down']

export class Partition {
  readonly engine: EngineService
  readonly replica: Replica
  private readonly unfollow: () => void
  /** What others may count on; undefined before it is known. */
  private standing: Standing | undefined
  private stopping: Promise<void> | undefined
  /** When the rules in force were put there, as the log says. */
  private since: { readonly offset: number; readonly atMs: Promise<number | undefined> } | undefined
  /** Where it began, and when it was asked. */
  private first: { readonly offset: number; readonly atMs: number } | undefined

  constructor(
    readonly number: number,
    private readonly options: PartitionOptions,
  ) {
    const { instance, backends, receivers, sinks, clock, random, telemetry, rules, engineLimits } = options
    const { log, source, coordination, snapshots } = backends
    this.unfollow = backends.follow(number)
    this.engine = new EngineService({
      endOf: () => log.endOf(number),
      source,
      partition: number,
      clock,
      telemetry,
      resourceLimits: engineLimits,
      onProgress: options.onChange,
      onRules: options.onRules,
    })
    this.replica = new Replica({
      instance,
      partition: number,
      log,
      coordination,
      snapshots,
      hostFactory: this.engine.factory,
      transports: receivers,
      sinks,
      clock,
      random,
      rules,
      onAlarm: (name, detail) => telemetry.alarm(name, detail),
      onStanding: (standing) => {
        this.standing = standing
        options.onStanding(number, standing)
        options.onChange()
      },
      onStateChange: (state, before, why) => {
        telemetry.replicaState(number, before, state, why, backends.alone)
        options.onChange()
      },
    })
  }

  /** Begins. It may be long until it {@link answers}: a long log takes its time to restore from. */
  async start(): Promise<void> {
    await this.engine.begin()
    if (this.stopping !== undefined) return
    const { telemetry } = this.options
    await this.replica.start().catch((error: Error) => {
      telemetry.log.error({ err: error, partition: this.number }, 'a replica could not start')
    })
  }

  /** Steps down if it owns, leaves a snapshot, ends the workers. Idempotent. */
  stop(): Promise<void> {
    return (this.stopping ??= this.end())
  }

  private async end(): Promise<void> {
    await this.replica.stop()
    await this.engine.close()
    this.unfollow()
  }

  /** Whether it has a state to answer from. */
  get answers(): boolean {
    return this.engine.running && this.engine.progress?.rulesHash !== undefined
  }

  /** Whether it owns, or could at once; of an only server, whether it will as soon as it has caught up. */
  get stands(): boolean {
    const { state } = this.replica
    return state === 'owning' || (this.options.backends.alone ? state : this.standing) === 'following'
  }

  /** Whether its engine holds what the log says: not while it is restored, or another than the owner's. */
  get isCaughtUp(): boolean {
    return caughtUp.includes(this.standing)
  }

  /** How far it is, for who takes events in. Where another instance owns, a standby's lag stands for the owner's: both apply the same. */
  readonly lag: Progress = {
    appliedOffset: () => this.engine.appliedOffset,
    ownerTicking: () => this.stands,
  }

  async status(): Promise<PartitionStatus> {
    const { engine, replica, number } = this
    const [log] = await Promise.all([this.range().catch(() => undefined), engine.refresh()])
    return {
      partition: number,
      log,
      engine: {
        appliedOffset: engine.appliedOffset,
        generation: engine.generation,
        skews: engine.stats?.skews ?? [],
        silent: engine.stats?.silent ?? { count: 0, latest: [] },
        repeats: engine.stats?.repeats ?? 0,
        refused: (engine.stats?.refusedForks ?? 0) + (engine.stats?.refusedTexts ?? 0),
        ...(engine.oldestPageMs !== undefined && { oldestPageMs: engine.oldestPageMs }),
      },
      replica: replica.stats(),
      standing: this.standing,
      ...(engine.rules !== undefined && {
        rules: fingerprintOf(engine.rules),
        rulesInForce: await this.rulesInForce(engine.rules),
      }),
    }
  }

  private async rulesInForce({ hash, offset, switched }: RulesInForce): Promise<PartitionRules> {
    const { log, alone } = this.options.backends
    let atMs = switched?.atMs === 0 ? undefined : switched?.atMs
    // restored, it has not seen the switch; the log's first record knows no time. In a cluster some other instance has, and a reader there costs brokers
    if (atMs === undefined && alone) {
      if (this.since?.offset !== offset) {
        this.since = { offset, atMs: timeOfRecord(log, this.number, offset, this.options.clock).catch(() => undefined) }
      }
      atMs = await this.since.atMs
    }
    return { hash, offset, ...(atMs !== undefined && { atMs }), ...(switched && { switched }) }
  }

  /** @throws ReplicaError `LOG_UNAVAILABLE` */
  private async range(): Promise<{ readonly first: number; readonly end: number }> {
    const { log, alone } = this.options.backends
    const nowMs = this.options.clock.monotonicMs()
    if (!alone && this.first !== undefined && nowMs - this.first.atMs < firstKnownMs)
      return { first: this.first.offset, end: await log.endOf(this.number) }
    const range = await log.range(this.number)
    this.first = { offset: range.first, atMs: nowMs }
    return range
  }
}
