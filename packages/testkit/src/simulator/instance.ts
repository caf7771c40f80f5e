import {
  Replica,
  type HostFactory,
  type LogPort,
  type Receiver,
  type ReplicaOptions,
  type ReplicaState,
} from '@ricci/replica'
import type { Cluster } from './cluster.ts'
import { SimIntake } from './intake.ts'
import { MachineClock, Process } from './process.ts'
import type { Door } from './producer.ts'
import { SimTransport } from './receivers.ts'
import { digestAgeMs } from './rules.ts'

/**
 * One Ricci instance on a machine of its own: intake and a replica of every partition in one process, which can be killed,
 * stopped and started again under the same name.
 */
export class Instance implements Door {
  readonly machine: MachineClock
  #process: Process | undefined
  #intake: SimIntake | undefined
  #log: LogPort | undefined
  #replicas: Replica[] = []
  #lives = 0
  /** A clean stop is under way. */
  #leaving = false

  constructor(
    readonly cluster: Cluster,
    readonly name: string,
    rate: number,
    wallErrorMs: number,
  ) {
    this.machine = new MachineClock(cluster.world, rate, wallErrorMs)
  }

  get alive(): boolean {
    return this.#process?.alive ?? false
  }

  get running(): boolean {
    return this.#process?.running ?? false
  }

  get replicas(): readonly Replica[] {
    return this.#replicas
  }

  owns(): boolean {
    return this.running && this.#replicas.some((replica) => replica.state === 'owning')
  }

  ownsPartition(partition: number): boolean {
    return this.alive && this.#replicas[partition]?.state === 'owning'
  }

