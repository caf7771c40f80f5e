import {
  Placement,
  Replica,
  type CoordinationPort,
  type HostFactory,
  type LogPort,
  type Receiver,
  type ReplicaState,
  type SnapshotPort,
} from '@ricci/replica'
import { PeerSnapshots } from 'ricci/cluster'
import type { PublishingLog } from './brokers/broker-log.ts'
import type { Cluster } from './cluster.ts'
import { SimIntake } from './intake.ts'
import { peerAddress, SimPeerClient, type AskedPeer } from './peers.ts'
import { MachineClock, Process } from './process.ts'
import type { Door } from './producer.ts'
import { SimTransport } from './receivers.ts'
import { digestAgeMs } from './rules.ts'

/** A process that died by itself is started again after this. */
const restartMs = 5_000

/**
 * One Ricci instance on a machine of its own: intake and a replica of every partition in one process, which can be killed,
 * stopped and started again under the same name.
 */
export class Instance implements Door {
  readonly machine: MachineClock
  #process: Process | undefined
  #intake: SimIntake | undefined
  #log: PublishingLog | undefined
  #coordination: CoordinationPort | undefined
  #placement: Placement | undefined
  #asked: AskedPeer | undefined
  #inboxes: { stop(): Promise<void> } | undefined
  readonly #replicas = new Map<number, Replica>()
  readonly #turns = new Map<number, Promise<void>>()
  readonly #unfollow = new Map<number, () => void>()
  #lives = 0
  /** A clean stop is under way. */
  #leaving = false
  /** It does not come back. */
  retired = false
  /** Whether producers can connect. */
  takesEvents = true
  /** Engines that go wrong and have not been found out. */
  readonly #astray = new Set<number>()

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

  /** How far it has applied a partition that it runs. */
  appliedOffset(partition: number): number | undefined {
    return this.alive ? this.#replicas.get(partition)?.stats().appliedOffset : undefined
  }

