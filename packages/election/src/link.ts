import { setMaxListeners } from 'node:events'
import { bounded, pause } from './bounded.ts'
import type { Candidature } from './candidacy.ts'
import { momentOf, type Clock, type Moment, type Random } from './clock.ts'
import type { Pace } from './durations.ts'
import { ElectionError, hasCode } from './errors.ts'
import type { Statistics } from './stats.ts'
import type { GroupView, Json, LeaseStore, StoreSession } from './store.ts'

/** How many reads are under way at once: one each quarter of a lease, given up after a lease; one or two more wherever something has changed. */
const readsAtOnce = 6

/** How long a request to the store may take at least before it is given up, in ms: leases may be shorter than a round trip on a busy machine. */
const leastPatienceMs = 1000

/** How long opening a session may take, several requests in a row, in ms. */
const openPatienceMs = 5000

/** Pauses between tries while the store does not answer: they double from the first to the last, jittered by half. */
const retry = { firstMs: 100, lastMs: 2000 }

/** A session that lasted less than this, in ms, counts as a failed try: a store that forgets what it has just granted must not be asked without a pause. */
const shortLivedMs = 1000

/** After how many failures in a row the store has stopped answering: one is a connection that broke, and the next question is answered. */
const failuresToTell = 2

/** What a link tells the group. */
export interface LinkEvents {
  /** A read was answered; `sent` is when it was sent. Answers that were overtaken are left out. */
  view(view: GroupView, sent: Moment): void
  /** The session is gone, and with it whatever was held. */
  lost(): void
  /** What no further try will mend. */
  failed(error: ElectionError): void
  /** A request failed; tried again. */
  trouble(error: ElectionError): void
  /** The store answers again, or has stopped answering. */
  store(answers: boolean): void
  /** Whether anything is held, so that reads are confirms. */
  holds(): boolean
  /** Whether requests wait for others to be answered: each of them will change something. */
  crowded(): boolean
  /** Something has happened: time to plan. */
  plan(): void
}

/** What a link is made of. */
export interface LinkOptions {
  readonly group: string
  readonly store: LeaseStore
  readonly pace: Pace
  readonly clock: Clock
  readonly random: Random
  readonly data: Json
}

/**
 * A group's line to its store: one session, and another after it when it is lost. Three things go on, none waiting for another: reads
 * (every quarter of a lease while something is held, else as often as the store advises, and whenever it says that something has
 * changed), signs of life where the store wants them, and the watch for changes. A read that was sent earlier and answered later than another is
 * passed over.
 */
export class StoreLink {
  /** Who we are to the store. */
  readonly self: { -readonly [Key in keyof Candidature]: Candidature[Key] }
  readonly #options: LinkOptions
  readonly #clock: Clock
  readonly #events: LinkEvents
  readonly #stats: Statistics
  readonly #ending = new AbortController()
  #data: Json
  /** What publishes now, and what does after it: the latest, for all who have asked meanwhile. */
  #publishing: Promise<void> = Promise.resolve()
  #publishNext: Promise<void> | undefined
  #session: StoreSession | undefined
  /** Ends what belongs to the present session. */
  #sessionEnd = new AbortController()
  /** Ends when the last session is closed. */
  #running: Promise<void> | undefined
  #answers = true
  #reads = 0
  /** Something changed while a read for that was under way. */
  #readAgain = false
  #readingChange: Promise<void> | undefined
  /** Ends the wait of a read for requests to get through. */
  #crowd: AbortController | undefined
  /** When the last read was sent. */
  #lastSent: Moment
  /** When the read was sent whose answer was applied last, in monotonic ms. */
  #appliedSentMs = -Infinity
  /** When a name becomes free without anything being written, in monotonic ms. */
  #changesAtMs = Infinity
  /** Failed reads, or tries to open a session, since the last answer. */
  #failures = 0

  constructor(id: string, options: LinkOptions, stats: Statistics, events: LinkEvents) {
    this.self = { id, session: undefined, leaseMs: options.pace.leaseMs }
    this.#options = options
    this.#clock = options.clock
    this.#data = options.data
    this.#stats = stats
    this.#events = events
    this.#lastSent = momentOf(this.#clock)
  }

