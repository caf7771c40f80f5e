import type { Clock } from '@ricci/replica'
import { ReplicaError } from '@ricci/replica/errors'
import { maxAppendBytes, maxRecordBytes } from '../log/index.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import type { LagGate } from './lag.ts'

/** The log as intake uses it: records in two parts, so that a Msg is written from where it was received. */
export interface RecordLog {
  readonly partitions: number
  /**
   * Resolves when all records are durable, with their offsets where the log knows them without more ado: a partition that this process does not read
   * is not worth a reader.
   */
  appendAllParts(
    partition: number,
    heads: readonly Uint8Array[],
    bodies: readonly Uint8Array[],
  ): Promise<readonly number[] | undefined>
}

/** Who handed a record in: told of each, in the order it handed them in. */
export interface Appended {
  /** The record is durable. What only waits for durability (a query) goes on here. */
  durable(): void
  /** The record is durable and the engine is not too far behind: now the producer is told. */
  acknowledge(): void
  /** The log refused the record. */
  refused(error: Error): void
  /** All of a group were told: time to write the replies, all at once. Called for each record; the first call of a connection does it. */
  groupEnd(): void
}

export interface AppenderOptions {
  readonly log: RecordLog
  readonly partition: number
  readonly lag: LagGate
  readonly telemetry: Telemetry
  readonly clock: Clock
  /** Bytes handed in that are neither durable nor refused, over all partitions: one count that all appenders keep. */
  readonly queued: { bytes: number }
  /** The log refused a group: what it holds of it is unknown. */
  readonly onRefused: () => void
  /** There is room again. */
  readonly onSettled: () => void
}

/**
 * Hands a partition of the log what all connections brought in one turn of the loop, as one group: one promise for hundreds of messages. The log
 * gathers further while it writes.
 */
export class Appender {
  private heads: Uint8Array[] = []
  private bodies: Uint8Array[] = []
  private owners: Appended[] = []
  private bytes = 0
  private scheduled = false
  /** Resolves when every group handed over so far is durable or refused. */
  private tail: Promise<void> = Promise.resolve()
  /** Bytes handed in that are neither durable nor refused. */
  queuedBytes = 0

  private readonly queued: { bytes: number }

  constructor(private readonly options: AppenderOptions) {
    this.queued = options.queued
  }

  /** Adds a record of two parts. The body must not be changed until it is durable or refused. */
  add(head: Uint8Array, body: Uint8Array, owner: Appended): void {
    this.heads.push(head)
    this.bodies.push(body)
    this.owners.push(owner)
    const bytes = head.length + body.length
    this.bytes += bytes
    this.queue(bytes)
    if (this.scheduled) return
    this.scheduled = true
    // after the poll phase: one group takes what all sockets that were ready brought
    setImmediate(() => this.flush())
  }

  /** Resolves when everything added so far is durable or refused. */
  async settledSoFar(): Promise<void> {
    if (this.scheduled) await new Promise((resolve) => setImmediate(resolve)) // after the flush that is scheduled
    await this.tail
  }

  private flush(): void {
    const { heads, bodies, owners, bytes } = this
    this.heads = []
    this.bodies = []
    this.owners = []
    this.bytes = 0
    this.scheduled = false
    if (bytes <= maxRecordBytes) return this.handOver(heads, bodies, owners, bytes)
    // more than the log takes at once, maybe: nobody is refused for what others brought in the same turn
    let from = 0
    let sum = 0
    const cutBefore = (end: number): void => {
      if (end === from) return
      this.handOver(heads.slice(from, end), bodies.slice(from, end), owners.slice(from, end), sum)
      from = end
      sum = 0
    }
    for (let i = 0; i < owners.length; i++) {
      const length = heads[i].length + bodies[i].length
      const isTooLarge = length > maxRecordBytes
      if (isTooLarge || sum + length > maxAppendBytes) cutBefore(i)
      sum += length
      if (isTooLarge) cutBefore(i + 1)
    }
    cutBefore(owners.length)
  }

  private handOver(heads: Uint8Array[], bodies: Uint8Array[], owners: Appended[], bytes: number): void {
    const { log, partition, telemetry, clock } = this.options
    const startedMs = clock.monotonicMs()
    const group = log.appendAllParts(partition, heads, bodies).then(
      (offsets) => {
        telemetry.metrics.appendSeconds.observe((clock.monotonicMs() - startedMs) / 1000)
        telemetry.tally.appendGroups++
        telemetry.tally.appendedRecords += owners.length
        telemetry.tally.appendedBytes += bytes
        this.landed(owners, offsets?.[offsets.length - 1], bytes)
      },
      (error: unknown) => this.failed(owners, bytes, error instanceof Error ? error : new Error(String(error))),
    )
    this.tail = this.tail.then(() => group)
  }

  private landed(owners: readonly Appended[], lastOffset: number | undefined, bytes: number): void {
    this.queue(-bytes)
    for (const owner of owners) owner.durable()
    this.options.lag.durable(lastOffset, bytes, owners.length, () => {
      for (const owner of owners) owner.acknowledge()
      for (const owner of owners) owner.groupEnd()
    })
    this.options.onSettled()
  }

  private failed(owners: readonly Appended[], bytes: number, error: Error): void {
    const { telemetry, onRefused, onSettled } = this.options
    telemetry.appendFailed(error instanceof ReplicaError ? error.code : 'UNKNOWN', error)
    onRefused()
    this.queue(-bytes)
    for (const owner of owners) owner.refused(error)
    for (const owner of owners) owner.groupEnd()
    onSettled()
  }

  private queue(bytes: number): void {
    this.queuedBytes += bytes
    this.queued.bytes += bytes
  }
}
