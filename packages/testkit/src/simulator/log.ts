import { kindOf } from '@ricci/engine'
import { crc32 } from 'node:zlib'
import { ReplicaError, type LogPort, type StoredRecord } from '@ricci/replica'
import type { SeededRandom } from '../random.ts'
import type { Process } from './process.ts'
import type { World } from './world.ts'

/** How likely each fate of an append is; all 0 in calm weather. */
export interface LogWeather {
  error: number
  lostConfirm: number
  straggler: number
  duplicated: number
  delayed: number
}

/**
 * The log as a cluster of brokers that fail in the ways measured on RabbitMQ: it loses confirms, writes twice, writes late what
 * it refused, confirms (after a freeze) what it never wrote, and goes silent. What it never does: change or lose a record that
 * a reader was given, or change the order of what is written.
 */
export class SimLog {
  readonly id: string
  readonly #partitions: PartitionLog[]

  constructor(
    readonly world: World,
    partitions: number,
  ) {
    this.id = `log-${world.seed}`
    this.#partitions = Array.from({ length: partitions }, (_, i) => new PartitionLog(world, i))
  }

  get partitions(): number {
    return this.#partitions.length
  }

  partition(index: number): PartitionLog {
    return this.#partitions[index]
  }

  /** What is written, whole: the surviving log. */
  records(partition: number): readonly StoredRecord[] {
    return this.#partitions[partition].records
  }

  /** A process' own connection. `onDelivered` hears of every record its readers are given. */
  connect(process: Process, onDelivered?: (partition: number, records: readonly StoredRecord[]) => void): LogPort {
    return new Connection(this, process, onDelivered ?? (() => {}))
  }
}

/** One partition: the truth, the weather over it, and who waits for records. */
export class PartitionLog {
  readonly records: StoredRecord[] = []
  /** When each of them was. */
  readonly writtenMs: number[] = []
  readonly weather: LogWeather = { error: 0, lostConfirm: 0, straggler: 0, duplicated: 0, delayed: 0 }
  /** Nobody reaches the log: appends fail or hang, readers hear nothing. */
  away = false
  /**
   * The leader is frozen: appends hang without a confirm; once it thaws, what came in meanwhile is either written or, as
   * measured, confirmed and in no log. Processes named here publish through the frozen broker.
   */
  frozen = false
  /** The next append that holds an attempt is refused. */
  refusesAttempt = false
  /** This process is given nothing, however often it reads anew; what it appends is written and confirmed. */
  deaf: string | undefined
  /** Told of every record as it is written, before anybody else. */
  readonly onWritten: ((record: StoredRecord) => void)[] = []
  readonly #readers = new Set<Reader>()
  #thaw: (() => void)[] = []
  #back: (() => void)[] = []

  constructor(
    readonly world: World,
    readonly index: number,
  ) {}

  get readers(): ReadonlySet<Reader> {
    return this.#readers
  }

  get end(): number {
    return this.records.length
  }

