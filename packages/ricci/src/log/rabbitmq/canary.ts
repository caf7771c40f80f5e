/**
 * Proves the way in of publishers that are not Ricci, which no tick of an owner takes: once a second a small Msg goes by the exchange and an
 * inbox to a partition that this instance reads, and has to be read there. It holds a producer's mark and no event: it decides nothing.
 */
import { encodeMark, readMark, type ProducerMark } from '@ricci/client'
import { eventsHeaderLength, kindOf } from '@ricci/engine'
import type { Clock, Timer } from '@ricci/replica'
import { canaryCalmMs, canaryEveryMs, canaryKeys, canaryMs, canaryRecordBytes } from './limits.ts'
import { eventsExchange } from './topology.ts'

export interface CanaryOptions {
  /** Tells its Msgs from those of any other, of an earlier start of this instance too. */
  readonly producer: string
  readonly clock: Clock
  /** Those that this instance owns: asked each time. */
  readonly partitions: () => readonly number[]
  readonly route: (key: string) => number
  /** Sends a Msg as others do; resolves when a broker has confirmed it, rejects with why not. */
  readonly send: (key: string, msg: Uint8Array) => Promise<void>
  /** Has the listener given each record of a partition; resolves, when that has begun, with what ends it. */
  readonly watch: (partition: number, listener: (bytes: Uint8Array) => void) => Promise<() => void>
  /** One was read back, so long after it was sent. */
  readonly onRoundTrip?: (tookMs: number) => void
  /** The way in is broken; told once, until all was well for a minute. For the alarm `event-path`. */
  readonly onAlarm: (detail: string) => void
  /** See {@link canaryMs}, the default. */
  readonly timeoutMs?: number
}

/** One on its way. */
interface Sent {
  readonly partition: number
  readonly atMs: number
  readonly key: string
  readonly msg: Uint8Array
  /** It was not taken: it is sent again, as whoever publishes is to do; one broken connection is not a broken way. */
  refused: boolean
  /** What has become of it so far, in words. */
  stage: string
}

/** How canaries to one partition are numbered: after one was lost a new life begins, or the engine would miss it, too. */
interface Numbering {
  incarnation: number
  sequence: number
  readonly keys: readonly string[]
}

/** Whoever looks so much later than it wanted to was stopped itself, and can say nothing of the way. */
const stoppedMs = 3 * canaryEveryMs

export class Canary {
  /** Why the way in is not to be trusted; undefined while it is. */
  trouble: string | undefined
  private failedAtMs = -Infinity
  private readonly under = new Map<string, Sent>()
  private readonly numberings = new Map<number, Numbering>()
  /** By partition, what ends the watching. */
  private readonly watched = new Map<number, () => void>()
  private turn = 0
  private lookedMs = 0
  private timer: Timer | undefined
  private stopped = false

  constructor(private readonly options: CanaryOptions) {}

  /** Those on their way; few, for each ends. */
  get underWay(): number {
    return this.under.size
  }

  start(): void {
    if (this.timer !== undefined || this.stopped) return
    this.lookedMs = this.options.clock.monotonicMs()
    this.next()
  }

  /** Idempotent. */
  stop(): void {
    this.stopped = true
    this.timer?.cancel()
    for (const end of this.watched.values()) end()
    this.watched.clear()
    this.under.clear()
  }

  private next(): void {
    this.timer = this.options.clock.setTimer(canaryEveryMs, () => {
      this.look()
      // by whom it told
      if (this.stopped) return
      const partitions = this.options.partitions()
      for (const [partition, end] of this.watched) {
        if (partitions.includes(partition)) continue
        this.watched.delete(partition)
        this.numberings.delete(partition)
        // nobody looks any more whether they come back
        for (const [name, sent] of this.under) if (sent.partition === partition) this.under.delete(name)
        end()
      }
      if (partitions.length > 0) void this.sendTo(partitions[this.turn++ % partitions.length])
      this.next()
    })
  }

