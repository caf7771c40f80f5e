import type { FlowHead, FlowPage, FlowPlace, FlowedThroughRecord } from '@ricci/engine'
import { retryDelayMs } from '../delivery/backoff.ts'
import { SendWindow } from '../delivery/send-window.ts'
import { detailLimit, flowRecordMs } from '../limits.ts'
import type { Clock, Random, Timer } from '../ports.ts'
import type { FlowCounters, FlowResult, Sink } from './sink.ts'

/** What a sender needs of its owner. */
export interface FlowSenderOptions {
  readonly sink: () => Sink | undefined
  readonly producer: string
  readonly clock: Clock
  readonly random: Random
  readonly counters: FlowCounters
  /** Whether this owner may act: it has read its own partition lately. */
  readonly mayAct: () => boolean
  readonly page: (sink: string, after: FlowPlace | undefined, atMost: number) => Promise<FlowPage>
  /** Appends to the partition's log. Whether it worked is seen when the record is read. */
  readonly append: (record: FlowedThroughRecord) => void
  readonly onAlarm: (name: string, detail: string) => void
}

/**
 * Sends one flow to its sink, for one epoch of one owner.
 *
 *     resting ──something to send, gathered, may act──▶ sending ──all taken──▶ resting
 *        ▲                                                 └──not all──▶ pausing ──time over──▶ resting
 *        └── stop(): nothing is begun any more; what is under way ends, and what the sink has by then is written down
 *
 * One request is under way at a time: the order stays. What the sink has is written to the log at most once a second; a successor sends
 * again what was taken since.
 */
export class FlowSender {
  readonly #name: string
  readonly #options: FlowSenderOptions
  /** As the log has it. */
  #head: FlowHead
  /** What the sink has. */
  #has: FlowPlace
  #window: SendWindow | undefined
  #busy = false
  #stopped = false
  #pausedUntilMs = 0
  /** Since when something waits to be gathered. */
  #gatheringMs: number | undefined
  #timer: Timer | undefined
  /** Until it fires no record is written. */
  #recordTimer: Timer | undefined
  #onIdle: (() => void)[] = []

  constructor(name: string, head: FlowHead, options: FlowSenderOptions) {
    this.#name = name
    this.#options = options
    this.#head = head
    this.#has = { begun: head.begun, position: head.through }
  }

  /** A report of the host. */
  report(head: FlowHead): void {
    this.#head = head
    // it has begun anew, or somebody's record goes further than we know
    if (isBehind(this.#has, { begun: head.begun, position: head.through }))
      this.#has = { begun: head.begun, position: head.through }
    this.#look()
  }

  /**
   * Nothing more is sent. Resolves when nothing is under way any more; what a sink does not take at once is sent again by who comes next,
   * and nobody waits for one that hangs.
   */
  stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    this.#recordTimer?.cancel()
    this.#writeDown()
    if (!this.#busy) return Promise.resolve()
    const timer = this.#options.clock.setTimer(stopMs, () => this.#window?.cancel())
    return new Promise<void>((resolve) => this.#onIdle.push(resolve)).finally(() => timer.cancel())
  }

  /** Ends what is under way at once. */
  abandon(): void {
    void this.stop()
    this.#window?.cancel()
  }

  #look(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    const { clock, sink: find, mayAct } = this.#options
    if (this.#busy || this.#stopped || this.#head.last <= this.#has.position) return
    const sink = find()
    if (sink === undefined) return
    const nowMs = clock.monotonicMs()
    this.#gatheringMs ??= nowMs
    // events that the log does not know to be taken count along: then it is sent a little sooner
    const isFull = this.#head.events >= sink.requestEvents
    const atMs = Math.max(this.#pausedUntilMs, isFull ? 0 : this.#gatheringMs + sink.gatherMs)
    if (atMs > nowMs) this.#timer = clock.setTimer(atMs - nowMs, () => this.#look())
    // not: the next tick that is read wakes it
    else if (mayAct()) void this.#send(sink)
  }

  async #send(sink: Sink): Promise<void> {
    const { clock, page } = this.#options
    this.#busy = true
    this.#gatheringMs = undefined
    // a host that fails ends the ownership
    const { begun, batches } = await page(this.#name, this.#has, sink.requestEvents).catch(() => nothing)
    const mayStart = (): boolean => !this.#stopped && this.#options.mayAct()
    if (batches.length > 0 && mayStart()) {
      const { producer } = this.#options
      const request = { sink: this.#name, producer, incarnation: begun + 1, batches }
      this.#window = new SendWindow(clock)
      const result = await this.#window.run(
        (signal) => sink.send(request, mayStart, signal),
        (detail): FlowResult => ({ through: 0, failure: { detail } }),
      )
      this.#window = undefined
      const events = batches.reduce((sum, one) => sum + (one.position <= result.through ? one.events : 0), 0)
      this.#heard(result, events, mayStart())
      if (result.through > 0) this.#took({ begun, position: result.through })
    }
    this.#busy = false
    for (const resolve of this.#onIdle.splice(0)) resolve()
    // a page that was empty is no reason to ask for it again: the next report is
    if (batches.length > 0) this.#look()
  }

  /** @param active whether it was not ended on our side: then a failure says nothing of the sink */
  #heard({ failure, refused }: FlowResult, events: number, active: boolean): void {
    const { counters, clock, random, onAlarm } = this.#options
    counters.delivered += events - (refused?.events ?? 0)
    if (refused !== undefined) {
      counters.refused += refused.events
      onAlarm('flow-refused', `${this.#name} will not take ${refused.events} events: ${refused.detail}`)
    }
    if (failure === undefined) {
      counters.failures = 0
      counters.detail = undefined
    } else if (active) {
      counters.failed++
      counters.failures++
      counters.detail = failure.detail.slice(0, detailLimit)
      const delayMs = retryDelayMs(counters.failures, random, failure.retryAfterMs)
      this.#pausedUntilMs = clock.monotonicMs() + delayMs
    }
  }

  #took(place: FlowPlace): void {
    if (isBehind(this.#has, place)) this.#has = place
    if (this.#stopped) this.#writeDown()
    else this.#writeSoon()
  }

  /** At most once a second: where it goes further by then, or was not read. */
  #writeSoon(): void {
    if (this.#recordTimer !== undefined || !this.#writeDown()) return
    this.#recordTimer = this.#options.clock.setTimer(flowRecordMs, () => {
      this.#recordTimer = undefined
      this.#writeSoon()
    })
  }

  /** Gives whether there was anything to write. */
  #writeDown(): boolean {
    const { begun, position } = this.#has
    if (begun !== this.#head.begun || position <= this.#head.through) return false
    this.#options.append({ kind: 'flowed-through', sink: this.#name, begun, position })
    return true
  }
}

function isBehind(place: FlowPlace, other: FlowPlace): boolean {
  return place.begun < other.begun || (place.begun === other.begun && place.position < other.position)
}

/** How long a request that is under way may still take when nothing more is to be sent. */
const stopMs = 1_000

const nothing: Pick<FlowPage, 'begun' | 'batches'> = { begun: -1, batches: [] }
