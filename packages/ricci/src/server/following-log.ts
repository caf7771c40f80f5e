import { ReplicaError, type LogPort, type StoredRecord } from '@ricci/replica'
import { nodeDisk, LogFollower, type LogProgress } from '../log/index.ts'
import { follow } from '../log/follower.ts'

/**
 * The embedded log as an engine's worker sees it: reads the files by itself up to where they are durable, writes nothing.
 * A reader at the end sleeps until the writer's thread says that there is more.
 */
export class FollowingLog implements LogPort {
  readonly partitions = 1
  private readonly sleepers = new Set<() => void>()

  constructor(
    readonly id: string,
    private readonly dataDirectory: string,
    private readonly progress: LogProgress,
  ) {}

  append(): Promise<number[]> {
    return Promise.reject(new ReplicaError('STATE', 'an engine does not append to the log', false))
  }

  /** Batches are valid until the next one is asked for. */
  read(_partition: number, from: number, signal: AbortSignal): AsyncIterable<readonly StoredRecord[]> {
    const follower = new LogFollower({
      dataDirectory: this.dataDirectory,
      disk: nodeDisk,
      progress: this.progress,
      from,
    })
    return follow(
      follower,
      (end) => this.more(end, signal),
      () => signal.aborted,
    )
  }

  async endOf(): Promise<number> {
    return this.progress.end
  }

  /** Where the log begins is the writer's to say; reading what is gone fails by itself. */
  async range(): Promise<{ first: number; end: number }> {
    return { first: 0, end: this.progress.end }
  }

  async close(): Promise<void> {
    this.wake()
  }

  /** The writer's thread says that there is more. */
  wake(): void {
    for (const wake of [...this.sleepers]) wake()
  }

  private more(end: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.sleepers.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.sleepers.add(wake)
      signal.addEventListener('abort', wake)
      if (signal.aborted || !this.progress.sleep(end)) wake()
    })
  }
}