  /** The present session; undefined while there is none. */
  get session(): StoreSession | undefined {
    return this.#session
  }

  /** Opens the session, if that has not begun. */
  begin(): void {
    this.#running ??= this.#run()
  }

  /** One request to the store, given up when it takes too long. */
  ask<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return bounded(this.#clock, this.#patienceMs, undefined, call)
  }

  /** One request under the present session, given up with it, too: its answer would be nobody's. */
  askInSession<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return bounded(this.#clock, this.#patienceMs, this.#sessionEnd.signal, call)
  }

  /** Publishes something else about this member. One after another, so that the store is left with what was said last. */
  publish(data: Json): Promise<void> {
    this.#data = data
    return this.#publishLatest()
  }

  /** One linearizable read; everything that it shows has been applied when this resolves. */
  async read(): Promise<void> {
    const session = this.#session
    if (session === undefined) return
    const { view, sent } = await this.#ask(session)
    this.#apply(session, view, sent)
  }

  /** Reads if it is time to; gives how long until it is time again, in ms. */
  poll(): number {
    const session = this.#session
    if (session === undefined) return Infinity
    if (this.#readInMs(session) <= 0 && this.#reads < readsAtOnce) void this.#readQuietly(session)
    // Where as many as may be are under way, the next answer plans anew.
    return this.#reads < readsAtOnce ? Math.max(this.#readInMs(session), 0) : Infinity
  }

  /** Reads now, and once more if something changes while that read is under way. Resolves when no such read is. */
  async readSoon(): Promise<void> {
    if (this.#session === undefined) return
    this.#readAgain = true
    await (this.#readingChange ??= this.#readChanges())
  }

  /** No request waits for others any more. */
  uncrowded(): void {
    this.#crowd?.abort()
  }

  /** A request failed: tells, and gives up the session if the store no longer knows it. */
  trouble(error: unknown, session?: StoreSession): void {
    if (this.#ending.signal.aborted) return
    this.#stats.count('failures')
    const known = error instanceof ElectionError
    const trouble = known
      ? error
      : new ElectionError('STORE_UNAVAILABLE', `the store failed: ${String(error)}`, true, { cause: error })
    this.#events.trouble(trouble)
    if (trouble.code === 'SESSION_LOST' && session !== undefined) this.#loseSession(session)
  }

  /** How long to wait after so many failures in a row, in ms. */
  backoffMs(failures: number): number {
    const ms = Math.min(retry.firstMs * 2 ** (failures - 1), retry.lastMs)
    return ms * (0.5 + 0.5 * this.#options.random())
  }

  /** Waits after a failure, as long as this session lasts. */
  async pauseAfterFailure(): Promise<void> {
    await pause(this.#clock, this.backoffMs(1), this.#sessionEnd.signal)
  }

  /** Leaves the group and closes what was opened. */
  async close(): Promise<void> {
    this.#ending.abort()
    this.#endSession(new ElectionError('CLOSED', `the election ${this.#options.group} was closed`, false))
    await this.#running
  }

  /** Opens sessions, one after another, until the group is closed. */
  async #run(): Promise<void> {
    const ending = this.#ending.signal
    for (let failures = 0; !ending.aborted;) {
      let session: StoreSession
      const data = this.#data
      try {
        session = await this.#open(data)
      } catch (error) {
        if (ending.aborted) return
        if (hasCode(error, 'OPTION_INVALID')) return this.#events.failed(error)
        this.#unanswered(error)
        await pause(this.#clock, this.backoffMs(++failures), ending)
        continue
      }
      this.#answered()
      const openedMs = this.#clock.monotonicMs()
      if (!ending.aborted) await this.#serve(session, data)
      // Who closes waits until the session has ended; a lost one is only told goodbye.
      const left = this.#leave(session)
      if (ending.aborted) return left
      failures = this.#clock.monotonicMs() - openedMs < shortLivedMs ? failures + 1 : 0
      if (failures > 0) await pause(this.#clock, this.backoffMs(failures), ending)
    }
  }

  async #open(data: Json): Promise<StoreSession> {
    const { store, group, clock, random } = this.#options
    const { leaseMs, detectMs } = this.#options.pace
    const warn = (message: string): void => this.#events.trouble(new ElectionError('STORE_REFUSED', message, true))
    const about = { group, id: this.self.id, data, leaseMs, detectMs, clock, random, warn }
    let opening: Promise<StoreSession> | undefined
    try {
      return await bounded(clock, openPatienceMs, this.#ending.signal, (signal) => {
        opening = store.open({ ...about, signal })
        return opening
      })
    } catch (error) {
      // Should it open after it was given up: nobody else will close it.
      void opening?.then(
        (session) => this.#leave(session),
        () => undefined,
      )
      throw error
    }
  }

  /** Uses a session until it is lost, or the group is closed. */
  async #serve(session: StoreSession, data: Json): Promise<void> {
    const end = new AbortController()
    // One for each request under way; each is taken off again.
    setMaxListeners(0, end.signal)
    this.#session = session
    this.#sessionEnd = end
    this.self.session = session.id
    this.self.leaseMs = session.leaseMs
    this.#stats.count('sessions')
    this.#failures = 0
    void this.#watch(session, end.signal)
    void this.#keepAlive(session, end.signal)
    void this.#catchUp(data, end.signal)
    void this.readSoon()
    if (!end.signal.aborted) await new Promise((resolve) => end.signal.addEventListener('abort', resolve))
  }

  /** Publishes what was to be published while the session was being opened. */
  async #catchUp(published: Json, end: AbortSignal): Promise<void> {
    for (let failures = 0; published !== this.#data && !end.aborted;) {
      const latest = this.#data
      try {
        await this.#publishLatest()
        published = latest
      } catch {
        await pause(this.#clock, this.backoffMs(++failures), end)
      }
    }
  }

  #publishLatest(): Promise<void> {
    this.#publishNext ??= this.#publishing.then(() => {
      this.#publishNext = undefined
      const publishing = this.#publishOnce()
      this.#publishing = publishing.catch(() => undefined)
      return publishing
    })
    return this.#publishNext
  }

  async #publishOnce(): Promise<void> {
    const session = this.#session
    try {
      if (session !== undefined) await this.askInSession((signal) => session.publish(this.#data, signal))
    } catch (error) {
      this.trouble(error, session)
      // Where the session was lost meanwhile, the next begins with it.
      if (session === this.#session) throw error
    }
  }

  async #leave(session: StoreSession): Promise<void> {
    try {
      await bounded(this.#clock, leastPatienceMs, undefined, (signal) => session.close(signal))
    } catch {
      // The store ends it after the detection time.
    }
  }

  #loseSession(session: StoreSession): void {
    if (session !== this.#session) return
    this.#endSession(new ElectionError('SESSION_LOST', 'the store has lost our session', true))
    this.#events.lost()
    this.#events.plan()
  }

  #endSession(why: ElectionError): void {
    this.#session = undefined
    this.self.session = undefined
    this.#sessionEnd.abort(why)
    this.uncrowded()
  }

  /** Reads whenever the store says that something has changed. */
  async #watch(session: StoreSession, end: AbortSignal): Promise<void> {
    for (let failures = 0; !end.aborted;) {
      try {
        await session.changed(end)
        failures = 0
        // Waited for: a store that speaks of changes without end is asked as often as it answers, not more.
        if (!end.aborted) await this.readSoon()
      } catch (error) {
        if (end.aborted) return
        this.trouble(error, session)
        await pause(this.#clock, this.backoffMs(++failures), end)
        // What was missed meanwhile.
        if (!end.aborted) void this.readSoon()
      }
    }
  }

  /** Gives signs of life, none waiting for the one before. */
  async #keepAlive(session: StoreSession, end: AbortSignal): Promise<void> {
    const everyMs = session.keepAliveMs
    if (everyMs === undefined) return
    let underWay = 0
    while (!end.aborted) {
      if (underWay < readsAtOnce) {
        underWay++
        void bounded(this.#clock, Math.max(everyMs * 4, leastPatienceMs), end, (signal) => session.keepAlive!(signal))
          .catch((error: unknown) => end.aborted || this.trouble(error, session))
          .finally(() => underWay--)
      }
      await pause(this.#clock, everyMs, end)
    }
  }

  async #readChanges(): Promise<void> {
    try {
      while (this.#readAgain && this.#session !== undefined) {
        await this.#letThrough(this.#session)
        this.#readAgain = false
        if (this.#session !== undefined) await this.#readQuietly(this.#session)
      }
    } finally {
      this.#readingChange = undefined
    }
  }

  /**
   * While hundreds of names are acquired, each answer changes something; read each time, they would cost the square of their number.
   * So changes are read once the requests are through, and a quarter of a lease after the last read at the latest.
   */
  async #letThrough(session: StoreSession): Promise<void> {
    const waitMs = this.#lastSent.monotonicMs + session.leaseMs / 4 - this.#clock.monotonicMs()
    if (!this.#events.crowded() || waitMs <= 0) return
    this.#crowd = new AbortController()
    await pause(this.#clock, waitMs, this.#crowd.signal)
    this.#crowd = undefined
  }

  async #readQuietly(session: StoreSession): Promise<void> {
    const answer = await this.#ask(session).catch((error: unknown) => {
      if (session === this.#session) this.#unanswered(error, session)
    })
    if (answer !== undefined) this.#apply(session, answer.view, answer.sent)
    this.#events.plan()
  }

  /** Asks the store for everything. */
  async #ask(session: StoreSession): Promise<{ readonly view: GroupView; readonly sent: Moment }> {
    const sent = momentOf(this.#clock)
    this.#lastSent = sent
    this.#changesAtMs = Infinity
    this.#reads++
    try {
      const view = await this.askInSession((signal) => session.read(signal))
      const tookMs = this.#clock.monotonicMs() - sent.monotonicMs
      this.#stats.answered(tookMs)
      if (tookMs > this.self.leaseMs / 4) {
        const said = `a read took ${Math.round(tookMs)} ms; the lease of ${this.self.leaseMs} ms wants four in a row to be quicker`
        this.#events.trouble(new ElectionError('SLOW', said, true))
      }
      this.#answered()
      return { view, sent }
    } finally {
      this.#reads--
    }
  }

  #apply(session: StoreSession, view: GroupView, sent: Moment): void {
    if (session !== this.#session || this.#appliedSentMs > sent.monotonicMs) return
    this.#appliedSentMs = sent.monotonicMs
    if (!view.members.some((member) => member.session === session.id)) return this.#loseSession(session)
    if (view.changesInMs !== undefined) this.#changesAtMs = this.#clock.monotonicMs() + view.changesInMs
    this.#events.view(view, sent)
  }

  #unanswered(error: unknown, session?: StoreSession): void {
    this.#failures++
    const silent = !(error instanceof ElectionError) || error.code === 'STORE_UNAVAILABLE'
    if (silent && this.#answers && this.#failures >= failuresToTell) {
      this.#answers = false
      this.#events.store(false)
    }
    this.trouble(error, session)
  }

  #answered(): void {
    this.#failures = 0
    if (this.#answers) return
    this.#answers = true
    this.#events.store(true)
  }

  get #patienceMs(): number {
    return Math.max(this.self.leaseMs, leastPatienceMs)
  }

  /** How long until the next read is due. */
  #readInMs(session: StoreSession): number {
    const now = this.#clock.monotonicMs()
    const everyMs = this.#failures > 0 ? this.backoffMs(this.#failures) : session.rereadMs
    const periodMs = this.#events.holds() ? session.leaseMs / 4 : everyMs
    return Math.min(this.#lastSent.monotonicMs + periodMs, this.#changesAtMs) - now
  }
}
