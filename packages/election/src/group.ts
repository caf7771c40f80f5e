import { hostname } from 'node:os'
import { bounded, pause } from './bounded.ts'
import { Candidate, type CandidateOptions, type CandidateSettings } from './candidate.ts'
import type { Candidature, Wish } from './candidacy.ts'
import { momentOf, systemClock, type Clock, type Moment, type Random, type Timer } from './clock.ts'
import { paceOf, toMs, type Duration, type Pace, type Profile } from './durations.ts'
import { Emitter } from './emitter.ts'
import { ElectionError, hasCode } from './errors.ts'
import { Statistics, type ElectionStats } from './stats.ts'
import type {
  Acquisition,
  GroupView,
  HandOverRequest,
  Journal,
  Json,
  LeaseStore,
  Member,
  StoreSession,
} from './store.ts'
import type { Gate } from './term.ts'

/** How many acquisitions and releases are under way at once: a group that starts with hundreds of names must not flood its store. */
const requestsAtOnce = 16

/** How many reads are under way at once: one each quarter of a lease, given up after a lease; one or two more wherever something has changed. */
const readsAtOnce = 6

/** How long a request to the store may take at least before it is given up, in ms: leases may be shorter than a round trip on a busy machine. */
const leastPatienceMs = 1000

/** Pauses between tries while the store does not answer: they double from the first to the last, jittered by half. */
const retry = { firstMs: 100, lastMs: 2000 }

/** How long opening a session may take, several requests in a row, in ms. */
const openPatienceMs = 5000

/** The exit code of a process that ends because its work does not (EX_SOFTWARE of sysexits). */
const overrunExitCode = 70

/** What warnings of one kind are told at most once in. */
const warningEveryMs = 60_000

/** Options of a group, and of an election. */
export interface GroupOptions {
  /** The group: everybody who names the same one in the same store belongs to it. */
  readonly name: string
  readonly store: LeaseStore
  /** What this member is called; by default made of host name, process id and chance. Must not be another live member's. */
  readonly id?: string
  /** What this member publishes: address, zone, version. A few hundred bytes; everybody reads it with every confirm. */
  readonly data?: Json
  /** Default `default`: lease and detection of 2 s each. */
  readonly profile?: Profile
  /** The lease D instead of the profile's. */
  readonly lease?: Duration
  /** The detection time c instead of the profile's. */
  readonly detect?: Duration
  /**
   * Terms begin at once, without waiting until a predecessor's lease has certainly ended. For those who fence by other means: with the
   * token at what is acted upon, or by a log's order.
   */
  readonly fenced?: boolean
  /** How sure `term.act` is to be by default: `journal` where the store has one, else `confirm`. */
  readonly gate?: Gate
  /** How long work may go on after its term has ended; by default the lease, at least 1 s. */
  readonly grace?: Duration
  /** What happens when work went on for longer: a warning (default), or the end of this process with exit code 70. */
  readonly onOverrun?: 'warn' | 'exit'
  /** Whether to heed a member's request for a name we hold; by default always. */
  readonly acceptHandOver?: (name: string, request: HandOverRequest) => boolean
  /** No term begins under a lower token: the highest that your sink has seen, if you know it. */
  readonly minToken?: bigint
  /** For simulators and tests. */
  readonly clock?: Clock
  /** For simulators and tests. */
  readonly random?: Random
  /** For tests: what ends the process. */
  readonly exit?: (code: number) => void
}

/** A group's events. */
export interface GroupEvents {
  /** Somebody joined, left or published something else. */
  members: readonly Member[]
  /** Trouble that people should know of; nothing ends because of it. */
  warning: ElectionError
  /** The store answers (true), or has stopped answering (false). */
  store: boolean
}

/**
 * Many names under one session. One read confirms them all, so that hundreds of names cost the store hardly more than one; each has
 * its own candidates, preferences and terms.
 *
 * A session is opened when the first candidate stands or {@link join} is called. While there is one, three things go on, none
 * waiting for another: reads (every quarter of a lease while something is held, else as often as the store advises, and whenever it says that something
 * has changed), signs of life where the store wants them, and the watch for changes. A read that was sent earlier and arrives later than
 * another is passed over.
 */
