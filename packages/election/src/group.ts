import { hostname } from 'node:os'
import type { CandidateOptions, CandidateSettings } from './campaign.ts'
import { Candidate } from './candidate.ts'
import type { Ablation, Candidature, Wish } from './candidacy.ts'
import { momentOf, systemClock, type Clock, type Moment, type Random, type Timer } from './clock.ts'
import { longestTimerMs, paceOf, toMs, type Duration, type Profile } from './durations.ts'
import { Emitter, throwApart } from './emitter.ts'
import { ElectionError } from './errors.ts'
import { StoreLink } from './link.ts'
import { dataOf, nameOf, oneOf, storeOf } from './options.ts'
import { Statistics, type ElectionStats } from './stats.ts'
import type {
  Acquisition,
  GroupView,
  HandOverRequest,
  Journal,
  Json,
  LeaseStore,
  Member,
  NameView,
  StoreSession,
} from './store.ts'
import { gates, type Gate } from './term.ts'

/** How many acquisitions and releases are under way at once: a group that starts with hundreds of names must not flood its store. */
const requestsAtOnce = 16

/** The shortest grace by default, in ms: work may have a request under way that cannot be taken back. */
const leastGraceMs = 1000

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
  /** What this member publishes: address, zone, version. A few hundred bytes, at most 16 KiB as JSON; everybody reads it with every confirm. */
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
  /** Whether to heed a member's request for a name we hold; by default always. Asked once for each request to a tenure. */
  readonly acceptHandOver?: (name: string, request: HandOverRequest) => boolean
  /** For how long the journal keeps an action, so that it is not carried out again; default 24 h. */
  readonly journalKeep?: Duration
  /** No term begins under a lower token: the highest that your sink has seen, if you know it. */
  readonly minToken?: bigint
  /** For simulators and tests. */
  readonly clock?: Clock
  /** For simulators and tests. */
  readonly random?: Random
  /** For tests: what ends the process. */
  readonly exit?: (code: number) => void
  /** For the simulator's mutation tests only: a rule to take away. */
  readonly without?: Ablation
}

/** A group's events. */
export interface GroupEvents {
  /** Somebody joined, left or published something else. */
  members: readonly Member[]
  /** Trouble that people should know of; nothing ends because of it. */
  warning: ElectionError
  /** The store answers (true), or has stopped answering (false): two reads, or tries to open a session, in a row were not answered. */
  store: boolean
}

/**
 * Many names under one session. One read confirms them all, so that hundreds of names cost the store hardly more than one; each has
 * its own candidates, preferences and terms.
 *
 * A session is opened when the first candidate stands or {@link ElectionGroup.join} is called.
 */
export class ElectionGroup extends Emitter<GroupEvents> implements AsyncDisposable {
  readonly name: string
  /** What this member is called. */
  readonly id: string
  /** @internal */
  readonly clock: Clock
  readonly #options: GroupOptions
  readonly #graceMs: number
  readonly #journalKeepMs: number
  readonly #candidates = new Map<string, Candidate>()
  readonly #stats = new Statistics()
  readonly #link: StoreLink
  #closed = false
  readonly #warnedMs = new Map<string, number>()
  #members: readonly Member[] = []
  #failure: ElectionError | undefined
  #closing: Promise<void> | undefined
  #timer: Timer | undefined
  /** When the timer is due, in monotonic ms. */
  #timerDueMs = Infinity
  #planning = false
  /** What the next plan looks at: everything, or those. */
  #planAll = false
  readonly #toPlan = new Set<Candidate>()
  /** Who wants something of the store and waits for one of the requests under way to be answered. */
  readonly #queue = new Set<Candidate>()
  #requests = 0
  #held = 0
  #handOversAsked = 0

