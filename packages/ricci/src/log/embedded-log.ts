/**
 * The log of a single instance: append-only segment files in `DATA/log`.
 *
 * **Group commit.** Appends gather in a group; one group at a time is written and synced, the next gathers meanwhile. No waiting
 * for company: 2 ms of it gained 8 to 20 % only. An append resolves, and a reader is given the record, once fdatasync has
 * returned.
 *
 * **What fails is left behind.** When writing or syncing fails, the group is refused and its segment is never written or synced
 * again (after a failed fdatasync the kernel takes the pages for clean): the next group begins a new segment at the same offset.
 * Nobody has seen the refused records. What the old file may hold beyond that offset does not count: a segment ends where the
 * next one begins. If the process dies before there is a next one, the refused records may be found at the next start; they
 * then keep the offsets that nobody else was given.
 */
import { randomBytes } from 'node:crypto'
import { dirname, join } from 'node:path'
import type { AppendRank, Clock, LogPort, StoredRecord } from '@ricci/replica'
import { ReplicaError } from '@ricci/replica/errors'
import type { DirectoryLock } from './directory-lock.ts'
import type { Disk, WritableFile } from './disk.ts'
import { isFull } from './disk.ts'
import { appendFailed, logClosed, openFailed } from './errors.ts'
import type { LogEvent } from './events.ts'
import { follow, logDirectory, LogFollower } from './follower.ts'
import {
  encodeSegmentHeader,
  formatLogId,
  groupHeaderBytes,
  saltBytes,
  segmentHeaderBytes,
  segmentName,
} from './format.ts'
import { ChunkPool, Group } from './group.ts'
import {
  defaultLogLimits,
  maxAppendBytes,
  maxRecordBytes,
  segmentsPerAge,
  segmentsPerLog,
  type LogLimits,
} from './limits.ts'
import { LogProgress } from './progress.ts'
import { recover, type Segment } from './recovery.ts'
import { Room } from './room.ts'

/** Where the log lies, and its bounds. */
export interface EmbeddedLogOptions {
  /** Made where it is missing; the log lies in its folder `log`, and no other process may use it meanwhile. */
  readonly dataDirectory: string
  readonly disk: Disk
  readonly clock: Pick<Clock, 'wallMs'>
  readonly limits?: Partial<LogLimits>
  /** Told what happens inside: see {@link LogEvent}. */
  readonly report?: (event: LogEvent) => void
  /** Runs a callback soon, after what is being received now; `setImmediate` unless told. */
  readonly defer?: (callback: () => void) => void
  readonly randomBytes?: (count: number) => Uint8Array
}

/** Bytes of one read by `read`: it shares its thread with sockets. */
const readBytes = 262_144

/** The log of one machine: segments in a folder, group-committed. See the head of this file. */
export class EmbeddedLog implements LogPort {
  readonly id: string
  readonly partitions = 1
  /** For readers in other threads: post `progress.buffer` there, and set `onSleeperWanted`. */
  readonly progress = new LogProgress()
  /** Called when a reader in another thread sleeps (`progress.sleep`) and there is more. */
  onSleeperWanted: () => void = () => {}
  private readonly directory: string
  private readonly limits: LogLimits
  private readonly report: (event: LogEvent) => void
  private readonly defer: (callback: () => void) => void
  private readonly pool = new ChunkPool()
  /** Groups in order; the last one gathers. */
  private readonly groups: Group[] = []
  private committing = false
  private queued = 0
  private waitingForRoom: (() => void)[] = []
  private readonly waitingForMore = new Set<() => void>()
  /** Why the latest group was refused; undefined while appends work. */
  trouble: string | undefined
  private readonly room: Room
  private closing: Promise<void> | undefined
  private whenIdle: (() => void) | undefined

