import { readFile, statfs } from 'node:fs/promises'
import type { Measurement, Probe, Survey } from './probe.ts'
import { diskSpace, type FileSystem, mountsOf, readOnly } from './probes/disk-space.ts'
import { probes as allProbes } from './probes/index.ts'

/** The machine as probes see it; handed in by tests. */
export interface Machine {
  /** A file's text, its path below /proc. */
  read(file: string): Promise<string>
  fileSystem(mountPoint: string): Promise<FileSystem>
  /** Begins to wait as long as a sample waits for file systems; `over` resolves then, unless it is ended before. */
  patience(): { readonly over: Promise<void>; end(): void }
}

/** A disk that takes longer is ill: the rest of the sample does not wait for it. */
const patienceMs = 1_000

/** This machine. */
export const thisMachine: Machine = {
  read: (file) => readFile(`/proc/${file}`, 'utf8'),
  async fileSystem(mountPoint) {
    const { bsize, blocks, bfree, bavail, files, ffree } = await statfs(mountPoint)
    const space = { blockBytes: bsize, blocks, freeBlocks: bfree, availableBlocks: bavail }
    return { mountPoint, ...space, inodes: files, freeInodes: ffree }
  },
  patience() {
    let timer: NodeJS.Timeout | undefined
    const over = new Promise<void>((resolve) => (timer = setTimeout(resolve, patienceMs)))
    return { over, end: () => clearTimeout(timer) }
  },
}

/**
 * Reads everything at once and lets the probes measure. A probe that fails (a file that a container hides, a text nobody
 * expects) is named once and left out; the others go on.
 */
export class Sampler {
  readonly #machine: Machine
  readonly #probes: readonly Probe[]
  readonly #surveys: readonly Survey[]
  readonly #onProblem: (text: string) => void
  readonly #named = new Set<string>()
  readonly #before = new Map<Probe, readonly string[]>()
  /** Mount points that were asked and have not answered: not asked again, for each question holds a thread. */
  readonly #asked = new Map<string, Promise<FileSystem | undefined>>()
  readonly #wasWritable = new Set<string>()
  #beforeMs = 0

  constructor(
    machine: Machine,
    onProblem: (text: string) => void,
    probes: readonly Probe[] = allProbes,
    surveys: readonly Survey[] = [],
  ) {
    this.#machine = machine
    this.#onProblem = onProblem
    this.#probes = probes
    this.#surveys = surveys
  }

  /** One sample. Shares and rates are those since the sample before, and absent in the first. */
  async sample(nowMs: number): Promise<Measurement[]> {
    const texts = await this.#readAll()
    const seconds = (nowMs - this.#beforeMs) / 1000
    this.#beforeMs = nowMs
    const measured = this.#probes.flatMap((probe) =>
      this.#attempt(probe.name, () => this.#probe(probe, texts, seconds)),
    )
    // one after the other: each is told what it costs
    for (const survey of this.#surveys) measured.push(...(await this.#survey(survey, nowMs)))
    return [...measured, ...(await this.#disks(texts.get('mounts')!))]
  }

  #probe(probe: Probe, texts: ReadonlyMap<string, string | Error>, seconds: number): Measurement[] {
    const before = this.#before.get(probe)
    // what cannot be read now is no basis for the next rates
    this.#before.delete(probe)
    const now: string[] = []
    for (const file of probe.files) {
      const text = texts.get(file)!
      if (typeof text === 'string') now.push(text)
      else if (probe.optional === true) return []
      else throw text
    }
    this.#before.set(probe, now)
    return probe.measure(now, before, seconds)
  }

  async #survey(survey: Survey, nowMs: number): Promise<readonly Measurement[]> {
    try {
      return await survey.measure(this.#machine, nowMs)
    } catch (error) {
      this.#say(survey.name, error as Error)
      return []
    }
  }

  async #readAll(): Promise<Map<string, string | Error>> {
    const files = [...new Set([...this.#probes.flatMap((probe) => probe.files), 'mounts'])]
    const texts = await Promise.all(files.map((file) => this.#machine.read(file).catch((error: Error) => error)))
    return new Map(files.map((file, i) => [file, texts[i]]))
  }

  async #disks(text: string | Error): Promise<Measurement[]> {
    const mounts = this.#attempt('disk space', () => {
      if (text instanceof Error) throw text
      return mountsOf(text)
    })
    const points = mounts.map(({ point }) => point)
    const answers = points.map((point) => this.#ask(point))
    const patience = this.#machine.patience()
    const systems = await Promise.all(answers.map((answer) => Promise.race([answer, patience.over])))
    patience.end()
    for (const point of points) {
      if (this.#asked.has(point)) this.#say(`disk ${point}`, new Error('it does not answer; is the disk ill?'))
    }
    return [...readOnly(mounts, this.#wasWritable), ...diskSpace(systems.filter((system) => system !== undefined))]
  }

  #ask(point: string): Promise<FileSystem | undefined> {
    const before = this.#asked.get(point)
    if (before !== undefined) return before
    const answer = this.#machine
      .fileSystem(point)
      .catch((error: Error) => {
        this.#say(`disk ${point}`, error)
        return undefined
      })
      .finally(() => this.#asked.delete(point))
    this.#asked.set(point, answer)
    return answer
  }

  #attempt<T>(name: string, work: () => T[]): T[] {
    try {
      return work()
    } catch (error) {
      this.#say(name, error as Error)
      return []
    }
  }

  #say(name: string, error: Error): void {
    if (this.#named.has(name)) return
    this.#named.add(name)
    this.#onProblem(`the probe ${name} is left out: ${error.message}`)
  }
}
