import { AttributeRun } from './attributes.ts'
import { Kind, type EventCursor } from './cursor.ts'
import { readMarkAt } from './mark.ts'
import { int64At, sint64At } from './numbers.ts'
import { EventScan, MsgTag } from './scan.ts'
import type { ProducerMark } from './event.ts'
import type { SymbolTable } from './symbols.ts'

/**
 * Reads a Msg into cursors of ids: the decoder of the engine, made once and used for every Msg.
 *
 *     reader.open(bytes)            // top level only: mark, query, ok, error, number of events
 *     while (reader.next(cursor, table)) …
 *
 * What makes it fast (M events per CPU-second beside protobufjs' 1.4 into objects; see `npm run bench -- codec`):
 * an event is first scanned for where its fields are, with small integers only; then each text is compared with a guess (the
 * previous event's, and for the service the one that followed the previous service last time) four bytes at a time, and only
 * looked up in the table when the guess was wrong; a run of tags or attributes is compared and looked up as one string.
 * Guesses are checked against the table's own bytes, so nothing has to be forgotten between messages or when ids are reused.
 */
export class MsgReader {
  /** Fields of the Msg itself; undefined where absent. */
  ok: boolean | undefined
  error: string | undefined
  query: string | undefined
  mark: ProducerMark | undefined
  eventCount = 0
  /**
   * Whether the table was full at the last event: at least one of its texts got no id, and its field reads as absent.
   * The engine counts and refuses such an event.
   */
  overflowed = false

  private readonly scan = new EventScan()
  private readonly run = new AttributeRun()
  private end = 0
  private host = 0
  private service = 0
  private state = 0
  private tagRun = 0
  private attributeRun = 0
  private followers = new Int32Array(1024)

  /**
   * Opens a Msg and reads its top level; events are passed over.
   * @throws CodecError `TRUNCATED`, `MALFORMED`
   */
  open(bytes: Uint8Array): void {
    const { scan } = this
    scan.open(bytes)
    const end = (this.end = bytes.length)
    this.ok = this.error = this.query = this.mark = undefined
    let events = 0
    while (scan.at < end) {
      const tag = scan.tag(end)
      switch (tag) {
        case MsgTag.event:
          events++
          scan.skipBytes(end)
          break
        case MsgTag.ok:
          scan.varint64(end)
          this.ok = (scan.low | scan.high) !== 0
          break
        case MsgTag.error:
          this.error = this.takeText(scan.length(end))
          break
        case MsgTag.query:
          this.query = this.readQuery(scan.length(end))
          break
        case MsgTag.mark: {
          const length = scan.length(end)
          this.mark = readMarkAt(scan, scan.at + length)
          break
        }
        default:
          scan.skipField(tag, end)
      }
    }
    this.eventCount = events
    scan.at = 0
  }

  /**
   * Decodes the next event into `cursor`; false at the end of the Msg. A time that is absent stays absent: who knows what
   * "now" is fills it in. The description is a slice of the Msg's bytes.
   * @throws CodecError for an event that {@link validateMsg} refuses too
   */
  next(cursor: EventCursor, table: SymbolTable): boolean {
    const { scan, end } = this
    for (;;) {
      if (scan.at >= end) return false
      const tag = scan.tag(end)
      if (tag === MsgTag.event) break
      scan.skipField(tag, end)
    }
    const length = scan.length(end)
    scan.scanEvent(scan.at, scan.at + length)
    this.takeTexts(cursor, table)
    this.takeNumbers(cursor)
    return true
  }

  /** Takes the texts of the event just read once more, from a table that has room by now; see {@link overflowed}. */
  again(cursor: EventCursor, table: SymbolTable): void {
    this.takeTexts(cursor, table)
  }

