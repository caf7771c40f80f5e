/** The way of events into the log: Riemann TCP and UDP, lines of text, and this instance's own events. */
import { defaultLimits, encodeMsg, type Event } from '@ricci/client'
import type { Clock } from '@ricci/replica'
import type { Telemetry } from '../telemetry/telemetry.ts'
import type { RecordLog } from './appender.ts'
import type { Connection, ConnectionHost } from './connection.ts'
import { Distributor } from './distributor.ts'
import type { Progress } from './lag.ts'
import type { QueryPort } from './queries.ts'
import { maxAnswerBytes, maxBegunBytes } from './limits.ts'
import { graphite } from './lines/graphite.ts'
import { LineListener, type LineHost } from './lines/line-listener.ts'
import { openTsdb } from './lines/opentsdb.ts'
import { RicciError } from '../errors.ts'
import type { MarkingAs } from './recorder.ts'
import { tcpListener, type RiemannListener } from './tcp.ts'
import type { PemFiles } from '../server/certificates.ts'
import { TlsListener } from './tls.ts'
import { UdpListener } from './udp.ts'

export interface IntakeOptions {
  readonly log: RecordLog
  /** How far the engine of a partition is; undefined where this instance cannot know, and then holds nothing back. */
  readonly progress: (partition: number) => Progress | undefined
  readonly queries: QueryPort
  readonly telemetry: Telemetry
  readonly clock: Clock
  readonly markingAs: MarkingAs
  /** See the distributor's option. */
  readonly refusalOf?: (msg: Uint8Array) => string | undefined
  /** Whether who sends is better off elsewhere from now on, and is told so where it understands. */
  readonly draining?: () => boolean
  readonly tcp?: { readonly host: string; readonly port: number }
  readonly udp?: { readonly host: string; readonly port: number }
  readonly tls?: { readonly host: string; readonly port: number; readonly pems: PemFiles }
  readonly graphite?: { readonly host: string; readonly port: number }
  readonly opentsdb?: { readonly host: string; readonly port: number }
  /** Of each listener. */
  readonly maxConnections: number
  readonly maxFrameBytes: number
  /** Bytes of all connections that wait for the log; then none is read any more. */
  readonly maxQueuedBytes: number
  readonly idleConnectionMs: number
  /** See {@link maxBegunBytes}, the default. */
  readonly maxBegunBytes?: number
  /** See {@link maxAnswerBytes}, the default. */
  readonly maxAnswerBytes?: number
}

/** What was taken in is answered within this when the server stops; then connections are cut. */
const closeGraceMs = 2_000

export class Intake {
  private readonly distributor: Distributor
  private readonly tcp: RiemannListener
  private tls: TlsListener | undefined
  private readonly connectionHost: ConnectionHost
  private readonly udp: UdpListener
  private readonly lines: { readonly graphite: LineListener; readonly opentsdb: LineListener }
  private closing: Promise<void> | undefined

  constructor(private readonly options: IntakeOptions) {
    const { clock, telemetry } = options
    this.distributor = new Distributor({
      log: options.log,
      progress: options.progress,
      telemetry,
      clock,
      markingAs: options.markingAs,
      limits: { ...defaultLimits, maxFrameBytes: options.maxFrameBytes },
      refusalOf: options.refusalOf,
      onSettled: () => this.settled(),
    })
    const host: ConnectionHost = {
      distributor: this.distributor,
      queries: options.queries,
      telemetry,
      clock,
      maxFrameBytes: options.maxFrameBytes,
      idleConnectionMs: options.idleConnectionMs,
      draining: options.draining ?? (() => false),
      full: () => this.full(),
      begun: (bytes: number) => this.begun(bytes),
      answers: (bytes: number) => this.answers(bytes),
    }
    this.connectionHost = host
    this.tcp = tcpListener(host, options.maxConnections)
    this.udp = new UdpListener(this.distributor, telemetry)
    const lineHost: LineHost = { ...host, maxConnections: options.maxConnections }
    this.lines = { graphite: new LineListener(graphite, lineHost), opentsdb: new LineListener(openTsdb, lineHost) }
  }

  /** Listens where the options say, at both or at none; gives the ports. @throws RicciError `LISTEN` */
  async listen(): Promise<{ tcp?: number; udp?: number }> {
    const { tcp, udp } = this.options
    const tcpPort = tcp === undefined ? undefined : await this.tcp.listen(tcp.host, tcp.port)
    // port 0 of both: the same number, as Riemann's clients expect
    if (udp === undefined) return { tcp: tcpPort }
    try {
      const udpPort = await this.udp.listen(udp.host, udp.port === 0 && tcpPort !== undefined ? tcpPort : udp.port)
      return { tcp: tcpPort, udp: udpPort }
    } catch (error) {
      await this.tcp.close(0)
      throw error
    }
  }

