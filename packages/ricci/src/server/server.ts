/**
 * The daemon in one object: a test starts, stops and reloads it in process, `ricci serve` and `ricci dev` do the same.
 *
 * Start: take the data directory, open log and snapshots, load the rules, listen, run the replica. Whatever fails on the way closes
 * what was opened and is thrown as one sentence. Stop: take nothing more, answer what was taken in, step down with a snapshot,
 * close the log.
 */
import type { ResourceLimits } from 'node:worker_threads'
import { encodeRecord, type RulesRecord, type RulesReport } from '@ricci/engine'
import { Replica, type Clock, type Random } from '@ricci/replica'
import type { Config } from '../config/config.ts'
import { RicciError } from '../errors.ts'
import type { HttpBackend, Degraded, Readiness } from '../http/backend.ts'
import { isLoopback } from '../http/rebinding.ts'
import { HttpServer } from '../http/server.ts'
import { nextIncarnation } from '../intake/incarnation.ts'
import { Intake } from '../intake/intake.ts'
import { makeDirectory } from '../log/index.ts'
import { createReceivers } from '../receivers/receivers.ts'
import { missingReceivers, type ReceiversUsed } from '../rules/receivers-used.ts'
import type { TypeCheck } from '../rules/type-check.ts'
import { AlarmPace } from '../telemetry/alarm-pace.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import { openBackends, type Backends, type ServerLog } from './backends.ts'
import { EngineService } from './engine-service.ts'
import { nodeClock, nodeRandom } from './node-clock.ts'
import { checkRules, differences, type FolderRules, readRules, type RulesChecks } from './rules-source.ts'
import type { ServerStatus } from './status.ts'

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
  /** Memory that the engine's thread may take; by default what Node gives a thread. */
  readonly engineLimits?: ResourceLimits
}

/** Where a server listens; what is off is absent. */
export interface Addresses {
  readonly tcp?: string
  readonly udp?: string
  readonly http?: string
}

/** What a reload came to. */
export interface Reload {
  /** Whether folder and configuration said something else than what was in force. */
  readonly switched: boolean
  /** What the switch did to the state of operators; absent where nothing was switched, or the engine has not got there yet. */
  readonly report?: RulesReport
  /** What the checks before the switch came to. */
  readonly checks?: RulesChecks
}

const partition = 0