export class ElectionGroup extends Emitter<GroupEvents> implements AsyncDisposable {
  readonly name: string
  /** What this member is called. */
  readonly id: string
  /** @internal */
  readonly clock: Clock
  /** @internal */
  readonly self: { -readonly [Key in keyof Candidature]: Candidature[Key] }
  readonly #options: GroupOptions
  readonly #pace: Pace
  readonly #graceMs: number
  readonly #random: Random
  readonly #candidates = new Map<string, Candidate>()
  readonly #stats = new Statistics()
  readonly #ending = new AbortController()
  readonly #warnedMs = new Map<string, number>()
  #data: Json
  #session: StoreSession | undefined
  /** Ends what belongs to the present session. */
  #sessionEnd = new AbortController()
  #began = false
  #members: readonly Member[] = []
  #failure: ElectionError | undefined
  #closing: Promise<void> | undefined
  #storeAnswers = true
  #timer: Timer | undefined
  #planning = false
  #planAgain = false
  #requests = 0
  #reads = 0
  /** Something changed while a read for that was under way. */
  #readAgain = false
  #readingChange = false
  /** When the last read was sent. */
  #lastSent: Moment
  /** When the read was sent whose answer was applied last, in monotonic ms. */
  #appliedSentMs = -Infinity
  /** When a name becomes free without anything being written, in monotonic ms. */
  #changesAtMs = Infinity
  /** Failed reads since the last answer. */
  #failures = 0

