import { decodeRecord, encodeEventsRecord } from '@ricci/engine'
import { ReplicaError, type StoredRecord } from '@ricci/replica'
import { crc32 } from 'node:zlib'
import type { PublishingLog } from './brokers/broker-log.ts'
import type { Door } from './producer.ts'
import type { Process } from './process.ts'

/** Not for a fault of the disk that only says so. */
function isWithoutRoom(error: unknown): boolean {
  return error instanceof ReplicaError && error.code === 'LOG_FULL' && error.cause === undefined
}

interface Open {
  readonly bytes: Uint8Array
  readonly acks: (() => void)[]
  readonly sinceMs: number
  readonly attempts: number
}

/** An append without a confirm and without its record read back is made again after this. */
const retryMs = 2_500
/** Given up after this: the producer has long gone elsewhere. */
const giveUpMs = 15_000

/**
 * An instance's intake, as far as loss and doubling depend on it: stamps, appends, acknowledges. The instance reads every
 * partition it takes events for, so it believes its own reader and no confirm (DESIGN section 6: confirmed is not written, read is).
 */
export class SimIntake implements Door {
  readonly #open = new Map<string, Open>()

  constructor(
    private readonly process: Process,
    private readonly log: PublishingLog,
    /** The product's logs resolve an append when it is written, and write what they have taken; of any other only what is read is believed. */
    private readonly believesLog: boolean,
    /** Whether this instance reads a partition that it takes events for. */
    private readonly reads: (partition: number) => boolean,
    private readonly onNoRoom: (partition: number, msg: Uint8Array) => void,
  ) {}

  get name(): string {
    return this.process.name
  }

  open(): boolean {
    return this.process.alive
  }

  take(partition: number, msg: Uint8Array, ack: () => void): void {
    this.process.deliver(() => {
      const bytes = encodeEventsRecord(this.process.clock.wallMs(), msg)
      this.#append(partition, bytes, [ack], this.process.clock.monotonicMs(), 1)
    })
  }

  #append(partition: number, bytes: Uint8Array, acks: (() => void)[], sinceMs: number, attempts: number): void {
    const key = `${partition}/${crc32(bytes)}/${bytes.length}`
    const open: Open = { bytes, acks: [...(this.#open.get(key)?.acks ?? []), ...acks], sinceMs, attempts }
    this.#open.set(key, open)
    this.#hand(partition, bytes).then(
      () => this.believesLog && this.#settle(key),
      (error: unknown) => {
        const record = decodeRecord(bytes)
        if (isWithoutRoom(error) && record.kind === 'events') this.onNoRoom(partition, record.msg)
      },
    )
    if (this.log.publish !== undefined) return
    this.process.clock.setTimer(retryMs, () => {
      if (this.#open.get(key) !== open) return
      this.#open.delete(key)
      if (this.process.clock.monotonicMs() - sinceMs > giveUpMs) return
      this.#append(partition, bytes, acks, sinceMs, attempts + 1)
    })
  }

  #hand(partition: number, bytes: Uint8Array): Promise<unknown> {
    const { log } = this
    if (log.publish === undefined || this.reads(partition)) return log.append(partition, [bytes])
    return log.publish(partition, [bytes])
  }

  /** Records that this instance's reader was given. */
  delivered(partition: number, records: readonly StoredRecord[]): void {
    if (this.#open.size === 0 || this.believesLog) return
    for (const record of records) {
      const key = `${partition}/${record.checksum}/${record.bytes.length}`
      this.#settle(key)
    }
  }

  #settle(key: string): void {
    const open = this.#open.get(key)
    if (open === undefined) return
    this.#open.delete(key)
    for (const ack of open.acks) ack()
  }
}
