/**
 * Takes responsibility for what this machine's programs send: what is in the spool is acknowledged, and goes to a server as soon as one takes it.
 *
 *     sending ──no server takes it──▶ waiting ──pause over──▶ trying ──a server took one──▶ sending
 *        ▲                                ▲                     │
 *        │                                └──no server takes it─┘
 *
 * - **sending**: up to {@link maxUnderWay} Msgs on their way.
 * - **waiting**: none, for {@link retryMs}, doubled each time up to {@link longestRetryMs}.
 * - **trying**: one, from the oldest on.
 *
 * **Fresh data first.** When servers take events again after more than {@link freshMs}, what comes from now on begins a stretch of its own, which is sent
 * before what waited. Each stretch has a producer name of its own: in one sequence what is late would look like a loss.
 */
import { encodeMsg, eventsWithMark, isRefusedForNow, readMark, ClientError, CodecError, type Msg } from '@ricci/client'
import { eventsHeaderLength } from '@ricci/engine/records'
import type { Clock, StoredRecord, Timer } from '@ricci/replica'
import type { QueryPort } from '../../intake/queries.ts'
import type { MarkingAs } from '../../intake/recorder.ts'
import { queryWaitMs } from '../../intake/limits.ts'
import { RicciError } from '../../errors.ts'
import { Parts, type Way } from './parts.ts'
import type { Unsent } from './places-file.ts'
import type { Spool } from './spool.ts'
import { Stretch } from './stretch.ts'

export interface RelayOptions {
  readonly spool: Spool
  /** What is sent through. */
  readonly servers: Way
  readonly clock: Clock
  /** Unlike that of any other producer alive: names of stretches begin with it. */
  readonly producer: string
  /** What an earlier process left unsent; everything that is there unless told. */
  readonly unsent?: Unsent
  /** Told, not at once, what is unsent by now. */
  readonly keep: (unsent: Unsent) => void
  /** Told what goes wrong, in sentences, once per change. */
  readonly onProblem: (text: string) => void
}

/** Msgs on their way at once: a server that is a millisecond away is kept busy, and few are sent again after its death. */
const maxUnderWay = 64

/** No server took anything: nothing is sent for so long, doubled each time … */
const retryMs = 500
/** … up to this. Agents do not come back all at once: half of a pause is chance in the client, and they failed at different times. */
const longestRetryMs = 8_000

/** After a shorter trouble nothing is overtaken: what waited is hardly late. */
const freshMs = 10_000

/** Stretches that are not sent yet; while there are so many, nothing overtakes. */
const maxStretches = 16

/** What is known of the places is told after so long, or so many records: what is sent again must lie within 8,192 (see `ProducerMark.spread`). */
const keepAfterMs = 1_000
const keepAfterRecords = 2_000

/** How much waits, and what became of the rest; records are Msgs. */
export interface RelayStats {
  readonly sent: number
  readonly refused: number
  readonly dropped: number
  readonly waiting: number
  readonly waitingBytes: number
}

export class Relay implements QueryPort {
  readonly #options: RelayOptions
  readonly #parts: Parts
  /** The last one grows. */
  readonly #stretches: Stretch[]
  #renew: () => Promise<void> = async () => undefined
  /** Producer of what came last without a mark. */
  #producer = ''
  #underWay = 0
  #retry: Timer | undefined
  #failures = 0
  #failingSinceMs = 0
  #splitting = false
  #sent = 0
  #refused = 0
  #dropped = 0
  #unkept = 0
  #keep: Timer | undefined
  #stopped = false
  /** Those who wait until everything before an offset was sent. */
  readonly #waiting = new Set<{ readonly offset: number; readonly resolve: () => void }>()

