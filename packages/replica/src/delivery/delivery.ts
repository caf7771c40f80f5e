import {
  canBeMember,
  type Attempt,
  type AttemptRecord,
  type LogRecord,
  type Mutation,
  type OutcomeRecord,
  type PageChanges,
  type PendingPage,
} from '@ricci/engine'
import type { Sighting } from '../host.ts'
import { detailLimit, digestAgeMs, giveUpMs, readBackMs } from '../limits.ts'
import type { PagesMirror } from '../pages-mirror.ts'
import type { Clock, Random, SendResult, Timer } from '../ports.ts'
import type { Receiver } from '../options.ts'
import type { DeliveryCounters } from './counters.ts'
import { ReceiverQueue, type QueueOwner } from './receiver-queue.ts'
import { requestFor } from './request.ts'
import { SendWindow } from './send-window.ts'

export interface DeliveryOptions {
  readonly epoch: number
  /** Whose attempts these are. */
  readonly instance: string
  /** Monotonic time at which our claim was read back. */
  readonly claimedAtMs: number
  readonly mirror: PagesMirror
  readonly receivers: ReadonlyMap<string, Receiver>
  readonly clock: Clock
  readonly random: Random
  readonly counters: DeliveryCounters
  /** Appends to the partition's log. Whether it worked is seen when the records are read. */
  readonly append: (records: readonly LogRecord[]) => void
  readonly calendarMs: () => number
  /** What waited for so long goes as one digest. Default: an hour. */
  readonly digestAgeMs?: number
  readonly mutations?: ReadonlySet<Mutation>
}

/** An attempt from the writing of its record to the reading of its outcome. */
interface OpenAttempt {
  readonly epoch: number
  readonly n: number
  readonly queue: ReceiverQueue
  /** Whether it holds one of the receiver's places for requests. */
  readonly place: boolean
  /** Ids the record names, and once it was read that of the digest it became. */
  pages: readonly string[]
  /** As decided when its record was written; whether it still is one, when that was read. */
  possibleRepeat: boolean
  readonly window: SendWindow
  phase: 'written' | 'sending' | 'told'
  timer?: Timer
}

/** Why an attempt of ours was not sent any more. */
const dethroned = 'somebody else claimed, or this owner stepped down'

/**
 * Sends what is decided, for one epoch of one owner. A page is settled one by one: attempt record, read back with no higher
 * claim before it, send, outcome record, read back too. What is read is written; what is only confirmed is not, so an attempt
 * that was not read in time is not sent, and an outcome that was not read is written again.
 *
 * It ends in two steps: {@link stop} when a higher claim was read or the owner steps down (nothing new is sent from then on),
 * {@link drained} when the requests under way have ended and their outcomes stand in the log.
 */
export class Delivery implements QueueOwner {
  readonly epoch: number
  readonly claimedAtMs: number
  readonly #options: DeliveryOptions
  readonly #queues = new Map<string, ReceiverQueue>()
  /** By epoch and number of the attempt. */
  readonly #open = new Map<string, OpenAttempt>()
  readonly #freed = new Set<ReceiverQueue>()
  #n = 0
  #active = true
  #abandoned = false
  #toAppend: LogRecord[] = []
  #flushing = false
  #onDrained: (() => void)[] = []

