import type { ProducerMark } from '@ricci/client'

/** Events of one sample: they travel as one Msg. */
export interface Batch {
  /** The Msg's bytes, without a mark: as objects, events take ten times as much. */
  readonly bytes: Uint8Array
  readonly events: number
  /** When it came, among all others. */
  readonly order: number
  /** Given at the first attempt to send it and kept in all others, so that who has it already knows. */
  mark?: ProducerMark
}

/**
 * What waits to be sent: the newest first, because a state that is an hour old pages nobody any more; then what was missed, from
 * the oldest on. Bounded: beyond its limit the oldest is dropped, and counted.
 */
export class Outbox {
  readonly #maxEvents: number
  #fresh: Batch | undefined
  #missed: Batch[] = []
  #events = 0
  #dropped = 0
  #added = 0

  constructor(maxEvents: number) {
    this.#maxEvents = maxEvents
  }

  /** Events that wait. */
  get events(): number {
    return this.#events
  }

  /** Events dropped so far, because nobody took them in time. */
  get dropped(): number {
    return this.#dropped
  }

  /**
   * Takes a new sample in; the one before it, if still here, has become something missed.
   * @param bytes a Msg that holds so many events
   */
  add(bytes: Uint8Array, events: number): void {
    if (this.#fresh !== undefined) this.#missed.push(this.#fresh)
    this.#fresh = { bytes, events, order: this.#added++ }
    this.#events += events
    this.#shrink()
  }

  /** Hands out what is to be sent next; undefined when there is nothing. */
  take(): Batch | undefined {
    const batch = this.#fresh ?? this.#missed.shift()
    this.#fresh = undefined
    if (batch !== undefined) this.#events -= batch.events
    return batch
  }

  /** Takes back what could not be sent. It is older than whatever came meanwhile, and counts as missed. */
  putBack(batch: Batch): void {
    const at = this.#missed.findIndex(({ order }) => order > batch.order)
    this.#missed.splice(at < 0 ? this.#missed.length : at, 0, batch)
    this.#events += batch.events
    this.#shrink()
  }

  #shrink(): void {
    while (this.#events > this.#maxEvents && this.#missed.length > 0) {
      const { events } = this.#missed.shift()!
      this.#events -= events
      this.#dropped += events
    }
  }
}
