import { EventCursor, Kind } from '@ricci/client'
import type { ByteReader, ByteWriter } from './bytes.ts'
import { type Column, F64Column, I32Column, SymbolColumn, U8Column } from './columns.ts'
import type { Hasher } from './hash.ts'
import type { Marks } from './marks.ts'
import { TextColumn } from './text.ts'

class TagSetColumn extends I32Column {
  mark(marks: Marks, count: number): void {
    for (let id = 0; id < count; id++) marks.tags(this.get(id))
  }
}

class AttributeSetColumn extends I32Column {
  mark(marks: Marks, count: number): void {
    for (let id = 0; id < count; id++) marks.attributes(this.get(id))
  }
}

/** Integers beyond 2^53, by id: rare. */
class BigColumn implements Column {
  #cells = new Map<number, bigint>()
  get(id: number): bigint {
    return this.#cells.get(id) ?? 0n
  }
  set(id: number, value: bigint): void {
    this.#cells.set(id, value)
  }
  clear(id: number): void {
    if (this.#cells.size > 0) this.#cells.delete(id)
  }
  ensure(): void {}
  hash(hasher: Hasher): void {
    for (const [id, value] of this.#sorted()) {
      hasher.int(id)
      hasher.text(value)
    }
  }
  write(out: ByteWriter): void {
    out.json(this.#sorted())
  }
  read(from: ByteReader): void {
    this.#cells = new Map(from.json<[number, string][]>().map(([id, value]) => [id, BigInt(value)]))
  }
  get bytes(): number {
    return this.#cells.size * 64
  }
  #sorted(): [number, string][] {
    return [...this.#cells].sort((a, b) => a[0] - b[0]).map(([id, value]) => [id, value.toString()])
  }
}

/** An event per id: the cursor's numbers and ids, the description as bytes. */
export class EventColumn implements Column {
  readonly host = new SymbolColumn()
  readonly service = new SymbolColumn()
  readonly state = new SymbolColumn()
  readonly tags = new TagSetColumn()
  readonly attributes = new AttributeSetColumn()
  /** Kinds of time, metric and ttl, two bits each. */
  readonly kinds = new U8Column()
  readonly time = new F64Column()
  readonly metric = new F64Column()
  readonly ttl = new F64Column()
  readonly #big = new BigColumn()
  readonly #description = new TextColumn()
  readonly #all: readonly Column[] = [
    this.host,
    this.service,
    this.state,
    this.tags,
    this.attributes,
    this.kinds,
    this.time,
    this.metric,
    this.ttl,
    this.#big,
    this.#description,
  ]

  ensure(count: number): void {
    for (const column of this.#all) column.ensure(count)
  }

  store(id: number, event: EventCursor): void {
    this.host.set(id, event.host)
    this.service.set(id, event.service)
    this.state.set(id, event.state)
    this.tags.set(id, event.tags)
    this.attributes.set(id, event.attributes)
    const before = this.kinds.get(id)
    this.kinds.set(id, event.timeKind | (event.metricKind << 2) | (event.ttlKind << 4))
    this.time.set(id, event.time)
    this.metric.set(id, event.metric)
    this.ttl.set(id, event.ttl)
    if (event.metricKind === Kind.big) this.#big.set(id, event.metricBig)
    else if (((before >> 2) & 3) === Kind.big) this.#big.clear(id)
    this.#description.set(id, event.descriptionBytes, event.descriptionStart, event.descriptionLength)
  }

  /** The description's bytes stay in the column: valid until the cell is written again. */
  load(id: number, into: EventCursor): void {
    into.host = this.host.get(id)
    into.service = this.service.get(id)
    into.state = this.state.get(id)
    into.tags = this.tags.get(id)
    into.attributes = this.attributes.get(id)
    const kinds = this.kinds.get(id)
    into.timeKind = (kinds & 3) as Kind
    into.metricKind = ((kinds >> 2) & 3) as Kind
    into.ttlKind = ((kinds >> 4) & 3) as Kind
    into.time = this.time.get(id)
    into.metric = this.metric.get(id)
    into.ttl = this.ttl.get(id)
    into.metricBig = into.metricKind === Kind.big ? this.#big.get(id) : 0n
    const length = this.#description.length(id)
    into.descriptionLength = length
    if (length >= 0) {
      into.descriptionBytes = this.#description.page(id)
      into.descriptionStart = this.#description.start(id)
    }
  }

  metricKind(id: number): Kind {
    return ((this.kinds.get(id) >> 2) & 3) as Kind
  }
  metricBig(id: number): bigint {
    return this.#big.get(id)
  }

  clear(id: number): void {
    for (const column of this.#all) column.clear(id)
  }
  hash(hasher: Hasher, count: number): void {
    for (const column of this.#all) column.hash(hasher, count)
  }
  write(out: ByteWriter, count: number): void {
    for (const column of this.#all) column.write(out, count)
  }
  read(from: ByteReader, count: number): void {
    for (const column of this.#all) column.read(from, count)
  }
  mark(marks: Marks, count: number): void {
    for (const column of this.#all) column.mark?.(marks, count)
  }
  get bytes(): number {
    return this.#all.reduce((sum, column) => sum + column.bytes, 0)
  }
}
