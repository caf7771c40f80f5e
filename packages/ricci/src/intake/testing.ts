/** What tests of intake share: a log that settles when told, and a client that speaks frames. */
import { connect, type Socket } from 'node:net'
import { decodeMsg, encodeMsg, frame, FrameReader, type Msg } from '@ricci/client'
import type { RecordLog } from './appender.ts'

interface Group {
  readonly partition: number
  readonly records: readonly Uint8Array[]
  readonly first: number
  readonly resolve: (offsets: number[]) => void
  readonly reject: (error: Error) => void
}

/** Keeps groups until the test lets them land (`auto`: at once). */
export class ScriptedLog implements RecordLog {
  readonly waiting: Group[] = []
  auto = true
  /** Partitions that refuse at once, and with what. */
  readonly refusing = new Map<number, Error>()
  /** Partitions whose offsets are not told. */
  readonly unread = new Set<number>()
  private readonly landed: Uint8Array[][]
  private readonly ends: number[]
  private readonly told: (() => void)[] = []

  constructor(readonly partitions = 1) {
    this.landed = Array.from({ length: partitions }, () => [])
    this.ends = this.landed.map(() => 0)
  }

  /** What landed in the first partition. */
  get records(): readonly Uint8Array[] {
    return this.recordsOf(0)
  }

  recordsOf(partition: number): readonly Uint8Array[] {
    return this.landed[partition]
  }

  async appendAllParts(
    partition: number,
    heads: readonly Uint8Array[],
    bodies: readonly Uint8Array[],
  ): Promise<number[] | undefined> {
    const refusal = this.refusing.get(partition)
    if (refusal !== undefined) throw refusal
    const records = heads.map((head, i) => Buffer.concat([head, bodies[i]]))
    const first = this.ends[partition]
    this.ends[partition] += records.length
    const offsets = await new Promise<number[]>((resolve, reject) => {
      this.waiting.push({ partition, records, first, resolve, reject })
      for (const tell of this.told.splice(0)) tell()
      if (this.auto) this.land(partition)
    })
    return this.unread.has(partition) ? undefined : offsets
  }

  /** The oldest group that waits, of a partition or of any, is durable. */
  land(partition?: number): void {
    const { records, first, resolve, ...group } = this.take(partition)
    this.landed[group.partition].push(...records)
    resolve(records.map((_record, i) => first + i))
  }

  refuse(error: Error, partition?: number): void {
    this.take(partition).reject(error)
  }

  /** Resolves when so many groups wait. */
  async group(count = 1): Promise<void> {
    while (this.waiting.length < count) await new Promise<void>((resolve) => this.told.push(resolve))
  }

  private take(partition: number | undefined): Group {
    const at = partition === undefined ? 0 : this.waiting.findIndex((group) => group.partition === partition)
    return this.waiting.splice(at, 1)[0]
  }
}

/** A connection that sends what it is told, valid or not, and collects the replies. */
export class RawClient {
  readonly replies: Msg[] = []
  closed = false
  private readonly reader = new FrameReader(1 << 30)
  private readonly told: (() => void)[] = []

  private constructor(readonly socket: Socket) {
    socket.on('data', (chunk) => {
      this.reader.push(chunk)
      for (let msg = this.reader.next(); msg !== undefined; msg = this.reader.next()) this.replies.push(decodeMsg(msg))
      this.tell()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.closed = true
      this.tell()
    })
  }

  static async open(port: number): Promise<RawClient> {
    const socket = connect({ host: '127.0.0.1', port })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new RawClient(socket)
  }

  /** A client over a connection that is there. */
  static over(socket: Socket): RawClient {
    return new RawClient(socket)
  }

  send(...msgs: readonly Msg[]): void {
    this.socket.write(Buffer.concat(msgs.map((msg) => frame(encodeMsg(msg)))))
  }

  /** Resolves when so many replies have come; rejects when the connection closes before. */
  async received(count: number): Promise<Msg[]> {
    while (this.replies.length < count) {
      if (this.closed) throw new Error(`the connection was closed after ${this.replies.length} of ${count} replies`)
      await new Promise<void>((resolve) => this.told.push(resolve))
    }
    return this.replies
  }

  /** Resolves when the server has closed the connection. */
  async ended(): Promise<void> {
    while (!this.closed) await new Promise<void>((resolve) => this.told.push(resolve))
  }

  private tell(): void {
    for (const tell of this.told.splice(0)) tell()
  }
}
