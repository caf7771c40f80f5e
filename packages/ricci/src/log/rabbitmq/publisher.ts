/**
 * The way of records into one partition: in order, each sent until it is known to be written, through one broker or another.
 *
 * What is known (DESIGN section 6): a confirm says that a record is written, unless the partition stalled. When no confirm has come for
 * two seconds, a broker may be frozen or cut off, and those of what was sent since the stall began may never have been written although
 * they are confirmed later. Then everything since is sent again through the next broker, and once confirms have been prompt for a second
 * it is sent once more; only the confirms of that are believed. The same holds for what is sent after a silence in which a stall would not have been
 * seen; so something is sent at least once a second to a partition that is in use. Who reads the partition needs none of this: what was read is written ({@link PartitionPublisher.seen}).
 */
import type { Clock, Mutation, Timer } from '@ricci/replica'
import { logClosed } from '../errors.ts'
import { blockedMs, confirmMs, markMs, promptMs, usedMs, windowBytes, windowRecords } from './limits.ts'

/** A channel on which every record is confirmed. */
export interface ConfirmChannel {
  /** Resolves when the broker confirms; rejects when it refuses, returns, or is lost. Sent in the order of the calls. */
  publish(record: Uint8Array, id: string): Promise<void>
  /** Has `listener` told why the broker takes no records now, and (undefined) when it does again. */
  onBlocked(listener: (why: string | undefined) => void): void
  /** Ends it at once; may be called again. */
  close(): void
}

/** Opens a channel at the first broker, from one on, that can be had. @throws ReplicaError */
export type OpenChannel = (from: number) => Promise<{ readonly broker: number; readonly channel: ConfirmChannel }>

/** What makes a record's place certain: the broker's confirm, or that it was read. */
export type Belief = 'confirm' | 'reading'

export interface PublisherOptions {
  readonly open: OpenChannel
  readonly clock: Clock
  /** Makes a record's id in the log unlike any other publisher's. */
  readonly prefix: string
  /** The broker to begin with. */
  readonly broker: number
  /** A broker did not do what it should, and in what way. */
  readonly onTrouble?: (broker: number | undefined, what: string) => void
  /** Bytes were taken, or settled where negative. */
  readonly onBytes?: (bytes: number) => void
  /** A record is known to be written. */
  readonly onSettled?: () => void
  /** Makes a record that decides nothing, for when there is no other to send. */
  readonly mark: () => Uint8Array
  /** See {@link confirmMs}, the default. */
  readonly confirmMs?: number
  /** Tests only. */
  readonly mutations?: ReadonlySet<Mutation>
}

interface Group {
  left: number
  readonly settled: () => void
  readonly failed: (error: Error) => void
}

interface Entry {
  readonly id: string
  readonly record: Uint8Array
  readonly belief: Belief
  readonly group: Group
  /** The round it was sent in last; only the answer to that counts. */
  round: number
  sentAtMs: number
  answered: boolean
  settled: boolean
}

/** Between two attempts to find a broker, where none can be had. */
const retryMs = 250

export class PartitionPublisher {
  private readonly options: PublisherOptions
  private readonly entries = new Queue<Entry>((entry) => entry.settled)
  private readonly byId = new Map<string, Entry>()
  private sequence = 0
  /** What was sent on this channel, in order, until something came of it. */
  private readonly awaited = new Queue<Entry>((entry) => entry.settled || !this.isAwaited(entry))
  private inFlight = 0
  private inFlightBytes = 0
  private channel: ConfirmChannel | undefined
  /** Counts channels: answers of an older one are nobody's. */
  private generation = 0
  /** Counts channels, and the ends of stalls: in each, everything that is not settled is sent once, from the front. */
  private round = 1
  private opening = false
  private broker: number
  /** No confirm is believed: there was a stall, or one would not have been seen. */
  private doubting = true
  /** Since when, on this channel, confirms have come: a stall is over when they have been prompt for a while. */
  private promptSinceMs: number | undefined
  private lastConfirmMs = -Infinity
  private timer: Timer | undefined
  private timerAtMs = 0
  /** Why the broker takes no records now; while it does not, nothing is sent, and confirms are not missed. */
  private blocked: string | undefined
  /** When it began, or ended, to say so. */
  private blockedChangedMs = -Infinity
  /** When something was last sent, and when something was last published that is believed by its confirm. */
  private sentMs = -Infinity
  private usedAtMs = -Infinity
  private marking: Timer | undefined
  private ended = false

  constructor(options: PublisherOptions) {
    this.options = options
    this.broker = options.broker
  }

  /** Records that were taken and are not settled. */
  get unsettled(): number {
    return this.byId.size
  }

  /**
   * Takes records, which must not be changed until they are settled. Resolves when all are known to be written.
   * @param onId told the id of each, under which a reader sees it
   * @throws ReplicaError `LOG_CLOSED`
   */
  publish(records: readonly Uint8Array[], belief: Belief, onId?: (id: string) => void): Promise<void> {
    if (this.ended) return Promise.reject(logClosed())
    if (records.length === 0) return Promise.resolve()
    if (belief === 'confirm') {
      this.usedAtMs = this.options.clock.monotonicMs()
      this.markLater(markMs)
    }
    return this.take(records, belief, onId)
  }

