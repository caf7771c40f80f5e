import { ElectionError } from '../../errors.ts'

/** What this package needs to know of what `pg` throws. */
interface Failure {
  readonly code?: string
  readonly message?: string
  /** Of an AggregateError: several addresses were tried. */
  readonly errors?: readonly Failure[]
}

/**
 * SQLSTATE classes of what passes: connections (08), rollbacks by deadlock or conflict (40), no room or connections (53), limits (54),
 * locks not to be had (55), shutdown and cancellation (57), the system (58), PostgreSQL's own errors (XX), a server that takes no writes (25).
 */
const passingClasses = ['08', '25', '40', '53', '54', '55', '57', '58', 'XX']

/** Classes of errors after which the connection is as good as before: of a statement, not of the server. */
const harmlessClasses = ['22', '23', '3F', '40', '42', '55']

/** A statement was cancelled because it took too long: the connection is fine as well. */
const cancelled = '57014'

/** The tables are not there, or not any more: 42P01 a table, 3F000 its schema. */
export const missingTables: readonly string[] = ['42P01', '3F000']

/** Rolled back because of what others did at the same time: 40001 only where the role's isolation is stricter than READ COMMITTED. */
export const conflicts: readonly string[] = ['40001', '40P01']

/** What was refused for want of a privilege. */
export const noPrivilege = '42501'

/** The SQLSTATE of an error; undefined where it is not the server's. */
export function stateOf(error: unknown): string | undefined {
  const { code } = (error ?? {}) as Failure
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && !/^E[A-Z]+$/.test(code) ? code : undefined
}

/** Whether a connection can be used after this error. */
export function isHarmless(error: unknown): boolean {
  const state = stateOf(error)
  return state !== undefined && (harmlessClasses.includes(state.slice(0, 2)) || state === cancelled)
}

/**
 * An error of `pg`, of the server or of the network as one of ours.
 * @param where what was asked, without secrets
 */
export function failureOf(error: unknown, where: string): ElectionError {
  if (error instanceof ElectionError) return error
  const failure = (error ?? {}) as Failure
  const said = failure.message || failure.errors?.[0]?.message || failure.code || String(error)
  const state = stateOf(error)
  const advice = adviceOf(failure, state)
  const passes = state === undefined ? advice === undefined : passingClasses.includes(state.slice(0, 2))
  const message = `${where}: ${said}${advice === undefined ? '' : `; ${advice}`}`
  return new ElectionError(passes ? 'STORE_UNAVAILABLE' : 'STORE_REFUSED', message, passes, { cause: error })
}

/** What to do about it, where somebody has to do something. */
function adviceOf({ code = '', message = '' }: Failure, state: string | undefined): string | undefined {
  if (state?.startsWith('28')) return 'give a user and a password that the server accepts, and see its pg_hba.conf'
  if (state === '3D000') return 'name a database that is there'
  if (state === noPrivilege) {
    return 'grant the role what the store needs: usage on the schema and its sequence; select, insert, update and delete on its tables'
  }
  if (state === '53300') return 'raise max_connections: an election uses up to three'
  if (state !== undefined) return undefined
  if (message.startsWith('SASL') || message.startsWith('Password')) {
    return 'give the password, in the URL, as an option or in PGPASSWORD'
  }
  if (message.includes('does not support SSL')) return 'turn TLS on at the server, or leave it out here'
  if (/^(CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|ERR_TLS|ERR_SSL|ERR_OSSL)/.test(code)) {
    return 'give the authority that signed its certificate as tls: { ca }'
  }
  return undefined
}
