export type RicciErrorCode =
  | 'CONFIG_UNREADABLE'
  | 'CONFIG_INVALID'
  | 'RULES_UNREADABLE'
  | 'RULES_INVALID'
  | 'RULES_TOO_LARGE'
  | 'RULES_TIMEOUT'
  | 'RULES_TYPES'
  | 'RULES_TESTS'
  | 'RULES_HIDDEN_STATE'
  /** The engine would not switch to rules that had passed their checks. */
  | 'RULES_REFUSED'
  /** A switch would end more open incidents than somebody may expect. */
  | 'RULES_RESOLVE'
  | 'AGENT_UNSUPPORTED'
  /** A listener could not be opened: the port is in use, not allowed, or not of this machine. */
  | 'LISTEN'
  /** The log could not be applied in the time a query waits. */
  | 'NOT_EVALUATED'
  /** The engine is being replaced: ask again in a moment. */
  | 'ENGINE_AWAY'
  /** Asked of a server that has not been started, or was stopped. */
  | 'NOT_RUNNING'
  /** As many readers watch the index as may at a time. */
  | 'TOO_MANY_WATCHES'
  /** As many queries are answered over HTTP as may be at a time. */
  | 'TOO_MANY_QUERIES'
  /** As many readers are given the log's records over HTTP as may be at a time. */
  | 'TOO_MANY_TAILS'
  /** Another instance of the cluster could not be asked, or broke off. */
  | 'PEER_UNREACHABLE'
  /** Another instance of the cluster answered that it will not, or something that is not understood. */
  | 'PEER_REFUSED'
  /** The partition is not run by the instance that was asked. */
  | 'NOT_HERE'
  /** Asked about a cluster, of a server that works alone. */
  | 'NO_CLUSTER'
  /** The log has no such partition. */
  | 'NO_PARTITION'
  /** No instance goes by that name. */
  | 'NO_INSTANCE'
  /** No incident goes by that name. */
  | 'NO_INCIDENT'
  /** Several incidents go by one name. */
  | 'INCIDENT_AMBIGUOUS'
  /** Neither the log nor a snapshot reaches back to the time that was asked about. */
  | 'EXPLAIN_TRIMMED'
  /** An explanation took too long, or too much memory. */
  | 'EXPLAIN_FAILED'
  /** The configuration names no such receiver. */
  | 'NO_RECEIVER'
  /** No token goes by that name. */
  | 'NO_TOKEN'
  /** A token goes by that name already. */
  | 'TOKEN_EXISTS'
  /** As many tokens are kept as may be. */
  | 'TOO_MANY_TOKENS'
  /** What is asked for makes no sense. */
  | 'COMMAND_INVALID'
  /** The incident is over. */
  | 'INCIDENT_CLOSED'
  /** A command was applied and could do nothing. */
  | 'COMMAND_REFUSED'
  /** What came as JSON is no event, or none that can be kept. */
  | 'EVENT_MALFORMED'
  /** An agent passes a question on, and no server can be asked now. */
  | 'NO_SERVER'
  /** The server that an agent passed a question on to refused it. */
  | 'QUERY_REFUSED'
  /** As much waits for the log as may. */
  | 'INTAKE_FULL'
  /** More bytes than one reply may hold. */
  | 'ANSWER_TOO_LARGE'

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
