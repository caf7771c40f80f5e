/** A producer that marks what it sends, keeps its own list of acks, and sends again, under the same mark, what nobody acknowledged. */
import { encodeMsg, RiemannTcpClient, type ClientError, type Event } from '@ricci/client'

/** Longer than any life of a daemon here: what is not acknowledged is lost with its connection, not given up. */
const timeoutMs = 120_000

export class Producer {
  /** Sequences that were acknowledged. */
  readonly acked = new Set<number>()
  /** Messages sent once more after a connection was lost. */
  resent = 0
  /** How many events each sequence has. */
  readonly sizes = new Map<number, number>()
  /** Why the daemon refused a message: none should be. */
  readonly refusals: string[] = []
  /** The first message lost on the present connection; whoever did not end the daemon looks here. */
  lostAt: string | undefined
  /** Acks are lost on their way: what is sent meanwhile is sent again with the next connection, though the log may hold it. */
  deaf = false
  private sequence = 0
  /** In order: what has no ack yet. */
  private readonly unacked = new Map<number, Uint8Array>()
  private client: RiemannTcpClient | undefined
  private readonly listeners = new Set<() => void>()

  constructor(readonly name: string) {}

  /** The highest sequence given so far. */
  get sent(): number {
    return this.sequence
  }

  get connected(): boolean {
    return this.client !== undefined
  }

  /** A connection to a new life of the daemon: what was not acknowledged goes first, in order. */
  connect(port: number): void {
    this.lostAt = undefined
    this.client = new RiemannTcpClient({ port, timeoutMs, maxOutstanding: Infinity })
    for (const [sequence, msg] of this.unacked) {
      this.resent++
      this.post(sequence, msg)
    }
  }

  async disconnect(): Promise<void> {
    const { client } = this
    this.client = undefined
    await client?.destroy()
  }

  /** Sends events as one message, now or with the next connection; each carries the sequence as its metric. Gives the sequence. */
  send(plain: readonly Event[]): number {
    const sequence = ++this.sequence
    const events = plain.map((event) => ({ ...event, metric: sequence }))
    this.sizes.set(sequence, events.length)
    const mark = { producer: this.name, incarnation: 1, sequence, sentAtMs: Date.now() }
    const msg = encodeMsg({ events, mark })
    this.unacked.set(sequence, msg)
    this.post(sequence, msg)
    return sequence
  }

  /** Resolves when a message was acknowledged. */
  async untilAcked(sequence: number): Promise<void> {
    while (!this.acked.has(sequence)) await this.next()
  }

  /** Resolves when so many more messages were acknowledged. */
  async untilMore(count: number): Promise<void> {
    const target = this.acked.size + count
    while (this.acked.size < target) await this.next()
  }

  /** Resolves when nothing waits for an ack. */
  async untilSettled(): Promise<void> {
    while (this.unacked.size > 0) await this.next()
  }

  /** Resolves with the next answer. */
  next(): Promise<void> {
    return new Promise((resolve) => this.listeners.add(resolve))
  }

  private post(sequence: number, msg: Uint8Array): void {
    const { client } = this
    client?.sendMsg(msg).then(
      (reply) => {
        if (this.deaf) return
        if (reply.ok === true) {
          this.acked.add(sequence)
          this.unacked.delete(sequence)
        } else this.refusals.push(`message ${sequence}: ${reply.error}`)
        const told = [...this.listeners]
        this.listeners.clear()
        for (const tell of told) tell()
      },
      (error: ClientError) => {
        // the daemon was killed: the next life is sent it again; without a kill it is the daemon that closed on us
        if (this.client === client) this.lostAt ??= `message ${sequence}: ${error.code} ${error.message}`
      },
    )
  }
}
