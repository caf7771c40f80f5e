/**
 * The daemon in one object: a test starts, stops and reloads it in process, `ricci serve` and `ricci dev` do the same.
 *
 * Start: take the data directory, open log and snapshots, load the rules, listen, run the replica. Whatever fails on the way closes
 * what was opened and is thrown as one sentence. Stop: hand on what others can take, take nothing more, answer what was taken in, step
 * down with a snapshot, close the log.
 */
import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import type { ResourceLimits } from 'node:worker_threads'
import { Placement, type Clock, type Random } from '@ricci/replica'
import { Access } from '../access/access.ts'
import type { Config } from '../config/config.ts'
import type { Address } from '../config/units.ts'
import { RicciError } from '../errors.ts'
import { Explainer } from '../explain/explainer.ts'
import type { Degraded, Readiness } from '../http/backend.ts'
import { nextIncarnation } from '../intake/incarnation.ts'
import { oneProducer } from '../intake/recorder.ts'
import { Intake } from '../intake/intake.ts'
import { Drills } from '../incidents/drills.ts'
import { IncidentCommands } from '../incidents/incident-commands.ts'
import { EnginePartitions } from '../peers/engine-partitions.ts'
import { QueryFanOut } from '../peers/fan-out.ts'
import { Receivers } from '../receivers/receivers.ts'
import { Sinks } from '../sinks/sinks.ts'
import type { TypeCheck } from '../rules/type-check.ts'
import { ProcessWatch } from '../telemetry/process-watch.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import { alarmEvents } from './alarm-events.ts'
import { openBackends } from './backends.ts'
import { makeDataFolder } from './data-folder.ts'
import { exposures } from './exposures.ts'
import { isWithoutRules, writeFirstRules } from './first-rules.ts'
import { ForeignPublishers } from './foreign-publishers.ts'
import { httpBackend, type Parts } from './http-backend.ts'
import { HttpListeners } from './http-listeners.ts'
import { addressOf, Membership } from './membership.ts'
import { nodeClock, nodeRandom } from './node-clock.ts'
import { figuresOf, gaugesOf } from './own-figures.ts'
import { overviewOf, type Overview } from './overview.ts'
import { Partitions } from './partitions.ts'
import { pemFilesOf } from './pem-files.ts'
import { SelfEvents } from './self-events.ts'
import { statusOf } from './server-status.ts'
import { compareRules } from './rules-source.ts'
import { ServerRules, type Reload, type ReloadOptions } from './server-rules.ts'
import type { Addresses, ServerStatus } from './status.ts'

export interface ServerOptions {
  readonly config: Config
  readonly version: string
  readonly telemetry: Telemetry
  /** Takes the lines of receivers of type console; rejects where it cannot. */
  readonly console: (line: string) => void | Promise<void>
  /** Checks the types of rules at each reload; without it a process is started for each. */
  readonly types?: TypeCheck
  readonly clock?: Clock
  readonly random?: Random
  /** How often it tells of itself, as events; without it never. */
  readonly selfEventsMs?: number
  /** Memory that the engine's thread may take; by default what Node gives a thread. */
  readonly engineLimits?: ResourceLimits
}

export class Server {
  private readonly clock: Clock
  private readonly random: Random
  private starting: Promise<Addresses> | undefined
  private assembling: Promise<unknown> | undefined
  private stopping: Promise<void> | undefined
  private readonly ending = new AbortController()
  /** What is open, in the order it was opened. */
  private readonly open: (() => unknown)[] = []
  private parts: Parts | undefined
  private foreign: ForeignPublishers | undefined
  private startedMs = 0
  private readonly rules: ServerRules
  private addresses: Addresses = {}
  private readonly http: HttpListeners
  private readonly access: Access
  private readonly receivers: Receivers
  private readonly sinks: Sinks
  /** It listens for events. */
  private serves = false
  /** What it waits for before it can. */
  private waitsFor: string | undefined
  private readonly readyListeners = new Set<() => void>()
  /** Reloads go one after another: each compares with what the one before put in force. */
  private reloading: Promise<unknown> = Promise.resolve()

