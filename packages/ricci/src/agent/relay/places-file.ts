/** How far what waits on the disk was sent, so that the next process goes on there. What it sends twice has the same mark, and counts once as far back as marks are known. */
import { dirname } from 'node:path'
import type { Disk } from '../../log/index.ts'

/** Parts of a spool that are not sent: from an offset to another, or to the end. */
export type Unsent = readonly (readonly [from: number, to: number | null])[]

interface Kept {
  readonly spool: string
  readonly unsent: Unsent
}

export interface PlacesFileOptions {
  readonly disk: Disk
  readonly path: string
  /** The spool's id: what the file says of another does not count. */
  readonly spool: string
  /** Told why the disk does not take it. */
  readonly onProblem: (error: Error) => void
}

/** The file. It is replaced as a whole, and by one that is on the disk: a machine that loses power has what it said before, or what it was to say. */
export class PlacesFile {
  readonly #options: PlacesFileOptions
  #next: Unsent | undefined
  #writing: Promise<void> | undefined

  constructor(options: PlacesFileOptions) {
    this.#options = options
  }

  /** What an earlier process left unsent; undefined where nothing is known of this spool. */
  read(): Unsent | undefined {
    const { disk, path, spool } = this.#options
    try {
      const file = disk.openForReading(path)
      try {
        const bytes = Buffer.alloc(file.size())
        const kept = JSON.parse(bytes.toString('utf8', 0, file.read(bytes, 0, bytes.length, 0))) as Kept
        return kept.spool === spool ? kept.unsent : undefined
      } finally {
        file.close()
      }
    } catch {
      // none, or spoiled: all that is left is sent, some of it again
      return undefined
    }
  }

  /** Soon it says this; of what comes while it is written, the last counts. */
  keep(unsent: Unsent): void {
    this.#next = unsent
    this.#writing ??= this.#write()
  }

  /** Resolves when it says what it was last told to, or cannot. */
  async written(): Promise<void> {
    await this.#writing
  }

  async #write(): Promise<void> {
    for (let unsent = this.#next; unsent !== undefined; unsent = this.#next) {
      this.#next = undefined
      await this.#replace({ spool: this.#options.spool, unsent }).catch(this.#options.onProblem)
    }
    this.#writing = undefined
  }

  async #replace(kept: Kept): Promise<void> {
    const { disk, path } = this.#options
    const temporary = `${path}.new`
    const file = await disk.create(temporary).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
      // left by one that failed, or was killed
      await disk.unlink(temporary)
      return disk.create(temporary)
    })
    try {
      await file.write([Buffer.from(`${JSON.stringify(kept)}\n`)], 0)
      await file.datasync()
    } finally {
      await file.close()
    }
    await disk.rename(temporary, path)
    await disk.syncDirectory(dirname(path))
  }
}
