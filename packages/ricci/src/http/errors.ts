/** Codes of errors over HTTP, and the status that goes with each. */
import { passes } from '../intake/refused.ts'
import type { Logger } from '../telemetry/logger.ts'

/** Codes of answers that are HTTP's own. What a part of the server refuses has that part's code. */
export type HttpErrorCode =
  | 'USAGE'
  | 'NOT_FOUND'
  /** The server ends. */
  | 'NOT_RUNNING'
  /** No token was shown where one is needed. */
  | 'TOKEN_REQUIRED'
  /** What was shown is no token that holds. */
  | 'TOKEN_INVALID'
  /** A token's role does not reach. */
  | 'ROLE_TOO_WEAK'
  /** Too many tokens that do not hold came from one address. */
  | 'TOO_MANY_ATTEMPTS'
  /** One caller asks more often than it may. */
  | 'RATE_LIMITED'
  /** Asked by a name that is not this machine's. */
  | 'HOST_NOT_ALLOWED'
  /** A page of another origin would change something. */
  | 'ORIGIN_NOT_ALLOWED'
  /** A message to a hook that is not signed as its receiver would. */
  | 'NOT_SIGNED'
  | 'FAILED'

/** Status of each error code; everything else is ours: 500. */
export const statusOf: Readonly<Record<string, number>> = {
  EVENT_MALFORMED: 400,
  INTAKE_FULL: 503,
  QUERY_SYNTAX: 400,
  QUERY_REGEX: 400,
  CURSOR_INVALID: 400,
  ANSWER_GONE: 503,
  // taken, and to be asked again: DESIGN 11.1
  NOT_EVALUATED: 202,
  ENGINE_AWAY: 503,
  TOO_MANY_WATCHES: 503,
  TOO_MANY_QUERIES: 503,
  NOT_RUNNING: 503,
  // the request was right, and what lies in the folder is not
  RULES_UNREADABLE: 422,
  RULES_INVALID: 422,
  RULES_TOO_LARGE: 422,
  RULES_TIMEOUT: 422,
  RULES_TYPES: 422,
  RULES_TESTS: 422,
  RULES_HIDDEN_STATE: 422,
  RULES_REFUSED: 422,
  RULES_RESOLVE: 409,
  NO_CLUSTER: 404,
  NO_PARTITION: 404,
  OFFSET_TRIMMED: 404,
  TOO_MANY_TAILS: 503,
  NO_INSTANCE: 404,
  NO_RECEIVER: 404,
  NO_TOKEN: 404,
  TOKEN_EXISTS: 409,
  TOO_MANY_TOKENS: 409,
  COMMAND_INVALID: 400,
  COMMAND_REFUSED: 409,
  NO_INCIDENT: 404,
  INCIDENT_CLOSED: 409,
  INCIDENT_AMBIGUOUS: 409,
  EXPLAIN_TRIMMED: 409,
  EXPLAIN_FAILED: 503,
  PEER_UNREACHABLE: 503,
}

/** What is answered. */
export interface ErrorAnswer {
  readonly status: number
  readonly body: { readonly error: string; readonly code: string }
}

/** What went wrong, for who asked to read and to act on; what is our own defect is logged as well. */
export function errorAnswer(error: unknown, log: Logger): ErrorAnswer {
  const { code, message, validation } = error as { code?: string; message: string; validation?: unknown }
  const known = statusOf[code ?? ''] ?? (error instanceof Error && passes(error) ? 503 : undefined)
  const status = validation !== undefined ? 400 : (known ?? (error as { statusCode?: number }).statusCode)
  // the framework's own codes are not ours, and change with it
  const isUsage =
    validation !== undefined || (code?.startsWith('FST_') === true && status !== undefined && status < 500)
  if (status === undefined || (status >= 500 && known === undefined))
    log.error({ err: error }, 'an HTTP request failed')
  return {
    status: status ?? 500,
    body: { error: message, code: isUsage ? ('USAGE' satisfies HttpErrorCode) : (code ?? 'FAILED') },
  }
}
