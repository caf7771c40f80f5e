import { EventCursor, Kind } from '@ricci/client'
import type { ByteReader } from './bytes.ts'
import { chunkBits, chunkMask, type Column } from './columns.ts'
import type { Marks } from './marks.ts'
import { Records, writeDouble } from './records.ts'
import { TextColumn } from './text.ts'
import type { StateWriter } from './writer.ts'

/**
 * An event's record: 64 bytes, a line of the cache. Its description lies in it while it is short.
 *   words 0 to 4: host, service, state, tags, attributes
 *   word 5: kinds of time, metric and ttl, two bits each; whether it is late; from bit 8 on the form of the description
 *   doubles 3 to 5: time, metric, ttl; a metric beyond 2^53 as an integer of 64 bits in the same place
 *   bytes 48 to 63: a short description, zeros behind it
 */
const recordWords = 16
const recordBits = 4
const kindsAt = 5
const timeAt = 3
const metricAt = 4
const ttlAt = 5
const textAt = 48
const shortText = 16
/** Form of the description: none, its length + 1, or this: in the column of long ones. */
const longForm = 31
const lateAt = 6
const formShift = 8

/** An event per id: the cursor's numbers and ids, the description as bytes. */
export class EventColumn implements Column {
  readonly #records = new Records(recordWords)
  readonly #long = new TextColumn()

  ensure(count: number): void {
    this.#records.ensure(count)
  }

  store(id: number, event: EventCursor): void {
    const chunk = this.#records.change(id)
    const { ints } = chunk
    const at = (id & chunkMask) << recordBits
    const before = ints[at + kindsAt]
    ints[at] = event.host
    ints[at + 1] = event.service
    ints[at + 2] = event.state
    ints[at + 3] = event.tags
    ints[at + 4] = event.attributes
    const length = event.descriptionLength
    const form = length > shortText ? longForm : length + 1
    ints[at + kindsAt] =
      event.timeKind | (event.metricKind << 2) | (event.ttlKind << 4) | (event.late << lateAt) | (form << formShift)
    const double = at >> 1
    writeDouble(chunk, double + timeAt, event.time)
    if (event.metricKind === Kind.big) chunk.bigs[double + metricAt] = event.metricBig
    else writeDouble(chunk, double + metricAt, event.metric)
    writeDouble(chunk, double + ttlAt, event.ttl)
    ints[at + 12] = ints[at + 13] = ints[at + 14] = ints[at + 15] = 0
    if (form === longForm) this.#long.set(id, event.descriptionBytes, event.descriptionStart, length)
    else {
      if (before >> formShift === longForm) this.#long.clear(id)
      const { bytes } = chunk
      const { descriptionBytes, descriptionStart } = event
      const to = (at << 2) + textAt
      for (let i = 0; i < length; i++) bytes[to + i] = descriptionBytes[descriptionStart + i]
    }
  }

  /** The description's bytes stay in the column: valid until the cell is written again. */
  load(id: number, into: EventCursor): void {
    const chunk = this.#records.chunks[id >>> chunkBits]
    const { ints, doubles } = chunk
    const at = (id & chunkMask) << recordBits
    into.host = ints[at]
    into.service = ints[at + 1]
    into.state = ints[at + 2]
    into.tags = ints[at + 3]
    into.attributes = ints[at + 4]
    const kinds = ints[at + kindsAt]
    into.timeKind = (kinds & 3) as Kind
    into.metricKind = ((kinds >> 2) & 3) as Kind
    into.ttlKind = ((kinds >> 4) & 3) as Kind
    into.late = ((kinds >> lateAt) & 1) as 0 | 1
    const double = at >> 1
    into.time = doubles[double + timeAt]
    if (into.metricKind === Kind.big) {
      into.metricBig = chunk.bigs[double + metricAt]
      into.metric = Number(into.metricBig)
    } else {
      into.metricBig = 0n
      into.metric = doubles[double + metricAt]
    }
    into.ttl = doubles[double + ttlAt]
    const form = kinds >> formShift
    if (form === longForm) {
      into.descriptionLength = this.#long.length(id)
      into.descriptionBytes = this.#long.page(id)
      into.descriptionStart = this.#long.start(id)
    } else {
      into.descriptionLength = form - 1
      into.descriptionBytes = chunk.bytes
      into.descriptionStart = (at << 2) + textAt
    }
  }

  host(id: number): number {
    return this.#records.chunks[id >>> chunkBits].ints[(id & chunkMask) << recordBits]
  }
  service(id: number): number {
    return this.#records.chunks[id >>> chunkBits].ints[((id & chunkMask) << recordBits) + 1]
  }
  time(id: number): number {
    return this.#double(id, timeAt)
  }
  timeKind(id: number): Kind {
    return (this.#kinds(id) & 3) as Kind
  }
  /** A metric that is no {@link metricBig}. */
  metric(id: number): number {
    return this.#double(id, metricAt)
  }
  metricKind(id: number): Kind {
    return ((this.#kinds(id) >> 2) & 3) as Kind
  }
  metricBig(id: number): bigint {
    return this.#records.chunks[id >>> chunkBits].bigs[((id & chunkMask) << (recordBits - 1)) + metricAt]
  }

  late(id: number): boolean {
    return ((this.#kinds(id) >> lateAt) & 1) === 1
  }

  /** Whether a cell is as {@link clear} leaves it. */
  isEmpty(id: number): boolean {
    const { ints } = this.#records.chunks[id >>> chunkBits]
    const at = (id & chunkMask) << recordBits
    for (let i = at; i < at + recordWords; i++) if (ints[i] !== 0) return false
    return true
  }

  clear(id: number): void {
    if (this.#kinds(id) >> formShift === longForm) this.#long.clear(id)
    const at = (id & chunkMask) << recordBits
    this.#records.change(id).ints.fill(0, at, at + recordWords)
  }

  write(out: StateWriter, count: number): void {
    this.#records.write(out, count)
    this.#long.write(out, count)
  }
  read(from: ByteReader, count: number): void {
    this.#records.read(from, count)
    this.#long.read(from)
  }
  mark(marks: Marks, count: number): void {
    for (let id = 0; id < count; id++) {
      const { ints } = this.#records.chunks[id >>> chunkBits]
      const at = (id & chunkMask) << recordBits
      marks.symbol(ints[at])
      marks.symbol(ints[at + 1])
      marks.symbol(ints[at + 2])
      marks.tags(ints[at + 3])
      marks.attributes(ints[at + 4])
    }
  }
  get bytes(): number {
    return this.#records.bytes + this.#long.bytes
  }

  #kinds(id: number): number {
    return this.#records.chunks[id >>> chunkBits].ints[((id & chunkMask) << recordBits) + kindsAt]
  }
  #double(id: number, field: number): number {
    return this.#records.chunks[id >>> chunkBits].doubles[((id & chunkMask) << (recordBits - 1)) + field]
  }
}
