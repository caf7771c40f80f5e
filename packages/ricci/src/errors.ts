export type RicciErrorCode =
  | 'CONFIG_UNREADABLE'
  | 'CONFIG_INVALID'
  | 'RULES_UNREADABLE'
  | 'RULES_INVALID'
  | 'RULES_TOO_LARGE'
  | 'RULES_TIMEOUT'
  | 'AGENT_UNSUPPORTED'

/** What the daemon, the agent and the command line refuse: a stable code, and a text that says what to do. */
export class RicciError extends Error {
  override readonly name = 'RicciError'
  constructor(
    readonly code: RicciErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}
