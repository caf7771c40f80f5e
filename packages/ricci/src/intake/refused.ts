import { ReplicaError } from '@ricci/replica/errors'

/** Whether the same message may be taken later: by this log, or by that of the process that follows this one. */
export function passes(error: Error): boolean {
  return error instanceof ReplicaError && (error.retriable || error.code === 'LOG_CLOSED')
}
