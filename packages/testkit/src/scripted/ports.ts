/** Ports that do as a test's script says, on a virtual clock: nothing happens by chance here. The simulator has those by chance. */
import { crc32 } from 'node:zlib'
import { decodeRecord, encodeRecord, type LogRecord } from '@ricci/engine'
import {
  ReplicaError,
  type CoordinationPort,
  type FlowRequest,
  type FlowResult,
  type Lease,
  type LogPort,
  type Member,
  type MemberData,
  type SendRequest,
  type SendResult,
  type Sink,
  type SnapshotInfo,
  type SnapshotPort,
  type Standing,
  type StoredRecord,
  type Transport,
} from '@ricci/replica'

/** What becomes of an append: `lost` is confirmed and never written, `unconfirmed` is written and rejected, `held` waits for `release`. */
export type AppendFate = 'written' | 'lost' | 'unconfirmed' | 'refused' | 'held'

/** A log of one partition in memory, whose appends and readers follow a script. */
export class ScriptedLog implements LogPort {
  readonly id = 'log'
  readonly partitions = 1
  readonly records: StoredRecord[] = []
  first = 0
  /** Asked for each append; the default writes. */
  fate: (records: readonly LogRecord[]) => AppendFate = () => 'written'
  /** How often somebody began to read. */
  reads = 0
  #held: (() => void)[] = []
  #wake: (() => void)[] = []
  #silenced = 0

  /** Whether it says that it wants a snapshot. */
  wants = false

  wantsSnapshot(): boolean {
    return this.wants
  }

