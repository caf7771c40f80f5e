/** What this package fails with; see {@link ElectionError}. */
export type ElectionErrorCode =
  /** An option is out of its range, an address cannot be read, a name is empty: starting again is no help. */
  | 'OPTION_INVALID'
  /** The election was closed by its owner. */
  | 'CLOSED'
  /** `lead()` or `campaign()` was called while an earlier call of this candidate still campaigns. */
  | 'ALREADY_CAMPAIGNING'
  /** What was asked needs leadership under this term, and it has ended; see {@link StaleTermError}. */
  | 'STALE_TERM'
  /** A term's signal: its lease was not confirmed in time. It may be resumed under the same token. */
  | 'TERM_SUSPENDED'
  /** A term's signal: somebody else may lead, or the store no longer knows our session. */
  | 'TERM_DEPOSED'
  /** A term's signal: leadership was given up, by `resign()`, `close()`, an abort or a hand-over. */
  | 'TERM_RESIGNED'
  /** A name was handed over to a member, and that member did not take it in time. */
  | 'HAND_OVER_FAILED'
  /** Work went on for longer than the grace after its term had ended. */
  | 'OVERRUN'
  /** The store did not answer in time, or not at all. */
  | 'STORE_UNAVAILABLE'
  /** The store answered that it will not do this: no permission, wrong settings. */
  | 'STORE_REFUSED'
  /** The store answered something that this package does not understand. */
  | 'BAD_REPLY'
  /** The store does not know our session any more. */
  | 'SESSION_LOST'
  /** A term came with a token that is not above those seen before: the store was restored from an old copy. */
  | 'TOKEN_REGRESSED'
  /** Two live members of a group have the same id. */
  | 'DUPLICATE_ID'
  /** Confirms take longer than a quarter of the lease, so that a short hitch will suspend the leader. */
  | 'SLOW'
  /** This process's event loop stood still for longer than a quarter of the lease. */
  | 'LAG'
  /** The store keeps no journal of actions. */
  | 'NO_JOURNAL'
  /** An action of this id was begun under an earlier term and never ended: nobody knows whether it took effect. */
  | 'ACT_IN_DOUBT'
  /** An action of this id was done before. */
  | 'ACT_DONE'

/** Anything that went wrong around an election: a stable `code`, a sentence that says what to do, the cause where there is one. */
export class ElectionError extends Error {
  override readonly name: string = 'ElectionError'
  constructor(
    readonly code: ElectionErrorCode,
    message: string,
    /** Whether the same call may succeed later. */
    readonly retriable: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** Leadership under a term has ended: whatever was to be done under it must not be done. */
export class StaleTermError extends ElectionError {
  override readonly name = 'StaleTermError'
  constructor(
    /** The fencing token of the term that has ended. */
    readonly token: bigint,
    message = `leadership under token ${token} has ended: stop, and wait for the next term`,
    options?: ErrorOptions,
  ) {
    super('STALE_TERM', message, false, options)
  }
}

/** Whether an error is one of this package's with one of these codes. */
export function hasCode(error: unknown, ...codes: readonly ElectionErrorCode[]): error is ElectionError {
  return error instanceof ElectionError && codes.includes(error.code)
}
