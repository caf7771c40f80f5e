/** Answers Riemann clients' queries. */
export interface QueryPort {
  /**
   * Evaluates a query on all that is in the log now.
   * @param sinceMs monotonic time at which the query arrived: it waits at most `queryWaitMs` from then on
   * @param took told of the bytes of each page as it comes; false: nobody wants the rest
   * @returns pages of encoded Msgs holding events; joined they are one Msg
   * @throws with code `NOT_EVALUATED` when the log could not be applied in time; with other codes for a wrong query
   */
  ask(query: string, sinceMs: number, took: (bytes: number) => boolean): Promise<readonly Uint8Array[]>
}