  owns(): boolean {
    return this.running && [...this.#replicas.values()].some((replica) => replica.state === 'owning')
  }

  ownsPartition(partition: number): boolean {
    return this.alive && this.#replicas.get(partition)?.state === 'owning'
  }

  /** Starts the instance; one that is still on its way out is killed first. */
  start(): void {
    const { cluster } = this
    if (this.retired || (this.alive && !this.#leaving)) return
    this.#process?.kill()
    this.#leaving = false
    this.#astray.clear()
    this.#replicas.clear()
    this.#turns.clear()
    // Nothing runs on a machine whose clock stands still: one that was killed while suspended is on again.
    this.#wake()
    const process = new Process(cluster.world, `${this.name}#${++this.#lives}`, this.machine)
    this.#process = process
    const log = cluster.connectLog(process, (partition, records) => {
      cluster.selfAlarms.given(process.name, partition, records)
      this.#intake?.delivered(partition, records)
    })
    this.#log = log
    this.#intake = new SimIntake(
      process,
      log,
      cluster.plan.log !== 'any',
      (partition) => this.#replicas.has(partition),
      (partition, msg) => cluster.refused(partition, msg),
    )
    this.#coordination = cluster.coordination.connect(process, this.name)
    // Others have its snapshots from it whatever it runs.
    this.#asked = { process, snapshots: cluster.snapshots.connect(process, this.name) }
    const placement = new Placement({
      instance: this.name,
      peers: peerAddress(this.name),
      version: '0',
      partitions: log.partitions,
      coordination: this.#coordination,
      clock: process.clock,
      run: (partition) => this.#inTurn(process, partition, () => this.#run(process, partition)),
      end: (partition) => this.#inTurn(process, partition, () => this.#end(partition)),
      onChange: () => placement.drained && cluster.world.exercise('drained'),
      mutations: cluster.mutations,
    })
    this.#placement = placement
    this.#inboxes = cluster.takeIn(process, log)
    cluster.world.trace.add(process.name, 'starts')
    placement.start()
  }

  crash(): void {
    this.#process?.kill()
    this.cluster.disk?.died()
    this.cluster.disturbed()
  }

  /** What an operator's restart does: takes nothing more in, gives away what it owns, ends. */
  async stopCleanly(): Promise<void> {
    const process = this.#process
    this.#leaving = true
    await this.#inboxes?.stop()
    await this.#placement?.stop()
    await Promise.all(this.#turns.values())
    await this.#coordination?.close()
    await this.#log?.close()
    await this.cluster.disk?.close()
    process?.kill()
    this.cluster.disturbed()
  }

  /** Rid of its partitions, or back among those that keep some. */
  drain(on: boolean): void {
    if (this.running) this.#placement?.drain(on)
  }

  /** Gone for good, as a machine is that nobody replaces. */
  retire(): void {
    this.retired = true
    this.crash()
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
    if (this.#process !== undefined) this.cluster.selfAlarms.woken(this.#process.name, this.cluster.log.partitions)
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
    return this.alive && !this.#leaving && this.takesEvents
  }

  take(partition: number, msg: Uint8Array, ack: () => void): void {
    this.#intake?.take(partition, msg, ack)
  }

  /**
   * A standby's engine begins to leave out events that page. It is found out by the owner's checkpoints; until then it must not own, or its word
   * would be the one that counts: a machine with bad memory that dies first.
   */
  goAstray(partition: number): void {
    const engine = this.#process === undefined ? undefined : this.cluster.engineOf(this.#process, partition)
    if (!this.running || engine === undefined || this.#replicas.get(partition)?.state !== 'following') return
    if (!this.cluster.instances.some((other) => other !== this && other.ownsPartition(partition))) return
    this.cluster.world.fault('state astray', this.#process!.name, `p${partition}`)
    engine.isAstray = true
    this.#astray.add(partition)
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
    if (this.#process === undefined) return
    const { name } = this.#process
    for (let partition = 0; partition < this.cluster.log.partitions; partition++) {
      const state = this.#replicas.get(partition)?.state
      selfAlarms.look(name, partition, runs ? state : undefined, coordination.isElsewhere(partition, name))
    }
  }

  /** A replica's way to the log, which tells of its confirms, and of how far the log went when it began to read. */
  #confirming(process: Process, log: LogPort): LogPort {
    const { selfAlarms } = this.cluster
    return {
      id: log.id,
      partitions: log.partitions,
      append: async (partition, records, rank) => {
        const beganMs = this.cluster.world.nowMs
        const offsets = await log.append(partition, records, rank)
        selfAlarms.confirmed(process.name, partition, beganMs)
        return offsets
      },
      wantsSnapshot: (partition) => log.wantsSnapshot?.(partition) === true,
      read: (partition, from, signal) => log.read(partition, from, signal),
      endOf: (partition) => log.endOf(partition),
      range: async (partition) => {
        const range = await log.range(partition)
        const isNew = this.#process === process && this.#replicas.get(partition)?.state === 'restoring'
        if (isNew) selfAlarms.begins(process.name, partition, range.end)
        return range
      },
      close: () => log.close(),
    }
  }

  #changed(process: Process, partition: number, state: ReplicaState, before: ReplicaState, why: string): void {
    const { cluster } = this
    cluster.world.trace.add(process.name, `p${partition} ${before} → ${state}: ${why}`)
    if (this.#process === process && this.#astray.has(partition)) {
      // A claim of before that is read only now makes it owner at once.
      if (state === 'claiming' || state === 'owning') {
        this.crash()
        return cluster.world.after(restartMs, () => this.start())
      }
      // The engine that was wrong is no more.
      if (state === 'restoring') this.#astray.delete(partition)
    }
    if (state !== 'owning') return
    // Asked a step later: the replica sets its epoch and tells its state in one go.
    process.deliverAfter(0, () => {
      const replica = this.#process === process ? this.#replicas.get(partition) : undefined
      if (replica?.state === 'owning') cluster.watch.owning(partition, replica.stats().epoch, process.name)
    })
  }

  /** One beginning or end of a partition's replica after the other. */
  #inTurn(process: Process, partition: number, action: () => Promise<void>): Promise<void> {
    const inLife = (): Promise<void> => (this.#process === process ? action() : Promise.resolve())
    const turn = (this.#turns.get(partition) ?? Promise.resolve()).then(inLife)
    this.#turns.set(partition, turn)
    return turn
  }

  async #run(process: Process, partition: number): Promise<void> {
    if (this.#replicas.has(partition)) return
    const replica = this.#replica(process, partition, this.#log!)
    this.#replicas.set(partition, replica)
    this.#unfollow.set(partition, this.#log!.follow?.(partition) ?? (() => undefined))
    replica.start().catch((error: Error) => {
      this.cluster.watch.failed(partition, process.name, `start: ${error.stack}`)
    })
  }

  async #end(partition: number): Promise<void> {
    await this.#replicas.get(partition)?.stop()
    this.#unfollow.get(partition)?.()
    this.#replicas.delete(partition)
  }

  #replica(process: Process, partition: number, log: PublishingLog): Replica {
    const { cluster } = this
    const transport = new SimTransport(process, cluster.receivers, cluster.network)
    const transports = new Map<string, Receiver>(
      [...cluster.receivers.values()].map((receiver) => [receiver.name, { transport, class: receiver.receiverClass }]),
    )
    return new Replica({
      instance: this.name,
      partition,
      log: this.#confirming(process, log),
      coordination: this.#coordination!,
      snapshots: this.#snapshots(process),
      hostFactory: this.#watched(cluster.hostFactory(process, log, partition), partition, process),
      transports,
      sinks: new Map(),
      clock: process.clock,
      random: cluster.world.random.fork(`replica/${process.name}/${partition}/${cluster.world.nowMs}`),
      rules: cluster.firstRules,
      digestAgeMs,
      mutations: cluster.mutations,
      onAlarm: (name, detail) => {
        cluster.alarms.set(name, (cluster.alarms.get(name) ?? 0) + 1)
        cluster.world.trace.add(process.name, `p${partition} alarm ${name}: ${detail}`)
        if (name === 'diverged' && this.#astray.delete(partition)) cluster.world.exercise('found to have gone astray')
      },
      onStanding: (standing) => this.#process === process && this.#placement?.observe(partition, standing),
      onStateChange: (state, before, why) => this.#changed(process, partition, state, before, why),
    })
  }

  /** The shared store, or one of its own and those of the others. */
  #snapshots(process: Process): SnapshotPort {
    const { cluster } = this
    if (!cluster.plan.snapshotsOfPeers) {
      const shared = cluster.snapshots.connect(process)
      return cluster.disk?.protecting(shared) ?? shared
    }
    const local = cluster.snapshots.connect(process, this.name)
    const random = cluster.world.random.fork(`peers/${process.name}/${cluster.world.nowMs}`)
    const client = new SimPeerClient(process, cluster.links, random, (machine) => cluster.instance(machine)?.asked)
    return new PeerSnapshots({
      instance: this.name,
      local,
      members: () => this.#coordination!.members(),
      client,
      clock: process.clock,
      onTrouble: (what) => cluster.world.trace.add(process.name, what),
    })
  }

  /** What it has for others that ask it now. */
  get asked(): AskedPeer | undefined {
    return this.alive ? this.#asked : undefined
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