  private constructor(
    private readonly options: EmbeddedLogOptions,
    private readonly lock: DirectoryLock,
    private readonly logId: Uint8Array,
    /** In log order. The last is `current`, unless that failed. */
    private readonly segments: Segment[],
    /** The segment being written; none after a failure. */
    private current: CurrentSegment | undefined,
    private end: number,
    private lastWritten: { readonly number: number; readonly bytes: number },
  ) {
    this.id = formatLogId(logId)
    this.directory = logDirectory(options.dataDirectory)
    this.limits = limitsOf(options)
    this.report = options.report ?? (() => {})
    this.defer = options.defer ?? ((callback) => void setImmediate(callback))
    this.nextNumber = (segments.at(-1)?.number ?? 0) + 1
    const { disk, clock } = options
    this.room = new Room({ segments, directory: this.directory, disk, clock, limits: this.limits, report: this.report })
  }
  private nextNumber: number

  /**
   * Opens the log of a data directory, or makes one.
   * @throws ReplicaError `DATA_IN_USE`, `DATA_UNUSABLE`, `LOG_CORRUPT`; `LOG_FULL` or `LOG_FAILED` when it could not be made or repaired
   */
  static async open(options: EmbeddedLogOptions): Promise<EmbeddedLog> {
    const { disk, dataDirectory } = options
    const directory = logDirectory(dataDirectory)
    const lock = await disk.lock(dataDirectory)
    try {
      await disk.makeDirectory(directory)
      await disk.syncDirectory(dataDirectory)
      // The data directory itself may be new. Where we may not look into its parent, somebody else made it.
      await disk.syncDirectory(dirname(dataDirectory)).catch(() => {})
      const { segments, last } = await recover(disk, directory, options.report ?? (() => {}))
      if (last === undefined) {
        const id = (options.randomBytes ?? randomBytes)(16)
        const log = new EmbeddedLog(options, lock, id, segments, undefined, 0, { number: 0, bytes: 0 })
        log.current = await log.createSegment()
        log.publish()
        return log
      }
      const { header, position, end } = last
      const file = await disk.openForWriting(segments.at(-1)!.path)
      const current = { segment: segments.at(-1)!, file, salt: header.salt, position, marked: position }
      const lastWritten =
        position > segmentHeaderBytes
          ? { number: header.number, bytes: position }
          : { number: header.previousNumber, bytes: header.previousBytes }
      const log = new EmbeddedLog(options, lock, header.logId, segments, current, end, lastWritten)
      log.publish()
      return log
    } catch (error) {
      await lock.release()
      throw openFailed(dataDirectory, directory, error)
    }
  }

  /** Bytes taken and not yet durable. */
  get queuedBytes(): number {
    return this.queued
  }
  /** Whether who takes events in should stop reading; `drained` says when to go on. */
  get congested(): boolean {
    return this.queued >= this.limits.queuedBytes / 2
  }
  /** Resolves once fewer bytes wait than half of what makes `congested`; at once if so now. */
  drained(): Promise<void> {
    if (this.queued < this.limits.queuedBytes / 4) return Promise.resolve()
    return new Promise((resolve) => this.waitingForRoom.push(resolve))
  }
  /** Bytes of all segments. */
  get bytes(): number {
    return this.room.bytes
  }
  /**
   * Records from this offset on are never taken by retention: what three snapshot intervals may need. 0 until it is set, so that
   * a host that forgets it loses nothing.
   */
  get protectedOffset(): number {
    return this.room.protectedOffset
  }
  set protectedOffset(offset: number) {
    this.room.protectedOffset = offset
  }
  /** What stands before this may go at once; 0 until it is set: a log keeps what its limits allow. */
  set neededOffset(offset: number) {
    this.room.neededOffset = offset
  }
  /** The newest snapshot holds what was before this. */
  get snapshotOffset(): number {
    return this.room.snapshotOffset
  }
  set snapshotOffset(offset: number) {
    this.room.snapshotOffset = offset
  }

  /** As the port says: in time, and all the more once appends are refused. */
  wantsSnapshot(): boolean {
    return this.room.wantsSnapshot(this.end)
  }

