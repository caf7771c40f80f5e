import { AttributeRun, TagRun } from './attributes.ts'
import { sameBytes } from './byte-table.ts'
import { CodecError, type CodecErrorCode } from './errors.ts'
import { defaultLimits, maxMarkBytes, type Limits } from './limits.ts'
import { readMarkAt } from './mark.ts'
import type { MsgRoute } from './route.ts'
import { EventScan, MsgTag } from './scan.ts'

const scan = new EventScan()
const run = new AttributeRun()
const tagRun = new TagRun()

/**
 * Walks a whole Msg without decoding it: what passes here is read by {@link MsgReader} and {@link decodeMsg} without an error,
 * since they share the walk. Done at intake, so that everything in the log decodes. Gives the number of events.
 * @throws CodecError for bytes that are no Msg, or one beyond a limit
 */
export function validateMsg(bytes: Uint8Array, limits: Limits = defaultLimits): number {
  inspectMsg(bytes, scratch, limits)
  return scratch.events
}

/** What stands on a Msg's top level. */
export interface MsgFacts {
  events: number
  /** It has a producer mark. */
  marked: boolean
  /** It has a query; its text is `MsgReader`'s to read. */
  asks: boolean
}

const scratch: MsgFacts = { events: 0, marked: false, asks: false }

/**
 * As {@link validateMsg}, and says what it came by. The facts are written into an object of the caller's, for this is done for
 * every Msg that is taken in.
 * @param route told of each event on the way
 * @throws CodecError for bytes that are no Msg, or one beyond a limit
 */
export function inspectMsg(bytes: Uint8Array, facts: MsgFacts, limits: Limits = defaultLimits, route?: MsgRoute): void {
  facts.marked = facts.asks = false
  route?.begin()
  if (bytes.length > limits.maxFrameBytes) {
    throw new CodecError(
      'FRAME_TOO_LARGE',
      `a message of ${bytes.length} bytes; send at most ${limits.maxFrameBytes} at a time`,
    )
  }
  scan.open(bytes)
  const end = bytes.length
  let events = 0
  // Neighbouring events mostly have the same attributes: a run equal to the one before is not walked again.
  let lastRun = 0
  let lastRunLength = 0
  while (scan.at < end) {
    const field = scan.at
    const tag = scan.tag(end)
    if (tag === MsgTag.event) {
      if (++events > limits.maxEventsPerMsg)
        over('TOO_MANY_EVENTS', 'events in a message', events, limits.maxEventsPerMsg)
      const length = scan.length(end)
      scan.scanEvent(scan.at, scan.at + length)
      checkEvent(limits)
      if (scan.attributeCount > 0) {
        const { attributesAt, attributesLength } = scan
        if (scan.source !== bytes) validateAttributes(limits)
        else if (
          attributesLength !== lastRunLength ||
          !sameBytes(scan.view, lastRun, scan.view, attributesAt, attributesLength)
        ) {
          validateAttributes(limits)
          lastRun = attributesAt
          lastRunLength = attributesLength
        }
      }
      route?.add(scan, field, scan.at)
    } else if (tag === MsgTag.mark) {
      const length = scan.length(end)
      if (length > maxMarkBytes) over('TEXT_TOO_LONG', "bytes of a producer's mark", length, maxMarkBytes)
      const { producer, sequence } = readMarkAt(scan, scan.at + length)
      if (producer === '' || sequence === 0) {
        const lacks = producer === '' ? 'names no producer' : 'has no sequence number; they begin at 1'
        throw new CodecError('MARK_INCOMPLETE', `a producer's mark ${lacks}`, scan.at)
      }
      facts.marked = true
    } else if (tag === MsgTag.query) {
      validateQuery(scan.length(end), limits)
      facts.asks = true
    } else if (tag === MsgTag.error) {
      const length = scan.length(end)
      if (length > limits.maxTextBytes) over('TEXT_TOO_LONG', 'bytes of error text', length, limits.maxTextBytes)
      scan.at += length
    } else scan.skipField(tag, end)
  }
  facts.events = events
}

function checkEvent(limits: Limits): void {
  const { maxSymbolBytes, maxTextBytes, maxTagsPerEvent, maxAttributesPerEvent } = limits
  if (scan.hostLength > maxSymbolBytes) over('TEXT_TOO_LONG', 'bytes of host', scan.hostLength, maxSymbolBytes)
  if (scan.serviceLength > maxSymbolBytes) {
    over('TEXT_TOO_LONG', 'bytes of service', scan.serviceLength, maxSymbolBytes)
  }
  if (scan.stateLength > maxSymbolBytes) over('TEXT_TOO_LONG', 'bytes of state', scan.stateLength, maxSymbolBytes)
  if (scan.descriptionLength > maxTextBytes) {
    over('TEXT_TOO_LONG', 'bytes of description', scan.descriptionLength, maxTextBytes)
  }
  if (scan.tagCount > maxTagsPerEvent) over('TOO_MANY_TAGS', 'tags on an event', scan.tagCount, maxTagsPerEvent)
  // The run holds all tags: only when it is that long can one of them be too long.
  if (scan.tagsLength > maxSymbolBytes) validateTags(limits)
  if (scan.attributeCount > maxAttributesPerEvent) {
    over('TOO_MANY_ATTRIBUTES', 'attributes on an event', scan.attributeCount, maxAttributesPerEvent)
  }
}

function validateTags(limits: Limits): void {
  tagRun.start(scan.source, scan.sourceView, scan.tagsAt, scan.tagsLength)
  while (tagRun.next()) {
    if (tagRun.tagLength > limits.maxSymbolBytes) {
      over('TEXT_TOO_LONG', 'bytes of a tag', tagRun.tagLength, limits.maxSymbolBytes)
    }
  }
}

function validateAttributes(limits: Limits): void {
  run.start(scan.source, scan.sourceView, scan.attributesAt, scan.attributesLength)
  while (run.next()) {
    if (run.keyLength > limits.maxSymbolBytes) {
      over('TEXT_TOO_LONG', "bytes of an attribute's name", run.keyLength, limits.maxSymbolBytes)
    }
    if (run.valueLength > limits.maxSymbolBytes && run.overrides() !== 'description') {
      over('TEXT_TOO_LONG', "bytes of an attribute's value", run.valueLength, limits.maxSymbolBytes)
    }
    if (run.valueLength > limits.maxTextBytes) {
      over('TEXT_TOO_LONG', 'bytes of description', run.valueLength, limits.maxTextBytes)
    }
  }
}

function validateQuery(length: number, limits: Limits): void {
  const end = scan.at + length
  while (scan.at < end) {
    const tag = scan.tag(end)
    if (tag === 0x0a) {
      const length = scan.length(end)
      if (length > limits.maxQueryBytes) over('QUERY_TOO_LONG', 'bytes of query', length, limits.maxQueryBytes)
      scan.at += length
    } else scan.skipField(tag, end)
  }
}

function over(code: CodecErrorCode, what: string, count: number, limit: number): never {
  throw new CodecError(code, `${count} ${what}; at most ${limit} are taken`, scan.at)
}