  private take(records: readonly Uint8Array[], belief: Belief, onId?: (id: string) => void): Promise<void> {
    const { clock, prefix, onBytes } = this.options
    // Had there been a stall in this silence, nobody would have seen it: what is under way may all have been read.
    if (clock.monotonicMs() - this.lastConfirmMs > this.confirmMs) this.doubt()
    return new Promise((resolve, reject) => {
      const group: Group = { left: records.length, settled: resolve, failed: reject }
      for (const record of records) {
        const id = `${prefix}${(this.sequence++).toString(36)}`
        const entry: Entry = { id, record, belief, group, round: 0, sentAtMs: 0, answered: false, settled: false }
        this.entries.push(entry)
        this.byId.set(id, entry)
        onId?.(id)
        onBytes?.(record.length)
      }
      this.pump()
    })
  }

  /** The partition's reader was given a record: it is written. Ids of others' are ignored. */
  seen(id: string): void {
    const entry = this.byId.get(id)
    if (entry !== undefined && entry.belief === 'reading') this.settle(entry)
  }

  /** Ends it; what is not settled is refused: it may be written, or not. */
  end(error: Error): void {
    this.ended = true
    this.marking?.cancel()
    this.leaveChannel()
    for (const entry of this.byId.values()) entry.group.failed(error)
    this.byId.clear()
  }

  private get confirmMs(): number {
    return this.options.confirmMs ?? confirmMs
  }

  private doubt(): void {
    this.doubting = true
    this.promptSinceMs = undefined
  }

  /** Looks after a while whether a mark is due. */
  private markLater(delayMs: number): void {
    this.marking ??= this.options.clock.setTimer(delayMs, () => {
      this.marking = undefined
      this.mark()
    })
  }

  private mark(): void {
    const { clock, mark } = this.options
    const nowMs = clock.monotonicMs()
    if (nowMs - this.usedAtMs > usedMs) return
    const dueMs = this.sentMs + markMs - nowMs
    // what is under way shows a stall as well
    if (dueMs <= 0 && this.byId.size === 0) this.take([mark()], 'confirm').catch(() => undefined)
    this.markLater(dueMs > 0 ? dueMs : markMs)
  }

  private pump(): void {
    if (this.channel === undefined) {
      if (!this.opening && this.byId.size > 0) void this.open()
      return
    }
    if (this.blocked !== undefined) return this.watch()
    for (let entry = this.entries.next(); entry !== undefined; entry = this.entries.next()) {
      if (!entry.settled && entry.round !== this.round) {
        const full = this.inFlight >= windowRecords || this.inFlightBytes + entry.record.length > windowBytes
        if (full && this.inFlight > 0) break
        this.send(entry, this.channel)
      }
      this.entries.advance()
    }
    this.watch()
  }

  private send(entry: Entry, channel: ConfirmChannel): void {
    const { generation, round } = this
    const nowMs = this.options.clock.monotonicMs()
    entry.round = round
    entry.sentAtMs = this.sentMs = nowMs
    entry.answered = false
    this.awaited.push(entry)
    this.inFlight++
    this.inFlightBytes += entry.record.length
    channel.publish(entry.record, entry.id).then(
      () => {
        if (generation === this.generation) this.confirmed(entry, round, nowMs)
      },
      (error: unknown) => {
        if (generation === this.generation) this.trouble(error instanceof Error ? error.message : String(error))
      },
    )
  }

  private confirmed(entry: Entry, round: number, sentAtMs: number): void {
    const nowMs = this.options.clock.monotonicMs()
    // A process that was stopped itself, or starved, is given what came meanwhile before its timer says that it came too late.
    if (!entry.settled && nowMs - Math.max(sentAtMs, this.blockedChangedMs) >= this.confirmMs) return this.stalled()
    this.inFlight--
    this.inFlightBytes -= entry.record.length
    this.lastConfirmMs = nowMs
    this.promptSinceMs ??= nowMs
    // Sent once more since: that is another confirm's to tell.
    if (round === entry.round) {
      entry.answered = true
      const isBelieved = !this.doubting || this.options.mutations?.has('stall-rule') === true
      if (isBelieved && entry.belief === 'confirm') this.settle(entry)
    }
    this.pump()
  }

  private settle(entry: Entry): void {
    if (entry.settled) return
    entry.settled = true
    this.byId.delete(entry.id)
    this.options.onBytes?.(-entry.record.length)
    this.options.onSettled?.()
    if (--entry.group.left === 0) entry.group.settled()
  }

  /** Sets the timer for whatever comes first: a record without an answer, or the end of a stall. */
  private watch(): void {
    const believedMs =
      this.doubting && this.promptSinceMs !== undefined && this.byId.size > 0 ? this.promptSinceMs + promptMs : Infinity
    this.wakeAt(Math.min(this.dueMs(), believedMs))
  }

