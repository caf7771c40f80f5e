/**
 * What the log may still take, and what it lets go of so as to take more.
 *
 * **Without room** (at its own limit, with all of it needed by snapshots; or on a full disk) it refuses what is ordinary, and from then
 * on everything ordinary until there is room for the largest that was refused: small records that slip in beside larger ones would be
 * ticks, and tell of time in which no event was taken. What an owner needs goes on into a reserve beyond the limit, a snapshot is
 * asked for, and as soon as it is stored retention lets go of what only older ones needed.
 */
import type { AppendRank, Clock } from '@ricci/replica'
import { errorCode, type Disk } from './disk.ts'
import { diskFull, logFull } from './errors.ts'
import type { LogEvent } from './events.ts'
import { reserveShare, snapshotsPerLog, type LogLimits } from './limits.ts'
import type { Segment } from './recovery.ts'
import { planRetention, type RetentionPlan } from './retention.ts'

export interface RoomOptions {
  /** The log's own: what goes is taken from its beginning. */
  readonly segments: Segment[]
  readonly directory: string
  readonly disk: Disk
  readonly clock: Pick<Clock, 'wallMs'>
  readonly limits: LogLimits
  readonly report: (event: LogEvent) => void
}

export class Room {
  /** Records from this offset on are never taken. */
  protectedOffset = 0
  /** What stands before is of no use to anybody: it goes as soon as something is appended. */
  neededOffset = 0
  /** The newest snapshot holds what was before this. */
  snapshotOffset = 0

  /** What the largest ordinary group needed that was refused for want of room since one was taken; 0 when none was. */
  private short = 0
  /** The latest write of something ordinary found no room on the disk. */
  private onFullDisk = false
  /** What it had grown to when it was opened: a limit that is lower must not take the reserve with it. */
  private readonly openedBytes: number
  private held: RetentionPlan['held']

  constructor(private readonly options: RoomOptions) {
    this.openedBytes = this.bytes
  }

  /** Bytes of all segments. */
  get bytes(): number {
    return this.options.segments.reduce((sum, segment) => sum + segment.bytes, 0)
  }

  /** Whether something ordinary was refused for want of room, and none taken since. */
  get isShort(): boolean {
    return this.short > 0
  }

  /** As the port says. @param end offset of the next record */
  wantsSnapshot(end: number): boolean {
    const { segments, limits } = this.options
    let since = 0
    for (const [index, { bytes }] of segments.entries()) {
      if ((segments[index + 1]?.firstOffset ?? end) > this.snapshotOffset) since += bytes
    }
    if (since > limits.maxBytes / snapshotsPerLog) return true
    return this.isShort && this.plan(this.short, this.onFullDisk).held === 'size'
  }

  /**
   * Takes what is past retention; where room is short, for as much as was refused.
   * @throws ReplicaError `LOG_FULL` when there is none for this rank; what the disk throws
   */
  async make(incoming: number, rank: AppendRank): Promise<void> {
    const { maxBytes, reserveBytes } = this.options.limits
    const isOrdinary = rank === 'ordinary'
    const wanted = Math.max(incoming, this.short)
    const needed = isOrdinary ? wanted : incoming
    const isDiskFull = this.onFullDisk && (await this.freeBytes()) < wanted
    const { held, bytes } = await this.retain(wanted, isDiskFull)
    const reserve = Math.max(maxBytes, this.openedBytes) + reserveBytes * reserveShare[rank]
    if (held === 'size' && bytes - wanted + needed > (isOrdinary ? maxBytes : reserve)) throw logFull(maxBytes, rank)
    if (isDiskFull && isOrdinary && (await this.freeBytes()) < needed) throw diskFull(this.options.directory)
  }

  /** Something of this rank found no room: here, or on the disk (`byDisk`). */
  refused(bytes: number, rank: AppendRank, byDisk: boolean): void {
    if (rank !== 'ordinary') return
    // A segment's worth at most: more might not be there though everything that can go has gone.
    this.short = Math.max(this.short, Math.min(bytes, this.options.limits.segmentBytes))
    if (byDisk) this.onFullDisk = true
  }

  taken(rank: AppendRank): void {
    if (rank !== 'ordinary') return
    this.short = 0
    this.onFullDisk = false
  }

  /** A disk that cannot say is asked by writing. */
  private freeBytes(): Promise<number> {
    const { disk, directory } = this.options
    return disk.freeBytes(directory).catch(() => Infinity)
  }

  /** @param isDiskFull what the log has grown to is its limit then */
  private plan(incoming: number, isDiskFull: boolean): RetentionPlan {
    const { segments, clock, limits } = this.options
    const { maxAgeMs } = limits
    const maxBytes = isDiskFull ? Math.min(limits.maxBytes, this.bytes) : limits.maxBytes
    const { protectedOffset, neededOffset } = this
    return planRetention(segments, clock.wallMs(), incoming, protectedOffset, neededOffset, { maxAgeMs, maxBytes })
  }

  private async retain(incoming: number, isDiskFull: boolean): Promise<RetentionPlan> {
    const { segments, directory, disk, report } = this.options
    const plan = this.plan(incoming, isDiskFull)
    if (plan.remove > 0) {
      const gone = segments.slice(0, plan.remove)
      for (const segment of gone) {
        await disk.unlink(segment.path).catch((error: unknown) => {
          // An unlink that failed before may have been done all the same.
          if (errorCode(error) !== 'ENOENT') throw error
        })
        segments.shift()
      }
      await disk.syncDirectory(directory)
      report({
        kind: 'trimmed',
        segments: gone.length,
        bytes: gone.reduce((sum, { bytes }) => sum + bytes, 0),
        first: segments[0].firstOffset,
      })
    }
    if (plan.held === this.held) return plan
    this.held = plan.held
    const { protectedOffset, bytes } = this
    const first = segments[0].firstOffset
    if (plan.held === 'age') report({ kind: 'retention-held', protectedOffset, first })
    // A full disk was told of when it was met.
    if (plan.held === 'size' && !isDiskFull) report({ kind: 'refusing', protectedOffset, bytes })
    return plan
  }
}