  private takeTexts(cursor: EventCursor, table: SymbolTable): void {
    const { scan } = this
    const { source, sourceView } = scan
    let overflowed = false

    if (scan.tagCount === 0) cursor.tags = 0
    else {
      let run = this.tagRun
      if (!table.tagRuns.matches(run, sourceView, scan.tagsAt, scan.tagsLength)) {
        this.tagRun = run = table.internTagRun(source, sourceView, scan.tagsAt, scan.tagsLength)
        if (run === 0) overflowed = true
      }
      cursor.tags = table.tagRuns.sets[run]
    }

    if (scan.attributeCount === 0) cursor.attributes = 0
    else {
      let run = this.attributeRun
      if (!table.attributeRuns.matches(run, sourceView, scan.attributesAt, scan.attributesLength)) {
        this.attributeRun = run = table.internAttributeRun(source, sourceView, scan.attributesAt, scan.attributesLength)
        if (run === 0) overflowed = true
      }
      cursor.attributes = table.attributeRuns.sets[run]
      if (table.attributeRuns.overrides[run] !== 0) this.applyOverrides()
    }

    if (scan.hostLength < 0) cursor.host = 0
    else {
      let id = this.host
      if (!table.matches(id, sourceView, scan.hostAt, scan.hostLength)) {
        this.host = id = table.internSlice(source, sourceView, scan.hostAt, scan.hostLength)
        if (id === 0) overflowed = true
      }
      cursor.host = id
    }

    if (scan.serviceLength < 0) cursor.service = 0
    else {
      const previous = this.service
      let id = this.followers[previous]
      if (!table.matches(id, sourceView, scan.serviceAt, scan.serviceLength)) {
        id = table.internSlice(source, sourceView, scan.serviceAt, scan.serviceLength)
        if (id === 0) overflowed = true
        this.follow(previous, id)
      }
      cursor.service = this.service = id
    }

    if (scan.stateLength < 0) cursor.state = 0
    else {
      let id = this.state
      if (!table.matches(id, sourceView, scan.stateAt, scan.stateLength)) {
        this.state = id = table.internSlice(source, sourceView, scan.stateAt, scan.stateLength)
        if (id === 0) overflowed = true
      }
      cursor.state = id
    }

    cursor.descriptionBytes = source
    cursor.descriptionStart = scan.descriptionAt
    cursor.descriptionLength = scan.descriptionLength
    this.overflowed = overflowed
  }

  private takeNumbers(cursor: EventCursor): void {
    const { scan } = this
    const { sourceView } = scan
    if (scan.doubleAt >= 0 && scan.sintAt < 0) {
      cursor.metricKind = Kind.double
      cursor.metric = sourceView.getFloat64(scan.doubleAt, true)
    } else if (scan.sintAt >= 0) this.takeInteger(cursor)
    else if (scan.floatAt >= 0) {
      cursor.metricKind = Kind.double
      cursor.metric = sourceView.getFloat32(scan.floatAt, true)
    } else {
      cursor.metricKind = Kind.none
      cursor.metric = 0
    }

    if (scan.microsAt >= 0) {
      cursor.timeKind = Kind.double
      cursor.time = int64At(scan, scan.microsAt) / 1e6
    } else if (scan.timeAt >= 0) {
      cursor.timeKind = Kind.int
      cursor.time = int64At(scan, scan.timeAt)
    } else {
      cursor.timeKind = Kind.none
      cursor.time = 0
    }

    if (scan.ttlAt >= 0) {
      cursor.ttlKind = Kind.double
      cursor.ttl = sourceView.getFloat32(scan.ttlAt, true)
    } else {
      cursor.ttlKind = Kind.none
      cursor.ttl = 0
    }
  }

  private takeInteger(cursor: EventCursor): void {
    const value = sint64At(this.scan, this.scan.sintAt)
    if (typeof value === 'number') {
      cursor.metricKind = Kind.int
      cursor.metric = value
    } else {
      cursor.metricKind = Kind.big
      cursor.metricBig = value
      cursor.metric = Number(value)
    }
  }

  /** Attributes named like a field take its place, the last one of a name. */
  private applyOverrides(): void {
    const { scan, run } = this
    run.start(scan.source, scan.sourceView, scan.attributesAt, scan.attributesLength)
    while (run.next()) {
      switch (run.overrides()) {
        case 'host':
          scan.hostAt = run.valueAt
          scan.hostLength = run.valueLength
          break
        case 'service':
          scan.serviceAt = run.valueAt
          scan.serviceLength = run.valueLength
          break
        case 'state':
          scan.stateAt = run.valueAt
          scan.stateLength = run.valueLength
          break
        case 'description':
          scan.descriptionAt = run.valueAt
          scan.descriptionLength = run.valueLength
      }
    }
  }

  private follow(previous: number, id: number): void {
    if (previous >= this.followers.length) {
      const larger = new Int32Array(2 * previous)
      larger.set(this.followers)
      this.followers = larger
    }
    this.followers[previous] = id
  }

  private readQuery(length: number): string {
    const { scan } = this
    const end = scan.at + length
    let text = this.query ?? ''
    while (scan.at < end) {
      const tag = scan.tag(end)
      if (tag === 0x0a) text = this.takeText(scan.length(end))
      else scan.skipField(tag, end)
    }
    return text
  }

  private takeText(length: number): string {
    const { scan } = this
    const text = decoder.decode(scan.bytes.subarray(scan.at, scan.at + length))
    scan.at += length
    return text
  }
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
