/**
 * The end of a partition, followed for those who want to know where their own records came to stand, or where the log ends: a confirm
 * tells neither.
 */
import { ReplicaError, type Clock } from '@ricci/replica'
import type { Brokers } from './brokers.ts'
import { unavailable } from './connection.ts'
import { StreamConsumer, type Delivered, type From } from './consumer.ts'
import { answerMs, emptyMs } from './limits.ts'

export interface TailOptions {
  readonly brokers: Brokers
  readonly stream: string
  /** The broker to begin with. */
  readonly broker: number
  readonly clock: Clock
  /** Given every record from somewhere near the end on, in order. */
  readonly onRecord: (record: Delivered) => void
}

/** Between two looks at a stream that shows nothing, and two attempts to find a broker. */
const lookMs = 20
const retryMs = 250
/** How far brokers' clocks may be from ours, and how long an attempt may have taken: a reader that was given nothing begins anew so far back. */
const backMs = 60_000

export class Tail {
  private readonly options: TailOptions
  private broker: number
  private consumer: StreamConsumer | undefined
  /** Offset after the last record seen; undefined as long as none was. */
  next: number | undefined
  private stopped = false
  private openedAtMs: number | undefined
  private readonly startedAtMs: number
  private wake: (() => void)[] = []
  private trouble: Error | undefined

  constructor(options: TailOptions) {
    this.options = options
    this.broker = options.broker
    this.startedAtMs = options.clock.wallMs()
    void this.run()
  }

  /** Resolves when it is there: whatever is appended from then on, it will see. @throws ReplicaError `LOG_UNAVAILABLE` after two seconds */
  async ready(): Promise<void> {
    const { clock } = this.options
    const untilMs = clock.monotonicMs() + answerMs
    while (this.openedAtMs === undefined) {
      if (this.stopped || clock.monotonicMs() >= untilMs)
        throw unavailable(
          this.trouble ?? new Error(`no broker has answered for ${answerMs} ms`),
          'the end of the log cannot be read',
        )
      await this.change(retryMs)
    }
  }

  /** Offset that the next record will get, as far as the broker that is read knows now. @throws ReplicaError `LOG_UNAVAILABLE` */
  async end(): Promise<number> {
    await this.ready()
    const { clock } = this.options
    const untilMs = clock.monotonicMs() + answerMs
    for (;;) {
      const before = this.next
      const count = await this.consumer?.roundTrip()
      for (const record of this.consumer?.taken() ?? []) this.handle(record)
      if (before !== undefined && before === this.next) return before
      const nowMs = clock.monotonicMs()
      if (this.next === undefined && count === 0 && nowMs - this.openedAtMs! > emptyMs) return 0
      if (nowMs > untilMs) throw new ReplicaError('LOG_UNAVAILABLE', 'the end of the log was not found in time', true)
      if (this.next === undefined) await this.change(lookMs)
    }
  }

  /** What it was given is doubted, or it was given nothing: it begins anew at the next broker. */
  again(): void {
    this.consumer?.end()
  }

  stop(): void {
    this.stopped = true
    this.consumer?.end()
    this.changed()
  }

  private async run(): Promise<void> {
    const { brokers, stream, clock } = this.options
    while (!this.stopped) {
      try {
        const { broker, connection } = await brokers.connect(this.broker)
        this.broker = broker + 1
        this.consumer = await StreamConsumer.open(connection, stream, this.from())
        this.openedAtMs ??= clock.monotonicMs()
        this.changed()
        for (let records = await this.consumer.next(); records.length > 0; records = await this.consumer.next()) {
          for (const record of records) this.handle(record)
          this.changed()
        }
      } catch (error) {
        this.trouble = error as Error
        if (!this.stopped) await this.change(retryMs)
      }
    }
    this.consumer?.end()
  }

  private from(): From {
    if (this.next !== undefined) return this.next
    return this.openedAtMs === undefined ? 'last' : new Date(this.startedAtMs - backMs)
  }

  private handle(record: Delivered): void {
    // a reader that begins anew may be given records again; one that leaves some out would be none
    if (this.next !== undefined && record.offset < this.next) return
    this.next = record.offset + 1
    this.options.onRecord(record)
  }

  private changed(): void {
    for (const wake of this.wake.splice(0)) wake()
  }

  /** Resolves at the next change, or later. */
  private change(atMostMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.options.clock.setTimer(atMostMs, resolve)
      this.wake.push(() => {
        timer.cancel()
        resolve()
      })
    })
  }
}