  constructor(private readonly options: ServerOptions) {
    this.clock = options.clock ?? nodeClock
    this.random = options.random ?? nodeRandom
    const { config, telemetry, types } = options
    const assertRuns = (): void => {
      if (this.stopping !== undefined) throw notRunning()
    }
    this.rules = new ServerRules({ config, telemetry, types, clock: this.clock, assertRuns })
    this.receivers = new Receivers(config, {
      clock: this.clock,
      write: options.console,
      onResult: (receiver, result) => telemetry.sent(receiver, result),
    })
    const { clock } = this
    this.access = new Access({ config, telemetry, clock, randomBytes })
    const backend = httpBackend({
      ...{ config, clock, metrics: telemetry.metrics.registry, receivers: this.receivers, rules: this.rules },
      running: () => this.running(),
      runningYet: () => this.parts?.running,
      readiness: () => this.readiness(),
      status: () => this.status(),
      overview: () => this.overview(),
      afterReloads: (work) => this.afterReloads(work),
    })
    this.http = new HttpListeners({ config, backend, access: this.access, telemetry, clock, version: options.version })
    this.sinks = new Sinks(config.sinks, { clock: this.clock })
  }

  /**
   * Starts; resolves once it listens. The engine may still be restoring then: see {@link ready}.
   * @throws RicciError, ReplicaError with a sentence that says what to do
   */
  start(): Promise<Addresses> {
    return (this.starting ??= (this.assembling = this.assemble()).catch(async (error: unknown) => {
      await this.stop()
      throw error
    }))
  }

  /** Stops, once it has started or failed to; idempotent. A server that was stopped is not started again. */
  stop(): Promise<void> {
    this.ending.abort(notRunning())
    return (this.stopping ??= this.closeAll())
  }

  /** Resolves when it answers queries, or was stopped. */
  async ready(): Promise<void> {
    while (!this.readiness().ready && this.stopping === undefined) {
      await new Promise<void>((resolve) => {
        this.readyListeners.add(resolve)
        // the engine reports by itself once it runs; this is for what reports nothing
        const timer = this.clock.setTimer(readyPollMs, resolve)
        this.readyListeners.add(() => timer.cancel())
      })
      this.readyListeners.clear()
    }
  }

  /**
   * Loads the rules of the folder again and, where they or the settings that ride with them differ from those in force, appends
   * them: every replica switches at that record.
   * @throws RicciError `RULES_…`: the old rules run on
   */
  reload(options: ReloadOptions = {}): Promise<Reload> {
    return this.afterReloads(() => this.rules.reload(this.running(), options))
  }

  /** As {@link reload}, for who asks by no address: the audit has it under `from`, what it asked by. */
  async reloadFrom(from: string): Promise<Reload> {
    const entry = { who: 'local', from, what: 'reload of the rules' }
    try {
      const reload = await this.reload()
      if (reload.switched) await this.access.note({ ...entry, status: 200 })
      return reload
    } catch (error) {
      const code = error instanceof RicciError ? error.code : undefined
      await this.access.note({ ...entry, status: 500, ...(code !== undefined && { code }) })
      throw error
    }
  }

  private afterReloads<Result>(work: () => Promise<Result>): Promise<Result> {
    // asked for while it starts (a SIGHUP comes when it comes), it waits for the start
    const next = this.reloading.then(() => this.starting).then(work)
    this.reloading = next.catch(() => undefined)
    return next
  }

  async status(): Promise<ServerStatus> {
    const { clock, startedMs, rules, receivers, addresses: listen } = this
    const { config, version, telemetry } = this.options
    const readiness = this.readiness()
    const head = {
      instance: config.instance,
      version,
      startedMs,
      clock,
      readiness,
      listen,
      rules,
      receivers,
      telemetry,
    }
    return statusOf(this.running(), head)
  }