  /** Listens for lines of text where the options say; gives the port. @throws RicciError `LISTEN` */
  async listenForLines(protocol: 'graphite' | 'opentsdb'): Promise<number | undefined> {
    const at = this.options[protocol]
    return at === undefined ? undefined : this.lines[protocol].listen(at.host, at.port)
  }

  /** Listens for Riemann's protocol over TLS where the options say; gives the port. @throws RicciError `LISTEN`, `CONFIG_INVALID` */
  async listenForTls(): Promise<number | undefined> {
    const { tls, maxConnections } = this.options
    if (tls === undefined) return undefined
    this.tls = new TlsListener(this.connectionHost, maxConnections, tls.pems)
    return this.tls.listen(tls.host, tls.port)
  }

  get connections(): number {
    return this.tcp.size + (this.tls?.listener.size ?? 0) + this.lines.graphite.size + this.lines.opentsdb.size
  }

  get queuedBytes(): number {
    return this.distributor.queuedBytes
  }

  /** What comes from now on is marked as of another life; resolves when everything before is durable or refused. */
  renew(): Promise<void> {
    this.distributor.renew()
    return this.distributor.settledSoFar()
  }

  /** How far engines are behind what this process appended, as far as it knows of them, and what waits for them. */
  get lag(): Pick<Distributor, 'lagBytes' | 'lagMs' | 'heldMessages' | 'gate'> {
    return this.distributor
  }

  /**
   * Appends events that came over HTTP; resolves when who sent them may be told.
   * @throws RicciError `INTAKE_FULL`, `EVENT_MALFORMED` where one of them is beyond what an event may hold; ReplicaError: why the log does not take them
   */
  take(events: readonly Event[]): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.full())
        throw new RicciError(
          'INTAKE_FULL',
          `${this.options.maxQueuedBytes} bytes wait for the log already; send it again in a moment`,
        )
      let msg: Uint8Array
      try {
        msg = encodeMsg({ events })
        this.distributor.inspect(msg)
      } catch (error) {
        throw new RicciError('EVENT_MALFORMED', (error as Error).message, { cause: error })
      }
      this.distributor.add(msg, {
        durable: () => undefined,
        acknowledge: () => resolve(),
        refused: reject,
        groupEnd: () => undefined,
      })
    })
  }

  /** Appends events of this instance itself; resolves when they are durable. */
  inject(events: readonly Event[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const msg = encodeMsg({ events })
      this.distributor.inspect(msg)
      this.distributor.add(msg, {
        durable: () => resolve(),
        acknowledge: () => undefined,
        refused: reject,
        groupEnd: () => undefined,
      })
    })
  }

  /** Takes nothing more, answers what was taken in, and waits until the log has settled it. Idempotent. */
  close(): Promise<void> {
    return (this.closing ??= this.shut())
  }

  private async shut(): Promise<void> {
    await this.udp.close()
    const { graphite, opentsdb } = this.lines
    await Promise.all([this.tcp, this.tls, graphite, opentsdb].map((listener) => listener?.close(closeGraceMs)))
    await this.distributor.settledSoFar()
    this.distributor.close()
  }

  /** Bytes of messages that have begun and are not whole, and of questions that wait, over all connections. */
  begunBytes = 0

  private begun(bytes: number): void {
    this.begunBytes += bytes
    if (bytes > 0 && this.begunBytes > (this.options.maxBegunBytes ?? maxBegunBytes)) this.closeLargest()
  }

  /** Bytes of answers that are being put together or were not read yet, over all connections. */
  answerBytes = 0

  private answers(bytes: number): void {
    this.answerBytes += bytes
    if (bytes > 0 && this.answerBytes > (this.options.maxAnswerBytes ?? maxAnswerBytes)) this.closeSlowest()
  }

  /** Makes room by closing whoever holds most of a message that is not whole, or of questions that wait. */
  private closeLargest(): void {
    this.most((connection) => connection.begunBytes)?.giveWay(
      'half-sent',
      'messages that are not whole, or questions that wait,',
    )
  }

  /** Makes room by closing whoever has most of the answers that are not read yet. */
  private closeSlowest(): void {
    this.most((connection) => connection.answerBytes)?.giveWay('slow-reader', 'answers that are not read')
  }

  private most(bytesOf: (connection: Connection) => number): Connection | undefined {
    let largest: Connection | undefined
    for (const { connections } of [this.tcp, ...(this.tls === undefined ? [] : [this.tls.listener])]) {
      for (const connection of connections) {
        if (bytesOf(connection) > (largest === undefined ? 0 : bytesOf(largest))) largest = connection
      }
    }
    return largest
  }

  private wasFull = false

  private full(): boolean {
    const full = this.distributor.queuedBytes > this.options.maxQueuedBytes
    if (full) this.wasFull = true
    return full
  }

  private settled(): void {
    if (!this.wasFull || this.distributor.queuedBytes > this.options.maxQueuedBytes / 2) return
    this.wasFull = false
    for (const listener of [this.tcp, this.tls?.listener, this.lines.graphite, this.lines.opentsdb]) listener?.steer()
  }
}