  /**
   * @throws ReplicaError `LOG_FULL`, `LOG_FAILED`, `LOG_UNAVAILABLE` (more waits for the disk than may), all retriable;
   *   `RECORD_TOO_LARGE`, `LOG_CLOSED`. A record that was refused may still be found in the log after a restart.
   *   Records of 4 KiB and more are written from where they lie: they must not be changed until then.
   */
  append(partition: number, records: readonly Uint8Array[], rank: AppendRank = 'ordinary'): Promise<number[]> {
    let bytes = 0
    for (const record of records) {
      if (record.length > maxRecordBytes) return Promise.reject(tooLarge(record.length))
      bytes += record.length
    }
    const refused = this.refusal(partition, bytes)
    if (refused !== undefined) return Promise.reject(refused)
    if (records.length === 0) return Promise.resolve([])
    const group = this.gathering(rank)
    for (const record of records) group.add(noBytes, record)
    return this.enqueue(group, records.length, bytes)
  }

  /** Appends one record that consists of a head and a body, without putting them together first. Throws as {@link append}. */
  appendParts(partition: number, head: Uint8Array, body: Uint8Array): Promise<number[]> {
    const bytes = head.length + body.length
    const refused = bytes > maxRecordBytes ? tooLarge(bytes) : this.refusal(partition, bytes)
    if (refused !== undefined) return Promise.reject(refused)
    const group = this.gathering()
    group.add(head, body)
    return this.enqueue(group, 1, bytes)
  }

  /**
   * Appends records that consist of a head and a body each; `heads[i]` and `bodies[i]` are one record. They get offsets that
   * follow each other and are refused or durable together. Throws as {@link append}.
   */
  appendAllParts(partition: number, heads: readonly Uint8Array[], bodies: readonly Uint8Array[]): Promise<number[]> {
    let bytes = 0
    for (let i = 0; i < heads.length; i++) {
      const length = heads[i].length + bodies[i].length
      if (length > maxRecordBytes) return Promise.reject(tooLarge(length))
      bytes += length
    }
    const refused = this.refusal(partition, bytes)
    if (refused !== undefined) return Promise.reject(refused)
    const group = this.gathering()
    for (let i = 0; i < heads.length; i++) group.add(heads[i], bodies[i])
    return this.enqueue(group, heads.length, bytes)
  }

  /** As the port says; each batch keeps its own bytes. Ends when the log is closed. */
  read(partition: number, from: number, signal: AbortSignal): AsyncIterable<readonly StoredRecord[]> {
    checkPartition(partition)
    const { dataDirectory, disk } = this.options
    const follower = new LogFollower({
      dataDirectory,
      disk,
      progress: this.progress,
      from,
      bufferBytes: readBytes,
      reuse: false,
    })
    return follow(
      follower,
      (end) => this.more(end, signal),
      () => signal.aborted || this.closing !== undefined,
    )
  }

  async endOf(partition: number): Promise<number> {
    checkPartition(partition)
    return this.end
  }

  async range(partition: number): Promise<{ readonly first: number; readonly end: number }> {
    checkPartition(partition)
    return { first: this.segments[0]?.firstOffset ?? this.end, end: this.end }
  }

  /** Makes durable what was appended, closes the files and gives the data directory free. Idempotent. */
  close(): Promise<void> {
    return (this.closing ??= this.shut())
  }

  private async shut(): Promise<void> {
    if (this.committing) await new Promise<void>((resolve) => (this.whenIdle = resolve))
    try {
      await this.markClean()
      await this.current?.file.close()
    } catch {
      // Everything acknowledged is durable: a disk that fails now changes nothing.
    }
    this.current = undefined
    this.wakeReaders()
    await this.lock.release()
  }

  /** A group without records behind the last one proves at the next start that the last one was durable. */
  private async markClean(): Promise<void> {
    const current = this.current
    if (current === undefined || current.position === current.marked) return
    const group = new Group(this.pool)
    await current.file.write(group.seal(current.salt, this.end), current.position)
    await current.file.datasync()
  }

