/**
 * A disk in memory, on a seed, that does what real ones do at their worst.
 *
 * - **Loss of power**: what was synced is kept. Of what was not, any part is kept, sector by sector, in no order; files may be
 *   longer than what was kept of them, with zeroes between. Names made, changed or removed since the directory was synced are
 *   kept up to some point.
 * - **Death of the process**: everything written is kept, a write under way partly; what was not synced stays unsynced.
 * - **A failed fdatasync**: the pages are clean from then on. They can be read, syncing them again succeeds, and after a loss of power
 *   they are gone: only writing them again helps.
 * - **A full disk**: the write that finds no room is done in part.
 *
 * Each operation that changes something is a step, and `onStep` decides what becomes of it: a test that lets the machine die at every
 * step in turn has seen every state that a recovery can meet.
 */
import { ReplicaError } from '@ricci/replica'
import type { Disk, DirectoryLock, ReadableFile, WritableFile } from 'ricci/embedded'
import { SeededRandom } from '../random.ts'

/** The least a disk writes whole. */
const sectorBytes = 512

export interface DiskStep {
  /** Counts from 1. */
  readonly number: number
  readonly what: 'create' | 'write' | 'datasync' | 'truncate' | 'rename' | 'unlink' | 'makeDirectory' | 'syncDirectory'
  readonly path: string
}

/** `power` and `kill` end the disk in the middle of the step: it never returns. An error is thrown with a part done. */
export type DiskFate = 'done' | 'power' | 'kill' | { readonly error: string }

export interface FaultyDiskOptions {
  readonly seed?: number | string
  /** Bytes that fit. */
  readonly capacityBytes?: number
  /** Decides each step; all are done unless told. */
  readonly onStep?: (step: DiskStep) => DiskFate
  /** Awaited before each step, to make the disk slow. */
  readonly delay?: (step: DiskStep) => Promise<void>
}

type Change = { readonly at: number; readonly bytes: Uint8Array } | { readonly length: number }

/** A file: as it reads now, as it is on the platters, and what lies between. */
class Inode {
  cache = new Contents()
  stable = new Contents()
  pending: Change[] = []
}

/** What a name stood for after a change of its directory; undefined: nothing. */
interface Renaming {
  readonly directory: string
  readonly names: readonly (readonly [string, Inode | undefined])[]
}

export class FaultyDisk implements Disk {
  capacityBytes: number
  onStep: (step: DiskStep) => DiskFate
  /** Steps so far. */
  steps = 0
  private readonly random: SeededRandom
  private readonly names = new Map<string, Inode>()
  private readonly stableNames = new Map<string, Inode>()
  private renamings: Renaming[] = []
  private readonly directories = new Set<string>()
  private readonly locks = new Set<string>()
  private dead = false
  private survivor: FaultyDisk | undefined

  constructor(private readonly options: FaultyDiskOptions = {}) {
    this.random = new SeededRandom(options.seed ?? 0)
    this.capacityBytes = options.capacityBytes ?? Infinity
    this.onStep = options.onStep ?? (() => 'done')
  }

  /** Ends this disk's use: every operation under way or begun later never returns. Gives the disk as the next process finds it. */
  restart(how: 'power' | 'kill'): FaultyDisk {
    return (this.survivor ??= this.end(how))
  }

  /** The disk that was left by the step at which `onStep` ended this one. */
  get left(): FaultyDisk | undefined {
    return this.survivor
  }

  /** Bytes that all files take. */
  get usedBytes(): number {
    let used = 0
    for (const inode of this.names.values()) used += inode.cache.length
    return used
  }

  list(directory: string): string[] {
    this.assertAlive()
    const prefix = `${directory}/`
    return [...this.names.keys()]
      .filter((path) => path.startsWith(prefix) && !path.includes('/', prefix.length))
      .map((path) => path.slice(prefix.length))
  }

  openForReading(path: string): ReadableFile {
    this.assertAlive()
    const inode = this.find(path)
    return {
      read: (buffer, start, length, position) => {
        this.assertAlive()
        const part = inode.cache.bytes().subarray(position, position + length)
        buffer.set(part, start)
        return part.length
      },
      size: () => inode.cache.length,
      close: () => {},
    }
  }

