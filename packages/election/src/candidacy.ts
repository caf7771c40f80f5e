import { after, hasPassed, untilPassed, type Moment } from './clock.ts'
import { keptLeaseMs } from './lease.ts'
import type { NameView, Release } from './store.ts'

/** What each state means, how it is entered and left, stands above {@link Candidacy}. */
export type CandidacyState =
  'apart' | 'following' | 'acquiring' | 'waiting' | 'leading' | 'suspended' | 'resigning' | 'releasing'

/** From which state which others may be entered. */
const transitions: Readonly<Record<CandidacyState, readonly CandidacyState[]>> = {
  apart: ['following', 'releasing'],
  following: ['acquiring', 'waiting', 'releasing', 'apart'],
  acquiring: ['following', 'waiting', 'releasing', 'apart'],
  waiting: ['leading', 'suspended', 'releasing', 'following', 'apart'],
  leading: ['suspended', 'resigning', 'following'],
  suspended: ['leading', 'waiting', 'resigning', 'following'],
  resigning: ['releasing', 'following', 'apart'],
  releasing: ['following', 'apart'],
}

/** Holding a name, under one token. */
interface Tenure {
  readonly token: bigint
  /** When the answer came: what was read before that says nothing about it. */
  readonly since: Moment
  /** What is written down beside the name: {@link keptLeaseMs}. */
  readonly leaseMs: number
  /** From when on we may act, in monotonic ms: the predecessor has certainly stopped by then. */
  readonly actFromMs: number
  /** Until when we may act: when the last confirm was sent, and the lease less the margin. */
  deadline: Moment
}

/** What the transitions of a candidacy bring about. Called while the state changes: it must not call back. */
export interface CandidacyEvents {
  /** The state changed; `why` in words. */
  changed(state: CandidacyState, before: CandidacyState, why: string): void
}

/** What is to be done at the store. */
export type Wish =
  | { readonly kind: 'acquire'; readonly seen: NameView | undefined }
  | { readonly kind: 'release'; readonly token: bigint; readonly how: Release }

/** Who stands: the member, and its session of the moment. */
export interface Candidature {
  readonly id: string
  /** The id of its session; undefined while there is none. */
  readonly session: string | undefined
  /** The lease under that session, in ms. */
  readonly leaseMs: number
}

/** A rule that a simulator takes away, to see that it is missed. */
export type Ablation =
  /** A confirm counts from when it was sent: without this rule, from when it was answered. */
  | 'deadline-from-send'
  /** Who acquires waits until its predecessor has certainly stopped. */
  | 'acquirer-wait'
  /** Leadership ends with the deadline: without this rule it is a flag. */
  | 'deadline'
  /** Only who has waited for its own predecessor says that all is quiet. */
  | 'quiet-before-settled'
  /** Who acquires waits for its predecessor's lease, if that is longer than its own. */
  | 'predecessors-lease'

/** Settings of a candidacy. */
export interface CandidacyOptions {
  /** How long this candidate leaves a free name to others, in ms: its preference to begin with. */
  readonly holdBackMs: number
  /** Grant at once instead of waiting out a predecessor's lease: for those who fence by other means. */
  readonly fenced: boolean
  /** For the simulator's mutation tests only. */
  readonly without?: Ablation
}

/**
 * How much of the lease a leader uses: two machines' clocks may run at rates that differ by 2 %, which is 40 times what NTP
 * steers at most (500 ppm) and 200 times what a bad quartz drifts.
 */
const clockMargin = 0.98

/** How long after it became free a name is left to the member to whom it was handed over, in ms: a hand-over takes a few round trips. */
export const successorsChanceMs = 2000

/** How long who was asked to resign stays back, in ms: otherwise it would win the name it has just given up. */
const resignedBackMs = 2000

/** How long to wait after the store refused to grant a free name to anybody; it does not tell when that ends (Consul's lock-delay). */
const delayedRetryMs = 100