  constructor(options: RelayOptions) {
    const { spool, unsent = [[spool.first, null]] } = options
    this.#options = options
    this.#parts = new Parts(options.servers)
    this.#stretches = joined(unsent).map(([from, to]) => {
      const stretch = new Stretch(spool, Math.max(from, spool.first))
      stretch.to = Math.min(to ?? Infinity, spool.end)
      return stretch
    })
    this.#stretches.push(new Stretch(spool, spool.end))
    this.#forget()
    spool.onMore = () => this.#pump()
  }

  /** Marks what comes without a mark: see the head of this file. */
  readonly markingAs: MarkingAs = (life) => {
    this.#producer = `${this.#options.producer}.${life}`
    // which partition a Msg goes to is not known here
    return { producer: this.#producer, incarnation: 1, spread: true }
  }

  /** @param renew begins another life of the marks; resolves when everything before it is in the spool, or refused */
  start(renew: () => Promise<void>): void {
    this.#renew = renew
    this.#pump()
  }

  get stats(): RelayStats {
    const { spool } = this.#options
    const waiting = this.#stretches.reduce((sum, { low, to }) => sum + Math.max(0, Math.min(to, spool.end) - low), 0)
    const dropped = this.#dropped + this.#stretches.reduce((sum, stretch) => sum + stretch.dropped, 0)
    return { sent: this.#sent, refused: this.#refused, dropped, waiting, waitingBytes: waiting === 0 ? 0 : spool.bytes }
  }

  /**
   * Resolves when all that was in the spool when it was asked has been sent, or given up.
   * @param late rejects where nobody waits any more
   */
  async sentSoFar(late?: Promise<never>): Promise<void> {
    const offset = this.#options.spool.end
    if (this.#low >= offset) return
    let resolve = (): void => undefined
    const sent = new Promise<void>((done) => (resolve = done))
    const waiting = { offset, resolve }
    this.#waiting.add(waiting)
    try {
      await (late === undefined ? sent : Promise.race([sent, late]))
    } finally {
      this.#waiting.delete(waiting)
    }
  }

  /** Sends no more, and tells the places. Idempotent. */
  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    this.#retry?.cancel()
    this.#tellPlaces()
    for (const stretch of this.#stretches) stretch.close()
  }

  /** Asks a server, once it has all that came here before. @throws RicciError `NOT_EVALUATED`, `NO_SERVER`, `QUERY_REFUSED` */
  async ask(query: string, sinceMs: number, took: (bytes: number) => boolean): Promise<readonly Uint8Array[]> {
    const { clock, servers } = this.#options
    let timer: Timer | undefined
    let why = 'what this machine sent before has not reached a server yet; ask again'
    const late = new Promise<never>((_resolve, reject) => {
      const leftMs = Math.max(0, sinceMs + queryWaitMs - clock.monotonicMs())
      timer = clock.setTimer(leftMs, () => reject(new RicciError('NOT_EVALUATED', why)))
    })
    const asked = async (): Promise<Msg> => {
      await this.sentSoFar(late)
      why = 'no server has answered yet; ask again'
      return servers.sendMsg({ query }).catch((error: Error) => {
        throw new RicciError('NO_SERVER', `no server can be asked now: ${error.message}`, { cause: error })
      })
    }
    const answer = Promise.race([asked(), late])
    const { ok, error, events } = await answer.finally(() => timer?.cancel())
    if (ok === false) throw new RicciError('QUERY_REFUSED', error ?? 'the server refused the query')
    const page = encodeMsg({ events })
    return took(page.length) ? [page] : []
  }

  get #low(): number {
    return Math.min(...this.#stretches.map(({ low }) => low))
  }

  /** Sends as much as may be on its way. */
  #pump(): void {
    const room = this.#failures > 0 ? 1 : maxUnderWay
    while (this.#underWay < room && this.#retry === undefined && !this.#splitting && !this.#stopped) {
      const taken = this.#taken()
      if (taken === undefined) return
      this.#underWay++
      void this.#deliver(...taken)
    }
  }

  #taken(): [Stretch, StoredRecord] | undefined {
    try {
      return this.#take()
    } catch (error) {
      // the disk: it may be read another time
      this.#pause(error as Error)
      return undefined
    }
  }

  /** What is fresh, else what has waited for longest. */
  #take(): [Stretch, StoredRecord] | undefined {
    const stretches = this.#stretches
    for (const stretch of [stretches[stretches.length - 1], ...stretches.slice(0, -1)]) {
      const record = stretch.take()
      if (record !== undefined) return [stretch, record]
    }
    return undefined
  }

  async #deliver(stretch: Stretch, record: StoredRecord): Promise<void> {
    const { clock } = this.#options
    const bytes = record.bytes.subarray(eventsHeaderLength)
    try {
      // The age of what waited is judged by one clock: this one. A query that came with events is asked apart. A program's own sequence, too, is spread from here on: what is
      // fresh overtakes what waited, and what was dropped for want of room is told from here.
      const msg = eventsWithMark(bytes, { ...readMark(bytes)!, spread: true, sentAtMs: clock.wallMs() })
      const reply = await this.#parts.sendMsg(msg)
      if (isRefusedForNow(reply.error)) throw new ClientError('REFUSED', reply.error!, true)
      this.#took(stretch, record, reply)
    } catch (error) {
      this.#failed(stretch, record, error as Error)
    }
    this.#underWay--
    this.#settled()
    this.#pump()
  }

  #took(stretch: Stretch, record: StoredRecord, { ok, error }: Msg): void {
    stretch.settle(record)
    if (ok === false) this.#refuse(error ?? 'without a reason')
    else this.#sent++
    // what was on its way when another was not taken says nothing
    if (this.#failures === 0 || this.#retry !== undefined) return
    const { clock, onProblem } = this.#options
    const awayMs = clock.monotonicMs() - this.#failingSinceMs
    this.#failures = 0
    onProblem(`a server takes events again; ${this.stats.waiting} messages that waited follow`)
    if (awayMs > freshMs && this.#stretches.length < maxStretches) void this.#split()
  }

  #failed(stretch: Stretch, record: StoredRecord, error: Error): void {
    // what cannot be put into bytes never can
    if (error instanceof CodecError || (error instanceof ClientError && !error.retriable && error.code !== 'CLOSED')) {
      stretch.settle(record)
      this.#refuse(error.message)
      return
    }
    stretch.giveBack(record)
    this.#pause(error)
  }

  #pause(error: Error): void {
    const { clock, onProblem } = this.#options
    if (this.#stopped || this.#retry !== undefined) return
    if (this.#failures++ === 0) {
      this.#failingSinceMs = clock.monotonicMs()
      onProblem(`messages wait here until a server takes them: ${error.message}`)
    }
    this.#retry = clock.setTimer(Math.min(longestRetryMs, retryMs * 2 ** (this.#failures - 1)), () => {
      this.#retry = undefined
      this.#pump()
    })
  }

  #refuse(why: string): void {
    this.#refused++
    this.#options.onProblem(`a server refused a message, or some of it: ${why}`)
  }

  /** What comes from now on goes before what waited. */
  async #split(): Promise<void> {
    const { spool } = this.#options
    this.#splitting = true
    const growing = this.#stretches[this.#stretches.length - 1]
    const before = spool.end
    const producer = this.#producer
    try {
      await this.#renew()
      const from = this.#producer === producer ? spool.end : firstOf(spool, before, this.#producer)
      const fresh = new Stretch(spool, from)
      growing.to = from
      if (this.#stopped) fresh.close()
      else this.#stretches.push(fresh)
    } catch (error) {
      // the disk: what comes from now on is sent in its turn
      this.#options.onProblem(`what is fresh goes after what waited: ${(error as Error).message}`)
    }
    this.#splitting = false
    this.#pump()
  }

  /** One more is settled. */
  #settled(): void {
    this.#forget()
    if (this.#waiting.size > 0) {
      const low = this.#low
      for (const { offset, resolve } of this.#waiting) if (low >= offset) resolve()
    }
    if (this.#stopped) return
    if (++this.#unkept >= keepAfterRecords) this.#tellPlaces()
    this.#keep ??= this.#options.clock.setTimer(keepAfterMs, () => this.#tellPlaces())
  }

  /** Forgets stretches that are done. */
  #forget(): void {
    for (let i = this.#stretches.length - 2; i >= 0; i--) {
      const stretch = this.#stretches[i]
      if (!stretch.isDone) continue
      stretch.close()
      this.#dropped += stretch.dropped
      this.#stretches.splice(i, 1)
    }
  }

  #tellPlaces(): void {
    this.#keep?.cancel()
    this.#keep = undefined
    this.#unkept = 0
    const { keep, spool } = this.#options
    keep(this.#stretches.map(({ low, to }) => [low, to === Infinity ? null : to]))
    spool.release(this.#low)
  }
}

/** What follows each other as one: each life leaves a part behind, and they are sent in their order anyway. */
function joined(unsent: Unsent): Unsent {
  const parts: [from: number, to: number | null][] = []
  for (const [from, to] of unsent) {
    const last = parts.at(-1)
    if (last?.[1] === from) last[1] = to
    else parts.push([from, to])
  }
  return parts
}

/** The first record, from an offset on, that a producer marked; the end where none did. */
function firstOf(spool: Spool, from: number, producer: string): number {
  const reader = spool.reader(from)
  try {
    for (let records = reader.next(); records.length > 0; records = reader.next()) {
      for (const { offset, bytes } of records) {
        if (readMark(bytes.subarray(eventsHeaderLength))?.producer === producer) return offset
      }
    }
    return spool.end
  } finally {
    reader.close()
  }
}
