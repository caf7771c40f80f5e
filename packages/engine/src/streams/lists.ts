import { type EventCursor, Kind } from '@ricci/client'
import type { EventList } from '../folds/list.ts'

/** A list of one or two events in flight; null where an element is absent. */
export class OneOrTwo implements EventList {
  length = 0
  readonly #events: (EventCursor | undefined)[] = [undefined, undefined]

  one(event: EventCursor): this {
    this.#events[0] = event
    this.length = 1
    return this
  }
  two(first: EventCursor | undefined, second: EventCursor | undefined): this {
    this.#events[0] = first
    this.#events[1] = second
    this.length = 2
    return this
  }
  load(i: number, into: EventCursor): boolean {
    const event = this.#events[i]
    if (event === undefined) return false
    into.copyFrom(event)
    return true
  }
  metricKind(i: number): Kind {
    return this.#events[i]?.metricKind ?? Kind.none
  }
  metric(i: number): number {
    return this.#events[i]?.metric ?? 0
  }
  metricBig(i: number): bigint {
    return this.#events[i]?.metricBig ?? 0n
  }
  late(i: number): boolean {
    return this.#events[i]?.late !== 0
  }
}

/** A list whose elements pass through a function as they are loaded. */
export class MappedList implements EventList {
  readonly #list: EventList
  readonly #map: (event: EventCursor) => void
  readonly #cursor: EventCursor

  constructor(list: EventList, map: (event: EventCursor) => void, cursor: EventCursor) {
    this.#list = list
    this.#map = map
    this.#cursor = cursor
  }
  get length(): number {
    return this.#list.length
  }
  load(i: number, into: EventCursor): boolean {
    if (!this.#list.load(i, into)) return false
    this.#map(into)
    return true
  }
  metricKind(i: number): Kind {
    return this.load(i, this.#cursor) ? this.#cursor.metricKind : Kind.none
  }
  metric(i: number): number {
    return this.load(i, this.#cursor) ? this.#cursor.metric : 0
  }
  metricBig(i: number): bigint {
    return this.load(i, this.#cursor) ? this.#cursor.metricBig : 0n
  }
  late(i: number): boolean {
    return this.#list.late(i)
  }
}
