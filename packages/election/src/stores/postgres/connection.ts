import { isIP, type Socket } from 'node:net'
import type { Client } from 'pg'
import { bounded } from '../../bounded.ts'
import type { Clock, Timer } from '../../clock.ts'
import type { Endpoint, Endpoints } from '../../endpoints.ts'
import { ElectionError, hasCode } from '../../errors.ts'
import { conflicts, failureOf, isHarmless, noPrivilege, stateOf } from './failures.ts'
import type { PostgresSettings } from './options.ts'
import { probeSql, type Statement } from './schema.ts'

/** A row as the server wrote it: text, or null. */
export type Row = Readonly<Record<string, string | null>>

type ClientClass = typeof Client

/** How long the next host is left alone while one does not answer, in ms: a connection with SCRAM takes 10 to 50. */
const nextHostMs = 250

/** After how much silence TCP asks whether the other side is there, on both sides: in ms here, in s there. */
const keepAlive = { initialDelayMs: 10_000, idle: '10', interval: '5', count: '3' }

/** How often a statement is put again that was rolled back because of others. */
const conflictTries = 3

/** How long an orderly goodbye may take, in ms. */
const goodbyeMs = 250

/** Everything stays text: other parts of the program may have told `pg` to make something else of numbers or JSON. */
const asText = { getTypeParser: () => (text: string) => text }

/**
 * The class of `pg`, an optional peer.
 * @throws ElectionError `OPTION_INVALID` when it is not installed
 */
export async function loadClient(load: () => Promise<unknown> = () => import('pg')): Promise<ClientClass> {
  try {
    const module = (await load()) as { Client?: ClientClass; default?: { Client: ClientClass } }
    return (module.Client ?? module.default?.Client)!
  } catch (error) {
    const said = 'the store on PostgreSQL needs the package "pg", which is not installed; run: npm install pg'
    throw new ElectionError('OPTION_INVALID', said, false, { cause: error })
  }
}

/** One connection to a server that takes writes. Whoever asks waits for the answer before asking again. */
export class Connection {
  readonly #client: Client
  readonly #socketOf: () => Socket
  #isOpen = true
  #pooled = false
  #timeline: bigint | undefined
  #onEnd: (() => void) | undefined
  readonly #ended: Promise<void>
  /** Called with each notification. */
  onNotification: (() => void) | undefined

  private constructor(
    client: Client,
    readonly endpoint: Endpoint,
  ) {
    this.#client = client
    // The raw socket at first; TLS puts another in its place.
    this.#socketOf = () => client.connection.stream as Socket
    this.#ended = new Promise((resolve) => client.on('end', resolve))
    client.on('error', () => this.destroy())
    client.on('end', () => this.destroy())
    client.on('notification', () => this.onNotification?.())
  }