  write(bytes: Uint8Array): number {
    const record = { offset: this.records.length, bytes, checksum: crc32(bytes) }
    this.records.push(record)
    this.writtenMs.push(this.world.nowMs)
    for (const listener of this.onWritten) listener(record)
    for (const reader of this.#readers) reader.wake()
    return record.offset
  }

  attach(reader: Reader): void {
    this.#readers.add(reader)
  }

  detach(reader: Reader): void {
    this.#readers.delete(reader)
  }

  whenThawed(callback: () => void): void {
    this.#thaw.push(callback)
  }

  whenBack(callback: () => void): void {
    this.#back.push(callback)
  }

  thaw(): void {
    this.frozen = false
    for (const callback of this.#thaw.splice(0)) callback()
    for (const reader of this.#readers) reader.wake()
  }

  hear(): void {
    this.deaf = undefined
    for (const reader of this.#readers) reader.wake()
  }

  comeBack(): void {
    this.away = false
    for (const callback of this.#back.splice(0)) callback()
    for (const reader of this.#readers) reader.wake()
  }
}

class Connection implements LogPort {
  readonly id: string
  readonly partitions: number
  readonly #random: SeededRandom
  /** Per partition: when the last record sent in order lands. What follows does not overtake it. */
  readonly #lastLandingMs: number[]
  /** Per partition: this connection lost the records of a freeze and goes on confirming what is never written. */
  readonly #phantomUntilMs: number[]
  #closed = false

  constructor(
    private readonly log: SimLog,
    private readonly process: Process,
    private readonly onDelivered: (partition: number, records: readonly StoredRecord[]) => void,
  ) {
    this.id = log.id
    this.partitions = log.partitions
    this.#random = log.world.random.fork(`log/${process.name}`)
    this.#lastLandingMs = new Array(log.partitions).fill(0)
    this.#phantomUntilMs = new Array(log.partitions).fill(0)
  }

  append(partition: number, records: readonly Uint8Array[]): Promise<number[]> {
    // A dead process' last microtasks may still come here; nobody is left to hear an answer.
    if (!this.process.alive) return new Promise(() => {})
    if (this.#closed)
      return Promise.reject(new ReplicaError('LOG_CLOSED', 'this connection to the log is closed', false))
    if (partition >= this.partitions)
      return Promise.reject(new ReplicaError('STATE', `the log has no partition ${partition}`, false))
    return new Promise((resolve, reject) => {
      const copies = records.map((bytes) => new Uint8Array(bytes))
      this.#send(partition, copies, resolve, reject)
    })
  }

  /** Decides what becomes of an append, at the moment it is made. */
  #send(
    partition: number,
    records: readonly Uint8Array[],
    resolve: (offsets: number[]) => void,
    reject: (error: Error) => void,
  ): void {
    const { world } = this.log
    const target = this.log.partition(partition)
    const random = this.#random
    const fail = (afterMs: number, why: string): void =>
      this.process.deliverAfter(afterMs, () => reject(new ReplicaError('LOG_UNAVAILABLE', why, true)))
    if (target.away) {
      // Half are refused at once, half hang in a buffer and are written when the log is back, answered or not.
      if (random.chance(0.5)) return fail(random.between(1, 1_000), 'the log cannot be reached')
      target.whenBack(() =>
        this.#land(target, records, random.between(1, 50), random.chance(0.5) ? resolve : undefined),
      )
      if (random.chance(0.5)) fail(random.between(2_000, 8_000), 'no confirm came')
      return
    }
    if (target.frozen || world.nowMs < this.#phantomUntilMs[partition]) {
      return this.#sendFrozen(target, records, resolve)
    }
    if (target.refusesAttempt && records.some((bytes) => kindOf(bytes) === 'attempt')) {
      target.refusesAttempt = false
      world.fault('attempt refused', this.process.name, `p${partition}`)
      return fail(random.between(1, 500), 'the broker refused the record')
    }
    const { weather } = target
    const fate = random.next()
    let bound = weather.error
    if (fate < bound) {
      world.fault('append error', this.process.name, `p${partition}`)
      return fail(random.between(1, 2_000), 'the broker refused the record')
    }
    if (fate < (bound += weather.lostConfirm)) {
      world.fault('append lost confirm', this.process.name, `p${partition}`)
      this.#land(target, records, random.between(1, 20), undefined)
      return fail(random.between(50, 3_000), 'the connection was lost before the confirm')
    }
    if (fate < (bound += weather.straggler)) {
      world.fault('append straggler', this.process.name, `p${partition}`)
      // The old connection's broker still writes it: out of order with what this process sends next.
      const lateMs = random.between(100, 15_000)
      world.after(lateMs, () => records.forEach((bytes) => target.write(bytes)))
      return fail(random.between(50, 3_000), 'the connection was lost')
    }
    if (fate < (bound += weather.duplicated)) {
      world.fault('append duplicated', this.process.name, `p${partition}`)
      // At once: what it made somebody do is still under way; or when all that is over.
      const laterMs = random.chance(0.5) ? random.between(0.5, 50) : random.between(20, 5_000)
      world.after(laterMs, () => records.forEach((bytes) => target.write(bytes)))
    }
    let delayMs = random.between(0.5, 8)
    if (random.chance(weather.delayed)) {
      delayMs = random.between(100, 6_000)
      world.fault('append delayed', this.process.name, `p${partition} by ${Math.round(delayMs)} ms`)
    }
    this.#land(target, records, delayMs, resolve)
  }

  #sendFrozen(target: PartitionLog, records: readonly Uint8Array[], resolve: (offsets: number[]) => void): void {
    const { world } = this.log
    const random = this.#random
    const answer = (lost: boolean): void => {
      if (!lost) return this.#land(target, records, random.between(1, 30), resolve)
      world.fault('append phantom', this.process.name, `p${target.index}, ${records.length} records confirmed`)
      const offsets = records.map((_, i) => target.end + i)
      this.process.deliverAfter(random.between(1, 30), () => resolve(offsets))
    }
    if (target.frozen) {
      target.whenThawed(() => {
        // One decision per connection and freeze: its link was dropped with all that was under way, and what follows until
        // the link is made anew passes for a repeat (RabbitMQ's own resend), confirmed and not written.
        if (this.#phantomUntilMs[target.index] === 0 || world.nowMs > this.#phantomUntilMs[target.index] + 5_000) {
          this.#phantomUntilMs[target.index] = random.chance(0.5) ? world.nowMs + random.between(200, 1_500) : -1
        }
        answer(this.#phantomUntilMs[target.index] > 0)
      })
    } else {
      answer(true)
    }
  }

  /** Written in `delayMs`, not before what this connection sent earlier; confirmed after that. */
  #land(
    target: PartitionLog,
    records: readonly Uint8Array[],
    delayMs: number,
    confirm: ((offsets: number[]) => void) | undefined,
  ): void {
    const { world } = this.log
    const atMs = Math.max(world.nowMs + delayMs, this.#lastLandingMs[target.index])
    this.#lastLandingMs[target.index] = atMs
    const confirmMs = this.#random.between(0.3, 6)
    world.after(atMs - world.nowMs, () => {
      const offsets = records.map((bytes) => target.write(bytes))
      if (confirm !== undefined) this.process.deliverAfter(confirmMs, () => confirm(offsets))
    })
  }

  read(partition: number, from: number, signal: AbortSignal): AsyncIterable<readonly StoredRecord[]> {
    return {
      [Symbol.asyncIterator]: () =>
        new Reader(this.log.partition(partition), this.process, this.#random, from, signal, (records) =>
          this.onDelivered(partition, records),
        ),
    }
  }

  range(partition: number): Promise<{ first: number; end: number }> {
    return this.endOf(partition).then((end) => ({ first: 0, end }))
  }

  endOf(partition: number): Promise<number> {
    const target = this.log.partition(partition)
    return new Promise((resolve, reject) => {
      this.process.deliverAfter(this.#random.between(0.5, 10), () => {
        if (target.away || target.frozen) reject(new ReplicaError('LOG_UNAVAILABLE', 'the log cannot be reached', true))
        else resolve(target.end)
      })
    })
  }

  close(): Promise<void> {
    this.#closed = true
    return Promise.resolve()
  }
}

/** At most this many records in one batch: a reader that catches up yields now and then, as a real one does. */
const batchLimit = 256

/** One consumer of a partition. It may be silenced: no records, no error, no end. */
export class Reader implements AsyncIterator<readonly StoredRecord[]> {
  silent = false
  /** Records before this offset were handed out, have reached the process, have left the broker. */
  #position: number
  #arrived: number
  #sent: number
  #underWay = false
  #waiting: { resolve(result: IteratorResult<readonly StoredRecord[]>): void; reject(error: Error): void } | undefined
  #failure: Error | undefined
  #ended = false

  constructor(
    private readonly log: PartitionLog,
    readonly process: Process,
    private readonly random: SeededRandom,
    from: number,
    signal: AbortSignal,
    private readonly onDelivered: (records: readonly StoredRecord[]) => void,
  ) {
    this.#position = from
    this.#arrived = from
    this.#sent = from
    if (signal.aborted) this.#ended = true
    else {
      signal.addEventListener('abort', () => this.#end(), { once: true })
      log.attach(this)
      this.wake()
    }
  }

  get #hearsNothing(): boolean {
    return this.silent || this.log.away || this.log.deaf === this.process.name
  }

  /** There is something new: it arrives after a network's delay. */
  wake(): void {
    if (this.#underWay || this.#ended) return
    if (this.#hearsNothing || this.log.frozen || this.log.end <= this.#sent) return
    this.#underWay = true
    this.log.world.after(this.random.between(0.3, 5), () => {
      this.#underWay = false
      if (this.#hearsNothing) return
      const end = Math.min(this.log.end, this.#sent + batchLimit)
      this.#sent = end
      this.process.deliver(() => {
        this.#arrived = Math.max(this.#arrived, end)
        this.#flush()
      })
      this.wake()
    })
  }

  /** Ends this consumer with an error, as a broker that closes the channel does. */
  breakOff(): void {
    this.process.deliver(() => {
      this.#failure = new ReplicaError('LOG_UNAVAILABLE', 'the broker closed the channel', true)
      this.#flush()
    })
  }

  next(): Promise<IteratorResult<readonly StoredRecord[]>> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#flush()
    })
  }

  return(): Promise<IteratorResult<readonly StoredRecord[]>> {
    this.#end()
    return Promise.resolve({ done: true, value: undefined })
  }

  #end(): void {
    this.#ended = true
    this.log.detach(this)
    this.#flush()
  }

  #flush(): void {
    const waiting = this.#waiting
    if (waiting === undefined) return
    if (this.#ended) {
      this.#waiting = undefined
      return waiting.resolve({ done: true, value: undefined })
    }
    if (this.#position < this.#arrived) {
      this.#waiting = undefined
      const records = this.log.records.slice(this.#position, Math.min(this.#arrived, this.#position + batchLimit))
      this.#position += records.length
      this.onDelivered(records)
      return waiting.resolve({ done: false, value: records })
    }
    if (this.#failure !== undefined) {
      this.#waiting = undefined
      this.#ended = true
      this.log.detach(this)
      waiting.reject(this.#failure)
    }
  }
}