/** How long a reload waits for the engine to have read what is in the log, and then for its switch. */
const reloadWaitMs = 5_000

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
  private startedMs = 0
  private rules: RulesRecord | undefined
  private rulesError: Error | undefined
  /** Receivers that the rules in force page and the configuration lacks, in words. */
  private receiversError: string | undefined
  private addresses: Addresses = {}
  /** That types are not checked is said once. */
  private toldOfTypes = false
  private readonly readyListeners = new Set<() => void>()
  /** Reloads go one after another: each compares with what the one before put in force. */
  private reloading: Promise<unknown> = Promise.resolve()

  constructor(private readonly options: ServerOptions) {
    this.clock = options.clock ?? nodeClock
    this.random = options.random ?? nodeRandom
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
  reload(): Promise<Reload> {
    // asked for while it starts (a SIGHUP comes when it comes), it waits for the start
    const next = this.reloading.then(() => this.starting).then(() => this.reloadOnce())
    this.reloading = next.catch(() => undefined)
    return next
  }

  private async reloadOnce(): Promise<Reload> {
    const { config } = this.options
    const parts = this.running()
    try {
      return await this.switchTo(await readRules(config), parts)
    } catch (error) {
      this.rulesError = error as Error
      throw error
    }
  }

  private async switchTo(folder: FolderRules, { log, engine }: Parts): Promise<Reload> {
    const { record: rules } = folder
    // What is in force is what the log says, up to its end; an engine that is not there in time is simply told again.
    const { end } = await log.range(partition)
    const known = await engine.hasApplied(end - 1, reloadWaitMs)
    if (known && differences(engine.rules, rules).length === 0) {
      this.rules = rules
      this.rulesError = undefined
      return { switched: false }
    }
    const checks = await this.check(folder)
    // what was cut short by the end of the server was not checked
    if (this.stopping !== undefined) throw notRunning()
    this.rules = rules
    this.rulesError = undefined
    const [offset] = await log.append(partition, [encodeRecord(rules)], 'act')
    if (!(await engine.hasApplied(offset, reloadWaitMs))) return { switched: true, checks }
    if (differences(engine.rules, rules).length > 0) {
      throw new RicciError('RULES_REFUSED', 'the engine refused the rules, the old ones run on; its alarm says why')
    }
    const report = engine.rules?.switched
    if (report?.offset !== offset) return { switched: true, checks }
    this.options.telemetry.rulesSwitched(rules.hash, report)
    return { switched: true, checks, report }
  }

  private async check(folder: FolderRules): Promise<RulesChecks> {
    const { config, types, telemetry } = this.options
    const checks = await checkRules(folder, config, this.clock, types)
    const { typesUnchecked } = checks
    if (typesUnchecked !== undefined && !this.toldOfTypes) {
      this.toldOfTypes = true
      telemetry.log.warn(`types of rules are not checked: ${typesUnchecked}`)
    }
    return checks
  }

  async status(): Promise<ServerStatus> {
    const { backends, log, engine, replica, intake } = this.running()
    const { config, version, telemetry } = this.options
    const { first, end } = await log.range(partition)
    await engine.refresh()
    const { ready, degraded } = this.readiness()
    return {
      instance: config.instance,
      version,
      upMs: this.clock.monotonicMs() - this.startedMs,
      ready,
      degraded,
      listen: this.addresses,
      log: { id: log.id, directory: backends.place, first, end },
      engine: {
        appliedOffset: engine.appliedOffset,
        lagBytes: intake.lag.lagBytes,
        lagMs: intake.lag.lagMs,
        generation: engine.generation,
        skews: engine.stats?.skews ?? [],
        repeats: engine.stats?.repeats ?? 0,
      },
      replica: replica.stats(),
      rules: {
        folder: config.rulesFolder,
        inForce: engine.progress?.rulesHash,
        onDisk: this.rules?.hash,
        differs: this.rules === undefined || engine.rules === undefined ? [] : differences(engine.rules, this.rules),
        switched: engine.rules?.switched,
      },
      intake: {
        connections: intake.connections,
        messages: telemetry.tally.tcpMessages + telemetry.tally.udpMessages,
        events: telemetry.tally.tcpEvents + telemetry.tally.udpEvents,
        queuedBytes: intake.queuedBytes,
        heldAcks: intake.lag.heldMessages,
      },
    }
  }

  readiness(): Readiness {
    const { parts } = this
    if (parts === undefined || this.stopping !== undefined) {
      return { ready: false, degraded: [{ part: 'server', detail: parts === undefined ? 'starting' : 'stopping' }] }
    }
    const { backends, log, engine, replica, intake } = parts
    const inForce = engine.progress?.rulesHash
    const degraded: Degraded[] = []
    const add = (part: string, detail: string): void => void degraded.push({ part, detail })
    if (log.trouble !== undefined) add('log', `it refuses events: ${log.trouble}`)
    if (!engine.running) add('engine', 'it is being restored')
    else if (inForce === undefined) add('rules', 'none are in force yet')
    // of several servers one owns, the others stand by
    const isStandingBy = replica.state === 'following' && !backends.alone
    if (replica.state !== 'owning' && !isStandingBy) {
      add(
        'replica',
        `it is ${replica.state}, ${backends.alone ? 'nobody is paged meanwhile' : 'it cannot take over now'}`,
      )
    }
    if (this.rulesError !== undefined) {
      add(
        'rules',
        `the folder's rules cannot be loaded, the old ones run on: ${this.rulesError.message.split('\n')[0]}`,
      )
    } else if (this.receiversError !== undefined) add('rules', this.receiversError)
    else if (engine.rules !== undefined && this.rules !== undefined) {
      const others = differences(engine.rules, this.rules)
      if (others.length > 0) add('rules', `not those in force: ${others.join(', ')}; reload to switch`)
    }
    if (intake.lag.heldMessages > 0) add('intake', 'acknowledgements are held back: the engine lags')
    return { ready: engine.running && inForce !== undefined && log.trouble === undefined, degraded }
  }

  private async assemble(): Promise<Addresses> {
    const { config, telemetry } = this.options
    const { clock, random } = this
    this.startedMs = clock.monotonicMs()
    makeDataFolder(config.dataFolder)
    const opened = (close: () => unknown): void => void this.open.push(close)
    const backends = await openBackends({ config, clock, telemetry, opened, signal: this.ending.signal })
    const { log, snapshots, coordination } = backends
    const { end } = await log.range(partition)
    await this.loadRules(end === 0)
    // The log's very first record: an event acknowledged before any rules are in force would be judged by none. Where others may
    // find the log empty at the same time, the first owner begins it.
    if (end === 0 && backends.alone) await log.append(partition, [encodeRecord(this.rules!)])

    const engine = new EngineService({
      endNow: () => backends.endNow(),
      source: backends.source,
      partition,
      newsFrom: backends.end(),
      clock,
      telemetry,
      resourceLimits: this.options.engineLimits,
      onProgress: () => this.tellReady(),
      onRules: ({ receivers }) => this.holdToReceivers(receivers),
    })
    backends.onSleeperWanted(() => engine.wake())
    this.open.push(() => engine.close())
    const replica = new Replica({
      instance: config.instance,
      partition,
      log,
      coordination,
      snapshots,
      hostFactory: engine.factory,
      transports: createReceivers(config, {
        clock,
        write: this.options.console,
        onResult: (receiver, result) => telemetry.sent(receiver, result),
      }),
      clock,
      random,
      rules: this.rules,
      onAlarm: (name, detail) => telemetry.alarm(name, detail),
      onStateChange: (state, before, why) => {
        telemetry.replicaState(before, state, why)
        this.tellReady()
      },
    })
    const { identity, incarnation } = nextIncarnation(config.dataFolder, () => random.next())
    const intake = new Intake({
      log,
      progress: () => ({ appliedOffset: () => engine.appliedOffset, ownerTicking: () => replica.state === 'owning' }),
      queries: engine,
      telemetry,
      clock,
      producer: `${config.instance}/intake-${identity}`,
      incarnation,
      tcp: config.listen.tcp,
      udp: config.listen.udp,
      maxConnections: config.intake.maxConnections,
      maxFrameBytes: config.intake.maxFrameBytes,
      maxQueuedBytes: config.intake.maxUnsettledBytes,
      idleConnectionMs: config.intake.idleTimeoutMs,
    })
    this.parts = { backends, log, engine, replica, intake }
    this.open.push(() => replica.stop())
    this.open.push(() => intake.close())
    this.observe(this.parts)
    this.addresses = await this.listen(intake)
    // not awaited: a long log takes its time to restore from, and events are taken in meanwhile
    void replica.start().catch((error: Error) => telemetry.log.error({ err: error }, 'the replica could not start'))
    return this.addresses
  }

  private async listen(intake: Intake): Promise<Addresses> {
    const { config, telemetry } = this.options
    const { tcp, udp } = await intake.listen()
    let http: number | undefined
    if (config.listen.http !== undefined) {
      const server = new HttpServer({ ...config.listen.http, ...config.http, backend: this.backend(), telemetry })
      this.open.push(() => server.close())
      http = await server.listen()
    }
    const at = (address: { host: string } | undefined, port: number | undefined): string | undefined =>
      address === undefined || port === undefined ? undefined : `${bracketed(address.host)}:${port}`
    const addresses = {
      tcp: at(config.listen.tcp, tcp),
      udp: at(config.listen.udp, udp),
      http: at(config.listen.http, http),
    }
    for (const [name, address] of Object.entries(config.listen)) {
      if (address !== undefined && !isLoopback(address.host)) {
        telemetry.log.warn(
          { listener: name, host: address.host },
          'listens beyond this machine: whoever reaches it can send events and read the index',
        )
      }
    }
    return addresses
  }

  /**
   * Reads the folder's rules. Without a log to go on with they are needed, and checked, before anything is taken in. With one, the
   * old rules run on: a start switches nothing, so it checks nothing (types and laws are two seconds of CPU).
   */
  private async loadRules(needed: boolean): Promise<void> {
    const { config } = this.options
    try {
      const folder = await readRules(config)
      if (needed) await this.check(folder)
      this.rules = folder.record
    } catch (error) {
      if (needed || !(error instanceof RicciError)) throw error
      this.rulesError = error
      this.options.telemetry.log.error(`${error.message}\nthe rules in force run on`)
    }
  }

  /** The configuration may have changed since these rules were checked with the one before. */
  private holdToReceivers(used: ReceiversUsed): void {
    const { config, telemetry } = this.options
    const before = this.receiversError
    this.receiversError = missingReceivers(used, config.receivers)
    if (this.receiversError !== undefined && this.receiversError !== before) telemetry.log.error(this.receiversError)
  }

  private backend(): HttpBackend {
    const { engine } = this.running()
    const { telemetry } = this.options
    return {
      metrics: telemetry.metrics.registry,
      refresh: () => engine.refresh(),
      readiness: () => this.readiness(),
      status: () => this.status(),
      query: ({ query, limit }) => engine.answer(query, 'json', this.clock.monotonicMs(), limit),
      incidents: (request) => engine.incidents(request),
      watch: (query, signal) => engine.watch(query, signal),
    }
  }

  private observe({ backends, engine, replica, intake }: Parts): void {
    const { telemetry, config } = this.options
    telemetry.observe({
      ricci_intake_connections: () => intake.connections,
      ricci_intake_queued_bytes: () => intake.queuedBytes,
      ricci_intake_held_acks: () => intake.lag.heldMessages,
      ricci_log_end_offset: () => backends.end(),
      ricci_engine_applied_offset: () => engine.appliedOffset,
      ricci_engine_lag_bytes: () => intake.lag.lagBytes,
      ricci_engine_lag_seconds: () => intake.lag.lagMs / 1000,
      ricci_engine_generation: () => engine.generation,
      ricci_engine_repeated_messages_total: () => engine.stats?.repeats ?? 0,
      ricci_engine_index_events: () => engine.stats?.indexSize ?? 0,
      ricci_host_clock_skew_seconds: () => Math.abs(engine.stats?.skews[0]?.aheadMs ?? 0) / 1000,
      ricci_engine_columns_bytes: () => engine.stats?.bytes ?? 0,
      ricci_pages_pending: () => engine.pagesPending,
      ricci_replica_owning: () => (replica.state === 'owning' ? 1 : 0),
    })
    const pace = new AlarmPace(alarmTtlSeconds * 1000)
    telemetry.alarmsTo((name, detail) => {
      if (!pace.due(name, this.clock.monotonicMs())) return
      const event = {
        host: config.instance,
        service: `ricci ${name}`,
        state: 'critical',
        description: detail,
        tags: ['ricci'],
        time: this.clock.wallMs() / 1000,
        ttl: alarmTtlSeconds,
      }
      // an alarm about the log cannot travel the log; its line and its metric are there already
      intake.inject([event]).catch(() => undefined)
    })
    this.open.push(() => {
      telemetry.observe({})
      telemetry.alarmsTo(undefined)
    })
  }

  private running(): Parts {
    if (this.parts === undefined) throw notRunning()
    return this.parts
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

interface Parts {
  readonly backends: Backends
  readonly log: ServerLog
  readonly engine: EngineService
  readonly replica: Replica
  readonly intake: Intake
}

const readyPollMs = 100

function notRunning(): RicciError {
  return new RicciError('NOT_RUNNING', 'the server is not running; start it first')
}

/** Alarms hold for an hour in the index, so that a look in the morning still finds the night's. */
const alarmTtlSeconds = 3_600

function makeDataFolder(folder: string): void {
  try {
    makeDirectory(folder)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new RicciError(
      'CONFIG_INVALID',
      `the data directory ${folder} cannot be made (${code}); choose one that this user may write`,
      { cause: error },
    )
  }
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
