/**
 * The way of Msgs into the log's partitions (DESIGN section 6: key of an event). A Msg whose events are all of one partition goes there as it
 * came; another one is divided, and counts as durable when all of its parts are (DESIGN 11.1).
 */
import { encodeMark, inspectMsg, MsgReader, MsgRoute, readMark, type Limits, type MsgFacts } from '@ricci/client'
import type { Clock } from '@ricci/replica'
import { partitionOf } from '@ricci/replica/partition-of'
import { RicciError } from '../errors.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import { Appender, type Appended, type RecordLog } from './appender.ts'
import { LagGate, type Progress } from './lag.ts'
import { maxKnownKeys } from './limits.ts'
import { headWith, Recorder, type MarkingAs } from './recorder.ts'
import { passes } from './refused.ts'

export interface DistributorOptions {
  readonly log: RecordLog
  /** How far the engine of a partition is; undefined where this instance cannot know, and then holds nothing back. */
  readonly progress: (partition: number) => Progress | undefined
  readonly telemetry: Telemetry
  readonly clock: Clock
  readonly markingAs: MarkingAs
  readonly limits: Limits
  /** Why a Msg with events will never get where this log leads; who sent it is told. Nothing stands against any unless told. */
  readonly refusalOf?: (msg: Uint8Array) => string | undefined
  /** Something was settled: there may be room again. */
  readonly onSettled: () => void
}

/** What leads into one partition. */
interface Lane {
  readonly recorder: Recorder
  readonly appender: Appender
  readonly lag: LagGate
}

/** The attribute that names an event's cluster. */
const clusterAttribute = 'cluster'

/** Events without cluster and host go here: the empty key has no hash of its own. */
const keylessPartition = 0

export class Distributor {
  /** What the Msg inspected last is. */
  readonly facts: MsgFacts = { events: 0, marked: false, asks: false }
  private readonly queued = { bytes: 0 }
  private readonly lanes: readonly Lane[]
  /** With one partition there is nothing to find out. */
  private readonly route: MsgRoute | undefined
  private readonly reader = new MsgReader()

  constructor(private readonly options: DistributorOptions) {
    const { partitions } = options.log
    this.lanes = Array.from({ length: partitions }, (_, partition) => this.lane(partition))
    if (partitions > 1) {
      const partOf = (key: string): number => this.partitionOf(key)
      this.route = new MsgRoute({ attribute: clusterAttribute, partOf, maxKeys: maxKnownKeys })
    }
  }

  /**
   * Checks a Msg, so that everything in the log decodes; what it is stands in {@link facts} until the next one.
   * @throws CodecError for bytes that are no Msg, or one beyond a limit
   */
  inspect(msg: Uint8Array): MsgFacts {
    inspectMsg(msg, this.facts, this.options.limits, this.route)
    return this.facts
  }

  /** The query of a Msg that asks. */
  queryOf(msg: Uint8Array): string {
    this.reader.open(msg)
    return this.reader.query ?? ''
  }

  /**
   * Appends the Msg inspected last, which has events. It must not be changed until it is durable or refused.
   * @param nowMs wall clock when it came
   */
  add(msg: Uint8Array, owner: Appended, nowMs = this.options.clock.wallMs()): void {
    const why = this.options.refusalOf?.(msg)
    if (why !== undefined) {
      owner.refused(new RicciError('EVENT_MALFORMED', why))
      owner.groupEnd()
      return
    }
    const only = this.route === undefined ? 0 : this.route.only
    if (only >= 0) this.append(only, msg, owner, nowMs)
    else this.addParts(msg, owner, nowMs)
  }

  /** Resolves when everything added so far is durable or refused. */
  async settledSoFar(): Promise<void> {
    const busy = this.lanes.filter(({ appender }) => appender.queuedBytes > 0)
    await Promise.all(busy.map(({ appender }) => appender.settledSoFar()))
  }

  /** What comes from now on is marked as of another life. */
  renew(): void {
    for (const { recorder } of this.lanes) recorder.renew()
  }

  /** Bytes handed in that are neither durable nor refused, over all partitions. */
  get queuedBytes(): number {
    return this.queued.bytes
  }

  /** The gate before a partition's engine. */
  gate(partition: number): LagGate {
    return this.lanes[partition].lag
  }

  /** Bytes that this process appended and engines that it knows of have not applied. */
  get lagBytes(): number {
    return this.lanes.reduce((sum, { lag }) => sum + lag.lagBytes, 0)
  }

  /** Age of the oldest record that this process appended and an engine that it knows of has not applied, milliseconds. */
  get lagMs(): number {
    return this.lanes.reduce((most, { lag }) => Math.max(most, lag.lagMs), 0)
  }

  /** Messages, or parts of such, whose acks are held back. */
  get heldMessages(): number {
    return this.lanes.reduce((sum, { lag }) => sum + lag.heldMessages, 0)
  }

  /** Forgets what is held back: connections are gone. */
  close(): void {
    for (const { lag } of this.lanes) lag.close()
  }

  private partitionOf(key: string): number {
    return key === '' ? keylessPartition : partitionOf(key, this.options.log.partitions)
  }

  private append(partition: number, msg: Uint8Array, owner: Appended, nowMs: number): void {
    const lane = this.lanes[partition]
    lane.appender.add(this.facts.marked ? headWith(nowMs) : lane.recorder.head(nowMs), msg, owner)
  }

  private addParts(msg: Uint8Array, owner: Appended, nowMs: number): void {
    const parts = this.route!.split(msg)
    const joint = new Joint(owner, parts.size)
    // the mark is of the whole, and the numbers around it may be elsewhere: none is missed where it is not
    const mark = this.facts.marked ? encodeMark({ ...readMark(msg)!, spread: true }) : undefined
    for (const [partition, events] of parts) {
      const { recorder, appender } = this.lanes[partition]
      appender.add(mark === undefined ? recorder.head(nowMs) : headWith(nowMs, mark), events, joint)
    }
  }

  private lane(partition: number): Lane {
    const { log, markingAs, progress, telemetry, clock, onSettled } = this.options
    const recorder = new Recorder(markingAs)
    const lag = new LagGate(() => progress(partition), clock)
    const appender = new Appender({
      log,
      partition,
      lag,
      telemetry,
      clock,
      queued: this.queued,
      onRefused: () => recorder.renew(),
      onSettled,
    })
    return { recorder, appender, lag }
  }
}

/** Whoever handed in a Msg that was divided: told once, when its parts have come to something. */
class Joint implements Appended {
  private readonly owner: Appended
  /** Parts that are neither durable nor refused, and those that were not acknowledged. */
  private unsettled: number
  private unacknowledged: number
  private error: Error | undefined

  constructor(owner: Appended, parts: number) {
    this.owner = owner
    this.unsettled = this.unacknowledged = parts
  }

  durable(): void {
    this.settle()
  }

  acknowledge(): void {
    // one that was refused is never acknowledged
    if (--this.unacknowledged === 0) this.owner.acknowledge()
  }

  refused(error: Error): void {
    // who sends again has the parts taken that may be, and is then told what was refused for good
    if (this.error === undefined || passes(error)) this.error = error
    this.settle()
  }

  groupEnd(): void {
    this.owner.groupEnd()
  }

  private settle(): void {
    if (--this.unsettled > 0) return
    const { owner, error } = this
    if (error === undefined) return owner.durable()
    owner.refused(error)
    // the group of the last part may wait long for its engine
    owner.groupEnd()
  }
}
