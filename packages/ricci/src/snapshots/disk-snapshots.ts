/**
 * Snapshots in a folder of the data directory, one file each: `snapshots/PARTITION-OFFSET.snapshot`.
 *
 * A snapshot is written under another name, synced, and only then given its own: one that was not stored whole has no name that
 * is looked for. Behind the slices stands a footer with their length and CRC-32; a file is listed once it has been read whole and
 * found to be what the footer says. The newest few are kept, of those that are whole.
 */
import { join } from 'node:path'
import { ReplicaError, type SnapshotInfo, type SnapshotPort } from '@ricci/replica'
import { crc32 } from '../log/crc32.ts'
import { errorCode, isDiskError, type Disk, type ReadableFile } from '../log/disk.ts'

/** Where snapshots lie, and how many. */
export interface DiskSnapshotsOptions {
  readonly dataDirectory: string
  readonly disk: Disk
  /** How many are kept of each partition; 3 unless told. Three intervals are also what the log's retention spares. */
  readonly keep?: number
}

/**
 * ```
 * 0 magic, names the format (8)   8 bytes of the slices (8)   16 partition (4)   20 CRC-32 of the slices (4)
 * 24 offset (8)                  32 CRC-32 of these 32 bytes (4)
 * ```
 */
const footerBytes = 36
const magic = Buffer.from('RICCISN1')
/** Checking reads this much at a time, and then leaves the thread to others: some 0.3 ms. */
const stepBytes = 1_048_576
const defaultKeep = 3

/** Snapshots as files of a folder. */
export class DiskSnapshots implements SnapshotPort {
  private readonly directory: string
  /** Files found whole, by name: what was checked once is not read again for each list. */
  private readonly whole = new Map<string, SnapshotInfo>()
  private stores = 0

  private constructor(private readonly options: DiskSnapshotsOptions) {
    this.directory = join(options.dataDirectory, 'snapshots')
  }

  /** Opens the folder (made where it is missing) and removes what an earlier process did not finish. The log's lock guards it. */
  static async open(options: DiskSnapshotsOptions): Promise<DiskSnapshots> {
    const { disk, dataDirectory } = options
    const snapshots = new DiskSnapshots(options)
    await disk.makeDirectory(snapshots.directory)
    await disk.syncDirectory(dataDirectory)
    for (const name of disk.list(snapshots.directory)) {
      if (name.endsWith('.partial')) await disk.unlink(join(snapshots.directory, name))
    }
    return snapshots
  }

  /** Newest first. */
  async list(partition: number): Promise<readonly SnapshotInfo[]> {
    const found: SnapshotInfo[] = []
    for (const { name, offset } of this.names(partition)) {
      const info = this.whole.get(name) ?? (await this.check(name, partition, offset))
      if (info !== undefined) found.push(info)
    }
    return found
  }

  /** @throws ReplicaError `SNAPSHOT_NOT_STORED` when the disk fails or is full; what the slices throw. Nothing is left then. */
  async store(
    partition: number,
    offset: number,
    slices: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  ): Promise<SnapshotInfo> {
    const { disk } = this.options
    const name = snapshotName(partition, offset)
    const partial = join(this.directory, `${name}.${this.stores++}.partial`)
    let bytes = 0
    try {
      const file = await disk.create(partial)
      try {
        let checksum = 0
        for await (const slice of slices) {
          await file.write([slice], bytes)
          checksum = crc32(slice, 0, slice.length, checksum)
          bytes += slice.length
        }
        await file.write([encodeFooter(partition, offset, bytes, checksum)], bytes)
        await file.datasync()
      } finally {
        await file.close()
      }
      this.whole.delete(name)
      await disk.rename(partial, join(this.directory, name))
      await disk.syncDirectory(this.directory)
    } catch (error) {
      await disk.unlink(partial).catch(() => {})
      if (!isDiskError(error)) throw error
      throw new ReplicaError(
        'SNAPSHOT_NOT_STORED',
        `the snapshot at offset ${offset} could not be written to ${this.directory}: ${String(error)}; free some room or check the disk, the next one will be tried`,
        true,
        { cause: error },
      )
    }
    const info = { name, partition, offset, bytes }
    this.whole.set(name, info)
    await this.removeOld(partition)
    return info
  }

