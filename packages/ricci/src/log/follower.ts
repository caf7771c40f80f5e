/**
 * Reads a log that another thread of this process writes: opens the same files by itself, so that no event byte crosses threads.
 */
import { join } from 'node:path'
import type { StoredRecord } from '@ricci/replica'
import { ReplicaError } from '@ricci/replica/errors'
import { corruptLog, trimmed } from './errors.ts'
import { errorCode, type Disk, type ReadableFile } from './disk.ts'
import { parseSegmentNames, type SegmentName } from './format.ts'
import type { LogProgress } from './progress.ts'
import { BadSegment, defaultBufferBytes, readSegmentHeader, RecordBatch, SegmentReader } from './segment-reader.ts'

/** What a reader in another thread needs. */
export interface FollowerOptions {
  readonly dataDirectory: string
  readonly disk: Disk
  /** How far the log is durable; in another thread: `new LogProgress(buffer)`. */
  readonly progress: LogProgress
  /** Offset of the first record wanted. May lie beyond the end. */
  readonly from: number
  /** Bytes of one read; 1 MiB unless told. */
  readonly bufferBytes?: number
  /** False: each batch has its own buffer and stays valid. True (default): a batch is valid until the next `next()`. */
  readonly reuse?: boolean
}

/** Where the segments of a data directory lie. */
export function logDirectory(dataDirectory: string): string {
  return join(dataDirectory, 'log')
}

/**
 * A reader of the log that is pulled.
 * ```ts
 * const follower = new LogFollower({ dataDirectory, disk: nodeDisk, progress: new LogProgress(buffer), from: 0 })
 * for (let batch = follower.next(); batch !== undefined; batch = follower.next())
 *   for (let i = 0; i < batch.count; i++) apply(batch.firstOffset + i, batch.bytes, batch.starts[i], batch.ends[i])
 * if (progress.sleep(follower.offset)) … // wait for the writer's wake-up, then go on
 * ```
 */
export class LogFollower {
  private readonly options: FollowerOptions
  private readonly directory: string
  private readonly batch = new RecordBatch()
  private wanted: number
  private segment: OpenSegment | undefined
  private closed = false

  constructor(options: FollowerOptions) {
    this.options = options
    this.directory = logDirectory(options.dataDirectory)
    this.wanted = options.from
  }

  /** Whether a batch is valid until the next one only. */
  get reuses(): boolean {
    return this.options.reuse ?? true
  }

  /** Offset of the record that `next()` gives next. */
  get offset(): number {
    return this.wanted
  }

  /**
   * The next records, as many as one buffer holds; undefined when there are no more that are durable.
   * @throws ReplicaError `OFFSET_TRIMMED`, `LOG_CORRUPT`, `LOG_CLOSED`; what the disk throws as `LOG_FAILED`
   */
  next(): RecordBatch | undefined {
    if (this.closed) throw new ReplicaError('LOG_CLOSED', 'this reader of the log is closed', false)
    const durable = this.options.progress.read()
    while (this.wanted < durable.end) {
      // The writer went on to another segment: the one at hand ends where the next one begins, whatever else its file holds.
      if (this.segment === undefined || this.segment.knownUpTo !== durable.segment) this.locate(durable.segment)
      const segment = this.segment!
      const limit = segment.number === durable.segment ? durable.position : segment.limit
      if (this.fill(segment, limit, Math.min(segment.until, durable.end)) > 0) {
        this.wanted = this.batch.firstOffset + this.batch.count
        return this.batch
      }
      if (segment.reader.offset < segment.until) throw corruptLog(segment.path, 'records are missing at its end')
      this.locate(durable.segment)
    }
    return undefined
  }

  close(): void {
    this.closed = true
    this.segment?.file.close()
    this.segment = undefined
  }

  private fill(segment: OpenSegment, limit: number, until: number): number {
    try {
      return segment.reader.read(this.batch, this.wanted, limit, until)
    } catch (error) {
      throw this.explain(error, segment)
    }
  }

  /** Makes `segment` the one that holds the record wanted. */
  private locate(newest: number): void {
    const names = parseSegmentNames(this.options.disk.list(this.directory)).filter(({ number }) => number <= newest)
    // Of several that begin at one offset the last counts: those before it never held a durable record.
    const index = names.findLastIndex(({ firstOffset }) => firstOffset <= this.wanted)
    if (index < 0) throw trimmed(this.wanted, names[0]?.firstOffset)
    const until = names[index + 1]?.firstOffset ?? Infinity
    if (this.segment?.number !== names[index].number) {
      this.segment?.file.close()
      this.segment = undefined
      this.segment = this.open(names[index])
    }
    this.segment.until = until
    this.segment.limit = this.segment.file.size()
    this.segment.knownUpTo = newest
  }

  private open(name: SegmentName): OpenSegment {
    const path = join(this.directory, name.name)
    let file: ReadableFile | undefined
    try {
      file = this.options.disk.openForReading(path)
      const { reuse = true, bufferBytes = defaultBufferBytes } = this.options
      const reader = new SegmentReader(file, readSegmentHeader(file), reuse, bufferBytes)
      return { ...name, path, file, reader, limit: 0, until: Infinity, knownUpTo: 0 }
    } catch (error) {
      file?.close()
      // Trimmed between the listing and now.
      if (errorCode(error) === 'ENOENT') throw trimmed(this.wanted, undefined)
      throw this.explain(error, { path })
    }
  }

  private explain(error: unknown, { path }: { path: string }): unknown {
    if (error instanceof BadSegment) return corruptLog(path, error.message, error)
    if (error instanceof ReplicaError) return error
    return new ReplicaError('LOG_FAILED', `${path} cannot be read: ${String(error)}`, true, { cause: error })
  }
}

interface OpenSegment {
  readonly path: string
  readonly number: number
  readonly file: ReadableFile
  readonly reader: SegmentReader
  /** How far its file may be read once it is no longer written. */
  limit: number
  /** Offset at which the next segment begins. */
  until: number
  /** Number of the newest segment when `limit` and `until` were looked up. */
  knownUpTo: number
}

/** Reads on until `ended`: what `LogPort.read` gives. `whenMore` resolves when there may be records behind an offset, or it ended. */
export async function* follow(
  follower: LogFollower,
  whenMore: (offset: number) => Promise<void>,
  ended: () => boolean,
): AsyncGenerator<readonly StoredRecord[]> {
  try {
    while (!ended()) {
      const batch = follower.next()
      if (batch !== undefined) yield follower.reuses ? batch.reusedRecords() : batch.records()
      await whenMore(follower.offset)
    }
  } finally {
    follower.close()
  }
}
