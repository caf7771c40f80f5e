/**
 * The disk as log and snapshots see it, so that tests can hand in one that tears, fills up and fails. Errors are those of
 * `node:fs` (an `Error` with `code`: ENOSPC, EIO, ENOENT, EEXIST …).
 *
 * What is written is kept over a loss of power only after `datasync` of the file; that a file exists, is gone or has another
 * name only after `syncDirectory` of its directory.
 */
import {
  close,
  closeSync,
  fdatasync,
  fstatSync,
  fsync,
  ftruncate,
  open,
  openSync,
  readdirSync,
  readSync,
  writev,
} from 'node:fs'
import { rename, statfs, unlink } from 'node:fs/promises'
import { promisify } from 'node:util'
import { lockDirectory, type DirectoryLock } from './directory-lock.ts'
import { makeDirectory } from './make-directory.ts'

/** An open file that can be read. Synchronous: a read comes from the page cache nearly always, at a tenth of the cost. */
export interface ReadableFile {
  /** Reads up to `length` bytes into `buffer` at `start`; gives how many, 0 at the end of the file. */
  read(buffer: Uint8Array, start: number, length: number, position: number): number
  size(): number
  close(): void
}

/** A file that is written and synced. */
export interface WritableFile {
  /** Writes all parts one after another from `position` on; when it throws, any part of them may have been written. */
  write(parts: readonly Uint8Array[], position: number): Promise<void>
  datasync(): Promise<void>
  truncate(bytes: number): Promise<void>
  close(): Promise<void>
}

/** The part of a file system that the log uses, so that tests can make it fail. */
export interface Disk {
  /** Names in a directory, in no order; none where the directory is missing. */
  list(directory: string): string[]
  openForReading(path: string): ReadableFile
  /** Makes a new file; fails with EEXIST where there is one. */
  create(path: string): Promise<WritableFile>
  openForWriting(path: string): Promise<WritableFile>
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  /** Makes a directory and those above it; does nothing where it exists. */
  makeDirectory(path: string): Promise<void>
  syncDirectory(path: string): Promise<void>
  /** Bytes that can still be written to the file system `path` lies on. */
  freeBytes(path: string): Promise<number>
  /** Takes the directory for this process alone. @throws ReplicaError `DATA_IN_USE`, `DATA_UNUSABLE` */
  lock(directory: string): Promise<DirectoryLock>
}

const openFile = promisify(open)
const closeFile = promisify(close)
const syncFile = promisify(fsync)

/** The machine's own disk. */
export const nodeDisk: Disk = {
  list(directory) {
    try {
      return readdirSync(directory)
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return []
      throw error
    }
  },
  openForReading: (path) => new NodeReadableFile(openSync(path, 'r')),
  create: async (path) => new NodeWritableFile(await openFile(path, 'wx', 0o640)),
  openForWriting: async (path) => new NodeWritableFile(await openFile(path, 'r+')),
  rename,
  unlink,
  makeDirectory: async (path) => makeDirectory(path),
  async syncDirectory(path) {
    const descriptor = await openFile(path, 'r')
    try {
      await syncFile(descriptor)
    } finally {
      await closeFile(descriptor)
    }
  },
  async freeBytes(path) {
    const { bavail, bsize } = await statfs(path)
    return bavail * bsize
  },
  lock: lockDirectory,
}

class NodeReadableFile implements ReadableFile {
  constructor(private descriptor: number) {}
  read(buffer: Uint8Array, start: number, length: number, position: number): number {
    return readSync(this.descriptor, buffer, start, length, position)
  }
  size(): number {
    return fstatSync(this.descriptor).size
  }
  close(): void {
    if (this.descriptor < 0) return
    closeSync(this.descriptor)
    this.descriptor = -1
  }
}

/** Callbacks, not `fs/promises`: a group costs one wake-up less, and its file handles close by garbage collection. */
class NodeWritableFile implements WritableFile {
  constructor(private descriptor: number) {}
  async write(parts: readonly Uint8Array[], position: number): Promise<void> {
    let rest = parts
    let at = position
    while (rest.length > 0) {
      const written = await writeOnce(this.descriptor, rest, at)
      at += written
      rest = after(rest, written)
    }
  }
  datasync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fdatasync(this.descriptor, (error) => (error === null ? resolve() : reject(error)))
    })
  }
  truncate(bytes: number): Promise<void> {
    return new Promise((resolve, reject) => {
      ftruncate(this.descriptor, bytes, (error) => (error === null ? resolve() : reject(error)))
    })
  }
  async close(): Promise<void> {
    if (this.descriptor < 0) return
    const descriptor = this.descriptor
    this.descriptor = -1
    await closeFile(descriptor)
  }
}

function writeOnce(descriptor: number, parts: readonly Uint8Array[], position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    writev(descriptor, parts, position, (error, written) => (error === null ? resolve(written) : reject(error)))
  })
}

/** What is left of `parts` after their first `bytes` bytes: the kernel may write less than it was given. */
function after(parts: readonly Uint8Array[], bytes: number): readonly Uint8Array[] {
  let index = 0
  let rest = bytes
  while (index < parts.length && rest >= parts[index].length) rest -= parts[index++].length
  if (index === parts.length) return []
  return rest === 0 ? parts.slice(index) : [parts[index].subarray(rest), ...parts.slice(index + 1)]
}

/** The `code` of an error of the file system, or an empty string. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

/** Whether an error is one of the file system. */
export function isDiskError(error: unknown): boolean {
  return /^E[A-Z0-9]+$/.test(errorCode(error))
}

/** Whether an error says that there is no room (left, or left to this user). */
export function isFull(error: unknown): boolean {
  const code = errorCode(error)
  return code === 'ENOSPC' || code === 'EDQUOT'
}
