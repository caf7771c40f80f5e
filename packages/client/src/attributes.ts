import { CodecError } from './errors.ts'
import { WireReader } from './wire.ts'

/** What an attribute's name means to Riemann's decoder: these are dropped, since they would overwrite a field with a text. */
const dropped = ['tags', 'time', 'ttl', 'metric'].map(ascii)
/** And these override the field of the event. */
export const overriding = ['host', 'service', 'state', 'description'] as const
export type Overriding = (typeof overriding)[number]
const overridingNames = overriding.map(ascii)

/** Names that stand for no attribute in the result of a decode. */
const droppedTexts = new Set(['tags', 'time', 'ttl', 'metric'])
export function isDropped(name: string): boolean {
  return droppedTexts.has(name)
}

/** A run of fields of one number within an event. */
class Run extends WireReader {
  protected end = 0

  start(bytes: Uint8Array, view: DataView, at: number, length: number): void {
    this.bytes = bytes
    this.view = view
    this.at = at
    this.end = at + length
  }
}

/**
 * Walks a run of attributes (see {@link EventScan}): after each `next()` that gives true, key and value are slices of `bytes`.
 * An attribute without a value has an empty one.
 */
export class AttributeRun extends Run {
  keyAt = 0
  keyLength = 0
  valueAt = 0
  valueLength = 0

  /** @throws CodecError `ATTRIBUTE_WITHOUT_KEY`, `TRUNCATED`, `MALFORMED` */
  next(): boolean {
    if (this.at >= this.end) return false
    this.at++ // the tag of field 9
    const length = this.length(this.end)
    const end = this.at + length
    this.keyLength = -1
    this.valueAt = this.at
    this.valueLength = 0
    while (this.at < end) {
      const tag = this.tag(end)
      if (tag === 0x0a) {
        this.keyLength = this.length(end)
        this.keyAt = this.at
        this.at += this.keyLength
      } else if (tag === 0x12) {
        this.valueLength = this.length(end)
        this.valueAt = this.at
        this.at += this.valueLength
      } else this.skipField(tag, end)
    }
    if (this.keyLength < 0) {
      throw new CodecError('ATTRIBUTE_WITHOUT_KEY', 'an attribute has no key, which the format requires', this.at)
    }
    return true
  }

  isDropped(): boolean {
    return this.keyLength <= longestDropped && dropped.some((name) => this.keyIs(name))
  }

  /** Which field of the event this attribute overrides, if any. */
  overrides(): Overriding | undefined {
    const { keyLength } = this
    if (keyLength < 4 || keyLength > longestOverriding) return undefined
    for (let i = 0; i < overriding.length; i++) if (this.keyIs(overridingNames[i])) return overriding[i]
    return undefined
  }

  keyIs(name: Uint8Array): boolean {
    if (this.keyLength !== name.length) return false
    for (let i = 0; i < name.length; i++) if (this.bytes[this.keyAt + i] !== name[i]) return false
    return true
  }
}

const longestDropped = 6
const longestOverriding = 'description'.length

/** Walks a run of tags: after each `next()` that gives true, the tag is a slice of `bytes`. */
export class TagRun extends Run {
  tagAt = 0
  tagLength = 0

  next(): boolean {
    if (this.at >= this.end) return false
    this.at++ // the tag of field 7
    this.tagLength = this.length(this.end)
    this.tagAt = this.at
    this.at += this.tagLength
    return true
  }
}

function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