  /** When the oldest record without an answer has waited for too long. */
  private dueMs(): number {
    if (this.blocked !== undefined) return this.byId.size === 0 ? Infinity : this.blockedChangedMs + blockedMs
    const oldest = this.awaited.first()
    return oldest === undefined ? Infinity : Math.max(oldest.sentAtMs, this.blockedChangedMs) + this.confirmMs
  }

  /** Confirms are not missed while a broker says that it takes nothing; once it does again, they come late, and are not believed. */
  private setBlocked(why: string | undefined): void {
    this.blocked = why
    this.blockedChangedMs = this.options.clock.monotonicMs()
    this.doubt()
    this.pump()
  }

  /** Whether something is still to come for it: its confirm, or that it is read. In doubt a confirm is all that can come. */
  private isAwaited(entry: Entry): boolean {
    return entry.belief === 'reading' || !entry.answered
  }

  private wakeAt(atMs: number): void {
    // one that fires too early looks again; setting it anew at each confirm would cost more
    if (this.timer !== undefined && this.timerAtMs <= atMs) return
    this.timer?.cancel()
    this.timer = undefined
    if (atMs === Infinity) return
    this.timerAtMs = atMs
    const delayMs = Math.max(0, atMs - this.options.clock.monotonicMs())
    this.timer = this.options.clock.setTimer(delayMs, () => this.wake())
  }

  private wake(): void {
    this.timer = undefined
    const nowMs = this.options.clock.monotonicMs()
    if (nowMs >= this.dueMs()) {
      if (this.blocked === undefined) return this.stalled()
      this.doubt()
      return this.trouble(`takes no records for ${blockedMs} ms: ${this.blocked}`)
    }
    if (this.doubting && this.promptSinceMs !== undefined && nowMs - this.promptSinceMs >= promptMs) this.believe(nowMs)
    this.pump()
  }

  private stalled(): void {
    this.doubt()
    this.trouble(`has not confirmed a record for ${this.confirmMs} ms`)
  }

  /** The stall is over: what was sent since it began is sent once more, before anything new, and now confirms are believed. */
  private believe(nowMs: number): void {
    const oldest = this.awaited.first()
    if (oldest !== undefined && nowMs - oldest.sentAtMs > promptMs) {
      this.promptSinceMs = nowMs
      return
    }
    this.doubting = false
    this.round++
    // who is read needs no confirm
    for (const entry of this.byId.values()) if (entry.belief === 'reading' && entry.round > 0) entry.round = this.round
    this.entries.rewind()
  }

  /** The channel is of no use: everything that is not settled is sent again through the next broker. */
  private trouble(what: string): void {
    this.options.onTrouble?.(this.channel === undefined ? undefined : this.broker, what)
    this.broker++
    this.leaveChannel()
    this.pump()
  }

  private leaveChannel(): void {
    this.generation++
    this.round++
    this.channel?.close()
    this.channel = undefined
    this.blocked = undefined
    this.entries.rewind()
    this.awaited.clear()
    this.inFlight = 0
    this.inFlightBytes = 0
    this.promptSinceMs = undefined
    this.timer?.cancel()
    this.timer = undefined
  }

  private async open(): Promise<void> {
    const { clock, open, onTrouble } = this.options
    const { generation } = this
    this.opening = true
    try {
      const { broker, channel } = await open(this.broker)
      // ended meanwhile
      if (generation !== this.generation) return channel.close()
      this.broker = broker
      this.channel = channel
      const opened = this.generation
      channel.onBlocked((why) => {
        if (opened === this.generation) this.setBlocked(why)
      })
    } catch (error) {
      if (generation !== this.generation) return
      onTrouble?.(undefined, error instanceof Error ? error.message : String(error))
      await new Promise<void>((resolve) => clock.setTimer(retryMs, resolve))
    } finally {
      this.opening = false
    }
    this.pump()
  }
}

/** A list that is walked from its front, any number of times, and loses what is done with there. */
class Queue<T> {
  private items: T[] = []
  private front = 0
  private at = 0

  constructor(private readonly isDone: (item: T) => boolean) {}

  push(item: T): void {
    this.items.push(item)
  }

  /** The first that is not done with. */
  first(): T | undefined {
    this.drop()
    return this.items[this.front]
  }

  /** The next of this walk, which stays the next until {@link advance}. */
  next(): T | undefined {
    this.drop()
    return this.items[this.at]
  }

  advance(): void {
    this.at++
  }

  /** The walk begins anew. */
  rewind(): void {
    this.at = this.front
  }

  clear(): void {
    this.items = []
    this.front = this.at = 0
  }

  private drop(): void {
    while (this.front < this.items.length && this.isDone(this.items[this.front])) this.front++
    if (this.at < this.front) this.at = this.front
    // most of it is done with: amortised constant, no array is shifted
    if (this.front > 1024 && this.front > this.items.length / 2) {
      this.items.splice(0, this.front)
      this.at -= this.front
      this.front = 0
    }
  }
}
