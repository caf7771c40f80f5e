/** What replica and ports fail with; see ReplicaError. */
export type ReplicaErrorCode =
  | 'LOG_FULL'
  | 'LOG_FAILED'
  | 'LOG_CLOSED'
  | 'LOG_UNAVAILABLE'
  | 'LOG_CORRUPT'
  | 'RECORD_TOO_LARGE'
  | 'OFFSET_TRIMMED'
  | 'DATA_IN_USE'
  /** The data folder cannot be made, looked into or written to. */
  | 'DATA_UNUSABLE'
  | 'SNAPSHOT_NOT_STORED'
  | 'SNAPSHOT_UNREADABLE'
  | 'SNAPSHOT_VOID'
  | 'NOT_EVALUATED'
  | 'TIMED_OUT'
  | 'STATE'

/** What a port or the replica refuses, with a stable code and a sentence that says what to do. */
export class ReplicaError extends Error {
  override readonly name = 'ReplicaError'
  constructor(
    readonly code: ReplicaErrorCode,
    message: string,
    /** Whether the same call may succeed later. */
    readonly retriable: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}