  append(_partition: number, records: readonly Uint8Array[]): Promise<number[]> {
    const fate = this.fate(records.map(decodeRecord))
    if (fate === 'refused') return Promise.reject(new ReplicaError('LOG_FULL', 'the disk is full', true))
    if (fate === 'lost') return Promise.resolve(records.map((_, i) => this.records.length + i))
    if (fate === 'held') {
      return new Promise((resolve) => this.#held.push(() => resolve(records.map((bytes) => this.#write(bytes)))))
    }
    const offsets = records.map((bytes) => this.#write(bytes))
    if (fate === 'unconfirmed') return Promise.reject(new ReplicaError('LOG_UNAVAILABLE', 'no confirm', true))
    return Promise.resolve(offsets)
  }

  /** Writes what was held, in order. */
  release(): void {
    for (const write of this.#held.splice(0)) write()
  }

  /** Whoever reads now is given nothing more, and hears no error. */
  silence(): void {
    this.#silenced = this.reads
  }

  /** As another process would. Gives the offset. */
  add(record: LogRecord): number {
    return this.#write(encodeRecord(record))
  }

  /** As another release would, which writes records that nobody here knows. */
  addBytes(bytes: Uint8Array): void {
    this.#write(bytes)
  }

  /** Every record of a kind, decoded. */
  all<K extends LogRecord['kind']>(kind: K): Extract<LogRecord, { kind: K }>[] {
    return this.records
      .map(({ bytes }) => decodeRecord(bytes))
      .filter((record): record is Extract<LogRecord, { kind: K }> => record.kind === kind)
  }

  async *read(_partition: number, from: number, signal: AbortSignal): AsyncGenerator<readonly StoredRecord[]> {
    this.reads++
    if (from < this.first) throw new ReplicaError('OFFSET_TRIMMED', `the log begins at ${this.first}`, false)
    const reader = this.reads
    let next = from
    while (!signal.aborted) {
      if (reader > this.#silenced && next < this.records.length) {
        const batch = this.records.slice(next)
        next = this.records.length
        yield batch
        continue
      }
      await new Promise<void>((resolve) => {
        this.#wake.push(resolve)
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
    }
  }

  endOf(): Promise<number> {
    return Promise.resolve(this.records.length)
  }

  range(): Promise<{ first: number; end: number }> {
    return Promise.resolve({ first: this.first, end: this.records.length })
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #write(bytes: Uint8Array): number {
    const offset = this.records.length
    this.records.push({ offset, bytes: bytes.slice(), checksum: crc32(bytes) })
    for (const wake of this.#wake.splice(0)) wake()
    return offset
  }
}

interface Campaigner {
  readonly instance: string
  readonly onChange: (lease: Lease | undefined) => void
  readonly signal: AbortSignal
}

/** The lease of one partition: the first who campaigns gets it, then whoever has waited longest. Everything is known to everybody at once. */
export class ScriptedCoordination {
  readonly #waiting: Campaigner[] = []
  readonly #members = new Map<string, MemberData>()
  readonly #listeners = new Set<(members: readonly Member[]) => void>()
  #holder: Campaigner | undefined
  #tokens = 0

  /** Asked for each question who holds the lease; the default tells. */
  answer: (isHeld: boolean) => Promise<boolean> = (isHeld) => Promise.resolve(isHeld)

  /** Asked for each lease that is to be given to whom it was handed; the default gives. */
  gives: (to: string) => boolean = () => true

  /** The service as one instance sees it. */
  as(instance: string): CoordinationPort {
    return {
      join: () => undefined,
      publish: (data) => this.#published(instance, data),
      members: () => this.#list(),
      onMembers: (listener) => {
        this.#listeners.add(listener)
        return () => this.#listeners.delete(listener)
      },
      campaign: (_partition, onChange, signal) => this.#campaign({ instance, onChange, signal }),
      prefer: () => undefined,
      isHeld: () => this.answer(this.#holder !== undefined),
      requestHandOver: () => {
        if (this.#holder === undefined) return Promise.resolve(false)
        if (this.#members.get(instance)?.partitions['0'] === 'following') this.#handOver(this.#holder, instance)
        return Promise.resolve(true)
      },
      handOver: (_partition, to) => {
        if (this.#holder?.instance === instance) this.#handOver(this.#holder, to)
      },
      close: () => Promise.resolve(),
    }
  }

  /** What an instance has published of its replica. */
  standing(instance: string): Standing | undefined {
    return this.#members.get(instance)?.partitions['0']
  }

  /** An instance is a member no more. */
  left(instance: string): void {
    if (this.#members.delete(instance)) this.#tell()
  }

  /** Takes the lease away, with or without telling its holder; the next gets it. One that is gone does not campaign on. */
  takeAway(tell: boolean, gone = false): void {
    const holder = this.#holder
    this.#holder = undefined
    if (tell) holder?.onChange(undefined)
    this.#give()
    if (holder !== undefined && !gone) this.#waiting.push(holder)
  }

  #campaign(campaigner: Campaigner): void {
    this.#waiting.push(campaigner)
    campaigner.signal.addEventListener('abort', () => {
      if (this.#holder === campaigner) this.#holder = undefined
      this.#give()
    })
    this.#give()
  }

  #handOver(from: Campaigner, to: string): void {
    this.#holder = undefined
    from.onChange(undefined)
    const at = this.#waiting.findIndex(({ instance, signal }) => instance === to && !signal.aborted)
    if (at >= 0 && this.gives(to)) this.#waiting.unshift(...this.#waiting.splice(at, 1))
    else this.#waiting.unshift(from)
    this.#give()
    if (this.#holder !== from) this.#waiting.push(from)
  }

  #give(): void {
    while (this.#holder === undefined) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      if (next.signal.aborted) continue
      this.#holder = next
      next.onChange({ partition: 0, token: `token-${++this.#tokens}` })
    }
  }

  #published(instance: string, data: MemberData): void {
    this.#members.set(instance, data)
    this.#tell()
  }

  #list(): readonly Member[] {
    return [...this.#members].map(([instance, data]) => ({ instance, data }))
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener(this.#list())
  }
}

/** Snapshots in memory. */
export class ScriptedSnapshots implements SnapshotPort {
  readonly kept = new Map<string, { info: SnapshotInfo; bytes: Uint8Array }>()

  list(): Promise<SnapshotInfo[]> {
    return Promise.resolve([...this.kept.values()].map((snapshot) => snapshot.info))
  }

  async store(
    partition: number,
    offset: number,
    slices: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<SnapshotInfo> {
    const parts: Uint8Array[] = []
    for await (const slice of slices) parts.push(slice)
    const bytes = new Uint8Array(Buffer.concat(parts))
    const info = { name: `at-${offset}`, partition, offset, bytes: bytes.length }
    this.kept.set(info.name, { info, bytes })
    return info
  }

  fetch(info: SnapshotInfo): Promise<Uint8Array> {
    const snapshot = this.kept.get(info.name)
    return snapshot === undefined ? Promise.reject(new Error('gone')) : Promise.resolve(snapshot.bytes)
  }

  remove(info: SnapshotInfo): Promise<void> {
    this.kept.delete(info.name)
    return Promise.resolve()
  }
}

/** A receiver that answers as its script says and keeps what it was sent. */
export class ScriptedTransport implements Transport {
  readonly sent: SendRequest[] = []
  /** Asked for each request that was let out. The default delivers. */
  answer: (request: SendRequest) => SendResult | Promise<SendResult> = () => ({ kind: 'delivered' })

  /** Waited for before a request is let out. */
  connected: () => Promise<void> | undefined = () => undefined

  async send(request: SendRequest, mayStart: () => boolean): Promise<SendResult> {
    if (!mayStart()) return { kind: 'failed', detail: 'not started: the send window has passed' }
    await this.connected()
    if (!mayStart()) return { kind: 'failed', detail: 'not started: the send window has passed' }
    this.sent.push(request)
    return this.answer(request)
  }

  /** `action summary` of everything sent, in order. */
  get lines(): string[] {
    return this.sent.map((request) => `${request.action} ${request.summary}`)
  }
}

/** A sink that answers as its script says and keeps what it was sent. */
export class ScriptedSink implements Sink {
  gatherMs = 0
  requestEvents = 1_000
  readonly sent: FlowRequest[] = []
  /** Asked for each request that was let out. The default takes all. */
  answer: (request: FlowRequest) => FlowResult | Promise<FlowResult> = taken

  async send(request: FlowRequest, mayStart: () => boolean): Promise<FlowResult> {
    if (!mayStart()) return { through: 0, failure: { detail: 'not started' } }
    this.sent.push(request)
    return this.answer(request)
  }

  /** Positions of all batches that were sent, in order. */
  get positions(): number[] {
    return this.sent.flatMap(({ batches }) => batches.map(({ position }) => position))
  }
}

/** A sink's answer that it has taken all of a request. */
export function taken({ batches }: FlowRequest): FlowResult {
  return { through: batches[batches.length - 1].position }
}