  private refusal(partition: number, bytes: number): ReplicaError | undefined {
    if (partition !== 0) return new ReplicaError('STATE', `the embedded log has one partition, not ${partition}`, false)
    if (this.closing !== undefined) return logClosed()
    if (bytes > maxAppendBytes) return tooLarge(bytes)
    if (this.queued < this.limits.queuedBytes) return undefined
    return new ReplicaError(
      'LOG_UNAVAILABLE',
      `${this.queued} bytes wait for the disk, which is slower than what comes in; send again once the log has drained`,
      true,
    )
  }

  private gathering(rank: AppendRank = 'ordinary'): Group {
    const last = this.groups.at(-1)
    // Where room is short a group has one rank: what may use the reserve is not refused for what stands beside it.
    const fits = last !== undefined && last.bytes < this.limits.groupBytes
    if (fits && (!this.room.isShort || last.rank === rank)) {
      if (ranks.indexOf(rank) < ranks.indexOf(last.rank)) last.rank = rank
      return last
    }
    const group = new Group(this.pool)
    group.rank = rank
    this.groups.push(group)
    return group
  }

  private enqueue(group: Group, records: number, bytes: number): Promise<number[]> {
    this.queued += bytes
    group.payloadBytes += bytes
    if (!this.committing) {
      this.committing = true
      this.defer(() => void this.commitAll())
    }
    return group.wait(records)
  }

  private async commitAll(): Promise<void> {
    for (let group = this.groups.shift(); group !== undefined; group = this.groups.shift()) {
      const error = await this.commit(group)
      this.queued -= group.payloadBytes
      if (error !== undefined) group.reject(error)
      else group.resolve(this.end - group.records)
      if (this.queued < this.limits.queuedBytes / 4) for (const resolve of this.waitingForRoom.splice(0)) resolve()
    }
    this.committing = false
    this.whenIdle?.()
  }

  /** Makes a group durable; gives the error when it is refused. Never throws. */
  private async commit(group: Group): Promise<ReplicaError | undefined> {
    const bytes = groupHeaderBytes + group.bytes
    let current: CurrentSegment | undefined
    try {
      await this.room.make(bytes, group.rank)
      current = await this.segmentFor(bytes)
      await current.file.write(group.seal(current.salt, this.end), current.position)
      await current.file.datasync()
    } catch (error) {
      const failure = appendFailed(this.directory, error)
      if (error !== failure && this.trouble === undefined) {
        const path = current?.segment.path ?? this.directory
        this.report({ kind: 'write-failed', path, full: isFull(error), error: error as Error })
      }
      this.trouble = failure.message
      if (failure.code === 'LOG_FULL') this.room.refused(bytes, group.rank, isFull(error))
      if (current !== undefined) await this.abandon(current)
      return failure
    }
    this.room.taken(group.rank)
    this.end += group.records
    current.position += bytes
    current.segment.bytes = current.position
    this.lastWritten = { number: current.segment.number, bytes: current.position }
    // That the reserve takes something is no end of the trouble.
    if (!this.room.isShort) {
      if (this.trouble !== undefined) this.report({ kind: 'recovered', path: current.segment.path })
      this.trouble = undefined
    }
    this.publish()
    return undefined
  }

  private publish(): void {
    const { segment, position } = this.current!
    if (this.progress.publish({ end: this.end, segment: segment.number, position })) this.onSleeperWanted()
    this.wakeReaders()
  }

  /** The segment the next group goes to: a new one where there is none, or the current one is full or old. */
  private async segmentFor(bytes: number): Promise<CurrentSegment> {
    const { current, limits } = this
    if (current === undefined) return (this.current = await this.createSegment())
    const full = current.position + bytes > limits.segmentBytes
    const old = this.options.clock.wallMs() - current.segment.createdAtMs > limits.maxAgeMs / segmentsPerAge
    if (current.position === segmentHeaderBytes || !(full || old)) return current
    // Closed before there is a next one: were it written on after the making of a next one failed, that one might be found at a
    // restart, beginning before the end of this.
    this.current = undefined
    await current.file.close()
    return (this.current = await this.createSegment())
  }

