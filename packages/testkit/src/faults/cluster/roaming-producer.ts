/**
 * A producer that goes on at the next instance when the one it talks to is gone, refuses for now or does not answer, and sends again, in order and under the
 * same marks, what nobody acknowledged. It keeps its own list of acks.
 */
import { encodeMsg, isRefusedForNow, RiemannTcpClient, type Event } from '@ricci/client'
import { monotonicMs } from '../pager.ts'

/** An instance that acknowledges nothing for so long is given up for the next; twice as long each time that none does … */
const patienceMs = 1_500
/** … up to this: where the log itself stands still, each change sends everything once more. */
const longestPatienceMs = 24_000
/** Between two attempts, once every instance was tried; twice as long each time that all fail … */
const pauseMs = 100
/** … so often. */
const doublings = 4
/** Of what has no ack: beyond it nothing new is taken. All producers of a run together stay far below a gigabyte. */
export const maxUnackedBytes = 32 * 1024 * 1024
/** Every number of a producer's events is its own: the producer's number times this, and the message's sequence. */
const metricSpan = 2 ** 32

/** What an event of a producer carries as its metric. */
export const metricOf = (producer: number, sequence: number): number => producer * metricSpan + sequence

interface Unacked {
  readonly bytes: Uint8Array
  readonly onAck?: () => void
}

export class RoamingProducer {
  sent = 0
  /** Messages sent once more. */
  resent = 0
  /** Changes of the instance. */
  moves = 0
  /** Why an instance refused a message for good: none should. */
  readonly refusals: string[] = []
  /** In order: what has no ack yet. */
  readonly unacked = new Map<number, Unacked>()
  unackedBytes = 0
  private client: RiemannTcpClient | undefined
  private at: number
  private failures = 0
  private answeredMs = monotonicMs()
  private patience = patienceMs
  private timer: NodeJS.Timeout | undefined
  private ended = false
  private settled: (() => void) | undefined

  /** @param number from 1 on, another for each */
  constructor(
    readonly name: string,
    readonly number: number,
    private readonly ports: readonly number[],
  ) {
    this.at = number % ports.length
    this.connect()
  }

  /** Whether it takes more. */
  get hasRoom(): boolean {
    return this.unackedBytes < maxUnackedBytes
  }

  /** Sends events as one message; each carries {@link metricOf} its metric. Gives the sequence. */
  send(plain: readonly Event[], onAck?: () => void): number {
    const sequence = ++this.sent
    const metric = metricOf(this.number, sequence)
    const events = plain.map((event) => ({ ...event, metric }))
    const bytes = encodeMsg({ events, mark: { producer: this.name, incarnation: 1, sequence, sentAtMs: Date.now() } })
    if (this.unacked.size === 0) this.answeredMs = monotonicMs()
    this.unacked.set(sequence, { bytes, onAck })
    this.unackedBytes += bytes.length
    this.post(sequence, bytes)
    return sequence
  }

  /** To be called now and then: gives up an instance that does not answer. */
  look(): void {
    if (this.unacked.size === 0 || this.client === undefined) return
    if (monotonicMs() - this.answeredMs <= this.patience) return
    this.patience = Math.min(longestPatienceMs, 2 * this.patience)
    this.move()
  }

  /** Resolves when nothing waits for an ack. */
  async untilSettled(): Promise<void> {
    while (this.unacked.size > 0) await new Promise<void>((resolve) => (this.settled = resolve))
  }

  async end(): Promise<void> {
    this.ended = true
    clearTimeout(this.timer)
    await this.client?.destroy()
  }

  private connect(): void {
    const client = new RiemannTcpClient({
      port: this.ports[this.at],
      // patience is this class's
      timeoutMs: 600_000,
      maxOutstanding: Infinity,
      maxOutstandingBytes: Infinity,
      onState: (state) => {
        if (state === 'waiting' && client === this.client) this.move()
      },
    })
    this.client = client
    this.answeredMs = monotonicMs()
    for (const [sequence, { bytes }] of this.unacked) this.post(sequence, bytes)
  }

  /** On to the next instance: at once, unless all of them have just failed. */
  private move(): void {
    const before = this.client
    if (before === undefined || this.ended) return
    this.client = undefined
    this.moves++
    this.failures++
    this.at = (this.at + 1) % this.ports.length
    const rounds = Math.floor(this.failures / this.ports.length)
    this.timer = setTimeout(
      () => {
        this.resent += this.unacked.size
        this.connect()
      },
      this.failures % this.ports.length === 0 ? pauseMs * 2 ** Math.min(doublings, rounds - 1) : 0,
    )
    void before.destroy()
  }

  private post(sequence: number, bytes: Uint8Array): void {
    const { client } = this
    client?.sendMsg(bytes).then(
      ({ ok, error }) => {
        if (client !== this.client) return
        if (ok === true) this.acknowledged(sequence)
        else if (isRefusedForNow(error)) this.move()
        else this.refusals.push(`${this.name}, message ${sequence}: ${error}`)
      },
      () => {
        // its connection is lost: whoever did not see that as a state sees it here
        if (client === this.client) this.move()
      },
    )
  }

  private acknowledged(sequence: number): void {
    const waiting = this.unacked.get(sequence)
    if (waiting === undefined) return
    this.failures = 0
    this.patience = patienceMs
    this.answeredMs = monotonicMs()
    this.unacked.delete(sequence)
    this.unackedBytes -= waiting.bytes.length
    waiting.onAck?.()
    if (this.unacked.size > 0) return
    this.settled?.()
    this.settled = undefined
  }
}