/**
 * One candidate's standing for one name: which state it is in, and the one function that changes it. It does no I/O and reads
 * no clock: it is told what was read and when, says what is to be done, and computes at the moment it is asked whether it leads.
 *
 * ```
 *  apart ◀──▶ following ──▶ acquiring ──▶ waiting ──▶ leading ◀──▶ suspended
 *               ▲  ▲            │            │            │            │
 *               │  └────────────┘            │            ▼            │
 *               │                            │        resigning ◀──────┘
 *               │                            ▼            │
 *               └─────────────────────── releasing ◀──────┘
 *       (following, too, from every state in which a read shows that the name is ours no more)
 * ```
 *
 * - **apart**: does not stand. What it holds all the same (an acquisition that took effect after its answer was given up) it releases.
 * - **following**: stands, and somebody else holds the name, or it is free and not our turn yet. Left for `acquiring` once the name
 *   was seen free, the preference's time has passed and no work of an earlier term is left; for `waiting` when a read shows
 *   that we hold it: an acquisition whose answer was lost.
 * - **acquiring**: a request is under way, on the condition that the name is as it was seen. Left by its answer, or when that is
 *   given up: then for `following`, and the next read tells what became of it.
 * - **waiting**: we hold the name and do not act before its predecessor has stopped: a lease's length after the name was *seen
 *   free*. Not waited for where the predecessor said that it had stopped. The store may thus take a name away from its holder as
 *   early as it likes, and anybody may evict a holder.
 * - **leading**: from `actFrom` to the deadline, which every confirm moves: the moment it was *sent* and the lease. A confirm is a
 *   linearizable read that shows the name under our session and token.
 * - **suspended**: the deadline has passed without a confirm. We do not act and keep the name. Left for `leading` by a confirm,
 *   under the same token and without waiting: nobody else held it meanwhile, or the token would be another.
 * - **resigning**: we act no more and what was under way ends; confirmed meanwhile, so that it ends under the lease.
 * - **releasing**: a release is under way, or tried again. It says `settled` only if we waited until our own predecessor had stopped
 *   and our work has ended: who comes next acts at once.
 *
 * Timers decide nothing: whoever asks says what time it is.
 */
export class Candidacy {
  readonly name: string
  readonly #self: Candidature
  readonly #options: CandidacyOptions
  readonly #events: CandidacyEvents
  #holdBackMs: number
  #state: CandidacyState = 'apart'
  #why = 'does not stand'
  #standing = false
  #working = false
  #view: NameView | undefined
  /** When the view's answer came, and when its question went out. */
  #viewAt: Moment | undefined
  #viewSent: Moment | undefined
  /** When the name was first seen free under the view's version, in monotonic ms. */
  #freeSinceMs = 0
  /** From when on we may act should the acquisition under way succeed; undefined: at once. */
  #askedActFromMs: number | undefined
  /** What the acquisition under way writes down: {@link keptLeaseMs}. */
  #askedLeaseMs = 0
  #notBeforeMs = 0
  /** The last lease that a view told of, in ms. */
  #lastLeaseMs = 0
  /** How long we stay back once the name was released, in ms. */
  #stayBackMs = 0
  #tenure: Tenure | undefined
  #release: Release = { settled: false, leaseMs: 0 }
  #asked = false
  /** No term is begun under a lower one: it would be one that somebody has had. */
  #leastToken: bigint

  /**
   * @param leastToken no term is begun under a lower one
   */
  constructor(name: string, self: Candidature, options: CandidacyOptions, events: CandidacyEvents, leastToken = 0n) {
    this.name = name
    this.#self = self
    this.#options = options
    this.#holdBackMs = options.holdBackMs
    this.#events = events
    this.#leastToken = leastToken
  }

  get state(): CandidacyState {
    return this.#state
  }

  /** Why it is in this state, in words. */
  get why(): string {
    return this.#why
  }

  /** The name as it was last read. */
  get view(): NameView | undefined {
    return this.#view
  }

  /** The token we hold the name under. */
  get token(): bigint | undefined {
    return this.#tenure?.token
  }