  /** This server and, where it is one of several, all of them. */
  private async overview(): Promise<Overview> {
    const { membership, placement, partitions, backends } = this.running()
    const [own, others] = await Promise.all([this.status(), membership?.statuses() ?? new Map()])
    const { instance, wallMs } = own
    const { members } = membership?.backend(placement).status() ?? { members: [] }
    const statuses = new Map([[instance, own], ...others])
    return overviewOf({ instance, wallMs, partitions, alone: backends.alone, members, statuses })
  }

  readiness(): Readiness {
    const { parts, waitsFor = 'starting' } = this
    if (parts === undefined || !this.serves || this.stopping !== undefined) {
      return {
        ready: false,
        degraded: [{ part: 'server', detail: this.stopping === undefined ? waitsFor : 'stopping' }],
      }
    }
    const { backends, running: partitions, intake, membership } = parts
    const { log, alone, coordination } = backends
    const degraded: Degraded[] = []
    const add = (part: string, detail: string): void => void degraded.push({ part, detail })
    if (log.trouble !== undefined) add('log', `it refuses events: ${log.trouble}`)
    const running = partitions.all()
    const of = alone ? () => '' : (numbers: readonly number[]) => `partition ${numbers.join(', ')}: `
    const restored = running.filter(({ engine }) => !engine.running).map(({ number }) => number)
    const without = running.filter(({ engine, answers }) => engine.running && !answers).map(({ number }) => number)
    if (restored.length > 0) add('engine', `${of(restored)}it is being restored`)
    if (without.length > 0) add('rules', `${of(without)}none are in force yet`)
    for (const { replica, number, stands } of running) {
      if (replica.state === 'owning' || (stands && !alone)) continue
      const consequence = alone ? 'nobody is paged meanwhile' : 'it cannot take over now'
      const doing = replica.state === 'following' ? 'catching up' : replica.state
      add('replica', `${of([number])}it is ${doing}, ${consequence}`)
    }
    degraded.push(...this.rules.degraded(running), ...backends.degraded(), ...(membership?.degraded() ?? []))
    if (this.foreign?.trouble !== undefined) add('event-path', this.foreign.trouble)
    if (intake.lag.heldMessages > 0) add('intake', 'acknowledgements are held back: the engine lags')
    // who keeps none asks the others
    const known = !alone && coordination.members().length > 0
    const answers = running.length === 0 ? known : running.some((partition) => partition.answers)
    return { ready: answers && log.trouble === undefined && membership?.strange === undefined, degraded }
  }

