import { systemClock } from '../clock.ts'
import { ElectionError, hasCode } from '../errors.ts'
import type { GroupView, HandOverRequest, LeaseStore, SessionOptions, StoreSession } from '../store.ts'
import { endpointsOf } from './options.ts'
import { Connector, loadClient, type Row } from './postgres/connection.ts'
import { failureOf, missingTables, noPrivilege, stateOf } from './postgres/failures.ts'
import { Lanes } from './postgres/lanes.ts'
import { Listener } from './postgres/listener.ts'
import { defaultPort, settingsOf, type PostgresOptions, type PostgresSettings } from './postgres/options.ts'
import { assertLayout, postgresSchema, statementsOf, type Statement, type Statements } from './postgres/schema.ts'
import { channelOf, lookedAt, PostgresSession } from './postgres/session.ts'

export type { PostgresExpiry, PostgresOptions } from './postgres/options.ts'
export { postgresSchema } from './postgres/schema.ts'

/** How long the server may take to connect or to answer at least, in ms: as long as the core waits for it. */
const leastPatienceMs = 1000

/** The same where nobody said how long a lease is. */
const lookPatienceMs = 5000

/**
 * A store on PostgreSQL 12 or newer, in tables of its own ({@link postgresSchema}). Needs the package `pg`.
 *
 * A member's row is its session: reads renew it, several times in a lease and each with a commit that waits for the disk. Every statement is a
 * transaction and a round trip, none needs a connection of its own, so it works behind PgBouncer in transaction mode. Tokens are drawn from a
 * sequence, above 2^32 times the server's timeline: they rise when rows are deleted and when a standby is promoted that had not received all.
 *
 * A promotion ends all sessions, since nobody can know what the standby had not received: leaders stop at the latest when their lease ends,
 * and successors wait for that. A restart of the server ends none.
 *
 * @example
 * const store = postgres({ url: 'postgres://jobs@db1,db2/jobs', password: () => readSecret(), tls: true })
 * await using election = new Election({ name: 'nightly', store })
 *
 * @throws ElectionError `OPTION_INVALID`
 */
export function postgres(options: string | PostgresOptions): LeaseStore {
  return new PostgresStore(settingsOf(options))
}

class PostgresStore implements LeaseStore {
  readonly description: string
  readonly #settings: PostgresSettings
  readonly #statements: Statements
  readonly #connector: Connector

  constructor(settings: PostgresSettings) {
    const endpoints = endpointsOf(settings.addresses, defaultPort)
    this.#settings = settings
    this.#statements = statementsOf(settings.schema)
    this.#connector = new Connector(settings, endpoints, systemClock, loadClient)
    this.description = `PostgreSQL at ${endpoints.description.replaceAll(/https?(\+srv)?:\/\//g, '')}`
  }

  async open(options: SessionOptions): Promise<StoreSession> {
    const { group, signal, leaseMs, detectMs, warn } = options
    // Whoever finds a session dead says that its lease is over: it must not be ended before that is true.
    const ttlMs = Math.ceil(Math.max(leaseMs, detectMs))
    const patienceMs = Math.ceil(Math.max(leaseMs, leastPatienceMs))
    const lanes = new Lanes(this.#connector, systemClock, patienceMs, leaseMs / 4, this.description)
    const channel = channelOf(this.#settings.schema, group)
    try {
      const joined = await this.#join(lanes, options, ttlMs, channel)
      const { session, other } = joined
      if (other !== null) {
        warn(`members of ${group} have other leases than ours: ${other} ms, and not ${ttlMs} ms. Give all the same`)
      }
      if (lanes.timeless) {
        warn(
          'the timeline of PostgreSQL cannot be read: tokens may repeat when a standby is promoted that had not received everything. ' +
            'Grant execute on the functions pg_current_wal_lsn() and pg_walfile_name(pg_lsn) to the role',
        )
      }
      const listens = this.#settings.listen ?? !lanes.pooled
      const listener = listens
        ? new Listener(this.#connector, channel, systemClock, patienceMs, this.description)
        : undefined
      const statements = this.#statements
      signal.throwIfAborted()
      return new PostgresSession({ id: session!, options, ttlMs, lanes, listener, statements, channel })
    } catch (error) {
      await lanes.close()
      throw error
    }
  }

  async look(group: string, signal: AbortSignal): Promise<GroupView> {
    try {
      return lookedAt(await this.#once(this.#statements.look, [group], signal))
    } catch (error) {
      if (lacksTables(error)) return { members: [], names: new Map() }
      throw error
    }
  }

  async request(
    group: string,
    name: string,
    token: bigint,
    request: HandOverRequest,
    signal: AbortSignal,
  ): Promise<void> {
    const channel = channelOf(this.#settings.schema, group)
    const values = [`${lookPatienceMs}`, group, name, `${token}`, JSON.stringify(request), channel]
    await this.#once(this.#statements.request, values, signal)
  }

  /** Makes the row of a session, and the tables for it where there are none. */
  async #join(lanes: Lanes, options: SessionOptions, ttlMs: number, channel: string): Promise<Row> {
    const { group, id, data, signal } = options
    const byClock = this.#settings.expiry === 'database-clock'
    const join = async (): Promise<Row> => {
      const values = [group, id, JSON.stringify(data), ttlMs, byClock, channel]
      const [row] = await lanes.call(this.#statements.join, values, signal)
      assertLayout(row.layout, this.#settings.schema)
      return row
    }
    try {
      return await join()
    } catch (error) {
      if (!lacksTables(error)) throw error
    }
    await this.#makeTables(lanes, signal)
    return join()
  }

  async #makeTables(lanes: Lanes, signal: AbortSignal): Promise<void> {
    const { schema } = this.#settings
    const sql = postgresSchema(schema)
    try {
      await lanes.script(sql, signal)
    } catch (error) {
      if (!hasCode(error, 'STORE_REFUSED') || stateOf(error.cause) !== noPrivilege) throw error
      const said = `${this.description} has no tables for elections in the schema ${schema}, and this role may not make them`
      const advice = `Run this as one that may, and grant this role usage on the schema and its sequence, and select, insert, update and delete on its tables`
      throw new ElectionError('STORE_REFUSED', `${said}. ${advice}:\n${sql}`, false, { cause: error })
    }
  }

  /** One statement on a connection for it alone. */
  async #once(statement: Statement, values: readonly unknown[], signal: AbortSignal): Promise<Row> {
    try {
      const connection = await this.#connector.connect(lookPatienceMs, signal)
      try {
        return (await connection.query(statement, values, signal))[0]
      } finally {
        await connection.end(systemClock)
      }
    } catch (error) {
      if (signal.aborted) throw error
      throw failureOf(error, this.description)
    }
  }
}

function lacksTables(error: unknown): boolean {
  return hasCode(error, 'STORE_REFUSED') && missingTables.includes(stateOf(error.cause) ?? '')
}
