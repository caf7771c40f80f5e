/** Records that will become durable together, laid out as they will stand in the file. */
import type { AppendRank } from '@ricci/replica'
import { crc32 } from './crc32.ts'
import { checksumMask, groupHeaderBytes, recordHeaderBytes, writeGroupHeader } from './format.ts'

/**
 * Parts below this are copied into one buffer, larger ones go to the kernel where they lie: a further part costs about 200 ns
 * on its way through writev, which is the price of copying some 4 KB.
 */
const copyBelowBytes = 4_096
/** Buffers that small parts are copied into. */
const chunkBytes = 65_536
/** Chunks kept for the next groups: two groups of the largest size are alive at a time. */
const keptChunks = 64

/** Buffers lent to groups, so that a steady load makes no garbage. */
export class ChunkPool {
  private readonly free: Buffer[] = []
  take(): Buffer {
    return this.free.pop() ?? Buffer.allocUnsafeSlow(chunkBytes)
  }
  give(chunks: readonly Buffer[]): void {
    for (const chunk of chunks) if (this.free.length < keptChunks) this.free.push(chunk)
  }
}

interface Waiting {
  readonly first: number
  readonly count: number
  readonly resolve: (offsets: number[]) => void
  readonly reject: (error: Error) => void
}

export class Group {
  /** Of its records, the lowest: it is refused as a whole. */
  rank: AppendRank = 'ordinary'
  records = 0
  /** Bytes of the records with their headers, without the group's. */
  bytes = 0
  /** Bytes of the records alone, as their senders count them. */
  payloadBytes = 0
  private readonly parts: Uint8Array[] = []
  private readonly chunks: Buffer[] = []
  private chunk: Buffer
  /** Of `chunk`: Buffer's own readUInt32LE and writeUInt32LE check their arguments, at 40 ns a record. */
  private view: DataView
  /** The part of `chunk` that is filled but not yet among `parts`. */
  private from = groupHeaderBytes
  private to = groupHeaderBytes
  /** Where each record's checksum lies, to be masked with the salt of the segment it goes to. */
  private readonly checksums: { readonly view: DataView; readonly at: number[] }[] = []
  private readonly waiting: Waiting[] = []

  constructor(private readonly pool: ChunkPool) {
    this.chunk = this.takeChunk()
    this.view = this.checksums[0].view
  }

  /** Takes a record whose bytes are `head` and then `body`. Large ones must not be changed until they are durable. */
  add(head: Uint8Array, body: Uint8Array): void {
    const length = head.length + body.length
    this.room(recordHeaderBytes)
    this.view.setUint32(this.to, length, true)
    this.view.setUint32(this.to + 4, crc32(body, 0, body.length, crc32(head)), true)
    this.checksums[this.checksums.length - 1].at.push(this.to + 4)
    this.to += recordHeaderBytes
    this.put(head)
    this.put(body)
    this.records++
    this.bytes += recordHeaderBytes + length
  }

  /** Remembers who is to be told about the `count` records added last. */
  wait(count: number): Promise<number[]> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ first: this.records - count, count, resolve, reject })
    })
  }

  /** What is to be written to a segment with this salt, at this offset. May be asked for once. */
  seal(salt: Uint8Array, firstOffset: number): readonly Uint8Array[] {
    const mask = checksumMask(salt)
    for (const { view, at } of this.checksums) {
      for (const position of at) view.setUint32(position, view.getUint32(position, true) ^ mask, true)
    }
    this.flush()
    writeGroupHeader(this.chunks[0], salt, { firstOffset, bytes: this.bytes, records: this.records })
    return this.parts
  }

  resolve(firstOffset: number): void {
    this.pool.give(this.chunks)
    for (const { first, count, resolve } of this.waiting) {
      const offsets = new Array<number>(count)
      for (let index = 0; index < count; index++) offsets[index] = firstOffset + first + index
      resolve(offsets)
    }
  }

  reject(error: Error): void {
    // The chunks are not reused: a write that failed late may still be reading them.
    for (const { reject } of this.waiting) reject(error)
  }

  private put(part: Uint8Array): void {
    if (part.length >= copyBelowBytes) {
      this.flush()
      this.parts.push(part)
    } else if (part.length > 0) {
      this.room(part.length)
      this.chunk.set(part, this.to)
      this.to += part.length
    }
  }

  private room(bytes: number): void {
    if (this.to + bytes <= this.chunk.length) return
    this.flush()
    this.chunk = this.takeChunk()
    this.view = this.checksums[this.checksums.length - 1].view
    this.from = this.to = 0
  }

  private flush(): void {
    // The first part starts with the group's header.
    const from = this.parts.length === 0 ? 0 : this.from
    if (this.to > from) this.parts.push(this.chunk.subarray(from, this.to))
    this.from = this.to
  }

  private takeChunk(): Buffer {
    const chunk = this.pool.take()
    this.chunks.push(chunk)
    this.checksums.push({ view: new DataView(chunk.buffer, chunk.byteOffset, chunk.length), at: [] })
    return chunk
  }
}