  private async assemble(): Promise<Addresses> {
    const { config, telemetry } = this.options
    const { clock, random } = this
    this.startedMs = clock.monotonicMs()
    makeDataFolder(config.dataFolder)
    this.access.open()
    const opened = (close: () => unknown): void => void this.open.push(close)
    opened(() => this.access.close())
    opened(() => this.http.close())
    opened(() => this.sinks.close())
    if (config.cluster !== undefined) {
      // brokers may be long in coming, and whoever asks is told so
      this.waitsFor = 'opens the log'
      await this.http.listen()
    }
    const onWait = (why: string): void => void (this.waitsFor = why)
    const backends = await openBackends({ config, clock, telemetry, opened, onWait, signal: this.ending.signal })
    const { log } = backends
    const isNew = await backends.whenThere(() => isWithoutRules(log))
    await this.rules.load(isNew)
    if (isNew) await backends.whenThere(() => writeFirstRules(log, this.rules.folder!, clock, this.ending.signal))

    const { instance, cluster } = config
    const membership =
      cluster &&
      new Membership({
        ...{ instance, config: cluster, ...backends, partitions: log.partitions, clock, telemetry },
        onJoin: () => this.access.meet(),
        onChange: () => this.tellReady(),
      })
    if (membership !== undefined) this.open.push(() => membership.close())
    const partitions = new Partitions(() => ({
      instance,
      backends: { ...backends, snapshots: membership?.snapshots ?? backends.snapshots },
      receivers: this.receivers.byName,
      sinks: this.sinks.byName,
      clock,
      random,
      telemetry,
      rules: this.rules.folder,
      engineLimits: this.options.engineLimits,
      onChange: () => this.tellReady(),
      onRules: (inForce) => {
        this.rules.holdToConfig(inForce)
        void this.rules.lookAgain(partitions.all())
      },
      onStanding: (partition, standing) => placement.observe(partition, standing),
    }))
    const local = new EnginePartitions({
      instance,
      clock,
      // alone, there is nobody else to be asked: who asks waits until it can answer
      engineOf: (partition) => partitions.asked(partition, backends.alone)?.engine,
    })
    const members = () => backends.coordination.members()
    const among = { instance, partitions: log.partitions, local, members, client: membership?.client ?? nobody, clock }
    const queries = new QueryFanOut(among)
    const commands = new IncidentCommands(among, log)
    backends.onSleeperWanted(() => partitions.get(0)?.engine.wake())
    const { identity, incarnation } = nextIncarnation(config.dataFolder, () => random.next())
    const intake = new Intake({
      log,
      progress: (partition) => partitions.get(partition)?.lag,
      queries,
      telemetry,
      clock,
      markingAs: oneProducer(`${instance}/intake-${identity}`, incarnation),
      draining: () => this.parts?.placement.draining === true,
      tcp: config.listen.tcp,
      udp: config.listen.udp,
      ...(config.listen.tls && config.tls && { tls: { ...config.listen.tls, pems: pemFilesOf(config.tls) } }),
      graphite: config.listen.graphite,
      opentsdb: config.listen.opentsdb,
      maxConnections: config.intake.maxConnections,
      maxFrameBytes: config.intake.maxFrameBytes,
      maxQueuedBytes: config.intake.maxUnsettledBytes,
      idleConnectionMs: config.intake.idleTimeoutMs,
    })
    const drills = new Drills({
      ...{ instance, partitions: log.partitions, log, commands, clock, receivers: this.receivers.byName },
      ...(config.drill !== undefined && { scheduled: config.drill }),
      owns: (partition) => partitions.owned().includes(partition),
      take: (events) => intake.take(events),
      alarm: (name, detail) => telemetry.alarm(name, detail),
    })
    const peers = await membership?.listen({
      local,
      status: () => this.status(),
      tryRules: async (rules) => void (await compareRules(rules, config, clock)),
      drain: (on) => this.running().placement.drain(on),
      access: this.access,
    })
    if (membership !== undefined) this.access.join(() => membership.others())
    const placement = new Placement({
      instance,
      partitions: log.partitions,
      // half of the machine: the rest is for owners
      restoringAtOnce: Math.max(1, Math.floor(availableParallelism() / 2)),
      coordination: backends.coordination,
      clock,
      version: this.options.version,
      ...(cluster?.zone !== undefined && { zone: cluster.zone }),
      ...(peers !== undefined && { peers }),
      run: (partition) => void partitions.run(partition),
      end: (partition) => partitions.end(partition),
      onChange: () => this.tellReady(),
    })
    const explainer = new Explainer({
      ...{ log, source: backends.source, snapshots: membership?.snapshots ?? backends.snapshots, clock },
      incidents: (request) => queries.incidents(request),
      query: (query) => queries.answer(query, 'json', clock.monotonicMs()),
    })
    this.parts = {
      ...{ backends, running: partitions, intake, queries, commands, drills, explainer, placement, membership, log },
      partitions: log.partitions,
      here: (partition) => partitions.get(partition),
      elsewhere: async () => (await membership?.rulesElsewhere()) ?? new Map(),
      tryElsewhere: async (rules) => membership?.tryRules(rules),
      open: () => queries.open(),
    }
    this.open.push(() => partitions.close())
    this.open.push(() => placement.stop())
    const { rabbit } = backends
    if (rabbit !== undefined) {
      const foreign = new ForeignPublishers({
        ...{ log: rabbit.log, rabbit: rabbit.options, snapshots: backends.snapshots },
        ...{ instance, identity, incarnation, clock, telemetry, maxFrameBytes: config.intake.maxFrameBytes },
        runs: () => placement.runs,
        owns: () => partitions.owned(),
      })
      this.foreign = foreign
      this.open.push(() => foreign.stop())
      foreign.start()
    }
    this.open.push(() => intake.close())
    this.observe(this.parts)
    // a long log takes its time to restore from, and events are taken in meanwhile
    placement.start()
    this.addresses = { ...(await this.listen(intake)), ...(peers !== undefined && { peers }) }
    // first of all when it stops: clients go elsewhere once others have what they are about, and nothing is busy any more
    this.open.push(() => placement.handOn())
    drills.start()
    this.open.push(() => drills.stop())
    this.serves = true
    this.tellReady()
    return this.addresses
  }