  /** Starts the instance; one that is still on its way out is killed first. */
  start(): void {
    const { cluster } = this
    if (this.alive && !this.#leaving) return
    this.#process?.kill()
    this.#leaving = false
    // Nothing runs on a machine whose clock stands still: one that was killed while suspended is on again.
    this.#wake()
    const process = new Process(cluster.world, `${this.name}#${++this.#lives}`, this.machine)
    this.#process = process
    const log = cluster.connectLog(process, (partition, records) => {
      cluster.selfAlarms.given(process.name, partition, records)
      this.#intake?.delivered(partition, records)
    })
    this.#log = log
    this.#intake = new SimIntake(process, log, cluster.plan.embedded, (partition, msg) =>
      cluster.refused(partition, msg),
    )
    const coordination = cluster.coordination.connect(process, this.name)
    const shared = cluster.snapshots.connect(process)
    const snapshots = cluster.disk?.protecting(shared) ?? shared
    const transport = new SimTransport(process, cluster.receivers, cluster.network)
    const transports = new Map<string, Receiver>(
      [...cluster.receivers.values()].map((receiver) => [receiver.name, { transport, class: receiver.receiverClass }]),
    )
    this.#replicas = Array.from({ length: cluster.log.partitions }, (_, partition) => {
      const options: ReplicaOptions = {
        instance: this.name,
        partition,
        log: this.#confirming(process, log),
        coordination,
        snapshots,
        hostFactory: this.#watched(cluster.hostFactory(process, log, partition), partition, process),
        transports,
        clock: process.clock,
        random: cluster.world.random.fork(`replica/${process.name}/${partition}`),
        rules: cluster.firstRules,
        digestAgeMs,
        mutations: cluster.mutations,
        onAlarm: (name, detail) => {
          cluster.alarms.set(name, (cluster.alarms.get(name) ?? 0) + 1)
          cluster.world.trace.add(process.name, `p${partition} alarm ${name}: ${detail}`)
        },
        onStateChange: (state, before, why) => this.#changed(process, partition, state, before, why),
      }
      return new Replica(options)
    })
    cluster.world.trace.add(process.name, 'starts')
    for (const [partition, replica] of this.#replicas.entries()) {
      replica.start().catch((error: Error) => cluster.watch.failed(partition, process.name, `start: ${error.stack}`))
    }
  }

  crash(): void {
    this.#process?.kill()
    this.cluster.disk?.died()
    this.cluster.disturbed()
  }

  /** What an operator's restart does: replicas end by themselves, then the process. */
  async stopCleanly(): Promise<void> {
    const process = this.#process
    this.#leaving = true
    await Promise.all(this.#replicas.map((replica) => replica.stop()))
    await this.cluster.disk?.close()
    process?.kill()
    this.cluster.disturbed()
  }

  stop(suspended: boolean): void {
    this.#process?.stop()
    if (suspended) {
      this.machine.suspend()
      this.cluster.suspensions.push({ instance: this.name, fromMs: this.cluster.world.nowMs, toMs: Infinity })
    }
    this.cluster.disturbed()
  }

  goOn(): void {
    this.#wake()
    this.#process?.goOn()
    if (this.#process !== undefined) this.cluster.selfAlarms.woken(this.#process.name, this.#replicas.length)
    this.cluster.disturbed()
    this.cluster.world.trace.add(this.#process?.name ?? this.name, 'goes on')
  }

  #wake(): void {
    this.machine.wake()
    const { suspensions, world } = this.cluster
    const last = suspensions.findLast(({ instance }) => instance === this.name)
    if (last !== undefined) last.toMs = Math.min(last.toMs, world.nowMs)
  }

  open(): boolean {
    return this.alive
  }

  take(partition: number, msg: Uint8Array, ack: () => void): void {
    this.#intake?.take(partition, msg, ack)
  }

  /** Appends a record as the daemon does on an operator's word. */
  append(partition: number, bytes: Uint8Array): void {
    if (!this.running) return
    this.#log?.append(partition, [bytes]).catch(() => {})
  }

  /** Tells who judges the alarms how its replicas stand. */
  look(): void {
    const { selfAlarms, coordination } = this.cluster
    const runs = this.running && !this.#leaving
    for (const [partition, { state }] of this.#replicas.entries()) {
      const { name } = this.#process!
      selfAlarms.look(name, partition, runs ? state : undefined, coordination.isElsewhere(partition, name))
    }
  }

  /** A replica's way to the log, which tells of its confirms. */
  #confirming(process: Process, log: LogPort): LogPort {
    const { selfAlarms } = this.cluster
    return {
      id: log.id,
      partitions: log.partitions,
      append: async (partition, records, rank) => {
        const offsets = await log.append(partition, records, rank)
        selfAlarms.confirmed(process.name, partition)
        return offsets
      },
      wantsSnapshot: (partition) => log.wantsSnapshot?.(partition) === true,
      read: (partition, from, signal) => log.read(partition, from, signal),
      range: (partition) => log.range(partition),
      close: () => log.close(),
    }
  }

  #changed(process: Process, partition: number, state: ReplicaState, before: ReplicaState, why: string): void {
    const { cluster } = this
    cluster.world.trace.add(process.name, `p${partition} ${before} → ${state}: ${why}`)
    if (state !== 'owning') return
    // Asked a step later: the replica sets its epoch and tells its state in one go.
    process.deliverAfter(0, () => {
      const replica = this.#process === process ? this.#replicas[partition] : undefined
      if (replica?.state === 'owning') cluster.watch.owning(partition, replica.stats().epoch, process.name)
    })
  }

  /** The replica's own host; should it give up, the oracle hears of it. */
  #watched(create: HostFactory, partition: number, process: Process): HostFactory {
    return (events) =>
      create({
        onProgress: (progress) => events.onProgress(progress),
        onFailure: (failure) => {
          const { code, message } = failure
          this.cluster.world.trace.add(process.name, `p${partition} host failed: ${code}: ${message}`)
          if (code === 'SKIP_PASSED') this.cluster.world.exercise('skip passed')
          else if (code !== 'ENGINE_STUCK') this.cluster.watch.failed(partition, process.name, `${code}: ${message}`)
          events.onFailure(failure)
        },
      })
  }
}
