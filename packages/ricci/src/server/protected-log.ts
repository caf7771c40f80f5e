import type { SnapshotInfo, SnapshotPort } from '@ricci/replica'

/** What a log must know so that retention spares what snapshots need. */
export interface ProtectedLog {
  /** Records from this offset on are never taken by retention. */
  protectedOffset: number
  /** What the newest snapshot does not hold begins here: as it grows, another one is wanted. */
  snapshotOffset: number
}

/**
 * Snapshots that tell the log what they need: everything behind the oldest one that is kept. A restore may have to go back that
 * far, when newer ones turn out to be void or unreadable. While there is none, everything is needed.
 */
export class ProtectingSnapshots implements SnapshotPort {
  constructor(
    private readonly snapshots: SnapshotPort,
    private readonly partition: number,
    private readonly log: ProtectedLog,
  ) {}

  list(partition: number): Promise<readonly SnapshotInfo[]> {
    return this.snapshots.list(partition)
  }

  async store(
    partition: number,
    offset: number,
    slices: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  ): Promise<SnapshotInfo> {
    const info = await this.snapshots.store(partition, offset, slices)
    await this.protect()
    return info
  }

  fetch(info: SnapshotInfo): Promise<Uint8Array> {
    return this.snapshots.fetch(info)
  }

  async remove(info: SnapshotInfo): Promise<void> {
    await this.snapshots.remove(info)
    await this.protect()
  }

  /** Tells the log what the snapshots at hand need. */
  async protect(): Promise<void> {
    const kept = await this.snapshots.list(this.partition)
    const offsets = kept.map(({ offset }) => offset)
    this.log.protectedOffset = offsets.length === 0 ? 0 : Math.min(...offsets) + 1
    this.log.snapshotOffset = Math.max(-1, ...offsets) + 1
  }
}