  private async listen(intake: Intake): Promise<Addresses> {
    const { config, telemetry } = this.options
    const { tcp, udp } = await intake.listen()
    const http = await this.http.listen()
    const tls = await this.optional(intake.listenForTls())
    const sse = await this.optional(this.http.listenForSse())
    const graphite = await this.optional(intake.listenForLines('graphite'))
    const opentsdb = await this.optional(intake.listenForLines('opentsdb'))
    // watchers end before what they watch
    this.open.push(() => this.http.close())
    const at = (address: { host: string } | undefined, port: number | undefined): string | undefined =>
      address === undefined || port === undefined ? undefined : addressOf({ host: address.host, port })
    const addresses = {
      tcp: at(config.listen.tcp, tcp),
      udp: at(config.listen.udp, udp),
      http: at(config.listen.http, http),
      tls: at(config.listen.tls, tls),
      sse: at(config.listen.sse, sse),
      graphite: at(config.listen.graphite, graphite),
      opentsdb: at(config.listen.opentsdb, opentsdb),
    }
    for (const { text, ...where } of exposures(config)) telemetry.log.warn(where, text)
    return addresses
  }

  /** A listener without which all else works: one that cannot be had is told of. */
  private async optional(listening: Promise<number | undefined>): Promise<number | undefined> {
    try {
      return await listening
    } catch (error) {
      if (!(error instanceof RicciError)) throw error
      this.options.telemetry.log.warn(`${error.message} Everything else goes on without it.`)
      return undefined
    }
  }

  private observe({ backends, running, intake }: Parts): void {
    const { telemetry, config, selfEventsMs } = this.options
    const { clock, http } = this
    const process = new ProcessWatch()
    this.open.push(() => process.close())
    const measured = { backends, running, intake, http, process, clock }
    telemetry.observe(gaugesOf(measured))
    if (selfEventsMs !== undefined) {
      const at = (address: Address | undefined): string | undefined => address && addressOf(address)
      const self = new SelfEvents({
        ...{ instance: config.instance, clock, everyMs: selfEventsMs },
        ...{ tcp: at(config.listen.tcp), udp: at(config.listen.udp) },
        figures: () => figuresOf(measured, telemetry),
        inject: (events) => intake.inject(events),
      })
      this.open.push(() => self.close())
    }
    telemetry.alarmsTo(alarmEvents(config.instance, clock, intake))
    this.open.push(() => {
      telemetry.observe({})
      telemetry.alarmsTo(undefined)
    })
  }

  private running(): Parts {
    if (this.parts !== undefined) return this.parts
    if (this.waitsFor === undefined) throw notRunning()
    throw new RicciError('NOT_RUNNING', `the server has not begun: it ${this.waitsFor}`)
  }

  private tellReady(): void {
    for (const tell of this.readyListeners) tell()
  }

  /** Closes in the reverse order; what fails to close is told and does not keep the rest open. */
  private async closeAll(): Promise<void> {
    await this.assembling?.catch(() => undefined)
    for (const close of this.open.splice(0).reverse()) {
      try {
        await close()
      } catch (error) {
        this.options.telemetry.log.error({ err: error }, 'a part did not close cleanly')
      }
    }
    this.tellReady()
  }
}

/** Who works alone has nobody to ask. */
const nobody = {
  at: (address: string): never => {
    throw new RicciError('PEER_UNREACHABLE', `this server works alone, and is to ask ${address}`)
  },
}

const readyPollMs = 100

function notRunning(): RicciError {
  return new RicciError('NOT_RUNNING', 'the server is not running; start it first')
}
