import type { Event, ProducerMark } from '@ricci/client'

/** Events of one sample: they travel as one Msg. */
export interface Batch {
  readonly events: readonly Event[]
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

  /** Takes a new sample in; the one before it, if still here, has become something missed. */
  add(events: readonly Event[]): void {
    if (this.#fresh !== undefined) this.#missed.push(this.#fresh)
    this.#fresh = { events }
    this.#events += events.length
    this.#shrink()
  }

  /** Hands out what is to be sent next; undefined when there is nothing. */
  take(): Batch | undefined {
    const batch = this.#fresh ?? this.#missed.shift()
    this.#fresh = undefined
    if (batch !== undefined) this.#events -= batch.events.length
    return batch
  }

  /** Takes back what could not be sent. It is older than whatever came meanwhile, and counts as missed. */
  putBack(batch: Batch): void {
    const { time = 0 } = batch.events[0] ?? {}
    const at = this.#missed.findIndex((other) => (other.events[0]?.time ?? 0) > time)
    this.#missed.splice(at < 0 ? this.#missed.length : at, 0, batch)
    this.#events += batch.events.length
    this.#shrink()
  }

  #shrink(): void {
    while (this.#events > this.#maxEvents && this.#missed.length > 0) {
      const { length } = this.#missed.shift()!.events
      this.#events -= length
      this.#dropped += length
    }
  }
}