  /** @throws ReplicaError `SNAPSHOT_UNREADABLE` when it is gone or no longer whole; take an older one then */
  async fetch(info: SnapshotInfo): Promise<Uint8Array> {
    const path = join(this.directory, info.name)
    try {
      const file = this.options.disk.openForReading(path)
      try {
        const bytes = new Uint8Array(file.size())
        let at = 0
        for (let read = 1; read > 0; at += read) {
          read = file.read(bytes, at, Math.min(stepBytes, bytes.length - at), at)
          await pause()
        }
        const footer = decodeFooter(bytes.subarray(Math.max(0, bytes.length - footerBytes)))
        const content = bytes.subarray(0, Math.max(0, bytes.length - footerBytes))
        if (footer === undefined || footer.bytes !== content.length || crc32(content) !== footer.checksum) {
          throw new Error('it is not what was written')
        }
        return content
      } finally {
        file.close()
      }
    } catch (error) {
      this.whole.delete(info.name)
      throw new ReplicaError(
        'SNAPSHOT_UNREADABLE',
        `the snapshot ${path} cannot be read (${String(error)}); restore from an older one`,
        false,
        { cause: error },
      )
    }
  }

  async remove(info: SnapshotInfo): Promise<void> {
    this.whole.delete(info.name)
    try {
      await this.options.disk.unlink(join(this.directory, info.name))
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
    }
    await this.options.disk.syncDirectory(this.directory)
  }

  /** Removes what is older than the oldest of those kept, whole or not. */
  private async removeOld(partition: number): Promise<void> {
    const kept = (await this.list(partition)).slice(0, this.options.keep ?? defaultKeep)
    if (kept.length < (this.options.keep ?? defaultKeep)) return
    for (const { name, offset } of this.names(partition)) {
      if (offset < kept.at(-1)!.offset) await this.remove({ name, partition, offset, bytes: 0 })
    }
  }

  private names(partition: number): { readonly name: string; readonly offset: number }[] {
    const found = []
    for (const name of this.options.disk.list(this.directory)) {
      const match = /^(\d+)-(\d{16})\.snapshot$/.exec(name)
      if (match !== null && Number(match[1]) === partition) found.push({ name, offset: Number(match[2]) })
    }
    return found.sort((a, b) => b.offset - a.offset)
  }

  private async check(name: string, partition: number, offset: number): Promise<SnapshotInfo | undefined> {
    let file: ReadableFile | undefined
    try {
      file = this.options.disk.openForReading(join(this.directory, name))
      const bytes = file.size() - footerBytes
      const end = new Uint8Array(footerBytes)
      if (bytes < 0 || file.read(end, 0, footerBytes, bytes) < footerBytes) return undefined
      const footer = decodeFooter(end)
      if (footer?.bytes !== bytes || footer.partition !== partition || footer.offset !== offset) return undefined
      const buffer = new Uint8Array(Math.min(stepBytes, bytes))
      let checksum = 0
      for (let at = 0; at < bytes;) {
        const read = file.read(buffer, 0, Math.min(buffer.length, bytes - at), at)
        if (read === 0) return undefined
        checksum = crc32(buffer, 0, read, checksum)
        at += read
        await pause()
      }
      if (checksum !== footer.checksum) return undefined
      const info = { name, partition, offset, bytes }
      this.whole.set(name, info)
      return info
    } catch (error) {
      // Removed meanwhile, or the disk cannot read it: either way it is of no use.
      if (!isDiskError(error)) throw error
      return undefined
    } finally {
      file?.close()
    }
  }
}

/**
 * From which offset on the log must keep its records, so that each of the `keep` newest snapshots can still be restored from; 0 while
 * there are fewer.
 */
export function protectedOffsetOf(snapshots: readonly SnapshotInfo[], keep = defaultKeep): number {
  const offsets = snapshots.map(({ offset }) => offset).sort((a, b) => b - a)
  return offsets.length < keep ? 0 : offsets[keep - 1] + 1
}

function snapshotName(partition: number, offset: number): string {
  return `${partition}-${String(offset).padStart(16, '0')}.snapshot`
}

interface Footer {
  readonly bytes: number
  readonly partition: number
  readonly checksum: number
  readonly offset: number
}

function encodeFooter(partition: number, offset: number, bytes: number, checksum: number): Uint8Array {
  const footer = Buffer.alloc(footerBytes)
  magic.copy(footer)
  footer.writeDoubleLE(bytes, 8)
  footer.writeUInt32LE(partition, 16)
  footer.writeUInt32LE(checksum, 20)
  footer.writeDoubleLE(offset, 24)
  footer.writeUInt32LE(crc32(footer, 0, 32), 32)
  return footer
}

function decodeFooter(bytes: Uint8Array): Footer | undefined {
  if (bytes.length !== footerBytes || !magic.equals(bytes.subarray(0, 8))) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, footerBytes)
  if (view.getUint32(32, true) !== crc32(bytes, 0, 32)) return undefined
  return {
    bytes: view.getFloat64(8, true),
    partition: view.getUint32(16, true),
    checksum: view.getUint32(20, true),
    offset: view.getFloat64(24, true),
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