  async create(path: string): Promise<WritableFile> {
    return this.step('create', path, () => {
      if (this.names.has(path)) throw diskError('EEXIST', path)
      if (this.capacityBytes - this.usedBytes <= 0) throw diskError('ENOSPC', path)
      return new FaultyFile(this, path, this.setNames(path, [[path, new Inode()]]))
    })
  }

  async openForWriting(path: string): Promise<WritableFile> {
    this.assertAlive()
    return new FaultyFile(this, path, this.find(path))
  }

  rename(from: string, to: string): Promise<void> {
    return this.step('rename', from, () => {
      const inode = this.find(from)
      this.setNames(to, [
        [from, undefined],
        [to, inode],
      ])
    })
  }

  unlink(path: string): Promise<void> {
    return this.step('unlink', path, () => {
      this.find(path)
      this.setNames(path, [[path, undefined]])
    })
  }

  makeDirectory(path: string): Promise<void> {
    return this.step('makeDirectory', path, () => void this.directories.add(path))
  }

  syncDirectory(path: string): Promise<void> {
    return this.step('syncDirectory', path, () => {
      for (const renaming of this.renamings) if (renaming.directory === path) apply(this.stableNames, renaming)
      this.renamings = this.renamings.filter(({ directory }) => directory !== path)
    })
  }

  async freeBytes(): Promise<number> {
    return this.capacityBytes - this.usedBytes
  }

  async lock(directory: string): Promise<DirectoryLock> {
    this.assertAlive()
    if (this.locks.has(directory)) {
      throw new ReplicaError('DATA_IN_USE', `the data directory ${directory} is in use by another ricci (pid 0)`, false)
    }
    this.locks.add(directory)
    return { release: async () => void this.locks.delete(directory) }
  }

  /** Changes a byte of what was written long ago, as rot does. */
  damage(path: string, position: number): void {
    const inode = this.find(path)
    for (const contents of [inode.cache, inode.stable]) contents.bytes()[position] ^= 0x40
  }

  /**
   * @internal One step of this disk or of a file of it.
   * @param failed what is left when it fails
   * @param cut what is left when the process or the machine dies meanwhile
   */
  async step<T>(
    what: DiskStep['what'],
    path: string,
    whole: () => T,
    failed: () => void = () => {},
    cut: () => void = () => void (this.random.chance(0.5) && whole()),
  ): Promise<T> {
    if (this.dead) return forever()
    const step = { number: ++this.steps, what, path }
    await this.options.delay?.(step)
    // Even a fast disk answers later: whatever runs meanwhile must be able to.
    await undefined
    if (this.dead) return forever()
    const fate = this.onStep(step)
    if (fate === 'done') return whole()
    if (typeof fate === 'object') {
      failed()
      throw diskError(fate.error, path)
    }
    cut()
    this.restart(fate)
    return forever()
  }

  /** @internal */
  writeFile(path: string, inode: Inode, parts: readonly Uint8Array[], position: number): Promise<void> {
    const bytes = Buffer.concat(parts)
    const put = (length: number) => {
      const written = bytes.subarray(0, length)
      inode.cache.write(written, position)
      inode.pending.push({ at: position, bytes: written })
    }
    const putSome = () => put(this.random.below(bytes.length + 1))
    const room = () => this.capacityBytes - this.usedBytes - Math.max(0, position + bytes.length - inode.cache.length)
    return this.step(
      'write',
      path,
      () => {
        if (room() >= 0) return put(bytes.length)
        put(Math.max(0, bytes.length + room()))
        throw diskError('ENOSPC', path)
      },
      putSome,
      putSome,
    )
  }

  /** @internal */
  syncFile(path: string, inode: Inode): Promise<void> {
    const sync = () => {
      for (const change of inode.pending) inode.stable.change(change)
      inode.pending = []
    }
    const clean = () => {
      this.settle(inode)
      inode.pending = []
    }
    return this.step('datasync', path, sync, clean, () => {})
  }

