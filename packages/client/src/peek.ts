import { AttributeRun } from './attributes.ts'
import { readMarkAt } from './mark.ts'
import { ByteMemo } from './memo.ts'
import { EventScan, MsgTag } from './scan.ts'
import type { ProducerMark } from './event.ts'

/**
 * Looks at the events of a Msg for what routes them: host, service, attributes; nothing else is decoded, nothing interned.
 *
 *     peek.open(bytes)
 *     while (peek.next()) route(peek.attribute('cluster') ?? peek.host() ?? '')
 *
 * A text equal to the one asked for before is the same string again, so that a sender's events cost a comparison of bytes each.
 */
export class MsgPeek {
  /** Where the current event's bytes stand in the Msg, without its tag and length. */
  start = 0
  end = 0
  /** The mark, if it came before the current event, or once `next()` gave false. */
  mark: ProducerMark | undefined
  private readonly scan = new EventScan()
  private msgEnd = 0
  private readonly hostText = new TextMemo()
  private readonly serviceText = new TextMemo()
  private readonly asked = new Map<string, AttributeMemo>()

  open(bytes: Uint8Array): void {
    this.scan.open(bytes)
    this.msgEnd = bytes.length
    this.mark = undefined
  }

  /**
   * Goes to the next event; false at the end of the Msg.
   * @throws CodecError `TRUNCATED`, `MALFORMED`
   */
  next(): boolean {
    const { scan, msgEnd } = this
    while (scan.at < msgEnd) {
      const tag = scan.tag(msgEnd)
      if (tag === MsgTag.event) {
        const length = scan.length(msgEnd)
        this.start = scan.at
        this.end = scan.at + length
        scan.scanEvent(this.start, this.end)
        return true
      }
      if (tag === MsgTag.mark) {
        const length = scan.length(msgEnd)
        this.mark = readMarkAt(scan, scan.at + length)
      } else scan.skipField(tag, msgEnd)
    }
    return false
  }

  host(): string | undefined {
    const override = this.scan.attributeCount > 0 ? this.attribute('host') : undefined
    if (override !== undefined) return override
    return this.hostText.at(this.scan, this.scan.hostAt, this.scan.hostLength)
  }

  service(): string | undefined {
    const override = this.scan.attributeCount > 0 ? this.attribute('service') : undefined
    if (override !== undefined) return override
    return this.serviceText.at(this.scan, this.scan.serviceAt, this.scan.serviceLength)
  }

  /** The value of an attribute, the last one of that name. */
  attribute(name: string): string | undefined {
    const { scan } = this
    if (scan.attributeCount === 0) return undefined
    let asked = this.asked.get(name)
    if (asked === undefined) this.asked.set(name, (asked = new AttributeMemo(name)))
    return asked.at(scan)
  }
}

/**
 * What an attribute was. Neighbouring events mostly have the same attributes, and then the whole run is compared (10 ns) rather
 * than walked (60 ns an attribute).
 */
class AttributeMemo {
  private readonly name: Uint8Array
  private readonly run = new ByteMemo()
  private readonly value = new TextMemo()
  private text: string | undefined

  constructor(name: string) {
    this.name = encoder.encode(name)
  }

  at(scan: EventScan): string | undefined {
    const { attributesAt, attributesLength } = scan
    if (this.run.is(scan.sourceView, attributesAt, attributesLength)) return this.text
    let valueAt = 0
    let valueLength = -1
    walk.start(scan.source, scan.sourceView, attributesAt, attributesLength)
    while (walk.next()) {
      if (!walk.keyIs(this.name)) continue
      valueAt = walk.valueAt
      valueLength = walk.valueLength
    }
    this.text = this.value.at(scan, valueAt, valueLength)
    this.run.keep(scan.source, attributesAt, attributesAt + attributesLength)
    return this.text
  }
}

/** The last text decoded, with its bytes. */
class TextMemo {
  private readonly bytes = new ByteMemo()
  private text = ''

  at(scan: EventScan, start: number, length: number): string | undefined {
    if (length < 0) return undefined
    if (!this.bytes.is(scan.sourceView, start, length)) {
      this.text = decoder.decode(scan.source.subarray(start, start + length))
      this.bytes.keep(scan.source, start, start + length)
    }
    return this.text
  }
}

const walk = new AttributeRun()
const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
