import type { FlowBatch } from '@ricci/engine'

/** Batches of a partition's flow that follow each other, to be sent to its sink. */
export interface FlowRequest {
  readonly sink: string
  /**
   * Names this flow among all there are, the same for every owner: what a sink that deduplicates knows it by. A batch's sequence is its
   * position: whoever sends it, it holds the same events.
   */
  readonly producer: string
  readonly incarnation: number
  readonly batches: readonly FlowBatch[]
}

/** What became of a request. */
export interface FlowResult {
  /** Position of the last batch that the sink has, and all before it; 0 where it has none of these. */
  readonly through: number
  /** Why it has not all of them, and how long it wants to be left alone: they are sent again. */
  readonly failure?: { readonly detail: string; readonly retryAfterMs?: number }
  /** Events up to `through` that it will never take, and its reason: they are not sent again. */
  readonly refused?: { readonly events: number; readonly detail: string }
}

/** Where a flow goes. */
export interface Sink {
  /** How long events are gathered before they are sent, where they do not fill a request: requests are dear. 0: at once. */
  readonly gatherMs: number
  /** Events of a request at most, but for a single batch. */
  readonly requestEvents: number
  /**
   * Sends once. `mayStart` is asked again where the first bytes are handed to the kernel: false means that nothing was sent. Ends when
   * `signal` aborts.
   */
  send(request: FlowRequest, mayStart: () => boolean, signal: AbortSignal): Promise<FlowResult>
}

/** What was sent to a sink since the process began, and how it goes. */
export interface FlowCounters {
  /** Events that the sink took. */
  delivered: number
  /** Events that it will never take. */
  refused: number
  /** Requests that failed. */
  failed: number
  /** Requests that failed since one did not. */
  failures: number
  /** Why the last of these did. */
  detail: string | undefined
}
