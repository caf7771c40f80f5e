/** What waits on this machine until a server has it, on its disk: the embedded log, of which the oldest goes when there is no room. */
import { renameSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock, StoredRecord } from '@ricci/replica'
import { ReplicaError } from '@ricci/replica/errors'
import { describeLogEvent, EmbeddedLog, LogFollower, nodeDisk, type Disk } from '../../log/index.ts'
import type { Spool, SpoolReader } from './spool.ts'

export interface DiskSpoolOptions {
  /** Made where it is missing; no other process may use it meanwhile. */
  readonly directory: string
  readonly maxBytes: number
  readonly clock: Pick<Clock, 'wallMs'>
  readonly onProblem: (text: string) => void
  readonly disk?: Disk
}

/** Segments of the spool: what a server has goes by whole ones. */
const segmentsPerSpool = 64

/** Only room makes it drop: by age a clock that was put wrong for a moment would lose all of it. */
const maxAgeMs = Infinity

/** One read. */
const readBytes = 262_144

export class DiskSpool implements Spool {
  readonly partitions = 1
  onMore: () => void = () => undefined
  first = 0

  private constructor(
    private readonly log: EmbeddedLog,
    private readonly options: DiskSpoolOptions,
  ) {
    // nothing is kept for snapshots here
    log.protectedOffset = Infinity
  }

  /**
   * Opens what an earlier process left, or begins. One that is damaged is put aside, and told of.
   * @throws ReplicaError `DATA_IN_USE`, `DATA_UNUSABLE`, `LOG_FULL`, `LOG_FAILED`
   */
  static async open(options: DiskSpoolOptions): Promise<DiskSpool> {
    try {
      return await DiskSpool.#open(options)
    } catch (error) {
      if (!(error instanceof ReplicaError) || error.code !== 'LOG_CORRUPT') throw error
      const aside = join(options.directory, `log.damaged-${options.clock.wallMs()}`)
      renameSync(join(options.directory, 'log'), aside)
      options.onProblem(`what waited on the disk is damaged, and lies in ${aside} now: ${error.message}`)
      return DiskSpool.#open(options)
    }
  }

  static async #open(options: DiskSpoolOptions): Promise<DiskSpool> {
    const { directory, maxBytes, clock, onProblem, disk = nodeDisk } = options
    let onTrimmed = (_first: number): void => undefined
    const log = await EmbeddedLog.open({
      ...{ dataDirectory: directory, disk, clock },
      limits: { maxBytes, maxAgeMs, segmentBytes: Math.floor(maxBytes / segmentsPerSpool), reserveBytes: 0 },
      report: (event) => {
        if (event.kind === 'trimmed') onTrimmed(event.first)
        else if (event.kind === 'write-failed') onProblem(describeLogEvent(event))
      },
    })
    const spool = new DiskSpool(log, options)
    spool.first = (await log.range(0)).first
    onTrimmed = (first) => {
      spool.first = first
      // a reader may have waited for it
      spool.onMore()
    }
    return spool
  }

  get id(): string {
    return this.log.id
  }

  get end(): number {
    return this.log.progress.end
  }

  get bytes(): number {
    return this.log.bytes
  }

  async appendAllParts(
    partition: number,
    heads: readonly Uint8Array[],
    bodies: readonly Uint8Array[],
  ): Promise<readonly number[]> {
    const offsets = await this.log.appendAllParts(partition, heads, bodies)
    this.onMore()
    return offsets
  }

  reader(from: number): SpoolReader {
    const { directory, disk = nodeDisk, onProblem } = this.options
    const follow = (offset: number): LogFollower =>
      new LogFollower({
        ...{ dataDirectory: directory, disk, progress: this.log.progress, from: offset },
        bufferBytes: readBytes,
        reuse: false,
      })
    let follower = follow(from)
    const next = (): readonly StoredRecord[] => {
      try {
        return follower.next()?.records() ?? []
      } catch (error) {
        const { code, message } = error as ReplicaError
        if (code !== 'OFFSET_TRIMMED' && code !== 'LOG_CORRUPT') throw error
        follower.close()
        const isDamaged = code === 'LOG_CORRUPT'
        if (isDamaged) onProblem(`what waited on the disk is damaged, and is left out: ${message}`)
        const { offset } = follower
        const on = isDamaged ? this.end : Math.max(offset, this.first)
        follower = follow(on)
        // while segments go, what is the first one now is not known
        return isDamaged || on === offset || on >= this.end ? [] : next()
      }
    }
    return { next, close: () => follower.close() }
  }

  release(before: number): void {
    this.log.neededOffset = before
  }

  close(): Promise<void> {
    return this.log.close()
  }
}
