import { AttributeRun } from './attributes.ts'
import { ByteTable } from './byte-table.ts'
import { ByteMemo } from './memo.ts'
import type { EventScan } from './scan.ts'

/** What {@link MsgRoute} divides events by. */
export interface RouteOptions {
  /** The attribute whose value is the key of an event; one that has none, or an empty one, has its host as key, else the empty text. */
  readonly attribute: string
  /** The part that a key belongs to: a whole number from 0 on, the same whenever it is asked. */
  readonly partOf: (key: string) => number
  /** Keys whose part is remembered; when they are more all are forgotten. */
  readonly maxKeys: number
}

/** A key of usual length; more bytes than this for each of {@link RouteOptions.maxKeys} are not kept. */
const meanKeyBytes = 64

/** What {@link MsgRoute.only} is where a Msg has events of several parts; or none at all. */
const several = -1

/**
 * Which part each event of a Msg belongs to, by its key: found in the walk of {@link inspectMsg}, without decoding a text that was met
 * before. What is remembered goes by the texts' bytes: neighbouring events mostly have the same host and attributes, and cost a comparison.
 *
 *     inspectMsg(bytes, facts, limits, route)
 *     if (route.only >= 0) send(route.only, bytes)
 *     else for (const [part, events] of route.split(bytes)) send(part, events)
 */
export class MsgRoute {
  /** The part of all events of the Msg inspected last; below 0 where they are of several. */
  only = several
  /** Part, start and end of neighbouring events of one part, field tags and lengths included. */
  private readonly runs: number[] = []
  private length = 0
  private readonly name: Uint8Array
  private readonly keys: ByteTable
  /** By the key's id in the table. */
  private readonly parts: number[] = []
  private readonly host = new ByteMemo()
  private hostPart = 0
  private readonly attributes = new ByteMemo()
  /** The part that the attributes lead to; below 0 where it is the host that does. */
  private attributesPart = -1
  private readonly keyless: number

  constructor(private readonly options: RouteOptions) {
    this.name = new TextEncoder().encode(options.attribute)
    this.keys = new ByteTable(options.maxKeys, options.maxKeys * meanKeyBytes)
    this.keyless = options.partOf('')
  }

  /** Another Msg. */
  begin(): void {
    this.length = 0
    this.only = several
  }

  /** The next event, as the scan found it; its field goes from `start` to `end`. */
  add(scan: EventScan, start: number, end: number): void {
    const part = this.partOf(scan)
    const { runs, length } = this
    if (length === 0) this.only = part
    else {
      if (runs[length - 3] === part && runs[length - 1] === start) {
        runs[length - 1] = end
        return
      }
      if (part !== this.only) this.only = several
    }
    runs[length] = part
    runs[length + 1] = start
    runs[length + 2] = end
    this.length = length + 3
  }

  /**
   * The events of each part as a Msg of their own: their bytes, copied, in their order. What is no event is left out.
   * @param bytes of the Msg inspected last
   */
  split(bytes: Uint8Array): Map<number, Uint8Array> {
    const { runs, length } = this
    const sizes = new Map<number, number>()
    for (let i = 0; i < length; i += 3) sizes.set(runs[i], (sizes.get(runs[i]) ?? 0) + runs[i + 2] - runs[i + 1])
    const parts = new Map<number, Uint8Array>()
    for (const [part, size] of sizes) {
      parts.set(part, new Uint8Array(size))
      sizes.set(part, 0)
    }
    for (let i = 0; i < length; i += 3) {
      const at = sizes.get(runs[i])!
      parts.get(runs[i])!.set(bytes.subarray(runs[i + 1], runs[i + 2]), at)
      sizes.set(runs[i], at + runs[i + 2] - runs[i + 1])
    }
    return parts
  }

  private partOf(scan: EventScan): number {
    if (scan.attributeCount > 0) {
      const { attributesAt, attributesLength } = scan
      if (!this.attributes.is(scan.sourceView, attributesAt, attributesLength)) this.readAttributes(scan)
      if (this.attributesPart >= 0) return this.attributesPart
    }
    const { hostAt, hostLength } = scan
    if (hostLength <= 0) return this.keyless
    if (this.host.is(scan.sourceView, hostAt, hostLength)) return this.hostPart
    this.host.keep(scan.source, hostAt, hostAt + hostLength)
    return (this.hostPart = this.partOfKey(scan, hostAt, hostLength))
  }

  /** An attribute named host goes before the field, as for every reader of events. */
  private readAttributes(scan: EventScan): void {
    const { attributesAt, attributesLength } = scan
    let [keyAt, keyLength, hostAt, hostLength] = [0, 0, 0, -1]
    walk.start(scan.source, scan.sourceView, attributesAt, attributesLength)
    while (walk.next()) {
      if (walk.keyIs(this.name)) [keyAt, keyLength] = [walk.valueAt, walk.valueLength]
      if (walk.overrides() === 'host') [hostAt, hostLength] = [walk.valueAt, walk.valueLength]
    }
    if (keyLength > 0) this.attributesPart = this.partOfKey(scan, keyAt, keyLength)
    else if (hostLength > 0) this.attributesPart = this.partOfKey(scan, hostAt, hostLength)
    else this.attributesPart = hostLength === 0 ? this.keyless : -1
    this.attributes.keep(scan.source, attributesAt, attributesAt + attributesLength)
  }

  private partOfKey({ source, sourceView }: EventScan, at: number, length: number): number {
    const { keys, parts } = this
    const known = keys.find(sourceView, at, length)
    if (known !== 0) return parts[known]
    const part = this.options.partOf(decoder.decode(source.subarray(at, at + length)))
    let id = keys.add(source, sourceView, at, length)
    if (id === 0) {
      keys.clear()
      id = keys.add(source, sourceView, at, length)
    }
    // a key too long for the table is asked for each time
    if (id !== 0) parts[id] = part
    return part
  }
}

const walk = new AttributeRun()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
