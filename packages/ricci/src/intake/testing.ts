/** What tests of intake share: a log that settles when told, and a client that speaks frames. */
import { connect, type Socket } from 'node:net'
import { decodeMsg, encodeMsg, frame, FrameReader, type Msg } from '@ricci/client'
import type { RecordLog } from './appender.ts'

interface Group {
  readonly records: readonly Uint8Array[]
  readonly first: number
  readonly resolve: (offsets: number[]) => void
  readonly reject: (error: Error) => void
}

/** Keeps groups until the test lets them land (`auto`: at once). */
export class ScriptedLog implements RecordLog {
  readonly records: Uint8Array[] = []
  readonly waiting: Group[] = []
  auto = true
  private end = 0
  private readonly told: (() => void)[] = []

  appendAllParts(_partition: number, heads: readonly Uint8Array[], bodies: readonly Uint8Array[]): Promise<number[]> {
    const records = heads.map((head, i) => Buffer.concat([head, bodies[i]]))
    const first = this.end
    this.end += records.length
    return new Promise((resolve, reject) => {
      this.waiting.push({ records, first, resolve, reject })
      for (const tell of this.told.splice(0)) tell()
      if (this.auto) this.land()
    })
  }

  land(): void {
    const { records, first, resolve } = this.waiting.shift()!
    this.records.push(...records)
    resolve(records.map((_record, i) => first + i))
  }

  refuse(error: Error): void {
    this.waiting.shift()!.reject(error)
  }

  /** Resolves when a group waits. */
  async group(): Promise<void> {
    while (this.waiting.length === 0) await new Promise<void>((resolve) => this.told.push(resolve))
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
