/**
 * One process per data directory, by a lock that dies with the process: a listening Unix socket inside the directory.
 *
 * Node has no flock, a PID file races, and an abstract socket would not be seen from another container that mounts the same
 * volume. So each process that wants the directory first listens on a socket with a name nobody else ever uses, and only then
 * looks at all others. Of two, the one that looked later sees the other listening, whatever the interleaving: two can never
 * both find themselves alone. A socket whose process is gone refuses connections; it is removed, and its name never comes again.
 * Of two that try at the same moment the one with the smaller name waits for the other to give way.
 */
import { randomBytes } from 'node:crypto'
import { closeSync, openSync, readdirSync, unlinkSync } from 'node:fs'
import { createServer, connect, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { ReplicaError } from '@ricci/replica/errors'
import { dataUnusable } from './errors.ts'
import { makeDirectory } from './make-directory.ts'

/** Held while this process uses the directory. */
export interface DirectoryLock {
  /** Idempotent. */
  release(): Promise<void>
}

/** A holder that does not answer within this is stopped or very busy: alive, so the directory is in use. */
const answerTimeoutMs = 2_000
const socketName = /^lock\.(\d+)\.[0-9a-f]{16}$/

/**
 * Takes a directory (made where it is missing) for this process until `release` or its death.
 * @throws ReplicaError `DATA_IN_USE` when another process, or another part of this one, has it; `DATA_UNUSABLE` when it cannot be
 *   made or written to
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  try {
    return await takeDirectory(directory)
  } catch (error) {
    throw error instanceof ReplicaError ? error : dataUnusable(directory, error)
  }
}

async function takeDirectory(directory: string): Promise<DirectoryLock> {
  makeDirectory(directory)
  const name = `lock.${process.pid}.${randomBytes(8).toString('hex')}`
  const sockets = socketDirectory(directory)
  const candidate = new Candidate()
  let released: Promise<void> | undefined
  const release = () =>
    (released ??= candidate.close().then(() => {
      removeQuietly(join(directory, name))
      sockets.close()
    }))
  try {
    await candidate.listen(join(sockets.path, name))
    for (const other of readdirSync(directory)) {
      if (other === name || !socketName.test(other)) continue
      if (await isHeld(join(sockets.path, other), name < other)) {
        const pid = socketName.exec(other)![1]
        throw new ReplicaError(
          'DATA_IN_USE',
          `the data directory ${directory} is in use by another ricci (pid ${pid}); stop that one first, or give this one another directory`,
          false,
        )
      }
    }
  } catch (error) {
    await release()
    throw error
  }
  candidate.hold()
  return { release }
}

/** Our own socket: answers each visitor `held` once we hold the directory, and leaves those who came before waiting till then. */
class Candidate {
  private readonly server: Server
  private readonly visitors = new Set<Socket>()
  private held = false
  constructor() {
    this.server = createServer((visitor) => {
      this.visitors.add(visitor)
      visitor.unref()
      visitor.on('error', () => visitor.destroy())
      visitor.on('close', () => this.visitors.delete(visitor))
      if (this.held) visitor.end('held')
      else visitor.write('trying')
    })
  }
  listen(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject)
      this.server.listen(path, () => {
        this.server.unref()
        resolve()
      })
    })
  }
  hold(): void {
    this.held = true
    for (const visitor of this.visitors) visitor.end('held')
  }
  close(): Promise<void> {
    for (const visitor of this.visitors) visitor.destroy()
    return new Promise((resolve) => this.server.close(() => resolve()))
  }
}

/** Whether the process behind a socket has the directory, or will have it (`patient`: wait for one that tries to give way). */
function isHeld(path: string, patient: boolean): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    const timer = setTimeout(() => finish(true), answerTimeoutMs)
    const finish = (held: boolean) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(held)
    }
    let heard = ''
    socket.on('data', (bytes) => {
      heard += bytes.toString()
      if (heard.endsWith('held') || !patient) finish(true)
    })
    socket.on('close', () => finish(false))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') removeQuietly(path)
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT' || error.code === 'ECONNRESET') return finish(false)
      // A full backlog, say: somebody is there.
      if (error.code === 'EAGAIN') return finish(true)
      clearTimeout(timer)
      socket.destroy()
      reject(error)
    })
  })
}

/** Where sockets of the directory are reached: the kernel takes 107 bytes of path, Linux's way by a descriptor has no such bound. */
function socketDirectory(directory: string): { path: string; close(): void } {
  if (process.platform !== 'linux') return { path: directory, close: () => {} }
  const descriptor = openSync(directory, 'r')
  let open = true
  return {
    path: `/proc/self/fd/${descriptor}`,
    close() {
      if (open) closeSync(descriptor)
      open = false
    },
  }
}

function removeQuietly(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // Gone already: another one cleaned up.
  }
}