  constructor(options: DeliveryOptions) {
    this.#options = options
    this.epoch = options.epoch
    this.claimedAtMs = options.claimedAtMs - (this.#without('doubt-time') ? 6_000 : 0)
    for (const page of options.mirror.values()) this.#queueOf(page.receiver).add(page.id)
    for (const queue of this.#queues.values()) queue.pump()
  }

  /** Attempts whose request is under way or whose outcome was not read yet. */
  get openAttempts(): number {
    return this.#open.size
  }

  /** Receivers that fail at present, with the number of failures in a row. */
  failing(): { readonly receiver: string; readonly failures: number }[] {
    return [...this.#queues.values()]
      .filter((queue) => queue.failures > 0)
      .map((queue) => ({ receiver: queue.name, failures: queue.failures }))
  }

  /**
   * A report of the host. The mirror has taken over `changes` already.
   * @param sightings of this report up to the first claim that is higher than ours
   */
  progress(changes: PageChanges, sightings: readonly Sighting[]): void {
    const touched = new Set<ReceiverQueue>()
    for (const page of changes.changed) {
      const queue = this.#queueOf(page.receiver)
      queue.add(page.id)
      touched.add(queue)
      if (page.repair === true && page.attempts.length === 0) this.#options.counters.pagesRepaired++
    }
    for (const { id } of changes.settled) for (const queue of this.#queues.values()) queue.settled(id)
    for (const { record } of sightings) {
      if (record.kind === 'attempt' && record.epoch === this.epoch) this.#attemptRead(record.n)
      if (record.kind === 'outcome') this.#outcomeRead(record)
    }
    for (const queue of this.#freed) touched.add(queue)
    this.#freed.clear()
    if (!this.#active) return
    // A trigger that was settled may be what a resolve waits for, at whichever receiver.
    if (changes.settled.length > 0) for (const queue of this.#queues.values()) queue.pump()
    else for (const queue of touched) queue.pump()
  }

  /** Nothing more is sent. Requests under way go on to their end, their outcomes are written: they are facts. */
  stop(): void {
    this.#active = false
    for (const queue of this.#queues.values()) queue.stop()
    this.#settleDrained()
  }

  /** Resolves once nothing is under way any more; only after `stop`. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#onDrained.push(resolve)
      this.#settleDrained()
    })
  }

  /** Lets go of everything at once, because nobody will read our log any more. Idempotent. */
  abandon(): void {
    this.stop()
    this.#abandoned = true
    for (const { timer, window } of this.#open.values()) {
      timer?.cancel()
      window.cancel()
    }
    this.#open.clear()
    this.#settleDrained()
  }

  // ---- Asked by the queues

  page(id: string): Readonly<PendingPage> | undefined {
    return this.#options.mirror.get(id)
  }

  calendarMs(): number {
    return this.#options.calendarMs()
  }

  get digestAgeMs(): number {
    return this.#options.digestAgeMs ?? digestAgeMs
  }

  quietAtMs(page: string): number {
    if (this.#without(this.#options.mirror.has(page) ? 'look-up-wait' : 'resolve-wait')) return 0
    return this.#options.mirror.quietAtMs(page) - (this.#without('doubt-time') ? 6_000 : 0)
  }

  canBeMember(page: Readonly<PendingPage>): boolean {
    return canBeMember(page, this.#without('digest-doubt'))
  }

  begin(queue: ReceiverQueue, pages: readonly Readonly<PendingPage>[], possibleRepeat: boolean): void {
    const n = ++this.#n
    const { clock, counters } = this.#options
    const ids = pages.map((page) => page.id)
    const attempt: OpenAttempt = {
      epoch: this.epoch,
      n,
      queue,
      place: true,
      pages: ids,
      possibleRepeat,
      window: new SendWindow(clock),
      phase: 'written',
    }
    this.#open.set(nameOf(attempt), attempt)
    counters.attempts++
    if (pages.length > 1) counters.digests++
    const doubtful = pages[0].attempts.find((a) => a.result === undefined || a.result === 'unknown')
    if (this.#without('attempt-record')) return this.#send(attempt, pages[0])
    this.#append({
      kind: 'attempt',
      epoch: this.epoch,
      n,
      sender: this.#options.instance,
      receiver: queue.name,
      pages: ids,
      ...(pages.length > 1 ? { digest: 'waited' } : pages[0].members !== undefined ? { digest: 'overflow' } : {}),
      ...(doubtful === undefined ? {} : { repeats: `${doubtful.epoch}.${doubtful.n}` }),
    })
    if (this.#without('read-back') && pages.length === 1) return this.#send(attempt, pages[0])
    attempt.timer = clock.setTimer(readBackMs + 1, () => this.#notReadBack(attempt))
  }

  settle(queue: ReceiverQueue, page: Readonly<PendingPage>, { epoch, n }: Attempt, as: 'give-up' | 'disown'): void {
    const { clock, counters } = this.#options
    if (as === 'give-up') counters.gaveUp++
    else counters.neverSent++
    const attempt: OpenAttempt = {
      epoch,
      n,
      queue,
      place: false,
      pages: [page.id],
      possibleRepeat: false,
      window: new SendWindow(clock),
      phase: 'told',
    }
    this.#open.set(nameOf(attempt), attempt)
    this.#write(attempt, {
      kind: 'outcome',
      epoch,
      n,
      receiver: queue.name,
      pages: [page.id],
      result: as === 'give-up' ? 'gave-up' : 'failed',
      detail:
        as === 'give-up'
          ? `attempt ${epoch}.${n} is in doubt, and this receiver rather misses a page than gets it twice`
          : 'never sent: its record was read too late',
    })
  }

  // ---- The life of an attempt

  #attemptRead(n: number): void {
    const attempt = this.#open.get(nameOf({ epoch: this.epoch, n }))
    if (attempt === undefined || attempt.phase !== 'written') return
    attempt.timer?.cancel()
    const page = this.#options.mirror.byAttempt(this.epoch, n)
    // Settled between our writing and our reading: the engine left the attempt out.
    if (page === undefined) return this.#close(attempt)
    if (!attempt.pages.includes(page.id)) {
      attempt.pages = [...attempt.pages, page.id]
      attempt.queue.hold(page.id)
    }
    // An owner that was paused decides before it has read what came meanwhile: the doubt may be gone by now.
    attempt.possibleRepeat &&= page.attempts.some((other) => {
      // One of ours that is open was read too late, and was never sent.
      return other.result === 'unknown' || (other.result === undefined && other.epoch !== this.epoch)
    })
    this.#send(attempt, page)
  }

  #notReadBack(attempt: OpenAttempt): void {
    if (this.#without('new-try')) return
    // Should it still come, the page's verdict will be to disown it.
    this.#close(attempt)
    if (this.#active) attempt.queue.pump()
  }

  #send(attempt: OpenAttempt, page: Readonly<PendingPage>): void {
    const { clock, counters } = this.#options
    const anyTime = this.#without('send-window')
    const window = anyTime ? new SendWindow(clock) : attempt.window
    let isLate = false
    const mayStart = (): boolean => !(isLate = !this.#active || !(anyTime || window.mayBegin()))
    if (!mayStart()) return this.#tellUnsent(attempt, page, this.#active ? 'its record was read too late' : dethroned)
    attempt.phase = 'sending'
    if (attempt.possibleRepeat) counters[attempt.queue.receiver.class === 'B' ? 'lookUps' : 'possibleRepeats']++
    let request = requestFor(page, attempt.possibleRepeat && !this.#without('look-up'))
    if (this.#without('dedup-key')) {
      const each = `${page.id}.${this.epoch}.${attempt.n}`
      request = { ...request, idempotencyKey: each, dedupKey: each }
    }
    if (this.#without('digest-member')) request = { ...request, members: request.members?.slice(1) }
    void window.send(attempt.queue.receiver.transport, request, mayStart).then((answer) => {
      // While it connected somebody else claimed: that says nothing about the receiver.
      if (answer.kind === 'failed' && isLate && !this.#active) return this.#tellUnsent(attempt, page, dethroned)
      const result = this.#without('retry-after') ? { ...answer, retryAfterMs: 0 } : answer
      attempt.queue.heard(result)
      this.#tell(attempt, page, result)
    })
  }

  #tellUnsent(attempt: OpenAttempt, page: Readonly<PendingPage>, why: string): void {
    this.#options.counters.neverSent++
    this.#tell(attempt, page, { kind: 'failed', detail: `never sent: ${why}` }, true)
  }

  /** @param unsent no failure of the receiver's, and so no pause before the next try */
  #tell(attempt: OpenAttempt, page: Readonly<PendingPage>, result: SendResult, unsent = false): void {
    const { clock, counters } = this.#options
    const again = result.kind === 'failed' || result.kind === 'unknown'
    const tooOld = again && this.calendarMs() - page.decidedAtMs > giveUpMs
    const pauses = again && !tooOld && !unsent
    counters[tooOld ? 'gaveUp' : result.kind]++
    attempt.phase = 'told'
    this.#write(attempt, {
      kind: 'outcome',
      epoch: this.epoch,
      n: attempt.n,
      receiver: page.receiver,
      pages: [page.id],
      result: tooOld ? 'gave-up' : result.kind,
      ...(result.detail === undefined ? {} : { detail: result.detail.slice(0, detailLimit) }),
      ...(pauses ? { retryAtMs: Math.round(clock.wallMs() + attempt.queue.retryDelayMs(page, result)) } : {}),
    })
  }

  /** Until it is read: an outcome that was lost would make a successor repeat what arrived. */
  #write(attempt: OpenAttempt, outcome: OutcomeRecord): void {
    if (this.#abandoned) return this.#append(outcome)
    if (this.#without('outcome-record')) {
      this.#open.delete(nameOf(attempt))
      return attempt.queue.release([], attempt.place)
    }
    this.#append(outcome)
    attempt.timer = this.#options.clock.setTimer(readBackMs, () => this.#write(attempt, outcome))
  }

  #outcomeRead(record: OutcomeRecord): void {
    const attempt = this.#open.get(nameOf(record))
    if (attempt?.phase === 'told') this.#close(attempt)
  }

  #close(attempt: OpenAttempt): void {
    attempt.timer?.cancel()
    this.#open.delete(nameOf(attempt))
    attempt.queue.release(attempt.pages, attempt.place)
    this.#freed.add(attempt.queue)
    this.#settleDrained()
  }

  // ---- Helpers

  #append(record: AttemptRecord | OutcomeRecord): void {
    this.#toAppend.push(record)
    if (this.#flushing) return
    this.#flushing = true
    // Everything that one turn decides goes in one append.
    queueMicrotask(() => {
      this.#flushing = false
      const records = this.#toAppend
      this.#toAppend = []
      this.#options.append(records)
    })
  }

  #queueOf(name: string): ReceiverQueue {
    let queue = this.#queues.get(name)
    if (queue === undefined) {
      const { receivers, clock, random } = this.#options
      queue = new ReceiverQueue(name, () => receivers.get(name) ?? nobody, this, clock, random)
      if (!this.#active) queue.stop()
      this.#queues.set(name, queue)
    }
    return queue
  }

  #settleDrained(): void {
    if (this.#active || this.#open.size > 0) return
    for (const resolve of this.#onDrained.splice(0)) resolve()
  }

  #without(mutation: Mutation): boolean {
    return this.#options.mutations?.has(mutation) === true
  }
}

function nameOf(attempt: { readonly epoch: number; readonly n: number }): string {
  return `${attempt.epoch}.${attempt.n}`
}

/** Stands for a receiver that rules name and the configuration does not. */
const nobody: Receiver = {
  class: 'C',
  transport: {
    send: async ({ receiver }) => ({
      kind: 'refused',
      detail: `the configuration names no receiver ${receiver}; add it, or correct the rule`,
    }),
  },
}
