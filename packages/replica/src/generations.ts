import { ReplicaError } from './errors.ts'
import type { EngineHost, HostFailure, Progress } from './host.ts'
import * as limits from './limits.ts'
import type { HostFactory } from './host.ts'
import type { LogPort, SnapshotPort } from './ports.ts'
import { restore } from './restore.ts'

export interface GenerationsOptions {
  readonly log: LogPort
  readonly snapshots: SnapshotPort
  readonly partition: number
  readonly hostFactory: HostFactory
  readonly onProgress: (progress: Progress) => void
  readonly onFailure: (failure: HostFailure) => void
  readonly onAlarm: (name: string, detail: string) => void
}

/**
 * The hosts of one replica, one after the other. What failed is never mended: it is let go of, and a new one begins from a
 * snapshot. Whatever an older one still says is dropped.
 */
export class Generations {
  readonly #options: GenerationsOptions
  readonly #avoid = new Set<string>()
  #host: EngineHost | undefined
  #begun = 0
  /** Of whom something is heard; 0 when of nobody. */
  #current = 0
  #from: string | undefined
  #history = 0
  #failures = 0

  constructor(options: GenerationsOptions) {
    this.#options = options
  }

  /** The host in force: restored, reading, and not failed. */
  get host(): EngineHost | undefined {
    return this.#host
  }

  /** How many were begun. */
  get begun(): number {
    return this.#begun
  }

  /** Number of the one in force; another one or none makes what was begun with this one void. */
  get current(): number {
    return this.#current
  }

  /** Checkpoints of ticks before this offset cannot be helped: nothing better was left to restore from. */
  get history(): number {
    return this.#history
  }

  /** Gives what it began from, in words; undefined when it was let go of meanwhile. @throws what kept it from beginning */
  async begin(): Promise<string | undefined> {
    this.letGo()
    const number = ++this.#begun
    this.#current = number
    const { onProgress, onFailure } = this.#options
    try {
      const { host, from, lastResort, end } = await restore({
        ...this.#options,
        avoid: this.#avoid,
        events: {
          onProgress: (progress) => (number === this.#current ? onProgress(progress) : undefined),
          onFailure: (failure) => (number === this.#current ? onFailure(failure) : undefined),
        },
      })
      if (number !== this.#current) {
        host.stop().catch(() => undefined)
        return undefined
      }
      this.#host = host
      this.#from = from
      this.#history = lastResort ? end : 0
      return from === undefined ? 'reading the log from its start' : `restored from ${from}`
    } catch (error) {
      if (number !== this.#current) return undefined
      throw error
    }
  }

  /** Nothing is asked of it or heard from it any more. Resolves when it has ended, which a stuck engine does when it can. */
  letGo(): Promise<void> {
    const host = this.#host
    this.#host = undefined
    this.#current = 0
    return host?.stop().catch(() => undefined) ?? Promise.resolve()
  }

  /** What the current one began from led to a wrong state. */
  avoidOrigin(): void {
    if (this.#from !== undefined) this.#avoid.add(this.#from)
  }

  /** Pause before the next try, longer with each failure in a row. */
  nextPauseMs(): number {
    const doublings = Math.min(this.#failures++, 10)
    return Math.min(limits.restoreRetryLongestMs, limits.restoreRetryMs * 2 ** doublings)
  }

  /** The current one applies records. */
  works(): void {
    this.#failures = 0
  }

  /** @throws ReplicaError `NOT_EVALUATED` when there is none */
  running(): EngineHost {
    if (this.#host === undefined) {
      throw new ReplicaError('NOT_EVALUATED', 'the engine is being restored; ask again', true)
    }
    return this.#host
  }
}
