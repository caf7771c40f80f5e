import type { Clock } from '../../clock.ts'
import { ElectionError } from '../../errors.ts'
import type { Connection, Connector, Row } from './connection.ts'
import { failureOf } from './failures.ts'
import type { Statement } from './schema.ts'

/** How many connections a session asks on: the second is opened when the first is busy. More would be no quicker: all it writes waits for its own row. */
const lanesAtMost = 2

/**
 * Those that have not answered for a while are not counted, up to this many more: they may be half open, and a read has to come
 * through on another before the lease ends.
 */
const silentAtMost = 2

/** For how long the second connection is kept without having been needed, in ms. */
const spareMs = 30_000

/** A call that waits for a connection. */
interface Waiting {
  readonly take: (connection: Connection) => void
  readonly fail: (error: unknown) => void
}

/**
 * The connections of a session: each with one statement at a time, opened when needed, replaced when broken. A call that is given up
 * takes its connection with it, and those that wait get another.
 */
export class Lanes {
  readonly #connector: Connector
  readonly #clock: Clock
  readonly #patienceMs: number
  readonly #silentMs: number
  readonly #where: string
  /** With the time since when each is busy, in monotonic ms; undefined: idle. */
  readonly #open = new Map<Connection, number | undefined>()
  readonly #idle: Connection[] = []
  readonly #waiting: Waiting[] = []
  readonly #closing = new AbortController()
  #opening = 0
  /** When two were busy at the same time, in monotonic ms. */
  #neededMs = 0

  /**
   * @param patienceMs how long opening a connection may take, and a statement
   * @param silentMs from when on a connection that does not answer may be half open
   * @param where for messages
   */
  constructor(connector: Connector, clock: Clock, patienceMs: number, silentMs: number, where: string) {
    this.#connector = connector
    this.#clock = clock
    this.#patienceMs = patienceMs
    this.#silentMs = silentMs
    this.#where = where
  }

  /** How long a statement waits for another's lock, in ms, as it is sent along. */
  get patience(): string {
    return `${this.#patienceMs}`
  }

  /** Whether a pooler stands before the server, as far as is known. */
  get pooled(): boolean {
    return [...this.#open.keys()].some(({ pooled }) => pooled)
  }

  /** Whether a server's timeline could not be read, as far as is known. */
  get timeless(): boolean {
    return [...this.#open.keys()].some(({ timeline }) => timeline === undefined)
  }

  /**
   * Runs a statement, whose first parameter is {@link patience} and comes by itself.
   * @param urgent before those that wait already
   * @throws ElectionError `STORE_UNAVAILABLE`, `STORE_REFUSED`, `OPTION_INVALID`, with what `pg` threw as its cause; the signal's reason
   */
  call(statement: Statement, values: readonly unknown[], signal: AbortSignal, urgent = false): Promise<readonly Row[]> {
    return this.#with((connection) => connection.query(statement, [this.patience, ...values], signal), signal, urgent)
  }

  /** Runs several statements as one transaction. @throws as {@link call} */
  script(sql: string, signal: AbortSignal): Promise<readonly Row[]> {
    return this.#with((connection) => connection.run(sql, undefined, signal), signal, false)
  }

  /** Closes all connections; whoever still waits is told so. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort(closed())
    for (const { fail } of this.#waiting.splice(0)) fail(closed())
    await Promise.all(Array.from(this.#open.keys(), (connection) => connection.end(this.#clock)))
  }

  async #with<T>(ask: (connection: Connection) => Promise<T>, signal: AbortSignal, urgent: boolean): Promise<T> {
    try {
      const connection = await this.#take(signal, urgent)
      try {
        return await ask(connection)
      } finally {
        this.#giveBack(connection)
      }
    } catch (error) {
      if (signal.aborted) throw error
      throw failureOf(error, this.#where)
    }
  }

  #take(signal: AbortSignal, urgent: boolean): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        signal.removeEventListener('abort', onAbort)
        const at = this.#waiting.indexOf(waiting)
        if (at >= 0) this.#waiting.splice(at, 1)
      }
      const onAbort = (): void => waiting.fail(signal.reason)
      const waiting: Waiting = {
        take: (connection) => {
          end()
          resolve(connection)
        },
        fail: (error) => {
          end()
          reject(error)
        },
      }
      if (this.#closing.signal.aborted) return reject(closed())
      if (signal.aborted) return reject(signal.reason)
      signal.addEventListener('abort', onAbort)
      if (urgent) this.#waiting.unshift(waiting)
      else this.#waiting.push(waiting)
      this.#serve()
    })
  }

  /** Gives those who wait what there is, and opens what is missing. */
  #serve(): void {
    const now = this.#clock.monotonicMs()
    while (this.#waiting.length > 0 && this.#idle.length > 0) {
      const connection = this.#idle.shift()!
      this.#open.set(connection, now)
      this.#waiting[0].take(connection)
    }
    if (this.#open.size - this.#idle.length > 1) this.#neededMs = now
    const silent = [...this.#open.values()].filter((since) => now - (since ?? now) >= this.#silentMs).length
    const counted = this.#open.size + this.#opening - Math.min(silent, silentAtMost)
    if (this.#waiting.length > this.#opening && counted < lanesAtMost) void this.#openOne()
  }

  async #openOne(): Promise<void> {
    this.#opening++
    try {
      const connection = await this.#connector.connect(this.#patienceMs, this.#closing.signal)
      this.#opening--
      if (this.#closing.signal.aborted) return connection.destroy()
      this.#open.set(connection, undefined)
      connection.onEnd = () => this.#lose(connection)
      this.#giveBack(connection)
    } catch (error) {
      this.#opening--
      // While there is another, it serves those who wait; and if it is silent, they give it up themselves.
      if (this.#open.size > 0 || this.#opening > 0) return
      for (const { fail } of this.#waiting.splice(0)) fail(error)
    }
  }

  #giveBack(connection: Connection): void {
    if (!connection.isOpen) return
    this.#open.set(connection, undefined)
    this.#idle.push(connection)
    this.#serve()
    if (this.#idle.length < 2 || this.#clock.monotonicMs() - this.#neededMs < spareMs) return
    for (const spare of this.#idle.splice(1)) void spare.end(this.#clock)
  }

  #lose(connection: Connection): void {
    this.#open.delete(connection)
    const at = this.#idle.indexOf(connection)
    if (at >= 0) this.#idle.splice(at, 1)
    this.#serve()
  }
}

function closed(): ElectionError {
  return new ElectionError('STORE_UNAVAILABLE', 'the session was closed', false)
}
