import { WireReader } from './wire.ts'

/**
 * Tags (field number and wire type in one byte) of `riemann.proto`. A field of another wire type is an unknown field, as in
 * every protobuf library.
 */
export const MsgTag = {
  ok: 0x10,
  error: 0x1a,
  query: 0x2a,
  event: 0x32,
  mark: (1000 << 3) | 2,
  draining: 1001 << 3,
} as const
export const EventTag = {
  time: 0x08,
  state: 0x12,
  service: 0x1a,
  host: 0x22,
  description: 0x2a,
  tag: 0x3a,
  ttl: 0x45,
  attribute: 0x4a,
  timeMicros: 0x50,
  metricSint64: 0x68,
  metricD: 0x71,
  metricF: 0x7d,
} as const

/**
 * Finds where the fields of one Event stand, without looking at what they hold. One walk serves every face of the codec (ids,
 * objects, validation, routing), so that all of them accept the same bytes. Positions are -1 for what is absent; for a field that
 * stands there twice the last one counts, as protobuf has it.
 *
 * Tags and attributes are *runs*: the bytes from the first such field to the last, field tags included. Encoders write them
 * together, and the tag of a field in as few bytes as hold it; if one does not, a copy of the event is put in order.
 */
export class EventScan extends WireReader {
  /** The bytes that the positions refer to: the message's own, or those of a run put together. */
  source: Uint8Array = this.bytes
  sourceView: DataView = this.view
  timeAt = -1
  microsAt = -1
  stateAt = -1
  stateLength = -1
  serviceAt = -1
  serviceLength = -1
  hostAt = -1
  hostLength = -1
  descriptionAt = -1
  descriptionLength = -1
  ttlAt = -1
  sintAt = -1
  doubleAt = -1
  floatAt = -1
  tagsAt = -1
  tagsLength = 0
  tagCount = 0
  attributesAt = -1
  attributesLength = 0
  attributeCount = 0

  /**
   * Scans the event between `start` and `end`.
   * @throws CodecError `TRUNCATED`, `MALFORMED`
   */
  scanEvent(start: number, end: number): void {
    const { bytes } = this
    let timeAt = -1
    let microsAt = -1
    let stateAt = -1
    let stateLength = -1
    let serviceAt = -1
    let serviceLength = -1
    let hostAt = -1
    let hostLength = -1
    let descriptionAt = -1
    let descriptionLength = -1
    let ttlAt = -1
    let sintAt = -1
    let doubleAt = -1
    let floatAt = -1
    let tagsAt = -1
    let tagsEnd = -1
    let tagCount = 0
    let attributesAt = -1
    let attributesEnd = -1
    let attributeCount = 0
    let scattered = false
    let at = start
    while (at < end) {
      const field = at
      const tag = bytes[at++]
      let length = 0
      // All of Event's tags are one byte. Those followed by a length share its reading; `at` may run past `end`, which is seen below.
      switch (tag) {
        case EventTag.state:
        case EventTag.service:
        case EventTag.host:
        case EventTag.description:
        case EventTag.tag:
        case EventTag.attribute:
          if (at < end && bytes[at] < 0x80) length = bytes[at++]
          else {
            this.at = at
            length = this.length(end)
            at = this.at
          }
          break
        case EventTag.time:
        case EventTag.timeMicros:
        case EventTag.metricSint64:
          if (tag === EventTag.time) timeAt = at
          else if (tag === EventTag.timeMicros) microsAt = at
          else sintAt = at
          this.at = at
          this.skipVarint(end)
          at = this.at
          continue
        case EventTag.metricD:
          doubleAt = at
          at += 8
          continue
        case EventTag.metricF:
          floatAt = at
          at += 4
          continue
        case EventTag.ttl:
          ttlAt = at
          at += 4
          continue
        default: {
          this.at = field
          const whole = this.tag(end)
          if (whole < 0x80 && this.at > at) scattered = true
          this.skipField(whole, end)
          at = this.at
          continue
        }
      }
      switch (tag) {
        case EventTag.state:
          stateAt = at
          stateLength = length
          break
        case EventTag.service:
          serviceAt = at
          serviceLength = length
          break
        case EventTag.host:
          hostAt = at
          hostLength = length
          break
        case EventTag.description:
          descriptionAt = at
          descriptionLength = length
          break
        case EventTag.tag:
          if (tagCount++ === 0) tagsAt = field
          else if (tagsEnd !== field) scattered = true
          tagsEnd = at + length
          break
        default:
          if (attributeCount++ === 0) attributesAt = field
          else if (attributesEnd !== field) scattered = true
          attributesEnd = at + length
      }
      at += length
    }
    this.at = end
    if (at !== end) throw this.truncated()
    this.timeAt = timeAt
    this.microsAt = microsAt
    this.stateAt = stateAt
    this.stateLength = stateLength
    this.serviceAt = serviceAt
    this.serviceLength = serviceLength
    this.hostAt = hostAt
    this.hostLength = hostLength
    this.descriptionAt = descriptionAt
    this.descriptionLength = descriptionLength
    this.ttlAt = ttlAt
    this.sintAt = sintAt
    this.doubleAt = doubleAt
    this.floatAt = floatAt
    this.tagsAt = tagsAt
    this.tagsLength = tagsEnd - tagsAt
    this.tagCount = tagCount
    this.attributesAt = attributesAt
    this.attributesLength = attributesEnd - attributesAt
    this.attributeCount = attributeCount
    if (scattered) this.regroup(start, end)
    else if (this.source !== bytes) {
      this.source = bytes
      this.sourceView = this.view
    }
  }

  /** Scans a copy of the event in which all tags, and all attributes, stand together, and each field's tag takes as few bytes as hold it. */
  private regroup(start: number, end: number): void {
    const { bytes, view } = this
    const copy = new Uint8Array(end - start)
    let length = 0
    // A walk for each group: an event is up to a whole frame, and a list of its fields would take forty times its bytes.
    for (const group of groups) {
      this.at = start
      while (this.at < end) {
        let from = this.at
        const tag = this.tag(end)
        const after = this.at
        this.skipField(tag, end)
        if (groupOf(tag) !== group) continue
        if (tag < 0x80) {
          copy[length++] = tag
          from = after
        }
        // by bytes: fields are short, and a view of each costs more
        for (; from < this.at; from++) copy[length++] = bytes[from]
      }
    }
    this.open(copy)
    this.scanEvent(0, length)
    this.bytes = bytes
    this.view = view
    this.at = end
  }
}

/** The fields of an event in the order of {@link EventScan}'s copy: 0 for all that may stand anywhere. */
const groups = [0, EventTag.tag, EventTag.attribute] as const

function groupOf(tag: number): (typeof groups)[number] {
  return tag === EventTag.tag || tag === EventTag.attribute ? tag : 0
}