  /**
   * Connects to one server and asks what it is.
   * @param patienceMs how long the server may work on one statement
   * @throws ElectionError `STORE_UNAVAILABLE`, also for a standby; `STORE_REFUSED`; the signal's reason
   */
  static async open(
    ClientOfPg: ClientClass,
    endpoint: Endpoint,
    settings: PostgresSettings,
    patienceMs: number,
    signal: AbortSignal,
  ): Promise<Connection> {
    signal.throwIfAborted()
    const { tls } = settings
    const name = isIP(endpoint.host) === 0 ? { servername: endpoint.host } : {}
    const client = new ClientOfPg({
      host: endpoint.address,
      port: endpoint.port,
      user: settings.user,
      password: settings.password,
      database: settings.database,
      application_name: settings.applicationName,
      keepAlive: true,
      keepAliveInitialDelayMillis: keepAlive.initialDelayMs,
      // `host` for the certificate: by itself `pg` would compare it with the address, or in older versions with "localhost".
      ssl: tls === undefined ? false : { host: endpoint.host, ...name, ...tls },
    })
    const connection = new Connection(client, endpoint)
    const onAbort = (): void => connection.destroy()
    signal.addEventListener('abort', onAbort)
    try {
      await client.connect()
      await connection.#probe(patienceMs, signal)
      signal.throwIfAborted()
      connection.#socketOf().unref()
      return connection
    } catch (error) {
      connection.destroy()
      signal.throwIfAborted()
      throw failureOf(error, endpoint.url.replace(/^https?:\/\//, ''))
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Whether something stands between that gives a connection to the server for a transaction only, or may. */
  get pooled(): boolean {
    return this.#pooled
  }

  /** The server's timeline; undefined where we may not read it. */
  get timeline(): bigint | undefined {
    return this.#timeline
  }

  /** Resolves when it is closed, by whomever. */
  get ended(): Promise<void> {
    return this.#ended
  }

  /** Called once when it is closed, by whomever. */
  set onEnd(onEnd: () => void) {
    this.#onEnd = onEnd
    if (!this.#isOpen) onEnd()
  }

  /**
   * Runs a statement. Given up by its signal, it takes the connection with it: nobody knows what still comes there.
   * @throws what `pg` throws; the signal's reason
   */
  async query(statement: Statement, values: readonly unknown[], signal: AbortSignal): Promise<readonly Row[]> {
    const text = this.#timeline === undefined ? statement.withoutTimeline : statement.text
    for (let tries = 1; ; tries++) {
      try {
        return await this.run(text, values, signal)
      } catch (error) {
        if (tries === conflictTries || !conflicts.includes(stateOf(error) ?? '')) throw error
      }
    }
  }

  /** The same with SQL as it is; without values it may be several statements, which are one transaction. */
  async run(text: string, values: readonly unknown[] | undefined, signal: AbortSignal): Promise<readonly Row[]> {
    signal.throwIfAborted()
    const socket = this.#socketOf()
    const onAbort = (): void => this.destroy()
    signal.addEventListener('abort', onAbort)
    // A connection keeps the process alive while somebody waits for its answer.
    socket.ref()
    try {
      const query = { text, ...(values !== undefined && { values: [...values] }), types: asText }
      const result = await this.#client.query<Row>(query)
      return result.rows ?? []
    } catch (error) {
      if (!isHarmless(error)) this.destroy()
      signal.throwIfAborted()
      throw error
    } finally {
      signal.removeEventListener('abort', onAbort)
      socket.unref()
    }
  }

  /** Closes it at once. Idempotent. */
  destroy(): void {
    this.#socketOf().destroy()
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#onEnd?.()
  }

  /** Says goodbye, and closes it. */
  async end(clock: Clock): Promise<void> {
    if (this.#isOpen) {
      const timer = clock.setTimer(goodbyeMs, () => this.destroy())
      this.#socketOf().ref()
      await this.#client.end().catch(() => undefined)
      timer.cancel()
    }
    this.destroy()
  }

  async #probe(patienceMs: number, signal: AbortSignal): Promise<void> {
    const { processID } = this.#client as unknown as { processID: number }
    const values = [processID, `${patienceMs}`, keepAlive.idle, keepAlive.interval, keepAlive.count]
    let row: Row
    try {
      row = (await this.run(probeSql.text, values, signal))[0]
    } catch (error) {
      // 42883: no such function, as on servers that are only like PostgreSQL
      if (![noPrivilege, '42883', '0A000'].includes(stateOf(error) ?? '')) throw error
      row = (await this.run(probeSql.withoutTimeline, values, signal))[0]
    }
    if (row.read_only === 'on') {
      const standby = row.standby === 't'
      const why = standby ? 'it is a standby' : 'it takes no writes (default_transaction_read_only is on)'
      throw new ElectionError('STORE_UNAVAILABLE', `${this.endpoint.url.replace(/^https?:\/\//, '')}: ${why}`, true)
    }
    this.#pooled = row.process !== `${processID}`
    this.#timeline = row.timeline === null || row.timeline === '0' ? undefined : BigInt(row.timeline)
  }
}

/** Finds the server that takes writes among those of a store. */
export class Connector {
  readonly #settings: PostgresSettings
  readonly #endpoints: Endpoints
  readonly #clock: Clock
  readonly #load: () => Promise<ClientClass>
  /** The highest timeline that a server was on: one on a lower is a primary of before a promotion. */
  #timeline = 0n

  constructor(settings: PostgresSettings, endpoints: Endpoints, clock: Clock, load: () => Promise<ClientClass>) {
    this.#settings = settings
    this.#endpoints = endpoints
    this.#clock = clock
    this.#load = load
  }

  /**
   * Connects to the first that takes writes: asked in order, the next as soon as one has failed or has been silent for a while.
   * @param patienceMs how long that may take, and a statement later on
   * @throws ElectionError `STORE_UNAVAILABLE`, `STORE_REFUSED`, `OPTION_INVALID`; the signal's reason
   */
  async connect(patienceMs: number, signal: AbortSignal): Promise<Connection> {
    const client = await this.#load()
    return bounded(this.#clock, patienceMs, signal, async (inner) => {
      const endpoints = await this.#endpoints.list(inner)
      return this.#race(endpoints, inner, (endpoint, stop) =>
        Connection.open(client, endpoint, this.#settings, patienceMs, stop),
      )
    })
  }

  #race(
    endpoints: readonly Endpoint[],
    signal: AbortSignal,
    open: (endpoint: Endpoint, stop: AbortSignal) => Promise<Connection>,
  ): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const stop = new AbortController()
      const failures: ElectionError[] = []
      let timer: Timer | undefined
      let asked = 0
      const finish = (settle: () => void): void => {
        timer?.cancel()
        signal.removeEventListener('abort', onAbort)
        settle()
        stop.abort()
      }
      const onAbort = (): void => finish(() => reject(signal.reason))
      const askNext = (): void => {
        timer?.cancel()
        const endpoint = endpoints[asked]
        if (endpoint === undefined || stop.signal.aborted) return
        asked++
        timer = this.#clock.setTimer(nextHostMs, askNext)
        open(endpoint, stop.signal).then(
          (connection) => {
            if (stop.signal.aborted) return connection.destroy()
            const old = this.#takeNote(connection)
            if (old !== undefined) return fail(endpoint, old)
            finish(() => resolve(connection))
          },
          (error) => fail(endpoint, error),
        )
      }
      const fail = (endpoint: Endpoint, error: ElectionError): void => {
        if (stop.signal.aborted) return
        this.#endpoints.failed(endpoint)
        failures.push(error)
        if (failures.length < endpoints.length) return askNext()
        finish(() => reject(summary(failures)))
      }
      signal.addEventListener('abort', onAbort)
      if (signal.aborted) onAbort()
      else askNext()
    })
  }

  /** Gives why a connection is of no use after all. */
  #takeNote(connection: Connection): ElectionError | undefined {
    const { endpoint, timeline = this.#timeline } = connection
    if (timeline < this.#timeline) {
      connection.destroy()
      const said = `it is on timeline ${timeline}, and a server on ${this.#timeline} was there: a primary of before`
      return new ElectionError('STORE_UNAVAILABLE', `${endpoint.host}:${endpoint.port}: ${said}`, true)
    }
    this.#timeline = timeline
    this.#endpoints.answered(endpoint)
    return undefined
  }
}

/** Why none of the servers will do: refused only where all have refused. */
function summary(failures: readonly ElectionError[]): ElectionError {
  if (failures.length === 1) return failures[0]
  const passing = failures.find((error) => hasCode(error, 'STORE_UNAVAILABLE'))
  const all = failures.map(({ message }) => message).join('; ')
  const cause = { cause: passing ?? failures[0] }
  return new ElectionError(
    (passing ?? failures[0]).code,
    `no server takes writes: ${all}`,
    passing !== undefined,
    cause,
  )
}
