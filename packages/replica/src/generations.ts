import type { Mutation } from '@ricci/engine'
import { ReplicaError } from './errors.ts'
import type { EngineHost, HostFactory, HostFailure, Progress } from './host.ts'
import { askLimitMs, restoreRetryLongestMs, restoreRetryMs } from './limits.ts'
import type { Clock, CoordinationPort, LogPort, SnapshotPort, Timer } from './ports.ts'
import { restore } from './restore.ts'
import { within } from './timers.ts'

export interface GenerationsOptions {
  readonly instance: string
  readonly log: LogPort
  readonly coordination: CoordinationPort
  readonly snapshots: SnapshotPort
  readonly partition: number
  readonly clock: Clock
  readonly hostFactory: HostFactory
  readonly onProgress: (progress: Progress) => void
  readonly onFailure: (failure: HostFailure) => void
  readonly onAlarm: (name: string, detail: string) => void
  /** Tests only. */
  readonly mutations?: ReadonlySet<Mutation>
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
  #doing: string | undefined
  #end = 0
  /** Of whom something is heard; 0 when of nobody. */
  #current = 0
  #from: string | undefined
  #history = 0
  #unwatch: () => void = () => undefined
  #failures = 0
  /** The next try, while it waits. */
  #waiting: { readonly again: () => void; readonly timer: Timer } | undefined

  constructor(options: GenerationsOptions) {
    this.#options = options
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

  /** Why there is none that reads, in words: what is being done about it; undefined where there is one, or none is wanted. */
  get doing(): string | undefined {
    return this.#doing
  }

  /** Records before this were in the log when the current one began: what they tell is history. */
  get end(): number {
    return this.#end
  }

  /** Gives what it began from, in words; undefined when it was let go of meanwhile. @throws what kept it from beginning */
  async begin(): Promise<string | undefined> {
    void this.letGo()
    const number = ++this.#begun
    this.#current = number
    const current = (): boolean => number === this.#current
    const { log, partition, clock, coordination, hostFactory, onProgress, onFailure } = this.#options
    this.#unwatch = coordination.onMembers(() => this.#look())
    try {
      this.#doing = 'asking how far the log goes'
      const { first, end } = await within(clock, askLimitMs, 'the log', log.range(partition))
      if (!current()) return undefined
      this.#end = end
      const { host, from, lastResort } = await restore({
        ...this.#options,
        first,
        end,
        unhurried: this.#isOwnedElsewhere(),
        avoid: this.#avoid,
        onStep: (doing) => (current() ? void (this.#doing = doing) : undefined),
        hostFactory: (events) => {
          if (!current()) throw new ReplicaError('STATE', 'nobody wants this engine any more', false)
          return (this.#host = hostFactory(events))
        },
        events: {
          onProgress: (progress) => (current() ? onProgress(progress) : undefined),
          onFailure: (failure) => (current() ? onFailure(failure) : undefined),
        },
      })
      if (!current()) {
        host.stop().catch(() => undefined)
        return undefined
      }
      this.#doing = undefined
      // members may have changed while it was restored
      this.#look()
      this.#from = from
      this.#history = lastResort ? end : 0
      return from === undefined ? 'reading the log from its start' : `restored from ${from}`
    } catch (error) {
      if (!current()) return undefined
      this.#host = undefined
      this.#doing = `trying again soon, because ${error instanceof Error ? error.message : String(error)}`
      throw error
    }
  }

  /** Nothing is asked of it or heard from it any more. Resolves when it has ended, which a stuck engine does when it can. */
  letGo(): Promise<void> {
    const host = this.#host
    this.#unwatch()
    this.#host = undefined
    this.#doing = undefined
    this.#current = 0
    return host?.stop().catch(() => undefined) ?? Promise.resolve()
  }

  /** While nobody owns, or who does is about to go, it hurries. */
  #look(): void {
    this.#host?.hurry(!this.#isOwnedElsewhere())
  }

  #isOwnedElsewhere(): boolean {
    const { instance, partition, coordination } = this.#options
    return coordination.members().some(({ instance: other, data: { draining, partitions } }) => {
      return other !== instance && !draining && partitions[partition] === 'owning'
    })
  }

  /** What the current one began from led to a wrong state. */
  avoidOrigin(): void {
    if (this.#from !== undefined) this.#avoid.add(this.#from)
  }

  /** Tries again after a pause, longer with each failure in a row. */
  later(again: () => void): void {
    const doublings = Math.min(this.#failures++, 10)
    this.#waiting?.timer.cancel()
    const timer = this.#options.clock.setTimer(Math.min(restoreRetryLongestMs, restoreRetryMs * 2 ** doublings), () => {
      this.#waiting = undefined
      again()
    })
    this.#waiting = { again, timer }
  }

  /** What kept the latest from going on is left out from now on: the next comes further, and need not wait for its turn. */
  sooner(): void {
    this.#failures = 0
    if (this.#waiting !== undefined) this.later(this.#waiting.again)
  }

  /** The current one applies records. */
  works(): void {
    this.#failures = 0
  }

  /** @throws ReplicaError `NOT_EVALUATED` when there is none */
  running(): EngineHost {
    if (this.#host === undefined || this.#doing !== undefined) {
      throw new ReplicaError('NOT_EVALUATED', 'the engine is being restored; ask again', true)
    }
    return this.#host
  }
}
