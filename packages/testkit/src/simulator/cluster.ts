import {
  createEngine,
  decodeRecord,
  encodeRecord,
  type Engine,
  kindOf,
  type RecordKind,
  type RulesRecord,
} from '@ricci/engine'
import { InThreadHost, type HostFactory, type LogPort, type Mutation, type StoredRecord } from '@ricci/replica'
import type { SeededRandom } from '../random.ts'
import { crc32 } from 'node:zlib'
import { SimCoordination } from './coordination.ts'
import { BrokerLog, type PublishingLog } from './brokers/broker-log.ts'
import { SimBrokers } from './brokers/brokers.ts'
import { ForeignDoor } from './brokers/inbox.ts'
import { DiskLog } from './disk-log.ts'
import { Instance } from './instance.ts'
import { SimLog } from './log.ts'
import { machineOf, SimNetwork } from './network.ts'
import type { Plan } from './plan.ts'
import type { Process } from './process.ts'
import type { SentMsg } from './producer.ts'
import type { Refusal } from './oracle/truth.ts'
import { SimReceiver, type NetworkWeather } from './receivers.ts'
import { loadVariant, rulesRecords } from './rules.ts'
import { SimSnapshots } from './snapshots.ts'
import { StallingHost } from './stalling-host.ts'
import type { Watch } from './watch.ts'
import { Host } from './workload.ts'
import { SelfAlarmJudge } from './oracle/self-alarms.ts'
import type { ExerciseKind, World } from './world.ts'

/** State hashes, and with them snapshots, fifteen times as often as in the product: runs last minutes. */
const stateHashTicks = 40

/** All of one run: the backends, the instances around the product's code, the receivers, the hosts that are watched. */
export class Cluster {
  readonly log: SimLog
  /** The embedded log's disk, where the plan says so; `log` then mirrors what its readers were given. */
  readonly disk: DiskLog | undefined
  /** The brokers, where the plan says so; `log` then holds what a majority of them has. */
  readonly brokers: SimBrokers | undefined
  /** The way in to brokers for publishers that are not Ricci. */
  readonly foreign: ForeignDoor | undefined
  readonly links: SimNetwork
  readonly coordination: SimCoordination
  readonly snapshots: SimSnapshots
  readonly receivers: ReadonlyMap<string, SimReceiver>
  readonly network: NetworkWeather = { requestLost: 0, slowConnect: 0 }
  readonly instances: readonly Instance[]
  readonly hosts: readonly Host[]
  /** By partition, then by the checksum of its bytes: everything producers ever sent. */
  readonly messages: readonly Map<number, SentMsg>[]
  readonly alarms = new Map<string, number>()
  /** By partition: what an intake was refused because the log had no room, and where the log ended then. */
  readonly refusals: readonly Refusal[][]
  readonly firstRules: RulesRecord
  /** Times at which a process or the log was touched: nothing can be demanded of a moment near one. */
  readonly disturbances: number[] = []
  /** Machines whose monotonic clock stood still. */
  readonly suspensions: { readonly instance: string; readonly fromMs: number; toMs: number }[] = []
  readonly selfAlarms: SelfAlarmJudge
  /** By process and partition: the engine in force, and whether it has begun to go astray. */
  readonly #engines = new Map<string, { isAstray: boolean }>()
  readonly #brokerLog: BrokerLog | undefined
  readonly #listeners: ((kind: RecordKind) => void)[][]

