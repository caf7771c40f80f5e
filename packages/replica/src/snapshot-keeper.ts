import type { CheckpointRecord } from '@ricci/engine'
import type { EngineHost, StateTaken } from './host.ts'
import {
  askLimitMs,
  carryLimitMs,
  lastSnapshotMs,
  snapshotPatienceMs,
  snapshotsKept,
  storeMs,
  wantedRetryLongestMs,
  wantedRetryMs,
} from './limits.ts'
import type { Clock, SnapshotInfo, SnapshotPort, Timer } from './ports.ts'
import { atMost, within } from './timers.ts'

export interface SnapshotKeeperOptions {
  readonly snapshots: SnapshotPort
  readonly partition: number
  readonly clock: Clock
  readonly onAlarm: (name: string, detail: string) => void
}

/**
 * Decides who cuts snapshots and which ones count. A standby cuts at each state hash (every 600th tick); the owner only while
 * nobody else does, which it sees by the store: none stored half a minute after a state hash means that it is alone. A cut is
 * stored once the owner's checkpoint names the same hash, so whatever is in the store counts.
 *
 * A log that runs out of room wants one sooner ({@link SnapshotKeeper.wanted}): only what snapshots do not need may go from it.
 */
export class SnapshotKeeper {
  readonly #options: SnapshotKeeperOptions
  #host: EngineHost | undefined
  #cut: StateTaken | undefined
  #owner = false
  /** Until the store shows otherwise: one cut too many is better than none. */
  #alone = true
  #timer: Timer | undefined
  #storing: Promise<void> = Promise.resolve()
  /** Snapshots being stored. */
  #underWay = 0
  /** Until when the log is not heeded, and how often in a row it was in vain. */
  #restUntilMs = -Infinity
  #inVain = 0
  #stored: SnapshotInfo | undefined
  #last:
    { readonly writeCheckpoint: (cut: StateTaken) => void; readonly confirmed: () => void; offset?: number } | undefined

  constructor(options: SnapshotKeeperOptions) {
    this.#options = options
  }

  /** The newest that this replica stored. */
  get stored(): SnapshotInfo | undefined {
    return this.#stored
  }

  /** A new generation: what an older one cut is gone. */
  attach(host: EngineHost): void {
    this.#host = host
    this.#cut = undefined
    host.cutAtNextStateHash()
  }

  owns(owner: boolean): void {
    this.#owner = owner
    if (!owner) this.#host?.cutAtNextStateHash()
  }

  /** The state was hashed; the owner looks afterwards whether anybody stored a snapshot of it. */
  taken(cut: StateTaken): void {
    if (cut.kept) this.#cut = cut
    if (this.#last !== undefined) {
      this.#last.offset = cut.offset
      this.#last.writeCheckpoint(cut)
    } else if (this.#owner) this.#lookLater(cut.offset)
  }

  /**
   * A snapshot at the end of a clean stop, so that the next start has little to read. No tick comes any more: the checkpoint that
   * is written says where the state was hashed. Resolves once it is read, or after 3 s.
   */
  async cutLast(writeCheckpoint: (cut: StateTaken) => void): Promise<void> {
    const host = this.#host
    if (host === undefined) return
    const confirmed = new Promise<void>((resolve) => {
      this.#last = { writeCheckpoint, confirmed: resolve }
    })
    host.cutNow()
    await atMost(this.#options.clock, lastSnapshotMs, confirmed)
    this.#last = undefined
  }

  /**
   * The log wants a snapshot; to be called as often as it does. One at a time, and the next at once where one was stored: several may
   * have to follow each other before the oldest that is kept lets go of enough. One that comes to nothing is tried again, later each time.
   */
  wanted(): void {
    const nowMs = this.#options.clock.monotonicMs()
    if (this.#host === undefined || this.#last !== undefined || this.#underWay > 0 || nowMs < this.#restUntilMs) return
    this.#restUntilMs = nowMs + Math.min(wantedRetryLongestMs, wantedRetryMs * 2 ** Math.min(this.#inVain++, 10))
    this.#host.cutSoon()
  }

  /** The owner's hash of a state, and ours, are the same: what was cut there is stored. */
  confirmed({ offset }: CheckpointRecord): void {
    if (this.#last?.offset === offset) this.#last.confirmed()
    if (this.#cut?.offset !== offset) return
    this.#cut = undefined
    const slices = this.#host?.takeSnapshot()
    if (slices !== undefined) {
      this.#underWay++
      this.#storing = this.#storing.then(() => this.#store(offset, slices)).finally(() => this.#underWay--)
    }
    if (!this.#owner || this.#alone) this.#host?.cutAtNextStateHash()
  }

  /** Resolves once nothing is being stored, or when a store hangs. */
  idle(): Promise<void> {
    return atMost(this.#options.clock, storeMs, this.#storing)
  }

  /** The host is gone, and what it cut with it. */
  detach(): void {
    this.#host = undefined
    this.#cut = undefined
  }

  stop(): void {
    this.#timer?.cancel()
    this.detach()
  }

  #lookLater(offset: number): void {
    this.#timer?.cancel()
    this.#timer = this.#options.clock.setTimer(snapshotPatienceMs, () => {
      void this.#list().then(
        (list) => {
          this.#alone = !list.some((info) => info.offset >= offset && info.name !== this.#stored?.name)
          if (this.#alone) this.#host?.cutAtNextStateHash()
        },
        () => this.#host?.cutAtNextStateHash(),
      )
    })
  }

  #list(): Promise<readonly SnapshotInfo[]> {
    const { snapshots, partition, clock } = this.#options
    return within(clock, askLimitMs, 'the store of snapshots', snapshots.list(partition))
  }

  async #store(offset: number, slices: AsyncIterable<Uint8Array>): Promise<void> {
    const { snapshots, partition, clock, onAlarm } = this.#options
    try {
      const list = await this.#list()
      if (list.some((info) => info.offset >= offset)) return
      const store = snapshots.store(partition, offset, slices)
      this.#stored = await within(clock, carryLimitMs, 'the store, given a snapshot,', store)
      this.#inVain = 0
      this.#restUntilMs = -Infinity
      const old = [...list].sort((a, b) => b.offset - a.offset).slice(snapshotsKept - 1)
      for (const info of old) await within(clock, askLimitMs, 'the store of snapshots', snapshots.remove(info))
    } catch (error) {
      onAlarm(
        'snapshot-failed',
        `a snapshot could not be stored: ${error instanceof Error ? error.message : String(error)}`,
      )
    }
  }
}
