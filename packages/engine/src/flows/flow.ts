/** What is told of flows: the events on their way to a sink. Plain data. */

/**
 * What one record of the log sent into a flow, or a part of it where that is much. Batches are numbered from 1 on: every replica
 * gives the same events the same number, whoever sends them.
 */
export interface FlowBatch {
  readonly position: number
  readonly events: number
  /** A Riemann Msg of these events, without a mark. */
  readonly msg: Uint8Array
}

/** Where a flow stands. */
export interface FlowHead {
  /** The name that rules use. */
  readonly sink: string
  /** Offset of the record with which it began: positions count from there. One that was idle for long begins anew. */
  readonly begun: number
  /** Its sink has everything up to this position, as far as the log knows. */
  readonly through: number
  /** Position of its newest batch; 0 before the first. */
  readonly last: number
  /** Events that are kept for the sink. */
  readonly events: number
  /** Events that were dropped since the flow is known, because the sink took none for too long. */
  readonly dropped: number
  /** Calendar time at which the oldest of those kept came; undefined where there is none. */
  readonly oldestMs: number | undefined
}

/** A place in a flow. */
export interface FlowPlace {
  readonly begun: number
  readonly position: number
}

/** Batches of a flow that follow each other. */
export interface FlowPage {
  readonly sink: string
  readonly begun: number
  readonly batches: readonly FlowBatch[]
}

/** The flows of an engine, to be looked at between two records. */
export interface FlowsView {
  /** Where each stands. */
  heads(): readonly FlowHead[]
  /**
   * The batches of a flow that follow a place, oldest first; none where there are no more.
   * @param after of an earlier page; without it, or where the flow has begun anew since, from the oldest that is kept
   * @param atMost events, but one batch at least
   */
  page(sink: string, after: FlowPlace | undefined, atMost: number): FlowPage
}