  /** @throws ElectionError `OPTION_INVALID` */
  constructor(options: GroupOptions) {
    super()
    this.#options = options
    this.name = nameOf(options.name, 'name')
    this.clock = options.clock ?? systemClock
    this.#random = options.random ?? Math.random
    this.id = options.id === undefined ? makeId(this.#random) : nameOf(options.id, 'id')
    this.#pace = paceOf(options)
    this.#data = options.data ?? null
    this.#graceMs = options.grace === undefined ? Math.max(this.#pace.leaseMs, 1000) : toMs(options.grace, 'grace')
    this.self = { id: this.id, session: undefined, leaseMs: this.#pace.leaseMs }
    this.#lastSent = momentOf(this.clock)
  }

  /** Who is alive, as the last read showed; sorted by id. */
  get members(): readonly Member[] {
    return this.#members
  }

  /** Figures since the group was made. */
  stats(): ElectionStats {
    return this.#stats.read()
  }

  /** Whether it has left the store. */
  get isClosed(): boolean {
    return this.#ending.signal.aborted
  }

  /** This member's candidate for a name: always the same one. @throws ElectionError `OPTION_INVALID`, `CLOSED` */
  candidate(name: string, options: CandidateOptions = {}): Candidate {
    this.assertOpen()
    return this.#candidates.get(name) ?? new Candidate(nameOf(name, 'name'), this, options)
  }

  /** @internal Takes in a candidate that was made; gives what the group's options say for all of them. */
  enter(candidate: Candidate): CandidateSettings {
    this.#candidates.set(candidate.name, candidate)
    return { fenced: this.#options.fenced ?? false, graceMs: this.#graceMs, minToken: this.#options.minToken ?? 0n }
  }

  /** Joins the group without standing for anything: as a member that others see. Idempotent. */
  join(): void {
    this.assertOpen()
    this.begin()
  }

  /** Publishes something else about this member. */
  async publish(data: Json): Promise<void> {
    this.#data = data
    const session = this.#session
    if (session !== undefined) await this.ask((signal) => session.publish(data, signal))
  }

  /**
   * Asks whoever holds a name to hand it over. Resolves once the request lies at the store; its holder gives the name up unless it
   * was told not to.
   * @param to the id of the member who is to have it; by default this one
   * @returns whether anybody holds it
   */
  async requestHandOver(name: string, to: string | undefined = this.id): Promise<boolean> {
    const { store } = this.#options
    const view = (await this.ask((signal) => store.look(this.name, signal))).names.get(name)
    if (view?.holder === undefined) return false
    const request = { by: this.id, ...(to !== undefined && { to }) }
    await this.ask((signal) => store.request(this.name, name, view.token, request, signal))
    return true
  }

  /** Resigns everything, waits for work as long as the grace, leaves the group, closes what was opened. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Closes. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** @internal */
  get gate(): Gate {
    return this.#options.gate ?? (this.journal === undefined ? 'confirm' : 'journal')
  }

  /** @internal The store's journal, while there is a session. */
  get journal(): Journal | undefined {
    return this.#session?.journal
  }

  /** @internal What no further try will mend. */
  get failure(): ElectionError | undefined {
    return this.#failure
  }

  /** @internal @throws ElectionError `CLOSED` */
  assertOpen(): void {
    if (this.#closing === undefined) return
    throw new ElectionError('CLOSED', `the election ${this.name} was closed`, false)
  }

  /** @internal Opens the session, if that has not begun. */
  begin(): void {
    if (this.#began) return
    this.#began = true
    void this.#run()
  }

  /** @internal */
  count(what: 'terms' | 'resumptions' | 'suspensions'): void {
    this.#stats.count(what)
  }

  /** @internal Tells people, of one kind of trouble once a minute. */
  warn(error: ElectionError): void {
    const now = this.clock.monotonicMs()
    const before = this.#warnedMs.get(error.code)
    if (before !== undefined && now - before < warningEveryMs) return
    this.#warnedMs.set(error.code, now)
    this.#tell(error)
  }

  /** @internal Work went on beyond its grace. */
  overrun(error: ElectionError): void {
    this.#tell(error)
    if (this.#options.onOverrun !== 'exit') return
    const exit = this.#options.exit ?? ((code): void => process.exit(code))
    exit(overrunExitCode)
  }

  /** @internal Whether a request for a name we hold is heeded. */
  accepts(name: string, request: HandOverRequest): boolean {
    if (request.to === this.id) return false
    if (request.to !== undefined && !this.#members.some(({ id }) => id === request.to)) return false
    return this.#options.acceptHandOver?.(name, request) ?? true
  }

  /** @internal One request to the store, given up when it takes too long. */
  ask<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return bounded(this.clock, Math.max(this.self.leaseMs, leastPatienceMs), undefined, call)
  }

  /** @internal One linearizable read; everything that it shows has been applied when this resolves. */
  async confirm(): Promise<void> {
    const session = this.#session
    if (session !== undefined) await this.#read(session)
  }

  /** @internal Does what time and the last answers ask for, and sets the timer for what comes next. */
  plan(): void {
    this.#planAgain = true
    if (this.#planning) return
    this.#planning = true
    while (this.#planAgain && !this.isClosed) {
      this.#planAgain = false
      this.#planOnce()
    }
    this.#planning = false
  }

  #tell(error: ElectionError): void {
    this.emit('warning', error)
    for (const candidate of this.#candidates.values()) candidate.warned(error)
  }

  #planOnce(): void {
    const session = this.#session
    let nextMs = Infinity
    for (const candidate of this.#candidates.values()) {
      candidate.apply((candidacy, now) => candidacy.tick(now))
      while (session !== undefined && this.#requests < requestsAtOnce) {
        const wish = candidate.wish()
        if (wish === undefined) break
        void this.#grant(session, candidate, wish)
      }
      nextMs = Math.min(nextMs, candidate.nextInMs() ?? Infinity)
    }
    if (session !== undefined) {
      const inMs = this.#readInMs(session)
      if (inMs <= 0 && this.#reads < readsAtOnce) void this.#readQuietly(session)
      nextMs = Math.min(nextMs, Math.max(inMs, 0) || this.#readInMs(session))
    }
    this.#wakeIn(nextMs)
  }

  /** How long until the next read is due. */
  #readInMs(session: StoreSession): number {
    const now = this.clock.monotonicMs()
    const holds = [...this.#candidates.values()].some((candidate) => candidate.holds)
    const everyMs = this.#failures > 0 ? this.#backoffMs(this.#failures) : session.rereadMs
    const periodMs = holds ? session.leaseMs / 4 : everyMs
    return Math.min(this.#lastSent.monotonicMs + periodMs, this.#changesAtMs) - now
  }

  #wakeIn(ms: number): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (ms === Infinity || this.isClosed) return
    const dueMs = this.clock.monotonicMs() + ms
    this.#timer = this.clock.setTimer(Math.max(ms, 0), () => {
      const lateMs = this.clock.monotonicMs() - dueMs
      if (lateMs > this.self.leaseMs / 4) {
        const said = `this process stood still for ${Math.round(lateMs)} ms; the lease is ${this.self.leaseMs} ms`
        this.warn(new ElectionError('LAG', said, true))
      }
      this.plan()
    })
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
        if (hasCode(error, 'OPTION_INVALID')) return this.#fail(error)
        this.#trouble(error)
        await pause(this.clock, this.#backoffMs(++failures), ending)
        continue
      }
      failures = 0
      this.#answered()
      await this.#serve(session, data)
    }
  }

  #open(data: Json): Promise<StoreSession> {
    const { leaseMs, detectMs } = this.#pace
    const { clock } = this
    const warn = (message: string): void => this.warn(new ElectionError('STORE_REFUSED', message, true))
    const about = { group: this.name, id: this.id, data, leaseMs, detectMs, clock, random: this.#random, warn }
    return bounded(clock, openPatienceMs, this.#ending.signal, async (signal) => {
      const session = await this.#options.store.open({ ...about, signal })
      // It was given up meanwhile: nobody else will close it.
      if (signal.aborted) void this.#leave(session)
      return session
    })
  }

  /** What no further try will mend: whoever campaigns is told. */
  #fail(error: ElectionError): void {
    this.#failure = error
    this.warn(error)
    for (const candidate of this.#candidates.values()) candidate.failed()
  }

  /** Uses a session until it is lost, or the group is closed. */
  async #serve(session: StoreSession, data: Json): Promise<void> {
    const end = new AbortController()
    this.#session = session
    this.#sessionEnd = end
    this.self.session = session.id
    this.self.leaseMs = session.leaseMs
    this.#stats.count('sessions')
    this.#failures = 0
    void this.#watch(session, end.signal)
    void this.#keepAlive(session, end.signal)
    if (data !== this.#data) void this.publish(this.#data).catch((error: unknown) => this.#trouble(error))
    this.#readSoon()
    await new Promise<void>((resolve) => end.signal.addEventListener('abort', () => resolve()))
    // Closing waits for the session by itself; a lost one is only told goodbye.
    if (!this.isClosed) void this.#leave(session)
  }

  async #leave(session: StoreSession): Promise<void> {
    try {
      await bounded(this.clock, leastPatienceMs, undefined, (signal) => session.close(signal))
    } catch {
      // The store ends it after the detection time.
    }
  }

  #loseSession(session: StoreSession): void {
    if (session !== this.#session) return
    this.#session = undefined
    this.self.session = undefined
    for (const candidate of this.#candidates.values()) candidate.apply((candidacy) => candidacy.sessionLost())
    this.#sessionEnd.abort()
    this.plan()
  }

  /** Reads whenever the store says that something has changed. */
  async #watch(session: StoreSession, end: AbortSignal): Promise<void> {
    for (let failures = 0; !end.aborted;) {
      try {
        await session.changed(end)
        failures = 0
        if (!end.aborted) this.#readSoon()
      } catch (error) {
        if (end.aborted) return
        this.#trouble(error, session)
        await pause(this.clock, this.#backoffMs(++failures), end)
        // What was missed meanwhile.
        if (!end.aborted) this.#readSoon()
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
        void bounded(this.clock, Math.max(everyMs * 4, leastPatienceMs), end, (signal) => session.keepAlive!(signal))
          .catch((error: unknown) => end.aborted || this.#trouble(error, session))
          .finally(() => underWay--)
      }
      await pause(this.clock, everyMs, end)
    }
  }

  /** Reads now, and once more if something changes while that read is under way. */
  #readSoon(): void {
    const session = this.#session
    if (session === undefined) return
    this.#readAgain = true
    if (this.#readingChange) return
    this.#readingChange = true
    void (async () => {
      while (this.#readAgain && this.#session !== undefined) {
        this.#readAgain = false
        await this.#readQuietly(this.#session)
      }
      this.#readingChange = false
    })()
  }

  async #readQuietly(session: StoreSession): Promise<void> {
    try {
      await this.#read(session)
    } catch (error) {
      if (session !== this.#session) return
      this.#failures++
      this.#trouble(error, session)
    }
    this.plan()
  }

  async #read(session: StoreSession): Promise<void> {
    const sent = momentOf(this.clock)
    this.#lastSent = sent
    this.#changesAtMs = Infinity
    this.#reads++
    try {
      const view = await this.ask((signal) => session.read(signal))
      if (session !== this.#session) return
      const tookMs = this.clock.monotonicMs() - sent.monotonicMs
      this.#stats.answered(tookMs)
      if (tookMs > this.self.leaseMs / 4) {
        const said = `a read took ${Math.round(tookMs)} ms; the lease of ${this.self.leaseMs} ms wants four in a row to be quicker`
        this.warn(new ElectionError('SLOW', said, true))
      }
      this.#answered()
      this.#apply(session, view, sent)
    } finally {
      this.#reads--
    }
  }

  #apply(session: StoreSession, view: GroupView, sent: Moment): void {
    if (this.#appliedSentMs > sent.monotonicMs) return
    this.#appliedSentMs = sent.monotonicMs
    if (!view.members.some((member) => member.session === session.id)) return this.#loseSession(session)
    if (view.changesInMs !== undefined) this.#changesAtMs = this.clock.monotonicMs() + view.changesInMs
    this.#meet(view.members)
    for (const candidate of this.#candidates.values()) candidate.seen(view.names.get(candidate.name), sent)
    this.plan()
  }

  #meet(members: readonly Member[]): void {
    const sorted = members.toSorted((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : a.session < b.session ? -1 : 1))
    const doubled = sorted.find(({ id }, at) => id === sorted[at + 1]?.id)
    if (doubled !== undefined) {
      const said = `two live members of ${this.name} are called ${doubled.id}; give each an id of its own`
      this.warn(new ElectionError('DUPLICATE_ID', said, false))
    }
    if (JSON.stringify(sorted) === JSON.stringify(this.#members)) return
    this.#members = sorted
    this.emit('members', sorted)
  }

  /** Acquires or releases a name. */
  async #grant(session: StoreSession, candidate: Candidate, wish: Wish): Promise<void> {
    this.#requests++
    const sent = momentOf(this.clock)
    try {
      if (wish.kind === 'release') {
        await this.ask((signal) => session.release(candidate.name, wish.token, wish.how, signal))
        if (session === this.#session) candidate.apply((candidacy, now) => candidacy.released(true, now))
      } else {
        const answer = await this.ask((signal) => session.acquire(wish.seen, candidate.name, signal))
        if (session === this.#session) this.#acquired(candidate, answer, sent)
      }
    } catch (error) {
      if (session !== this.#session) return
      this.#trouble(error, session)
      // Whether it took effect nobody knows: the next read tells, after a pause that spares a store in trouble.
      await pause(this.clock, this.#backoffMs(1), this.#sessionEnd.signal)
      if (session !== this.#session) return
      candidate.apply((candidacy, now) =>
        wish.kind === 'release' ? candidacy.released(false, now) : candidacy.refused('unknown', now),
      )
      this.#readSoon()
    } finally {
      this.#requests--
      this.plan()
    }
  }

  #acquired(candidate: Candidate, answer: Acquisition, sent: Moment): void {
    if (answer.kind !== 'acquired') {
      candidate.apply((candidacy, now) => candidacy.refused(answer.kind, now))
      if (answer.kind === 'changed') this.#readSoon()
      return
    }
    if (candidate.apply((candidacy, now) => candidacy.acquired(answer.token, sent, now))) return
    const said = `the store granted ${candidate.name} under token ${answer.token}, lower than one seen before: was it restored from an old copy?`
    this.warn(new ElectionError('TOKEN_REGRESSED', `${said} Raise its counter, or leave it to rise`, true))
  }

  #trouble(error: unknown, session?: StoreSession): void {
    if (this.isClosed) return
    this.#stats.count('failures')
    const known = error instanceof ElectionError
    const trouble = known
      ? error
      : new ElectionError('STORE_UNAVAILABLE', `the store failed: ${String(error)}`, true, { cause: error })
    if (trouble.code === 'STORE_UNAVAILABLE' && this.#storeAnswers) {
      this.#storeAnswers = false
      this.emit('store', false)
    }
    this.warn(trouble)
    if (trouble.code === 'SESSION_LOST' && session !== undefined) this.#loseSession(session)
  }

  #answered(): void {
    this.#failures = 0
    if (this.#storeAnswers) return
    this.#storeAnswers = true
    this.emit('store', true)
  }

  #backoffMs(failures: number): number {
    const ms = Math.min(retry.firstMs * 2 ** (failures - 1), retry.lastMs)
    return ms * (0.5 + 0.5 * this.#random())
  }

  async #close(): Promise<void> {
    await Promise.all(Array.from(this.#candidates.values(), (candidate) => candidate.resign('closed')))
    const session = this.#session
    this.#ending.abort(new ElectionError('CLOSED', `the election ${this.name} was closed`, false))
    this.#sessionEnd.abort()
    this.#timer?.cancel()
    if (session !== undefined) await this.#leave(session)
    this.#session = undefined
    this.self.session = undefined
    for (const candidate of this.#candidates.values()) candidate.closed()
  }
}

/** A name of a group, a candidate or a member. @throws ElectionError `OPTION_INVALID` */
function nameOf(name: string, what: string): string {
  if (typeof name === 'string' && /^[\w.@:-]{1,128}$/.test(name)) return name
  const said = `${what} is ${JSON.stringify(name)}; use 1 to 128 letters, digits and . _ - : @`
  throw new ElectionError('OPTION_INVALID', said, false)
}

/** Host, process and six letters of chance. */
function makeId(random: Random): string {
  const chance = Math.floor(random() * 36 ** 6)
    .toString(36)
    .padStart(6, '0')
  return `${hostname()
    .replaceAll(/[^\w.-]/g, '-')
    .slice(0, 64)}:${process.pid}:${chance}`
}