  /** Tells of those that have not come back in time. */
  private look(): void {
    const { clock, timeoutMs = canaryMs } = this.options
    const nowMs = clock.monotonicMs()
    const wasStopped = nowMs - this.lookedMs > stoppedMs
    this.lookedMs = nowMs
    for (const [name, sent] of this.under) {
      if (wasStopped) this.lost(name, sent.partition)
      else if (nowMs - sent.atMs >= timeoutMs) {
        this.lost(name, sent.partition)
        this.failed(`${way(sent.partition)} ${sent.stage}, and was not read there for ${timeoutMs / 1_000} s`)
      } else if (sent.refused) void this.send(sent)
    }
    if (this.trouble !== undefined && nowMs - this.failedAtMs > canaryCalmMs) this.trouble = undefined
  }

  private async sendTo(partition: number): Promise<void> {
    const { clock, producer } = this.options
    if (!(await this.isWatched(partition))) return
    const numbering = this.numbering(partition)
    const sentAtMs = clock.wallMs()
    const { incarnation, keys } = numbering
    const sequence = ++numbering.sequence
    const name = nameOf(partition, incarnation, sequence)
    const sent: Sent = {
      ...{ partition, atMs: clock.monotonicMs(), refused: false, stage: 'was not confirmed by a broker' },
      key: keys[sequence % keys.length],
      msg: encodeMark({ producer, incarnation, sequence, sentAtMs }),
    }
    this.under.set(name, sent)
    await this.send(sent)
  }

  private async send(sent: Sent): Promise<void> {
    sent.refused = false
    try {
      await this.options.send(sent.key, sent.msg)
      sent.stage = 'was confirmed by a broker'
    } catch (error) {
      // it may be on its way all the same: one that comes twice is dropped by its mark
      sent.refused = true
      sent.stage = `was not confirmed by a broker (${(error as Error).message})`
    }
  }

  private async isWatched(partition: number): Promise<boolean> {
    if (this.watched.has(partition)) return true
    try {
      const end = await this.options.watch(partition, (bytes) => this.seen(partition, bytes))
      if (this.stopped || this.watched.has(partition)) {
        end()
        return !this.stopped
      }
      this.watched.set(partition, end)
      return true
    } catch {
      // that a partition cannot be read is told by its replica; it says nothing of the way in
      return false
    }
  }

  private numbering(partition: number): Numbering {
    let numbering = this.numberings.get(partition)
    if (numbering === undefined) {
      const keys: string[] = []
      for (let index = 0; keys.length < canaryKeys; index++) {
        const key = `ricci-canary-${index}`
        if (this.options.route(key) === partition) keys.push(key)
      }
      // a time is higher than any that this producer had here before
      this.numberings.set(partition, (numbering = { incarnation: this.options.clock.wallMs(), sequence: 0, keys }))
    }
    return numbering
  }

  private seen(partition: number, bytes: Uint8Array): void {
    const mark = markOf(bytes)
    if (mark?.producer !== this.options.producer) return
    const name = nameOf(partition, mark.incarnation, mark.sequence)
    const sent = this.under.get(name)
    if (sent === undefined || !this.under.delete(name)) return
    this.options.onRoundTrip?.(this.options.clock.monotonicMs() - sent.atMs)
  }

  /** It is not waited for any more; the next of its partition begins a new life. */
  private lost(name: string, partition: number): void {
    this.under.delete(name)
    const numbering = this.numberings.get(partition)
    if (numbering === undefined) return
    numbering.incarnation++
    numbering.sequence = 0
  }

  private failed(detail: string): void {
    this.failedAtMs = this.options.clock.monotonicMs()
    const isNew = this.trouble === undefined
    this.trouble = detail
    if (isNew) this.options.onAlarm(detail)
  }
}

/** The mark of a record that may be a canary's. */
function markOf(bytes: Uint8Array): ProducerMark | undefined {
  if (bytes.length > canaryRecordBytes) return undefined
  try {
    return kindOf(bytes) === 'events' ? readMark(bytes.subarray(eventsHeaderLength)) : undefined
  } catch {
    // of a kind that this release does not know, or no Msg: the engine's matter
    return undefined
  }
}

function way(partition: number): string {
  return `what is published to the exchange ${eventsExchange} does not reach its partition: a test message to partition ${partition}`
}

function nameOf(partition: number, incarnation: number, sequence: number): string {
  return `${partition} ${incarnation} ${sequence}`
}
