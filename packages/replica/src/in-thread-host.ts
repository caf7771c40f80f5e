import {
  decodeRecord,
  EngineError,
  kindOf,
  type Engine,
  type EngineObserver,
  type FlowPage,
  type FlowPlace,
  type Mutation,
  type QueryOptions,
  type QueryPage,
  type SkipRecord,
} from '@ricci/engine'
import { ReplicaError } from './errors.ts'
import {
  checkpointTicks,
  stateHashTicks,
  type ControlRecord,
  type EngineHost,
  type HostAlarm,
  type HostEvents,
  type HostFailure,
  type HostStart,
  type Sighting,
  type StateTaken,
} from './host.ts'
import { CutWork, type WorkedCut } from './cut-work.ts'
import { askLimitMs } from './limits.ts'
import { Pace } from './pace.ts'
import type { Clock, LogPort, StoredRecord } from './ports.ts'
import { SteadyReader } from './steady-reader.ts'
import { within } from './timers.ts'

/** Work between two looks at the queue of questions: a query waits no longer than this for a long batch. */
const sliceMs = 5
/** Alarms handed on per report; further ones of the same batch are only counted. */
const alarmLimit = 100

/** Makes an engine, from a snapshot or empty; `skips` are all that the log holds of them so far. */
export type EngineMaker = (from: {
  readonly snapshot?: Uint8Array
  readonly observer: EngineObserver
  readonly skips: readonly SkipRecord[]
}) => Engine

/** What an engine in the same thread is made from. */
export interface InThreadHostOptions {
  readonly log: LogPort
  readonly partition: number
  readonly clock: Clock
  readonly createEngine: EngineMaker
  /** For tests and the simulator, whose runs last minutes; the same for all replicas of a log. Default: {@link stateHashTicks}. */
  readonly stateHashTicks?: number
  /** Tests only. */
  readonly mutations?: ReadonlySet<Mutation>
  /** Told of everything the engine tells an observer of, besides what the host reports; for taps, traces and oracles. */
  readonly observer?: EngineObserver
}

/**
 * An engine in this thread, fed by a reader of its own. Tests and the simulator use it as it stands; the daemon runs it inside a
 * worker and carries its reports and answers across.
 */
export class InThreadHost implements EngineHost {
  readonly #options: InThreadHostOptions
  readonly #events: HostEvents
  #engine: Engine | undefined
  #reader: SteadyReader | undefined
  #skips: SkipRecord[] = []
  /** What was applied from a skipped record up to its skip was applied otherwise by some: checkpoints of it say nothing. */
  readonly #disputed: { readonly from: number; readonly to: number }[] = []
  #readOffset = -1
  /** Where the log ended when it began: what comes before is history. */
  #history = 0
  #pace: Pace
  #stopped = false
  #cutAtNext = false
  /** The snapshot that waits to be taken. */
  #kept: readonly Uint8Array[] | undefined
  readonly #cuts: CutWork
  #taken: StateTaken | undefined
  #sightings: Sighting[] = []
  #alarms: HostAlarm[] = []

  constructor(events: HostEvents, options: InThreadHostOptions) {
    this.#events = events
    this.#options = options
    this.#pace = new Pace(options.clock, false)
    this.#cuts = new CutWork(options.clock, (cut) => this.#worked(cut))
  }

