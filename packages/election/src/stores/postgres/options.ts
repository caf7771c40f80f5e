import { isIP } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import { ElectionError } from '../../errors.ts'
import { defaultSchema, quotedSchema } from './schema.ts'

/** By what others may judge that a member is dead; see {@link PostgresOptions.expiry}. */
export type PostgresExpiry = 'observed' | 'database-clock'

/** Options of the store on PostgreSQL. */
export interface PostgresOptions {
  /**
   * `postgres://user:password@host:5432/database`. Several hosts, in order of preference, are separated by commas
   * (`postgres://user@one,two:5433/database`); whichever takes writes is used. `postgres+srv://user@_postgresql._tcp.example.org/database` asks DNS for the
   * servers of a service. Parameters: `sslmode` (`disable`, or `require`, `verify-ca`, `verify-full`, which all verify the server in full)
   * and `application_name`. User, password and database that are not there come from PGUSER, PGPASSWORD and PGDATABASE, as everywhere.
   */
  readonly url: string
  /** Instead of the one in the URL; a function is asked at each connection, for passwords that change. */
  readonly password?: string | (() => string | Promise<string>)
  /** Encrypts connections and verifies the server: `true` against the machine's authorities, else Node's options (`ca`, `cert`, `key`). */
  readonly tls?: boolean | ConnectionOptions
  /** The schema of the tables, by default `election`; made unless it is there. One for this alone is best. */
  readonly schema?: string
  /**
   * When others may take what this member holds, by default `observed`: once they have seen its row unchanged for a whole lease, on their own
   * monotonic clocks. No clock that jumps can make two leaders. `database-clock`: once the time in its row has passed on the database's
   * clock, which is sooner by half the time between two reads (measured 0.06 s of a lease of 1 s), and needs no watching first. But if that
   * clock is stepped forward, a successor may act beside the old leader until that confirms next, up to a quarter of the lease later.
   */
  readonly expiry?: PostgresExpiry
  /**
   * Whether the server tells of changes (LISTEN), on a connection of its own. By default it does, unless a pooler stands between: in
   * PgBouncer's transaction mode what is told gets lost, so that the group is read four times a lease, and four times a second at least, instead.
   */
  readonly listen?: boolean
}

/** Options, checked and taken apart. */
export interface PostgresSettings {
  /** As the endpoints take them. */
  readonly addresses: readonly string[]
  readonly user: string | undefined
  readonly password: string | (() => string | Promise<string>) | undefined
  readonly database: string | undefined
  readonly applicationName: string
  readonly tls: ConnectionOptions | undefined
  readonly schema: string
  readonly expiry: PostgresExpiry
  readonly listen: boolean | undefined
}

/** PostgreSQL's own port. */
export const defaultPort = 5432

/** What an URL may say beside where the server is. */
const parameters = ['sslmode', 'application_name']

/** @throws ElectionError `OPTION_INVALID`, never with a password in it */
export function settingsOf(options: string | PostgresOptions): PostgresSettings {
  const given: PostgresOptions = typeof options === 'string' ? { url: options } : options
  const url = partsOf(given.url)
  const { expiry = 'observed', schema = defaultSchema, listen } = given
  if (expiry !== 'observed' && expiry !== 'database-clock') {
    throw invalid(`expiry is ${JSON.stringify(expiry)}; use "observed" or "database-clock"`)
  }
  quotedSchema(schema)
  const tls = given.tls ?? url.tls
  return {
    addresses: url.addresses,
    user: url.user,
    password: given.password ?? url.password,
    database: url.database,
    applicationName: url.applicationName ?? 'election',
    tls: tls === true ? {} : tls === false ? undefined : tls,
    schema,
    expiry,
    listen,
  }
}

/** A URL with several hosts is none for `URL`. */
function partsOf(url: unknown) {
  const pattern = /^postgres(?:ql)?(\+srv)?:\/\/(?:([^/?#]*)@)?([^/?#@]+)(?:\/([^?#]*))?(?:\?([^#]*))?$/
  const match = typeof url === 'string' ? pattern.exec(url) : null
  // Not repeated in the message: there may be a password in it.
  if (match === null) throw invalid('the URL is none of PostgreSQL; give one like "postgres://user@host:5432/database"')
  const [, service = '', credentials, hosts, database, query] = match
  const [user, password] = credentials === undefined ? [] : divided(credentials).map(decoded)
  const search = new URLSearchParams(query)
  for (const name of search.keys()) {
    if (!parameters.includes(name)) throw invalid(`the URL has a parameter ${name}; known are ${parameters.join(', ')}`)
  }
  return {
    addresses: hosts.split(',').map((host) => `http${service}://${isIP(host) === 6 ? `[${host}]` : host}`),
    user,
    password,
    database: database === undefined || database === '' ? undefined : decoded(database),
    applicationName: search.get('application_name') ?? undefined,
    tls: tlsOf(search.get('sslmode')),
  }
}

function tlsOf(mode: string | null): boolean | undefined {
  if (mode === null) return undefined
  if (mode === 'disable') return false
  if (['require', 'verify-ca', 'verify-full'].includes(mode)) return true
  throw invalid(
    `sslmode is ${JSON.stringify(mode)}; use disable, or require, verify-ca or verify-full, which all verify`,
  )
}

/** At the first colon, if there is one. */
function divided(credentials: string): string[] {
  const colon = credentials.indexOf(':')
  return colon < 0 ? [credentials] : [credentials.slice(0, colon), credentials.slice(colon + 1)]
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw invalid(
      'the URL has a % in user, password or database that encodes nothing; write %25 for the character itself',
    )
  }
}

function invalid(message: string): ElectionError {
  return new ElectionError('OPTION_INVALID', message, false)
}