  private async createSegment(): Promise<CurrentSegment> {
    const { disk, clock } = this.options
    const random = this.options.randomBytes ?? randomBytes
    const number = this.nextNumber++
    const path = join(this.directory, segmentName(number, this.end))
    const salt = random(saltBytes)
    const createdAtMs = clock.wallMs()
    const header = encodeSegmentHeader({
      logId: this.logId,
      number,
      firstOffset: this.end,
      salt,
      createdAtMs,
      previousNumber: this.lastWritten.number,
      previousBytes: this.lastWritten.bytes,
    })
    const segment = { number, firstOffset: this.end, path, createdAtMs, bytes: segmentHeaderBytes }
    const file = await disk.create(path)
    try {
      await file.write([header], 0)
      await file.datasync()
      await disk.syncDirectory(this.directory)
    } catch (error) {
      await file.close().catch(() => {})
      // One that stays goes with its neighbours: left behind by retention it would stand before a gap, and a start would take it for damage.
      await disk.unlink(path).catch(() => void this.segments.push(segment))
      throw error
    }
    this.segments.push(segment)
    return { segment, file, salt, position: segmentHeaderBytes, marked: segmentHeaderBytes }
  }

  /**
   * Leaves a segment for good after a failure, and gives back the room of the refused group. One that holds nothing is removed, or a
   * full disk would gather empty files; the only one stays, for it holds the log's id.
   */
  private async abandon(current: CurrentSegment): Promise<void> {
    this.current = undefined
    const { file, segment, position } = current
    await file.truncate(position).catch(() => {})
    await file.close().catch(() => {})
    if (position > segmentHeaderBytes || this.segments.length === 1) return
    const removed = await this.options.disk.unlink(segment.path).then(
      () => true,
      () => false,
    )
    if (removed) this.segments.splice(this.segments.indexOf(segment), 1)
  }

  private more(end: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.closing !== undefined) return Promise.resolve()
    // Not at once: who reads a long log must leave its thread to others between two batches.
    if (this.end > end) return new Promise((resolve) => this.defer(resolve))
    return new Promise((resolve) => {
      const wake = () => {
        this.waitingForMore.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.waitingForMore.add(wake)
      signal.addEventListener('abort', wake)
    })
  }

  private wakeReaders(): void {
    for (const wake of [...this.waitingForMore]) wake()
  }
}

interface CurrentSegment {
  readonly segment: Segment
  readonly file: WritableFile
  readonly salt: Uint8Array
  /** Where the next group goes: what stands before is durable. */
  position: number
  /** Where the file stood when it was opened. */
  readonly marked: number
}

const noBytes = new Uint8Array(0)

/** In the order in which they are refused. */
const ranks: readonly AppendRank[] = ['ordinary', 'act', 'fact', 'rescue']

function limitsOf({ limits }: EmbeddedLogOptions): LogLimits {
  const all = { ...defaultLogLimits, ...limits }
  const segmentBytes = Math.min(all.segmentBytes, Math.floor(all.maxBytes / segmentsPerLog))
  return { ...all, segmentBytes, reserveBytes: limits?.reserveBytes ?? segmentBytes }
}

function checkPartition(partition: number): void {
  if (partition !== 0) throw new ReplicaError('STATE', `the embedded log has one partition, not ${partition}`, false)
}

function tooLarge(bytes: number): ReplicaError {
  return new ReplicaError(
    'RECORD_TOO_LARGE',
    `${bytes} bytes are more than the log takes at once (${maxRecordBytes} a record, ${maxAppendBytes} an append); send smaller messages`,
    false,
  )
}
