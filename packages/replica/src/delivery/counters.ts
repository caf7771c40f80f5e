/** What delivery has done since the process began; whoever shows metrics reads it. */
export interface DeliveryCounters {
  /** Attempt records written. */
  attempts: number
  delivered: number
  refused: number
  failed: number
  unknown: number
  gaveUp: number
  /** Requests marked as a possible repeat: blind receivers only. */
  possibleRepeats: number
  /** Attempts before which the receiver was asked whether an earlier one had arrived: class B only. */
  lookUps: number
  /** Attempts that were written and whose send window had passed, or that somebody else's claim overtook: never sent. */
  neverSent: number
  digests: number
  /** Resolves sent again because a doubtful trigger had arrived after the first. */
  pagesRepaired: number
}

export function noDeliveries(): DeliveryCounters {
  return {
    attempts: 0,
    delivered: 0,
    refused: 0,
    failed: 0,
    unknown: 0,
    gaveUp: 0,
    possibleRepeats: 0,
    lookUps: 0,
    neverSent: 0,
    digests: 0,
    pagesRepaired: 0,
  }
}