  /** Whether it campaigns. */
  get standing(): boolean {
    return this.#standing
  }

  /** Whether we may act now: computed from the deadline, never remembered. */
  leads(now: Moment): boolean {
    return this.#state === 'leading' && !this.#hasRunOut(now)
  }

  /** For how many ms more we may act without another confirm; 0 while we may not. */
  leadsForMs(now: Moment): number {
    return this.leads(now) ? untilPassed(this.#tenure!.deadline, now) : 0
  }

  /** Whether we hold the name, acting or not. */
  get holds(): boolean {
    return this.#tenure !== undefined
  }

  /** Milliseconds until time alone changes something; undefined when it does not. */
  nextInMs(now: Moment): number | undefined {
    switch (this.#state) {
      case 'following':
        return this.#mayAcquire() ? this.#acquireAtMs() - now.monotonicMs : undefined
      case 'waiting':
        return Math.min(this.#tenure!.actFromMs - now.monotonicMs, untilPassed(this.#tenure!.deadline, now))
      case 'leading':
        return untilPassed(this.#tenure!.deadline, now)
      default:
        return undefined
    }
  }

  /** Stands for the name. */
  stand(now: Moment): void {
    if (this.#standing) return
    this.#standing = true
    if (this.#state !== 'apart') return
    this.#become('following', 'stands')
    this.#adopt(now)
  }

  /** Another preference, from now on: a name that is free already is waited for as long as that says, from when it was seen free. */
  prefer(holdBackMs: number): void {
    this.#holdBackMs = holdBackMs
  }

  /** Stands no longer; what is held is given up once nothing works under it. */
  withdraw(now: Moment, why: string, successor?: string): void {
    this.#standing = false
    this.#stayBackMs = 0
    this.#giveUp(now, why, successor)
  }

  /** Gives up what is held and goes on standing, behind others for a while. */
  yield(now: Moment, why: string, successor?: string): void {
    this.#stayBackMs = resignedBackMs
    this.#notBeforeMs = now.monotonicMs + resignedBackMs
    this.#giveUp(now, why, successor)
  }

  /** Work has begun under a term, or all of it has ended. */
  setWorking(working: boolean): void {
    this.#working = working
    if (!working && this.#state === 'resigning') this.#become('releasing', 'its work has ended')
  }

  /** The grace is over and work still goes on: what is held is given up without the word that the work has ended. */
  overrun(): void {
    if (this.#state !== 'resigning') return
    this.#release = { ...this.#release, settled: false }
    this.#become('releasing', 'its work did not end in time')
  }

  /** Time has passed. */
  tick(now: Moment): void {
    const tenure = this.#tenure
    if (tenure === undefined) return
    if ((this.#state === 'leading' || this.#state === 'waiting') && this.#hasRunOut(now)) {
      this.#become('suspended', 'its lease was not confirmed in time')
    } else if (this.#state === 'waiting' && now.monotonicMs >= tenure.actFromMs) {
      this.#become('leading', 'elected')
    }
  }

  /**
   * A read was answered.
   * @param view the name as it showed it; undefined where the name is not there
   * @param sent when it was sent
   */
  seen(view: NameView | undefined, sent: Moment, now: Moment): void {
    this.tick(now)
    // An answer that was overtaken by that of a later question says nothing new, and may say something old.
    if (this.#viewSent !== undefined && sent.monotonicMs < this.#viewSent.monotonicMs) return
    const sameFreeTime = view?.holder === undefined && this.#isFree() && this.#view?.version === view?.version
    if (!sameFreeTime) this.#freeSinceMs = now.monotonicMs
    if (view !== undefined && view.leaseMs > 0) this.#lastLeaseMs = view.leaseMs
    this.#view = view
    this.#viewAt = now
    this.#viewSent = sent
    const mine = view?.holder !== undefined && view.holder.session === this.#self.session
    if (!mine && view !== undefined && view.token >= this.#leastToken) this.#leastToken = view.token + 1n
    if (this.#tenure === undefined) return this.#adopt(now)
    if (sent.monotonicMs < this.#tenure.since.monotonicMs) return
    if (mine && view.token === this.#tenure.token) this.#confirmed(sent, now)
    else
      this.#lost(view?.holder === undefined ? 'the store has taken the name away' : `${view.holder.id} holds the name`)
  }

  /** Whether something is to be done at the store now. */
  wants(now: Moment): boolean {
    if (this.#asked || this.#self.session === undefined) return false
    if (this.#state === 'releasing') return true
    return this.#state === 'following' && this.#mayAcquire() && now.monotonicMs >= this.#acquireAtMs()
  }

  /** What is to be done at the store now, each wish until it is answered with one of the methods below. */
  wish(now: Moment): Wish | undefined {
    if (!this.wants(now)) return undefined
    this.#asked = true
    if (this.#state === 'releasing') return { kind: 'release', token: this.#tenure!.token, how: this.#release }
    this.#askedLeaseMs = keptLeaseMs(this.#self.leaseMs, this.#predecessor())
    this.#askedActFromMs = this.#view?.settled === true ? undefined : this.#freeSinceMs + this.#waitMs()
    this.#become('acquiring', 'the name is free')
    return { kind: 'acquire', seen: this.#view }
  }

  /** The name was granted to us. @param sent when the request was sent @returns false where its token is not above those seen before */
  acquired(token: bigint, sent: Moment, now: Moment): boolean {
    this.#asked = false
    if (this.#state !== 'acquiring') return true
    return this.#hold(token, this.#askedLeaseMs, this.#askedActFromMs ?? now.monotonicMs, sent, now)
  }

  /** The name was not granted. Whoever reports this reads again. */
  refused(kind: 'changed' | 'delayed' | 'unknown', now: Moment): void {
    this.#asked = false
    if (this.#state !== 'acquiring') return
    // What was read before the request went out may show what is no longer so.
    if (kind === 'delayed') this.#notBeforeMs = now.monotonicMs + delayedRetryMs
    else this.#viewAt = undefined
    this.#become(this.#standing ? 'following' : 'apart', kind === 'delayed' ? 'the store delays it' : 'was not granted')
  }

  /** A release was answered; `done` false when it was not, and is to be tried again. */
  released(done: boolean, now: Moment): void {
    this.#asked = false
    if (this.#state !== 'releasing' || !done) return
    // What was read, or asked, before that shows the name as still ours.
    this.#viewAt = undefined
    this.#viewSent = now
    this.#notBeforeMs = Math.max(this.#notBeforeMs, now.monotonicMs + this.#stayBackMs)
    this.#lost('released')
  }

  /** The store no longer knows our session: nothing is held. */
  sessionLost(): void {
    this.#asked = false
    this.#viewAt = undefined
    if (this.#tenure !== undefined) this.#lost('the store has lost our session')
    else if (this.#state === 'acquiring') this.#become(this.#standing ? 'following' : 'apart', 'the session was lost')
  }

  #giveUp(now: Moment, why: string, successor: string | undefined): void {
    const leaseMs = this.#tenure?.leaseMs ?? 0
    const how = { settled: true, leaseMs, ...(successor !== undefined && { successor }) }
    switch (this.#state) {
      case 'following':
        if (!this.#standing) this.#become('apart', why)
        return
      case 'waiting':
        // We have not waited until our own predecessor had stopped, so we may not say that all is quiet.
        this.#release = { ...how, settled: this.#isQuiet(now) }
        return this.#become('releasing', why)
      case 'leading':
      case 'suspended':
        this.#release = { ...how, settled: this.#isQuiet(now) }
        this.#become('resigning', why)
        if (!this.#working) this.#become('releasing', 'nothing works under it')
        return
      default:
      // acquiring: its answer finds us not standing. Else: on its way already.
    }
  }

  #confirmed(sent: Moment, now: Moment): void {
    const tenure = this.#tenure!
    tenure.deadline = this.#deadlineFrom(sent, now)
    if (this.#hasRunOut(now)) return
    if (this.#state !== 'suspended') return this.tick(now)
    if (now.monotonicMs >= tenure.actFromMs) this.#become('leading', 'confirmed again')
    else this.#become('waiting', 'confirmed again')
  }

  /** Takes for ours what a read shows to be ours: an acquisition took effect whose answer never came. */
  #adopt(now: Moment): void {
    const view = this.#viewAt === undefined ? undefined : this.#view
    if (view?.holder === undefined || view.holder.session !== this.#self.session || this.#state === 'acquiring') return
    const leaseMs = Math.max(view.leaseMs, this.#self.leaseMs)
    this.#hold(view.token, leaseMs, now.monotonicMs + leaseMs, this.#viewSent!, now)
  }

  #hold(token: bigint, leaseMs: number, actFromMs: number, sent: Moment, now: Moment): boolean {
    const { fenced, without } = this.#options
    const at = fenced || without === 'acquirer-wait' ? now.monotonicMs : actFromMs
    this.#tenure = { token, leaseMs, since: now, actFromMs: at, deadline: this.#deadlineFrom(sent, now) }
    const regressed = token < this.#leastToken
    if (regressed || !this.#standing) {
      this.#release = { settled: this.#isQuiet(now), leaseMs }
      if (regressed) this.#notBeforeMs = now.monotonicMs + this.#self.leaseMs
      this.#become('releasing', regressed ? 'its token is none above those seen before' : 'does not stand any more')
      return !regressed
    }
    this.#leastToken = token
    this.#become('waiting', 'the name was granted')
    this.tick(now)
    return true
  }

  #lost(why: string): void {
    this.#tenure = undefined
    this.#become(this.#standing ? 'following' : 'apart', why)
  }

  /** Whether our predecessor has certainly stopped. Who fences otherwise does not wait for that, and so cannot say it. */
  #isQuiet(now: Moment): boolean {
    if (this.#options.without === 'quiet-before-settled') return true
    return !this.#options.fenced && now.monotonicMs >= this.#tenure!.actFromMs
  }

  #hasRunOut(now: Moment): boolean {
    return this.#options.without !== 'deadline' && hasPassed(this.#tenure!.deadline, now)
  }

  /** Until when a confirm that was sent then lets us act. */
  #deadlineFrom(sent: Moment, answered: Moment): Moment {
    const from = this.#options.without === 'deadline-from-send' ? answered : sent
    return after(from, this.#self.leaseMs * clockMargin)
  }

  /** How long after it was seen free the name may still be acted upon. */
  #waitMs(): number {
    if (this.#options.without === 'predecessors-lease') return this.#self.leaseMs
    return keptLeaseMs(this.#self.leaseMs, this.#predecessor())
  }

  /** What the name's view says of who held it last. A key that an operator removed says nothing any more: then what was read before counts. */
  #predecessor(): Pick<NameView, 'settled' | 'leaseMs'> {
    const { settled = false, leaseMs = 0 } = this.#view ?? {}
    return { settled, leaseMs: leaseMs > 0 ? leaseMs : this.#lastLeaseMs }
  }

  #isFree(): boolean {
    return this.#viewAt !== undefined && this.#view?.holder === undefined
  }

  #mayAcquire(): boolean {
    return this.#standing && !this.#working && this.#isFree()
  }

  #acquireAtMs(): number {
    // To ask for a name that is not there only makes it: that is nothing to leave to others, and the preference is waited for once it is there.
    if (this.#view === undefined) return this.#notBeforeMs
    const { successor } = this.#view
    let backMs = this.#holdBackMs
    if (successor !== undefined) backMs = successor === this.#self.id ? 0 : backMs + successorsChanceMs
    return Math.max(this.#freeSinceMs + backMs, this.#notBeforeMs)
  }

  #become(state: CandidacyState, why: string): void {
    const before = this.#state
    if (!transitions[before].includes(state)) {
      throw new Error(`a candidacy that is ${before} cannot become ${state} (${why})`)
    }
    this.#state = state
    this.#why = why
    this.#events.changed(state, before, why)
  }
}