  async start(from: HostStart): Promise<void> {
    const { log, partition, clock, mutations } = this.#options
    if (this.#engine !== undefined || this.#stopped) throw new ReplicaError('STATE', 'a host starts once', false)
    this.#pace = new Pace(clock, from.unhurried === true)
    await this.#findSkips(from.snapshotOffset + 1)
    const passed = this.#skips.find((skip) => skip.offset <= from.snapshotOffset)
    if (passed !== undefined) {
      const why = `record ${passed.offset} was skipped after this snapshot had applied it; use one from before it`
      throw new ReplicaError('SNAPSHOT_VOID', why, false)
    }
    if (this.#stopped) throw new ReplicaError('STATE', 'the host was stopped while it started', false)
    const engine = this.#options.createEngine({
      snapshot: from.snapshot,
      observer: this.#observer(),
      skips: this.#skips,
    })
    if (engine.appliedOffset !== from.snapshotOffset && mutations?.has('log-start') !== true) {
      const why = `the snapshot goes up to ${engine.appliedOffset}, not to ${from.snapshotOffset} as its name says`
      throw new EngineError('SNAPSHOT_UNREADABLE', why)
    }
    this.#engine = engine
    this.#readOffset = engine.appliedOffset
    this.#report()
    this.#reader = new SteadyReader({
      log,
      partition,
      clock,
      mutations,
      from: from.snapshotOffset + 1,
      onRecords: (records) => this.#apply(engine, records),
      onFailure: (error) => this.#fail(error),
    })
  }

  hurry(on: boolean): void {
    this.#pace.hurry(on)
  }

  async query(query: string, options?: QueryOptions): Promise<QueryPage> {
    return this.#running().query(query, options)
  }

  async flowPage(sink: string, after: FlowPlace | undefined, atMost: number): Promise<FlowPage> {
    return this.#running().flows.page(sink, after, atMost)
  }

  cutAtNextStateHash(): void {
    this.#cutAtNext = true
  }

  cutNow(): void {
    this.#cuts.begin(this.#running(), true)
    this.#cuts.finish()
  }

  cutSoon(): void {
    const engine = this.#running()
    if (!this.#cuts.isBusy) this.#cuts.begin(engine, true)
  }

  takeSnapshot(): AsyncIterable<Uint8Array> | undefined {
    const kept = this.#kept
    this.#kept = undefined
    return kept === undefined ? undefined : inTurn(kept)
  }

  /** How often the reader had to begin again. */
  get rereads(): number {
    return this.#reader?.rereads ?? 0
  }

  /** The engine itself, for tests and tools in the same thread. */
  get engine(): Engine | undefined {
    return this.#engine
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cuts.stop()
    await this.#reader?.stop()
  }

  #running(): Engine {
    if (this.#engine === undefined || this.#stopped) {
      throw new ReplicaError('STATE', 'the engine is not there: it is being restored or has stopped; ask again', true)
    }
    return this.#engine
  }

  async #apply(engine: Engine, records: readonly StoredRecord[]): Promise<void> {
    const { clock } = this.#options
    this.#readOffset = records[records.length - 1].offset
    let sliceEndMs = clock.monotonicMs() + sliceMs
    for (const record of records) {
      if (this.#stopped) return
      this.#applyOne(engine, record)
      this.#cuts.applied()
      if (clock.monotonicMs() >= sliceEndMs) {
        this.#report()
        if (this.#readOffset >= this.#history) this.#pace.over()
        await this.#pace.rest()
        sliceEndMs = clock.monotonicMs() + sliceMs
      }
    }
    this.#report()
  }

  #applyOne(engine: Engine, { offset, bytes, checksum }: StoredRecord): void {
    const kind = kindOf(bytes)
    if (kind === 'events' || kind === 'hole') return applied(engine, offset, bytes, checksum)
    const record = control(bytes)
    // The engine passes over what cannot be read, counts it and says so: there is nothing here to steer by.
    if (record === undefined) return applied(engine, offset, bytes, checksum)
    if (record.kind === 'skip' && !this.#knows(record) && this.#options.mutations?.has('skip') !== true) {
      throw new SkipPassed(record.offset)
    }
    const lastTick = engine.lastTick
    applied(engine, offset, bytes, checksum)
    if (record.kind === 'checkpoint' && this.#isDisputed(record.offset)) return
    const ticked = record.kind === 'tick' && engine.lastTick !== lastTick && record.number % checkpointTicks === 0
    this.#sightings.push(ticked ? { offset, record, hashes: engine.hashes() } : { offset, record })
    if (!ticked || record.number % (this.#options.stateHashTicks ?? stateHashTicks) !== 0) return
    const keep = this.#cutAtNext
    this.#cutAtNext = false
    this.#cuts.begin(engine, keep)
  }

  #isDisputed(offset: number): boolean {
    return this.#disputed.some(({ from, to }) => offset >= from && offset < to)
  }

  #worked({ offset, tick, hashes, slices }: WorkedCut): void {
    if (slices !== undefined) this.#kept = slices
    this.#taken = { offset, tick, hashes, kept: slices !== undefined }
    this.#report()
  }

  #report(): void {
    const engine = this.#engine
    if (engine === undefined || this.#stopped) return
    const sightings = this.#sightings
    const alarms = this.#alarms
    this.#sightings = []
    this.#alarms = []
    const cut = this.#taken
    this.#taken = undefined
    this.#events.onProgress({
      readOffset: this.#readOffset,
      appliedOffset: engine.appliedOffset,
      ownership: engine.ownership,
      lastTick: engine.lastTick,
      ownedMs: engine.ownedMs,
      calendarMs: engine.calendarMs,
      rulesHash: engine.rulesHash,
      sightings,
      pages: engine.takePageChanges(),
      flows: engine.flows.heads(),
      alarms,
      ...(cut === undefined ? {} : { cut }),
    })
  }

  #fail(error: unknown): void {
    if (this.#stopped) return
    this.#report()
    this.#stopped = true
    this.#cuts.stop()
    this.#events.onFailure(failureOf(error))
  }

  #knows(skip: SkipRecord): boolean {
    return this.#skips.some((s) => s.offset === skip.offset && s.event === skip.event && s.branch === skip.branch)
  }

  /** Reads to where the log ends now, looking at skips alone. */
  async #findSkips(from: number): Promise<void> {
    const { log, partition, clock } = this.#options
    const end = await within(clock, askLimitMs, 'the log', log.endOf(partition))
    this.#history = end
    if (from >= end) return
    let sliceEndMs = clock.monotonicMs() + sliceMs
    await new Promise<void>((resolve, reject) => {
      this.#reader = new SteadyReader({
        log,
        partition,
        clock,
        from,
        onRecords: (records) => {
          for (const { offset, bytes } of records) {
            if (kindOf(bytes) !== 'skip') continue
            const skip = control(bytes)
            if (skip?.kind !== 'skip' || this.#knows(skip)) continue
            this.#skips.push(skip)
            this.#disputed.push({ from: skip.offset, to: offset })
          }
          if (records[records.length - 1].offset >= end - 1) return resolve()
          if (clock.monotonicMs() < sliceEndMs) return
          return this.#pace.rest().then(() => void (sliceEndMs = clock.monotonicMs() + sliceMs))
        },
        onFailure: reject,
      })
    }).finally(() => void this.#reader?.stop())
  }

  #observer(): EngineObserver {
    const { observer } = this.#options
    return {
      ...observer,
      onAlarm: (name, detail, offset) => {
        if (this.#alarms.length < alarmLimit) this.#alarms.push({ name, detail, offset })
        observer?.onAlarm?.(name, detail, offset)
      },
    }
  }
}

