import { EventCursor, Kind } from '@ricci/client'
import { Asides } from './asides.ts'
import type { ByteReader, ByteWriter } from './bytes.ts'
import { bytesOf, chunkBits, chunkMask, chunkSize, type Column } from './columns.ts'
import type { Hasher } from './hash.ts'
import type { Marks } from './marks.ts'
import { TextColumn } from './text.ts'

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

/** The numbers and ids of 2,048 events: one look-up of the chunk serves all fields of an event. */
class EventChunk {
  readonly host = new Int32Array(chunkSize)
  readonly service = new Int32Array(chunkSize)
  readonly state = new Int32Array(chunkSize)
  readonly tags = new Int32Array(chunkSize)
  readonly attributes = new Int32Array(chunkSize)
  /** Kinds of time, metric and ttl, two bits each. */
  readonly kinds = new Uint8Array(chunkSize)
  readonly time = new Float64Array(chunkSize)
  readonly metric = new Float64Array(chunkSize)
  readonly ttl = new Float64Array(chunkSize)

  copy(): EventChunk {
    const copy = new EventChunk()
    const from = this.all
    copy.all.forEach((cells, i) => cells.set(from[i] as never))
    return copy
  }

  get ints(): readonly Int32Array[] {
    return [this.host, this.service, this.state, this.tags, this.attributes]
  }
  get doubles(): readonly Float64Array[] {
    return [this.time, this.metric, this.ttl]
  }
  get all(): readonly (Int32Array | Float64Array | Uint8Array)[] {
    return [...this.ints, this.kinds, ...this.doubles]
  }
}

/** An event per id: the cursor's numbers and ids, the description as bytes. */
export class EventColumn implements Column {
  readonly #chunks: EventChunk[] = []
  readonly #asides = new Asides<EventChunk>((chunk) => chunk.copy())
  readonly #big = new BigColumn()
  readonly #description = new TextColumn()

  ensure(count: number): void {
    while (this.#chunks.length << chunkBits < count) this.#chunks.push(new EventChunk())
    this.#description.ensure(count)
  }

  store(id: number, event: EventCursor): void {
    const chunk = this.#chunks[id >>> chunkBits]
    if (this.#asides.active) this.#asides.keep(id >>> chunkBits, chunk)
    const i = id & chunkMask
    chunk.host[i] = event.host
    chunk.service[i] = event.service
    chunk.state[i] = event.state
    chunk.tags[i] = event.tags
    chunk.attributes[i] = event.attributes
    const before = chunk.kinds[i]
    chunk.kinds[i] = event.timeKind | (event.metricKind << 2) | (event.ttlKind << 4)
    chunk.time[i] = event.time
    chunk.metric[i] = event.metric
    chunk.ttl[i] = event.ttl
    if (event.metricKind === Kind.big) this.#big.set(id, event.metricBig)
    else if (((before >> 2) & 3) === Kind.big) this.#big.clear(id)
    this.#description.set(id, event.descriptionBytes, event.descriptionStart, event.descriptionLength)
  }

  /** The description's bytes stay in the column: valid until the cell is written again. */
  load(id: number, into: EventCursor): void {
    const chunk = this.#chunks[id >>> chunkBits]
    const i = id & chunkMask
    into.host = chunk.host[i]
    into.service = chunk.service[i]
    into.state = chunk.state[i]
    into.tags = chunk.tags[i]
    into.attributes = chunk.attributes[i]
    const kinds = chunk.kinds[i]
    into.timeKind = (kinds & 3) as Kind
    into.metricKind = ((kinds >> 2) & 3) as Kind
    into.ttlKind = ((kinds >> 4) & 3) as Kind
    into.time = chunk.time[i]
    into.metric = chunk.metric[i]
    into.ttl = chunk.ttl[i]
    into.metricBig = into.metricKind === Kind.big ? this.#big.get(id) : 0n
    const length = this.#description.length(id)
    into.descriptionLength = length
    if (length >= 0) {
      into.descriptionBytes = this.#description.page(id)
      into.descriptionStart = this.#description.start(id)
    }
  }

  host(id: number): number {
    return this.#chunks[id >>> chunkBits].host[id & chunkMask]
  }
  service(id: number): number {
    return this.#chunks[id >>> chunkBits].service[id & chunkMask]
  }
  time(id: number): number {
    return this.#chunks[id >>> chunkBits].time[id & chunkMask]
  }
  timeKind(id: number): Kind {
    return (this.#chunks[id >>> chunkBits].kinds[id & chunkMask] & 3) as Kind
  }
  metric(id: number): number {
    return this.#chunks[id >>> chunkBits].metric[id & chunkMask]
  }
  metricKind(id: number): Kind {
    return ((this.#chunks[id >>> chunkBits].kinds[id & chunkMask] >> 2) & 3) as Kind
  }
  metricBig(id: number): bigint {
    return this.#big.get(id)
  }

  clear(id: number): void {
    const chunk = this.#chunks[id >>> chunkBits]
    if (this.#asides.active) this.#asides.keep(id >>> chunkBits, chunk)
    const i = id & chunkMask
    if (((chunk.kinds[i] >> 2) & 3) === Kind.big) this.#big.clear(id)
    chunk.host[i] = chunk.service[i] = chunk.state[i] = chunk.tags[i] = chunk.attributes[i] = 0
    chunk.kinds[i] = 0
    chunk.time[i] = chunk.metric[i] = chunk.ttl[i] = 0
    this.#description.clear(id)
  }

  hash(hasher: Hasher, count: number): void {
    this.#each(count, (chunk, used) => {
      for (const ints of chunk.ints) hasher.ints(ints, used)
      hasher.bytes(chunk.kinds, 0, used)
      for (const doubles of chunk.doubles) hasher.doubles(doubles, used)
    })
    this.#big.hash(hasher)
    this.#description.hash(hasher, count)
  }
  write(out: ByteWriter, count: number): void {
    this.#asides.begin(Math.ceil(count / chunkSize))
    for (let from = 0; from < count; from += chunkSize) {
      const index = from >>> chunkBits
      out.later((slices) => {
        const chunk = this.#asides.at(index, this.#chunks[index])
        for (const cells of chunk.all) slices.raw(bytesOf(cells, Math.min(chunkSize, count - from)))
        this.#asides.release(index)
      })
    }
    this.#big.write(out)
    this.#description.write(out, count)
  }
  read(from: ByteReader, count: number): void {
    this.ensure(count)
    this.#each(count, (chunk, used) => chunk.all.forEach((cells) => from.raw(bytesOf(cells, used))))
    this.#big.read(from)
    this.#description.read(from, count)
  }
  mark(marks: Marks, count: number): void {
    this.#each(count, (chunk, used) => {
      for (let i = 0; i < used; i++) {
        marks.symbol(chunk.host[i])
        marks.symbol(chunk.service[i])
        marks.symbol(chunk.state[i])
        marks.tags(chunk.tags[i])
        marks.attributes(chunk.attributes[i])
      }
    })
  }
  get bytes(): number {
    const cells = this.#chunks.length === 0 ? 0 : this.#chunks[0].all.reduce((sum, one) => sum + one.byteLength, 0)
    return cells * this.#chunks.length + this.#big.bytes + this.#description.bytes
  }

  #each(count: number, visit: (chunk: EventChunk, used: number) => void): void {
    for (let from = 0; from < count; from += chunkSize) {
      visit(this.#chunks[from >>> chunkBits], Math.min(chunkSize, count - from))
    }
  }
}
