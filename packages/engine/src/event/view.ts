import { cursorToEvent, descriptionOf, type Event, type EventCursor, Kind, type SymbolTable } from '@ricci/client'

/**
 * An event as a user's function sees it: read-only, and valid during the call only. Who wants to keep something copies it.
 * `metric` is NaN when absent, so that comparisons with it are false; integers beyond 2^53 are rounded (`metricBig` is exact).
 */
export interface EventView {
  readonly host: string | undefined
  readonly service: string | undefined
  readonly state: string | undefined
  readonly description: string | undefined
  readonly metric: number
  readonly metricBig: bigint | undefined
  readonly tags: readonly string[]
  /** Seconds since 1970; NaN when absent. */
  readonly time: number
  /** Seconds; NaN when absent. */
  readonly ttl: number
  readonly attributes: Readonly<Record<string, string>>
  /** Whether it was so old when it arrived that it does not speak for the present (setting `stalenessMs`). */
  readonly late: boolean
  /** An event of its own, to be kept or changed: `{ ...e.copy(), state: 'critical' }`. */
  copy(): Event
}

/** A view over a cursor; bound anew for each call. */
export class CursorView implements EventView {
  event: EventCursor
  readonly #table: SymbolTable
  /** The attributes made last, for the set they stand for: neighbours mostly have the same. */
  #attributes: Readonly<Record<string, string>> = noAttributes
  #attributesSet = 0
  #generation = 0

  constructor(event: EventCursor, table: SymbolTable) {
    this.event = event
    this.#table = table
  }

  get host(): string | undefined {
    return this.#text(this.event.host)
  }
  get service(): string | undefined {
    return this.#text(this.event.service)
  }
  get state(): string | undefined {
    return this.#text(this.event.state)
  }
  get description(): string | undefined {
    return descriptionOf(this.event)
  }
  get metric(): number {
    const { metricKind } = this.event
    if (metricKind === Kind.none) return NaN
    return metricKind === Kind.big ? Number(this.event.metricBig) : this.event.metric
  }
  get metricBig(): bigint | undefined {
    return this.event.metricKind === Kind.big ? this.event.metricBig : undefined
  }
  get late(): boolean {
    return this.event.late === 1
  }
  get tags(): readonly string[] {
    return tagsOf(this.event, this.#table)
  }
  get time(): number {
    return this.event.timeKind === Kind.none ? NaN : this.event.time
  }
  get ttl(): number {
    return this.event.ttlKind === Kind.none ? NaN : this.event.ttl
  }
  get attributes(): Readonly<Record<string, string>> {
    const { attributes } = this.event
    if (attributes !== this.#attributesSet || this.#generation !== this.#table.generation) {
      this.#attributes = Object.freeze(attributesOf(this.event, this.#table))
      this.#attributesSet = attributes
      this.#generation = this.#table.generation
    }
    return this.#attributes
  }
  copy(): Event {
    return cursorToEvent(this.event, this.#table)
  }

  #text(id: number): string | undefined {
    return id === 0 ? undefined : this.#table.text(id)
  }
}

export function tagsOf(event: EventCursor, table: SymbolTable): readonly string[] {
  return event.tags === 0 ? noTags : Array.from(table.tagsOf(event.tags), (id) => table.text(id))
}

export function attributesOf(event: EventCursor, table: SymbolTable): Readonly<Record<string, string>> {
  if (event.attributes === 0) return noAttributes
  const pairs = table.attributesOf(event.attributes)
  const named: [name: string, value: string][] = []
  for (let i = 0; i < pairs.length; i += 2) named.push([table.text(pairs[i]), table.text(pairs[i + 1])])
  // not by assignment: names come from the outside, and `__proto__` is one like any other
  return Object.fromEntries(named)
}

const noTags: readonly string[] = Object.freeze([])
const noAttributes: Readonly<Record<string, string>> = Object.freeze({})