/** An engine never throws for what a record holds; one that does all the same would do so again, on every instance. */
class EngineDied extends Error {
  constructor(
    readonly offset: number,
    cause: unknown,
  ) {
    const said = cause instanceof Error ? cause.message : String(cause)
    super(`the engine threw at record ${offset}: ${said}`, { cause })
  }
}

function applied(engine: Engine, offset: number, bytes: Uint8Array, checksum: number): void {
  try {
    engine.apply(offset, bytes, checksum)
  } catch (error) {
    if (error instanceof EngineError && error.code === 'RECORD_UNKNOWN') throw error
    throw new EngineDied(offset, error)
  }
}

class SkipPassed extends Error {
  constructor(readonly offset: number) {
    super(`record ${offset} was applied before the log said to skip it; restoring from before it`)
  }
}

/** Undefined for a record that cannot be read. */
function control(bytes: Uint8Array): ControlRecord | undefined {
  try {
    const record = decodeRecord(bytes)
    if (record.kind === 'events') throw new ReplicaError('STATE', 'events are no control record', false)
    return record.kind === 'rules' ? { ...record, bundle: noBytes } : record
  } catch (error) {
    if (error instanceof EngineError && error.code === 'RECORD_MALFORMED') return undefined
    throw error
  }
}

function failureOf(error: unknown): HostFailure {
  const message = error instanceof Error ? error.message : String(error)
  if (error instanceof SkipPassed) return { code: 'SKIP_PASSED', message, offset: error.offset }
  if (error instanceof EngineDied) return { code: 'ENGINE_DIED', message, offset: error.offset }
  if (error instanceof ReplicaError && error.code === 'OFFSET_TRIMMED') return { code: 'OFFSET_TRIMMED', message }
  if (error instanceof EngineError && error.code === 'RECORD_UNKNOWN') return { code: 'RECORD_UNKNOWN', message }
  return { code: 'HOST_FAILED', message }
}

async function* inTurn(slices: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* slices
}

const noBytes = new Uint8Array(0)
