import { EventCursor, Kind, MsgReader, type ProducerMark, type SymbolTable } from '@ricci/client'
import { latestMs } from '../record-shapes.ts'
import type { EventsRecord, SkipRecord } from '../records.ts'
import { type Loss, Producers } from './producers.ts'
import { Skews } from './skews.ts'

/** What becomes of arriving events; the engine. */
export interface Arriving {
  readonly table: SymbolTable
  /** [operator, event within the record, steps]: read by the monitor of another thread. */
  readonly progress: Int32Array
  readonly clocks: { readonly owned: { readonly now: number }; readonly calendar: { readonly now: number } }
  /** Lets an event flow through the rules; `ageMs` is how old it was when it arrived. */
  stream(event: EventCursor, ageMs: number): void
  /** The same, without what these skips name. */
  streamWithout(event: EventCursor, ageMs: number, skips: readonly SkipRecord[]): void
  /** Whether a service is that of an alarm of Ricci's own. */
  isOwnAlarm(service: number): boolean
  /** Does something with the room open that is kept for these. */
  withReserve<T>(what: () => T): T
  /** Moves the calendar to when a record was received. */
  received(atMs: number): void
  alarm(name: string, detail: string): void
}

/**
 * How a record's events come in: dropped by their producer mark before a byte of them is decoded, else decoded one by one into one
 * cursor, given a time where they have none, and their age told.
 */
export class Arrivals {
  readonly producers = new Producers()
  readonly skews = new Skews()
  /** Events refused because the table of texts was full. Counted, not state. */
  overflowed = 0
  readonly #engine: Arriving
  readonly #unmarked: boolean
  readonly #reader = new MsgReader()
  readonly #event = new EventCursor()

  /** @param unmarked take every Msg in, whatever its mark says; for the simulator's mutation tests */
  constructor(engine: Arriving, unmarked: boolean) {
    this.#engine = engine
    this.#unmarked = unmarked
  }

  /** @param skips events of this record that once stalled an engine */
  apply({ receivedAtMs, msg }: EventsRecord, offset: number, skips: readonly SkipRecord[] | undefined): void {
    const reader = this.#reader
    const event = this.#event
    const { table, progress, clocks } = this.#engine
    try {
      reader.open(msg)
    } catch (error) {
      return this.#malformed(`the Msg in record ${offset} cannot be read: ${(error as Error).message}`)
    }
    if (!(receivedAtMs >= 0 && receivedAtMs <= latestMs)) {
      return this.#malformed(`record ${offset} was stamped with no time there is: ${receivedAtMs}`)
    }
    const { mark } = reader
    if (mark !== undefined && !this.#unmarked) {
      if (!this.producers.accept(mark, clocks.owned.now, this.#lost)) return
    }
    if (receivedAtMs > clocks.calendar.now) this.#engine.received(receivedAtMs)
    for (let i = 0; ; i++) {
      progress[1] = i
      try {
        if (!reader.next(event, table)) break
      } catch (error) {
        return this.#malformed(`event ${i} of record ${offset} cannot be read: ${(error as Error).message}`)
      }
      if (reader.overflowed && this.#engine.isOwnAlarm(event.service)) {
        this.#engine.withReserve(() => reader.again(event, table))
      }
      if (reader.overflowed) {
        this.overflowed++
        continue
      }
      if (i === 0 && mark !== undefined && mark.sentAtMs !== 0 && mark.sentAtMs !== receivedAtMs) {
        this.skews.note(event.host, mark.sentAtMs - receivedAtMs, clocks.calendar.now)
      }
      let age = 0
      if (event.timeKind === Kind.none) {
        event.timeKind = Kind.double
        event.time = receivedAtMs / 1000
      } else age = ageOf(event, mark, receivedAtMs)
      const here = skips?.filter((skip) => skip.event === i) ?? noSkips
      if (here.length === 0) this.#engine.stream(event, age)
      else this.#engine.streamWithout(event, age, here)
    }
  }

  /** At each tick: tells of messages that have been missing for too long. */
  check(): void {
    this.producers.check(this.#engine.clocks.owned.now, this.#lost)
  }

  /** Now and then: forgets producers and hosts that have been silent for long. */
  forget(): void {
    const { owned, calendar } = this.#engine.clocks
    this.producers.forget(owned.now)
    this.skews.forget(calendar.now)
  }

  readonly #lost = ({ producer, missing }: Loss): void => {
    this.#engine.alarm('messages-lost', `${missing} messages of the producer ${producer} never arrived`)
  }

  #malformed(detail: string): void {
    this.#engine.alarm('record-malformed', detail)
  }
}

const noSkips: readonly SkipRecord[] = []

/** Age of an event when it arrived, milliseconds: by the producer's own clock where its mark carries one. */
function ageOf(event: EventCursor, mark: ProducerMark | undefined, receivedAtMs: number): number {
  const now = mark === undefined || mark.sentAtMs === 0 ? receivedAtMs : mark.sentAtMs
  const age = now - event.time * 1000
  return age > 0 ? age : 0
}