  constructor(
    readonly world: World,
    readonly plan: Plan,
    readonly mutations: ReadonlySet<Mutation>,
    readonly watch: Watch,
  ) {
    const random = world.random.fork('cluster')
    this.log = new SimLog(world, plan.partitions)
    this.links = new SimNetwork(world)
    this.brokers = plan.log === 'brokers' ? new SimBrokers(world, this.links, this.log) : undefined
    this.foreign = this.brokers === undefined ? undefined : new ForeignDoor(this.brokers)
    this.#brokerLog =
      this.brokers === undefined ? undefined : new BrokerLog(world, this.brokers, this.log.id, mutations)
    this.disk =
      plan.log === 'embedded'
        ? new DiskLog(world, this.log, (text) => watch.say('ack lost', text), plan.logBytes)
        : undefined
    this.coordination = new SimCoordination(world, plan.partitions, this.links)
    this.snapshots = new SimSnapshots(world)
    this.receivers = new Map(
      [
        new SimReceiver(world, 'pager', 'A', true),
        new SimReceiver(world, 'keyed', 'A', false),
        new SimReceiver(world, 'chat', world.random.fork('chat class').pick(['B', 'C']), false),
        new SimReceiver(world, 'self', 'A', true),
      ].map((receiver) => [receiver.name, receiver]),
    )
    this.firstRules = random.pick(rulesRecords)
    this.instances = Array.from({ length: plan.instances }, (_, i) => {
      const drift = 1 + (random.between(-1, 1) * plan.driftPerMillion) / 1_000_000
      return new Instance(this, `i${i + 1}`, drift, random.between(-1, 1) * plan.wallErrorMs)
    })
    this.messages = Array.from({ length: plan.partitions }, () => new Map())
    this.refusals = Array.from({ length: plan.partitions }, () => [])
    this.selfAlarms = new SelfAlarmJudge(
      () => world.nowMs,
      (kind, text) => watch.say(kind, text),
    )
    this.coordination.onFree = (partition) => this.selfAlarms.free(partition)
    this.network.onSelf = ({ name }, request) => {
      if (request.action === 'trigger') world.exercise(`alarm ${request.rule}` as ExerciseKind)
      this.selfAlarms.asked(name, request, (partition) => this.coordination.isElsewhere(partition, name))
    }
    this.#listeners = Array.from({ length: plan.partitions }, () => [])
    for (let p = 0; p < plan.partitions; p++) {
      this.log.partition(p).onWritten.push((record) => {
        this.selfAlarms.written(p, record)
        if (this.#listeners[p].length === 0) return
        const kind = kindOf(record.bytes)
        for (const listener of this.#listeners[p]) listener(kind)
      })
    }
    for (const [p, stream] of (this.brokers?.partitions ?? []).entries()) {
      stream.onReturned = (record) => this.#returned(p, record)
    }
    this.hosts = Array.from({ length: plan.hosts }, (_, i) => {
      const partition = i % plan.partitions
      return new Host(
        world,
        `host-${i}`,
        partition,
        plan.calmAtMs,
        // Some are publishers that know nothing of Ricci.
        this.foreign !== undefined && i % 3 === 2 ? [this.foreign] : this.instances,
        (msg) => this.messages[partition].set(msg.checksum, msg),
        i === 0,
      )
    })
  }

  start(): void {
    for (const instance of this.instances) instance.start()
    for (const host of this.hosts) host.start()
    this.#lookAtReplicas()
  }

  /** Once a second: what is to be told of a state, and is not, shows by its lasting. */
  #lookAtReplicas(): void {
    for (const instance of this.instances) instance.look()
    this.world.after(1_000, () => this.#lookAtReplicas())
  }

  instance(name: string): Instance | undefined {
    return this.instances.find((instance) => instance.name === name)
  }

  /** A process' connection to the log, whichever the plan has. */
  connectLog(
    process: Process,
    onDelivered: (partition: number, records: readonly StoredRecord[]) => void,
  ): PublishingLog {
    if (this.#brokerLog !== undefined) return this.#brokerLog.connect(process, onDelivered)
    if (this.disk === undefined) return this.log.connect(process, onDelivered)
    return this.disk.connect(process, (records) => onDelivered(0, records))
  }

  /** Has a process empty the inboxes, where there are any. */
  takeIn(process: Process, log: PublishingLog): { stop(): Promise<void> } | undefined {
    return this.#brokerLog?.takeIn(process, log)
  }

  /** The product's own host around the product's own engine, both in this thread. */
  hostFactory(process: Process, log: LogPort, partition: number): HostFactory {
    const random = this.world.random.fork(`stalls/${process.name}/${partition}`)
    return (events) =>
      new StallingHost(
        process,
        events,
        (inner, host) =>
          new InThreadHost(inner, {
            log,
            partition,
            clock: process.clock,
            stateHashTicks,
            mutations: this.mutations,
            createEngine: (from) => {
              const progress = new Int32Array(2)
              const way = { isAstray: false }
              this.#engines.set(`${process.name}/${partition}`, way)
              const engine: Engine = createEngine({
                logId: log.id,
                partition,
                loadRules: (record) =>
                  loadVariant(record, {
                    grinds: ({ metric }) => {
                      if (random.chance(Number(metric))) {
                        host.stall(engine, progress)
                        this.selfAlarms.stalled(process.name, partition)
                      }
                      return true
                    },
                    sees: () => !way.isAstray,
                  }),
                mutations: this.mutations,
                progress,
                ...from,
              })
              if (from.snapshot !== undefined) this.world.exercise('restored from a snapshot')
              return this.watch.overhear(host.watch(engine), partition, process.name, from.skips, way)
            },
          }),
      )
  }

  /** The engine that a process runs for a partition now. */
  engineOf(process: Process, partition: number): { isAstray: boolean } | undefined {
    return this.#engines.get(`${process.name}/${partition}`)
  }

  /** An intake was refused an event because the log had no room. */
  refused(partition: number, msg: Uint8Array): void {
    if (this.#turnedAway(partition, msg)) this.world.exercise('event without room')
  }

  #turnedAway(partition: number, msg: Uint8Array): boolean {
    const sent = this.messages[partition].get(crc32(msg))
    if (sent === undefined) return false
    const end = this.disk?.end ?? this.log.partition(partition).end
    this.refusals[partition].push({ offset: end, atMs: this.world.clock.wallMs(), msg: sent })
    return true
  }

  /** The brokers have no way to the partition: events that do not reach the log were there all the same, and owned time must know. */
  #returned(partition: number, bytes: Uint8Array): void {
    const record = decodeRecord(bytes)
    if (record.kind === 'events' && this.#turnedAway(partition, record.msg)) this.world.exercise('event without a way')
  }

  /** Readers of a partition are given nothing any more, without a word; of one machine, or each with this chance. */
  silence(partition: number, which: (machine: string) => boolean): void {
    const named = [...this.log.partition(partition).readers].map((reader) => ({
      reader: reader as { silent: boolean },
      machine: machineOf(reader.process),
    }))
    const atBrokers = [...(this.brokers?.partitions[partition].readers ?? [])]
    for (const { reader, machine } of [...named, ...atBrokers.map((reader) => ({ reader, machine: reader.machine }))]) {
      if (reader.silent || !which(machine)) continue
      this.world.fault('reader silent', machine, `p${partition}`)
      reader.silent = true
    }
  }

  onWritten(partition: number, listener: (kind: RecordKind) => void): void {
    this.#listeners[partition].push(listener)
  }

  disturbed(): void {
    this.disturbances.push(this.world.nowMs)
  }

  /** Appends a rules record to every partition through some instance, as an operator's reload does. */
  switchRules(random: SeededRandom): void {
    const instance = this.instances.find((candidate) => candidate.running)
    if (instance === undefined) return
    const record = random.pick(rulesRecords)
    this.world.fault('rules switch', instance.name, record.hash)
    for (let p = 0; p < this.log.partitions; p++) instance.append(p, encodeRecord(record))
  }
}
