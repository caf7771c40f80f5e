import type { Clock } from '../../clock.ts'
import { ElectionError } from '../../errors.ts'
import type { EtcdClient } from './client.ts'

/** How long a watch may not know of a change that a read has shown, in ms, before it is taken for deaf: it takes a few on a quiet machine. */
const deafMs = 1000

/**
 * A watch on a group that misses nothing: each one begins where the one before ended. It runs from the first call of {@link changed} until
 * it breaks, and is begun anew by the next call; who calls pauses after a failure.
 *
 * A watch may fall silent though its connection stands: its member is frozen, or a firewall has forgotten the connection. So every read tells
 * what it has seen ({@link heard}), and a watch that was not told of that within a second is ended.
 */
export class Watch {
  readonly #client: EtcdClient
  readonly #prefix: string
  readonly #clock: Clock
  readonly #ending: AbortSignal
  /** What came last; a new watch begins after it. Undefined: lost, a new one begins with what is to come. */
  #told: bigint | undefined
  /** Something may have changed since {@link changed} resolved last. */
  #news = true
  #failure: unknown
  #running: AbortController | undefined
  /** Wakes whoever waits. */
  readonly #waiting = new Set<() => void>()
  /** What a read has shown and the watch has not. */
  #missing: { readonly revision: bigint; readonly sinceMs: number } | undefined

  /**
   * @param told the revision from which on it is to tell, that one not included
   * @param ending ends it
   */
  constructor(client: EtcdClient, prefix: string, told: string, clock: Clock, ending: AbortSignal) {
    this.#client = client
    this.#prefix = prefix
    this.#told = BigInt(told)
    this.#clock = clock
    this.#ending = ending
  }

  /** Resolves when something may have changed since it resolved last. @throws what has ended the watch */
  async changed(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted()
      this.#ending.throwIfAborted()
      const failure = this.#failure
      this.#failure = undefined
      // News first: what ended the watch after it is told by the next one, which begins there.
      if (this.#news) {
        this.#news = false
        return
      }
      if (failure !== undefined) throw failure
      if (this.#running === undefined) void this.#run()
      await this.#woken(signal)
    }
  }

  /**
   * A read was answered.
   * @param store the store's revision then
   * @param newest the newest revision among what it showed
   */
  heard(store: bigint, newest: bigint): void {
    const told = this.#told
    if (told === undefined || this.#running === undefined) return
    const now = this.#clock.monotonicMs()
    if (this.#missing !== undefined && this.#missing.revision <= told) this.#missing = undefined
    // A store behind what it told before was restored from a copy: the watch would wait for revisions of another history.
    if (store < told) this.#told = undefined
    else if (newest <= told) return
    else if (this.#missing === undefined) return void (this.#missing = { revision: newest, sinceMs: now })
    else if (now - this.#missing.sinceMs < deafMs) return
    this.#missing = undefined
    this.#running.abort(new ElectionError('STORE_UNAVAILABLE', 'a watch of etcd has fallen silent', true))
  }

  async #run(): Promise<void> {
    const run = new AbortController()
    const end = (): void => run.abort(this.#ending.reason)
    this.#ending.addEventListener('abort', end)
    this.#running = run
    try {
      await this.#follow(run.signal)
    } catch (error) {
      this.#failure = error
    } finally {
      this.#ending.removeEventListener('abort', end)
      this.#running = undefined
      this.#wake()
    }
  }

  /** Follows one watch to its end. */
  async #follow(signal: AbortSignal): Promise<void> {
    const from = this.#told === undefined ? '0' : String(this.#told + 1n)
    for await (const news of this.#client.watch(this.#prefix, from, signal)) {
      if (news.kind === 'compacted' && from !== '0') {
        // What lies between is lost: the next watch begins with what is to come, and says so once it has begun.
        this.#told = undefined
        return
      }
      if (news.kind === 'compacted') break
      if (news.kind === 'begun' && this.#told !== undefined) continue
      this.#told = BigInt(news.revision)
      this.#news = true
      this.#wake()
    }
    throw new ElectionError('STORE_UNAVAILABLE', 'etcd has ended a watch', true)
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake()
  }

  /** Resolves when the watch tells something or ends; rejects with the signal's reason. */
  #woken(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        this.#waiting.delete(wake)
        signal.removeEventListener('abort', abort)
      }
      const wake = (): void => {
        end()
        resolve()
      }
      const abort = (): void => {
        end()
        reject(signal.reason)
      }
      this.#waiting.add(wake)
      signal.addEventListener('abort', abort)
    })
  }
}