  /** @internal */
  truncateFile(path: string, inode: Inode, length: number): Promise<void> {
    return this.step('truncate', path, () => {
      inode.cache.change({ length })
      inode.pending.push({ length })
    })
  }

  private setNames(path: string, names: Renaming['names']): Inode {
    const renaming = { directory: path.slice(0, path.lastIndexOf('/')), names }
    apply(this.names, renaming)
    this.renamings.push(renaming)
    return names.at(-1)![1]!
  }

  private find(path: string): Inode {
    const inode = this.names.get(path)
    if (inode === undefined) throw diskError('ENOENT', path)
    return inode
  }

  private end(how: 'power' | 'kill'): FaultyDisk {
    this.dead = true
    const next = new FaultyDisk({ ...this.options, seed: `${this.options.seed ?? 0}'`, onStep: undefined })
    next.capacityBytes = this.capacityBytes
    for (const directory of this.directories) next.directories.add(directory)
    if (how === 'power') {
      const kept = this.random.below(this.renamings.length + 1)
      for (const renaming of this.renamings.slice(0, kept)) apply(this.stableNames, renaming)
      for (const inode of this.stableNames.values()) {
        this.settle(inode)
        inode.cache = inode.stable.copy()
        inode.pending = []
      }
      for (const [path, inode] of this.stableNames) {
        next.names.set(path, inode)
        next.stableNames.set(path, inode)
      }
    } else {
      for (const [path, inode] of this.names) next.names.set(path, inode)
      for (const [path, inode] of this.stableNames) next.stableNames.set(path, inode)
      next.renamings = this.renamings
    }
    return next
  }

  /** Brings any part of what is pending to the platters: all, nothing, or each sector by chance. */
  private settle(inode: Inode): void {
    const share = this.random.pick([0, 0.5, 0.9, 1])
    for (const change of inode.pending) {
      if ('length' in change) {
        if (this.random.chance(share)) inode.stable.change(change)
        continue
      }
      for (let from = 0; from < change.bytes.length;) {
        const at = change.at + from
        const to = Math.min(change.bytes.length, from + sectorBytes - (at % sectorBytes))
        if (this.random.chance(share)) inode.stable.write(change.bytes.subarray(from, to), at)
        from = to
      }
    }
  }

  private assertAlive(): void {
    if (this.dead) throw diskError('EIO', 'a disk whose process is dead')
  }
}

class FaultyFile implements WritableFile {
  constructor(
    private readonly disk: FaultyDisk,
    private readonly path: string,
    private readonly inode: Inode,
  ) {}
  write(parts: readonly Uint8Array[], position: number): Promise<void> {
    return this.disk.writeFile(this.path, this.inode, parts, position)
  }
  datasync(): Promise<void> {
    return this.disk.syncFile(this.path, this.inode)
  }
  truncate(bytes: number): Promise<void> {
    return this.disk.truncateFile(this.path, this.inode, bytes)
  }
  async close(): Promise<void> {}
}

/** Bytes that grow: what lies between is zero. */
class Contents {
  length = 0
  private space = new Uint8Array(0)
  bytes(): Uint8Array {
    return this.space.subarray(0, this.length)
  }
  write(bytes: Uint8Array, at: number): void {
    this.reserve(at + bytes.length)
    this.space.set(bytes, at)
    this.length = Math.max(this.length, at + bytes.length)
  }
  change(change: Change): void {
    if ('bytes' in change) return this.write(change.bytes, change.at)
    this.reserve(change.length)
    this.space.fill(0, change.length)
    this.length = change.length
  }
  copy(): Contents {
    const copy = new Contents()
    copy.write(this.bytes(), 0)
    return copy
  }
  private reserve(length: number): void {
    if (length <= this.space.length) return
    const space = new Uint8Array(Math.max(length, this.space.length * 2))
    space.set(this.space)
    this.space = space
  }
}

function apply(names: Map<string, Inode>, { names: changes }: Renaming): void {
  for (const [path, inode] of changes) {
    if (inode === undefined) names.delete(path)
    else names.set(path, inode)
  }
}

function diskError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}

/** What an operation gives whose process is dead. */
function forever(): Promise<never> {
  return new Promise(() => {})
}