  /** @throws ElectionError `OPTION_INVALID` */
  constructor(options: GroupOptions) {
    super()
    this.#options = options
    this.name = nameOf(options.name, 'name')
    this.clock = options.clock ?? systemClock
    const random = options.random ?? Math.random
    this.id = options.id === undefined ? makeId(random) : nameOf(options.id, 'id')
    if (options.gate !== undefined) oneOf(options.gate, gates, 'gate')
    oneOf(options.onOverrun ?? 'warn', ['warn', 'exit'], 'onOverrun')
    oneOf(options.fenced ?? false, [true, false], 'fenced')
    const pace = paceOf(options)
    this.#graceMs = options.grace === undefined ? Math.max(pace.leaseMs, leastGraceMs) : toMs(options.grace, 'grace')
    this.#journalKeepMs = toMs(options.journalKeep ?? '24h', 'journalKeep', 1, Infinity)
    const { clock } = this
    const store = storeOf(options.store)
    const about = { group: this.name, store, pace, clock, random, data: dataOf(options.data ?? null) }
    this.#link = new StoreLink(this.id, about, this.#stats, {
      view: (view, sent) => this.#seen(view, sent),
      lost: () => this.#lost(),
      failed: (error) => this.#fail(error),
      trouble: (error) => this.warn(error),
      store: (answers) => this.emit('store', answers),
      holds: () => this.#held > 0,
      crowded: () => this.#queue.size > 0,
      plan: () => this.plan(),
    })
  }

  /** Who is alive, as the last read showed; sorted by id. */
  get members(): readonly Member[] {
    return this.#members
  }

  /** Figures since the group was made. */
  stats(): ElectionStats {
    return this.#stats.read()
  }

  /** Whether `close` was called: nothing can be begun any more. */
  get isClosing(): boolean {
    return this.#closing !== undefined
  }

  /** Whether it has left the store. */
  get isClosed(): boolean {
    return this.#closed
  }

  /** This member's candidate for a name: always the same one. @throws ElectionError `OPTION_INVALID`, `CLOSED` */
  candidate(name: string, options: CandidateOptions = {}): Candidate {
    this.assertOpen()
    return this.#candidates.get(name) ?? new Candidate(nameOf(name, 'name'), this, options)
  }

  /** @internal Takes in a candidate that was made; gives what the group's options say for all of them. */
  enter(candidate: Candidate): CandidateSettings {
    this.#candidates.set(candidate.name, candidate)
    const { fenced = false, minToken = 0n, without } = this.#options
    return { fenced, graceMs: this.#graceMs, minToken, journalKeepMs: this.#journalKeepMs, without }
  }

  /** Joins the group without standing for anything: as a member that others see. Idempotent. */
  join(): void {
    this.assertOpen()
    this.begin()
  }

  /** Publishes something else about this member; once there is a session, where there is none yet. @throws ElectionError `OPTION_INVALID` */
  async publish(data: Json): Promise<void> {
    await this.#link.publish(dataOf(data))
  }

  /** Who holds a name now: a look at the store. @throws ElectionError `STORE_UNAVAILABLE` */
  async holderOf(name: string): Promise<NameView['holder']> {
    const { store } = this.#options
    return (await this.ask((signal) => store.look(this.name, signal))).names.get(name)?.holder
  }

  /**
   * Asks whoever holds a name to hand it over. Resolves once the request lies at the store; its holder gives the name up unless it
   * was told not to.
   * @param to the id of the member who is to have it, by default this one; null where anybody else may
   * @returns whether anybody holds it
   */
  async requestHandOver(name: string, to: string | null = this.id): Promise<boolean> {
    const { store } = this.#options
    const view = (await this.ask((signal) => store.look(this.name, signal))).names.get(name)
    if (view?.holder === undefined) return false
    const attempt = `${this.self.session ?? this.id}/${++this.#handOversAsked}`
    const request = { by: this.id, attempt, ...(to !== null && { to }) }
    await this.ask((signal) => store.request(this.name, name, view.token, request, signal))
    return true
  }

  /** Resigns everything, waits for work as long as the grace, leaves the group, closes what was opened. Idempotent. */
  close(): Promise<void> {
    // A turn later, so that whoever is told of the end sees that we are closing.
    this.#closing ??= Promise.resolve().then(() => this.#close())
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
    return this.#link.session?.journal
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

  /** @internal Who we are to the store. */
  get self(): Candidature {
    return this.#link.self
  }

  /** @internal Opens the session, if that has not begun; reads, for who stands only now and was not told of earlier reads. */
  begin(): void {
    this.#link.begin()
    void this.#link.readSoon()
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

  /** @internal Whether there is somebody to whom a name would be handed over. */
  canHeed({ to }: HandOverRequest): boolean {
    return to === undefined || (to !== this.id && this.#members.some(({ id }) => id === to))
  }

  /** @internal Whether a request for a name we hold is heeded. */
  accepts(name: string, request: HandOverRequest): boolean {
    try {
      return this.#options.acceptHandOver?.(name, request) ?? true
    } catch (error) {
      // A mistake of the program's, told as those of its listeners are; it must not end the reading.
      throwApart(error)
      return false
    }
  }

  /** @internal One request to the store, given up when it takes too long. */
  ask<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#link.ask(call)
  }

  /** @internal One linearizable read; everything that it shows has been applied when this resolves. */
  confirm(): Promise<void> {
    return this.#link.read()
  }

  /** @internal A candidate holds its name now, or does no longer. */
  holdsOneMore(holds: boolean): void {
    this.#held += holds ? 1 : -1
  }

  /**
   * @internal Does what time and the last answers ask for, and sets the timer for what comes next.
   * @param only the candidate that something has happened to; none where it may concern any
   */
  plan(only?: Candidate): void {
    if (only === undefined) this.#planAll = true
    else this.#toPlan.add(only)
    if (this.#planning) return
    this.#planning = true
    // Once for all that happens in one turn: hundreds of names stand, or resign, in a row.
    queueMicrotask(() => {
      this.#planning = false
      if (!this.isClosed) this.#planOnce()
    })
  }

  #tell(error: ElectionError): void {
    this.emit('warning', error)
    for (const candidate of this.#candidates.values()) candidate.warned(error)
  }

  #planOnce(): void {
    const all = this.#planAll
    // An answer concerns one name: thousands would otherwise cost a look at all for each of them.
    const those = [...(all ? this.#candidates.values() : this.#toPlan)]
    this.#planAll = false
    this.#toPlan.clear()
    let nextMs = all ? Infinity : this.#timerDueMs - this.clock.monotonicMs()
    for (const candidate of those) {
      const wants = candidate.apply((candidacy, now) => (candidacy.tick(now), candidacy.wants(now)))
      if (wants) this.#queue.add(candidate)
      const inMs = candidate.nextInMs() ?? 0
      // What is due and was not done waits for an answer, which plans anew.
      if (inMs > 0 && inMs < nextMs) nextMs = inMs
    }
    this.#grantQueued()
    this.#wakeIn(Math.min(nextMs, this.#link.poll()))
  }

  /** Begins as many requests as may be under way. */
  #grantQueued(): void {
    const { session } = this.#link
    for (const candidate of this.#queue) {
      if (session !== undefined && this.#requests >= requestsAtOnce) return
      this.#queue.delete(candidate)
      // It may want nothing any more; without a session nobody does, and the next one's first read plans anew.
      const wish = candidate.wish()
      if (session !== undefined && wish !== undefined) void this.#grant(session, candidate, wish)
    }
    this.#link.uncrowded()
  }

  #wakeIn(ms: number): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#timerDueMs = Infinity
    if (ms === Infinity || this.isClosed) return
    // Whole ms: a timer that is a rounding error early would be set again and again.
    const delayMs = Math.min(Math.max(1, Math.ceil(ms)), longestTimerMs)
    const dueMs = this.clock.monotonicMs() + delayMs
    this.#timerDueMs = dueMs
    this.#timer = this.clock.setTimer(delayMs, () => {
      const lateMs = this.clock.monotonicMs() - dueMs
      if (lateMs > this.self.leaseMs / 4) {
        const said = `this process stood still for ${Math.round(lateMs)} ms; the lease is ${this.self.leaseMs} ms`
        this.warn(new ElectionError('LAG', said, true))
      }
      this.plan()
    })
  }

  /** What no further try will mend: whoever campaigns is told. */
  #fail(error: ElectionError): void {
    this.#failure = error
    this.warn(error)
    for (const candidate of this.#candidates.values()) candidate.failed()
  }

  #lost(): void {
    for (const candidate of this.#candidates.values()) candidate.apply((candidacy) => candidacy.sessionLost())
    this.plan()
  }

  #seen(view: GroupView, sent: Moment): void {
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
        await this.#link.askInSession((signal) => session.release(candidate.name, wish.token, wish.how, signal))
        if (session !== this.#link.session) return
        candidate.apply((candidacy, now) => candidacy.released(true, now))
        // What was asked before this answer is passed over, and nobody may tell of a change again.
        void this.#link.readSoon()
      } else {
        const answer = await this.#link.askInSession((signal) => session.acquire(wish.seen, candidate.name, signal))
        if (session === this.#link.session) this.#acquired(candidate, answer, sent)
      }
    } catch (error) {
      if (session !== this.#link.session) return
      this.#link.trouble(error, session)
      // Whether it took effect nobody knows: the next read tells, after a pause that spares a store in trouble.
      await this.#link.pauseAfterFailure()
      if (session !== this.#link.session) return
      candidate.apply((candidacy, now) =>
        wish.kind === 'release' ? candidacy.released(false, now) : candidacy.refused('unknown', now),
      )
      void this.#link.readSoon()
    } finally {
      this.#requests--
      this.plan(candidate)
    }
  }

  #acquired(candidate: Candidate, answer: Acquisition, sent: Moment): void {
    if (answer.kind !== 'acquired') {
      candidate.apply((candidacy, now) => candidacy.refused(answer.kind, now))
      if (answer.kind === 'changed') void this.#link.readSoon()
      return
    }
    if (candidate.apply((candidacy, now) => candidacy.acquired(answer.token, sent, now))) return
    const said = `the store granted ${this.name}/${candidate.name} under token ${answer.token}, not above those seen before: was it restored from an old copy?`
    this.warn(new ElectionError('TOKEN_REGRESSED', `${said} Raise its counter, or leave it to rise`, true))
  }

  async #close(): Promise<void> {
    await Promise.all(Array.from(this.#candidates.values(), (candidate) => candidate.resign('closed')))
    this.#closed = true
    this.#timer?.cancel()
    await this.#link.close()
    for (const candidate of this.#candidates.values()) candidate.closed()
  }
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
