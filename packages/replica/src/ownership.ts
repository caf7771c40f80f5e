import type { CheckpointRecord, Hashes, LogRecord, RulesRecord } from '@ricci/engine'
import { partsText } from './checkpoints.ts'
import { Delivery, type DeliveryOptions } from './delivery/delivery.ts'
import { SendWindow } from './delivery/send-window.ts'
import { FlowSenders, type FlowSendersOptions } from './flows/flow-senders.ts'
import type { Progress, Sighting, StateTaken } from './host.ts'
import { readBackMs } from './limits.ts'
import type { LogWriter } from './log-writer.ts'
import type { Timer } from './ports.ts'
import { Ticker } from './ticker.ts'

export interface OwnershipOptions
  extends
    Omit<DeliveryOptions, 'append' | 'calendarMs' | 'claimedAtMs'>,
    Omit<FlowSendersOptions, 'append' | 'mayAct'> {
  readonly writer: LogWriter
  /** The host's latest report; undefined once the host has failed. */
  readonly progress: () => Progress | undefined
  /** Brought by the first owner of a log without any. */
  readonly rules?: RulesRecord
  readonly onAlarm: (name: string, detail: string) => void
}

/** What an owner does from the reading of its claim until it steps down: ticks, checkpoints, delivery, flows, the very first rules. */
export class Ownership {
  readonly epoch: number
  readonly delivery: Delivery
  readonly flows: FlowSenders
  readonly #options: OwnershipOptions
  readonly #ticker: Ticker
  #busy = true
  #calendarMs = 0
  #tickSeenMs: number
  /** Open for 2 s from the last tick of ours that was read. */
  #window: SendWindow
  #rulesTimer: Timer | undefined
  #ended = false

  constructor(options: OwnershipOptions) {
    const { epoch, clock, writer, onAlarm } = options
    this.#options = options
    this.epoch = epoch
    this.#tickSeenMs = clock.monotonicMs()
    this.#window = new SendWindow(clock)
    this.#writeRules()
    this.#ticker = new Ticker({
      epoch,
      lastTick: options.progress()?.lastTick ?? 0,
      clock,
      append: (tick) => {
        this.#busy = false
        return writer.append([tick])
      },
      busy: () => this.#busy,
      calendarMs: () => this.#calendar(),
      onAlarm,
    })
    this.delivery = new Delivery({
      ...options,
      claimedAtMs: clock.monotonicMs(),
      append: (records: readonly LogRecord[]) => writer.write(records),
      calendarMs: () => this.#calendar(),
    })
    this.flows = new FlowSenders({
      ...options,
      mayAct: () => !this.#ended && this.#window.mayBegin(),
      append: (record) => writer.write([record]),
    })
  }

  /** Something besides ticks and checkpoints was applied: the next tick comes soon. */
  busy(): void {
    this.#busy = true
  }

  /** A tick was read; only our own tells that we are. */
  tickRead(epoch: number): void {
    if (epoch !== this.epoch) return
    this.#tickSeenMs = this.#options.clock.monotonicMs()
    this.#window = new SendWindow(this.#options.clock)
  }

  /** Monotonic time at which a tick of ours was read last; before the first, when it began. */
  get tickSeenMs(): number {
    return this.#tickSeenMs
  }

  /** Hashes were taken at a tick: if it is ours they are written down. */
  tickHashed({ offset, record }: Sighting, hashes: Hashes): void {
    if (record.kind === 'tick' && record.epoch === this.epoch) this.#checkpoint(offset, record.number, hashes)
  }

  /** The state was hashed, whoever's tick it was cut at: it is written down in a checkpoint of its own, after the fact. */
  stateTaken({ offset, tick, hashes: { input, decisions, state, parts } }: StateTaken): void {
    this.#checkpoint(offset, tick, { input, decisions, state, parts: partsText(parts) })
  }

  #checkpoint(offset: number, tick: number, hashes: Pick<CheckpointRecord, keyof Hashes | 'state' | 'parts'>): void {
    const { writer, mirror } = this.#options
    writer.write([{ kind: 'checkpoint', epoch: this.epoch, tick, offset, ...hashes, openPages: mirror.size }])
  }

  /** Nothing new is begun. Requests may still be under way: resolves when they have ended and their outcomes were read. */
  async end(): Promise<void> {
    this.#ended = true
    this.#ticker.stop()
    this.#rulesTimer?.cancel()
    this.delivery.stop()
    await Promise.all([this.flows.stop(), this.delivery.drained()])
  }

  /** Lets go of what is still under way. */
  abandon(): void {
    this.delivery.abandon()
    this.flows.abandon()
  }

  /** What is under way when the host fails ends after it: the last that was reported holds on. */
  #calendar(): number {
    return (this.#calendarMs = this.#options.progress()?.calendarMs ?? this.#calendarMs)
  }

  /** Written again until they are read. */
  #writeRules(): void {
    const { rules, writer, clock, progress } = this.#options
    if (rules === undefined || this.#ended || progress()?.rulesHash !== undefined) return
    writer.write([rules])
    this.#rulesTimer = clock.setTimer(readBackMs, () => this.#writeRules())
  }
}
