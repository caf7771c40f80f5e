/** What kind of number a field holds. Absence is a kind of its own: a field that was once `undefined` loses V8's double form. */
export const Kind = { none: 0, int: 1, double: 2, big: 3 } as const
export type Kind = (typeof Kind)[keyof typeof Kind]

/**
 * An event as the engine sees it: ids and numbers, one object reused for every event in flight.
 * Ids come from the {@link InternTable} that was handed to the decoder; 0 means absent everywhere.
 *
 * `time` is in seconds (kind int for whole seconds off the wire, double when it came in microseconds), `ttl` in seconds
 * (kind none or double). `metric` holds ints up to 2^53 and doubles; beyond that kind is `big` and `metricBig` counts.
 * The description never is interned (text that never repeats would fill any table): it is a slice of bytes, valid only as long
 * as the buffer it came from. `descriptionLength` is -1 when absent.
 *
 * `late` is 1 for an event that the engine takes for late; no wire carries it.
 */
export class EventCursor {
  host = 0
  service = 0
  state = 0
  tags = 0
  attributes = 0
  timeKind: Kind = Kind.none
  time = 0.0
  metricKind: Kind = Kind.none
  metric = 0.0
  metricBig = 0n
  ttlKind: Kind = Kind.none
  ttl = 0.0
  descriptionBytes: Uint8Array = noBytes
  descriptionStart = 0
  descriptionLength = -1
  late: 0 | 1 = 0

  /** Forgets everything: the cursor is the event without any field. */
  clear(): void {
    this.host = 0
    this.service = 0
    this.state = 0
    this.tags = 0
    this.attributes = 0
    this.timeKind = Kind.none
    this.time = 0
    this.metricKind = Kind.none
    this.metric = 0
    this.metricBig = 0n
    this.ttlKind = Kind.none
    this.ttl = 0
    this.descriptionBytes = noBytes
    this.descriptionStart = 0
    this.descriptionLength = -1
    this.late = 0
  }

  /** Takes over every field of another cursor. The description's bytes are shared, not copied. */
  copyFrom(from: EventCursor): void {
    this.host = from.host
    this.service = from.service
    this.state = from.state
    this.tags = from.tags
    this.attributes = from.attributes
    this.timeKind = from.timeKind
    this.time = from.time
    this.metricKind = from.metricKind
    this.metric = from.metric
    this.metricBig = from.metricBig
    this.ttlKind = from.ttlKind
    this.ttl = from.ttl
    this.descriptionBytes = from.descriptionBytes
    this.descriptionStart = from.descriptionStart
    this.descriptionLength = from.descriptionLength
    this.late = from.late
  }
}

const noBytes = new Uint8Array(0)

/**
 * Where a decoder puts text: equal bytes get equal ids, ids start at 1, 0 is "absent". Text that is not valid UTF-8 is interned
 * as its repaired form (U+FFFD), so that an id names exactly one string.
 *
 * Tags and attributes are interned as whole sets: the run of tag (or attribute) fields of one event is looked up by its raw
 * bytes first (a cache), then by its canonical content. A set of tags keeps order and drops repeats; a set of attributes is
 * ordered by key, last value wins. The empty set is 0.
 */
export interface InternTable {
  /** Interns UTF-8 bytes. Gives 0 when the table is full (its owner counts that and refuses the event). */
  intern(bytes: Uint8Array, start: number, length: number): number
  internText(text: string): number
  /** The text of a symbol. */
  text(id: number): string
  /** Interns a set of tags given as symbol ids. */
  internTags(ids: readonly number[]): number
  /** The symbol ids of a set of tags, in order. */
  tagsOf(set: number): Int32Array
  /** Interns attributes given as key and value ids in turn. */
  internAttributes(pairs: readonly number[]): number
  /** Key and value ids in turn, ordered by key text. */
  attributesOf(set: number): Int32Array
}
