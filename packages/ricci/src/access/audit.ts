/** The audit: what was asked of this instance that changes something, a line of JSON each, in files of the data folder whose oldest goes when there is a new one. */
import { readFileSync } from 'node:fs'
import { appendFile, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Who asked for what, and what came of it. */
export interface AuditEntry {
  readonly atMs: number
  readonly instance: string
  /** A token's name; `local`, or `local:NAME`, for a program on this machine without one. */
  readonly who: string
  /** The address it came from; `SIGHUP` or `ricci dev` where it came by none. */
  readonly from: string
  /** Of the token. */
  readonly role?: string
  /** Method and path, without what follows `?`. */
  readonly what: string
  /** What was sent along: an object, or its beginning as text where it is long. */
  readonly arguments?: unknown
  readonly why?: string
  /** Status of the answer, and its code where it is an error. */
  readonly status: number
  readonly code?: string
}

/** A file, and how many older ones are kept: 16 MiB in all, some fifty thousand entries. */
const maxFileBytes = 4 << 20
const olderFiles = 3

/** @param age how many are newer */
const nameOf = (age: number): string => (age === 0 ? 'audit.jsonl' : `audit.${age}.jsonl`)

export class Audit {
  /** Of the newest file, as far as it was looked at. */
  private bytes: number | undefined
  /** Entries are written one after another. */
  private writing: Promise<unknown> = Promise.resolve()

  constructor(private readonly folder: string) {}

  /** Resolves when it is on the disk. @throws what the disk throws */
  write(entry: AuditEntry): Promise<void> {
    const written = this.writing.then(() => this.append(`${JSON.stringify(entry)}\n`))
    this.writing = written.catch(() => undefined)
    return written
  }

  /** The latest entries, the newest first. @throws what the disk throws */
  read(limit: number): readonly AuditEntry[] {
    const found: AuditEntry[] = []
    for (let age = 0; age <= olderFiles; age++) {
      for (const line of this.linesOf(nameOf(age))) {
        if (found.length >= limit) return found
        const entry = entryOf(line)
        if (entry !== undefined) found.push(entry)
      }
    }
    return found
  }

  /** Resolves when all is written. */
  async close(): Promise<void> {
    await this.writing
  }

  private async append(line: string): Promise<void> {
    const file = join(this.folder, nameOf(0))
    this.bytes ??= await sizeOf(file)
    if (this.bytes > 0 && this.bytes + line.length > maxFileBytes) await this.rotate()
    try {
      await appendFile(file, line, { mode: 0o640, flush: true })
      this.bytes += line.length
    } catch (error) {
      // a part of it may have been written
      this.bytes = undefined
      throw error
    }
  }

  private async rotate(): Promise<void> {
    this.bytes = undefined
    for (let age = olderFiles; age > 0; age--) {
      await rename(join(this.folder, nameOf(age - 1)), join(this.folder, nameOf(age))).catch(unlessMissing)
    }
    this.bytes = 0
  }

  /** The last first; none of a file that is not there. */
  private linesOf(name: string): readonly string[] {
    try {
      return readFileSync(join(this.folder, name), 'utf8').split('\n').reverse()
    } catch (error) {
      unlessMissing(error)
      return []
    }
  }
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size
  } catch (error) {
    unlessMissing(error)
    return 0
  }
}

function unlessMissing(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
}

/** A line that was cut short by a crash is none. */
function entryOf(line: string): AuditEntry | undefined {
  try {
    return line === '' ? undefined : (JSON.parse(line) as AuditEntry)
  } catch {
    return undefined
  }
}
