import { bounded } from '../../bounded.ts'
import type { Clock } from '../../clock.ts'
import { ElectionError } from '../../errors.ts'
import type { Connection, Connector } from './connection.ts'
import { failureOf } from './failures.ts'

/** After how much silence the connection is asked whether it is still there, in ms: what is half open tells nothing, for ever. */
const silenceMs = 15_000

/**
 * Hears of changes: LISTEN, on a connection of its own, opened anew after each loss. Each time one was opened counts as a change: what
 * was told meanwhile has been missed.
 */
export class Listener {
  readonly #connector: Connector
  readonly #sql: string
  readonly #clock: Clock
  readonly #patienceMs: number
  readonly #where: string
  readonly #closing = new AbortController()
  #connection: Connection | undefined
  #opening: Promise<void> | undefined
  #changed = false
  #broken: ElectionError | undefined
  #heardMs = 0
  #asking = false
  readonly #waiting = new Set<() => void>()

  /**
   * @param channel made of letters, digits and _
   * @param patienceMs how long opening a connection may take, and an answer
   * @param where for messages
   */
  constructor(connector: Connector, channel: string, clock: Clock, patienceMs: number, where: string) {
    this.#connector = connector
    this.#sql = `listen ${channel}`
    this.#clock = clock
    this.#patienceMs = patienceMs
    this.#where = where
  }

  /** Resolves when something may have changed since it last did. @throws ElectionError `STORE_UNAVAILABLE`, …; the signal's reason */
  async changed(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted()
      if (this.#changed) {
        this.#changed = false
        return
      }
      const broken = this.#broken
      this.#broken = undefined
      if (broken !== undefined) throw broken
      if (this.#connection === undefined) this.#opening ??= this.#open()
      await this.#next(signal)
    }
  }

  /** Looks after the connection; called from time to time. */
  check(): void {
    const connection = this.#connection
    if (connection === undefined || this.#asking || this.#clock.monotonicMs() - this.#heardMs < silenceMs) return
    this.#asking = true
    // Given up, it is destroyed, and that wakes whoever waits for a change.
    void bounded(this.#clock, this.#patienceMs, undefined, (signal) => connection.run('select 1', [], signal))
      .then(() => (this.#heardMs = this.#clock.monotonicMs()))
      .catch(() => undefined)
      .finally(() => (this.#asking = false))
  }

  /** Closes the connection. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort(new ElectionError('STORE_UNAVAILABLE', 'the session was closed', false))
    await this.#connection?.end(this.#clock)
  }

  async #open(): Promise<void> {
    const closing = this.#closing.signal
    let connection: Connection | undefined
    try {
      const opened = (connection = await this.#connector.connect(this.#patienceMs, closing))
      connection.onNotification = () => this.#hear()
      await bounded(this.#clock, this.#patienceMs, closing, (signal) => opened.run(this.#sql, undefined, signal))
      this.#connection = connection
      connection.onEnd = () => {
        this.#connection = undefined
        const said = `${this.#where}: the connection that tells of changes was lost`
        this.#broken = new ElectionError('STORE_UNAVAILABLE', said, true)
        this.#wake()
      }
      this.#hear()
    } catch (error) {
      connection?.destroy()
      this.#broken = failureOf(error, this.#where)
      this.#wake()
    } finally {
      this.#opening = undefined
    }
  }

  #hear(): void {
    this.#heardMs = this.#clock.monotonicMs()
    this.#changed = true
    this.#wake()
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake()
  }

  #next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.#waiting.add(wake)
      signal.addEventListener('abort', wake)
    })
  }
}
