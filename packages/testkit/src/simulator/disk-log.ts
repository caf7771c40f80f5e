import type { LogPort, SnapshotPort, StoredRecord } from '@ricci/replica'
import { EmbeddedLog, ProtectingSnapshots } from 'ricci/embedded'
import { FaultyDisk, type DiskFate } from '../disk/faulty-disk.ts'
import type { SeededRandom } from '../random.ts'
import type { SimLog } from './log.ts'
import type { Process } from './process.ts'
import type { World } from './world.ts'

/** What a disk does in bad weather. */
export interface DiskWeather {
  /** A step fails with EIO or ENOSPC, a part of it done. */
  error: number
  /** A step takes up to seconds. */
  slow: number
}

/** Small segments, so that a run rolls them and recovers from several. */
const limits = { segmentBytes: 40_000, groupBytes: 4_000, reserveBytes: 16_000 }
/** A log that could not be opened is tried again, as a service manager restarts the daemon. */
const reopenMs = 1_000

/**
 * The product's embedded log over a disk that is slow, fails, fills up, and loses at a loss of power what was not synced. It
 * belongs to one instance; what its readers are given goes into the mirror, which the oracle holds against every later reading.
 */
export class DiskLog {
  readonly weather: DiskWeather = { error: 0, slow: 0 }
  #disk: FaultyDisk
  #log: EmbeddedLog | undefined
  /** What snapshots need of the log; everything, until the store has said otherwise. */
  #needed = { protectedOffset: 0, snapshotOffset: 0 }
  /** Whose disk it is at present: it waits only while that one runs. */
  #process: Process | undefined
  readonly #random: SeededRandom

  constructor(
    readonly world: World,
    private readonly mirror: SimLog,
    /** Told when a record that was read once reads otherwise now. */
    private readonly changed: (text: string) => void,
    /** Its limit; absent: more than a run writes. */
    private readonly maxBytes: number | undefined,
  ) {
    this.#random = world.random.fork('disk')
    this.#disk = new FaultyDisk({ seed: `disk/${world.seed}`, delay: () => this.#wait(this.#delayMs()) })
  }

  /** The process died, or its machine lost power: then any part of what was not synced is gone. */
  died(): void {
    const power = this.#random.chance(0.5)
    if (power) this.world.fault('disk torn', 'disk', 'loss of power')
    this.#log = undefined
    this.#disk = this.#disk.restart(power ? 'power' : 'kill')
  }

  /** Others fill the disk, but for so many bytes; undefined: they let go of it. */
  fill(leftBytes: number | undefined): void {
    this.#disk.capacityBytes = leftBytes === undefined ? Infinity : this.#disk.usedBytes + leftBytes
  }

  /** A store of snapshots that tells the log what it must keep, as the daemon's does. */
  protecting(snapshots: SnapshotPort): SnapshotPort {
    this.#needed = { protectedOffset: 0, snapshotOffset: 0 }
    const needed = this.#needed
    const tell = (): void =>
      void (this.#needed === needed && this.#log !== undefined && Object.assign(this.#log, needed))
    const protecting = new ProtectingSnapshots(snapshots, 0, {
      get protectedOffset() {
        return needed.protectedOffset
      },
      set protectedOffset(offset) {
        needed.protectedOffset = offset
        tell()
      },
      get snapshotOffset() {
        return needed.snapshotOffset
      },
      set snapshotOffset(offset) {
        needed.snapshotOffset = offset
        tell()
      },
    })
    protecting.protect().catch(() => undefined)
    return protecting
  }

  /** Where the log ends on the disk: its readers may be behind, or stand still. Undefined while nobody has it open. */
  get end(): number | undefined {
    return this.#log?.progress.end
  }

  /** The process is about to end by itself. */
  async close(): Promise<void> {
    await this.#log?.close()
  }

  connect(process: Process, onDelivered: (records: readonly StoredRecord[]) => void): LogPort {
    this.#process = process
    const opened = this.#open(process)
    const read = async function* (
      see: (records: readonly StoredRecord[]) => void,
      from: number,
      signal: AbortSignal,
    ): AsyncGenerator<readonly StoredRecord[]> {
      const log = await opened
      for await (const records of log.read(0, from, signal)) {
        see(records)
        onDelivered(records)
        yield records
      }
    }
    return {
      id: this.mirror.id,
      partitions: 1,
      append: (partition, records, rank) => opened.then((log) => log.append(partition, records, rank)),
      wantsSnapshot: () => this.#process === process && this.#log?.wantsSnapshot() === true,
      read: (_partition, from, signal) => read((records) => this.#see(records), from, signal),
      endOf: (partition) => opened.then((log) => log.endOf(partition)),
      range: (partition) => opened.then((log) => log.range(partition)),
      close: () => opened.then((log) => log.close()),
    }
  }

  async #open(process: Process): Promise<EmbeddedLog> {
    // What an earlier process had under way on it never returns.
    const disk = this.#disk.restart('kill')
    this.#disk = disk
    disk.onStep = () => this.#fate()
    const random = this.#random.fork(process.name)
    for (;;) {
      try {
        const log = await EmbeddedLog.open({
          dataDirectory: '/data',
          disk,
          clock: process.clock,
          limits: { ...limits, ...(this.maxBytes === undefined ? {} : { maxBytes: this.maxBytes }) },
          defer: (callback) => process.deliverAfter(0.01, callback),
          randomBytes: (count) => Uint8Array.from({ length: count }, () => random.below(256)),
        })
        this.#log = log
        Object.assign(log, this.#needed)
        return log
      } catch (error) {
        this.world.trace.add(process.name, `cannot open its log: ${(error as Error).message}`)
        await this.#wait(reopenMs)
      }
    }
  }

  #fate(): DiskFate {
    if (!this.#random.chance(this.weather.error)) return 'done'
    const error = this.#random.pick(['EIO', 'ENOSPC'])
    this.world.fault('disk error', 'disk', error)
    return { error }
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => this.#process?.deliverAfter(ms, resolve))
  }

  #delayMs(): number {
    const random = this.#random
    if (!random.chance(this.weather.slow)) return random.between(0.05, 3)
    const ms = random.between(50, 2_500)
    this.world.fault('disk slow', 'disk', `${Math.round(ms)} ms`)
    return ms
  }

  #see(records: readonly StoredRecord[]): void {
    const known = this.mirror.partition(0)
    for (const { offset, bytes, checksum } of records) {
      if (offset < known.end) {
        if (known.records[offset].checksum === checksum) continue
        this.changed(`offset ${offset} was read and reads otherwise now`)
      } else if (offset > known.end) {
        this.changed(`the log gives offset ${offset}, its last was ${known.end - 1}`)
      } else {
        known.write(bytes.slice())
      }
    }
  }
}
