import { Candidacy, successorsChanceMs, type CandidacyState, type Wish } from './candidacy.ts'
import type { CampaignOptions, CandidateEvents, CandidateOptions, CandidateSettings } from './campaign.ts'
import { momentOf, type Moment, type Timer } from './clock.ts'
import { Emitter } from './emitter.ts'
import { ElectionError } from './errors.ts'
import type { ElectionGroup } from './group.ts'
import { sameLeadership, type Leadership, type Role } from './leadership.ts'
import type { Member, NameView } from './store.ts'
import { isEnd, isStale, Term, type Gate, type TermHolder, type TermJournal } from './term.ts'
import { journalFor } from './term-journal.ts'
import { Works } from './works.ts'

/**
 * One member's candidature for one name of a group: campaigns, leads, resigns. {@link Election} is a candidate with a group of its
 * own.
 */
export class Candidate extends Emitter<CandidateEvents> implements AsyncDisposable, AsyncIterable<Leadership> {
  readonly name: string
  readonly #group: ElectionGroup
  readonly #settings: CandidateSettings
  readonly #candidacy: Candidacy
  readonly #holder: TermHolder
  /** What the candidacy did and nobody was told of yet. */
  readonly #changes: Change[] = []
  #delivering = false
  #term: Term | undefined
  #lastToken: bigint | undefined
  /** The term that `campaign` gave last: disposing of it ends the campaign, whatever has become of it. */
  #given: Term | undefined
  readonly #works: Works
  #campaigning = false
  /** The request that was declined last, and under which token. */
  #declined: string | undefined
  /** Why the campaign under way ends where somebody else has resigned. */
  #resigned: ElectionError | undefined
  #leader: Pick<Member, 'id' | 'session'> | undefined
  #role: Role = 'follower'
  #sinceMs: number
  #reason = 'does not stand'
  /** What was told last. */
  #told: Leadership | undefined
  #anchor: Timer | undefined
  /** Called at each change, by those who wait for one. */
  readonly #waiting = new Set<() => void>()

  /** @internal */
  constructor(name: string, group: ElectionGroup, options: CandidateOptions) {
    super()
    const holdBackMs = holdBackOf(options.holdBackMs ?? 0)
    this.name = name
    this.#group = group
    this.#settings = group.enter(this)
    this.#sinceMs = group.clock.wallMs()
    const events = {
      changed: (state: CandidacyState, before: CandidacyState, why: string): void =>
        void this.#changes.push({ state, before, why, token: this.#candidacy.token }),
    }
    const { fenced, minToken, without } = this.#settings
    this.#candidacy = new Candidacy(name, group.self, { holdBackMs, fenced, without }, events, minToken)
    this.#holder = this.#makeHolder()
    this.#works = new Works(group.clock, this.#settings.graceMs, () => this.#overrun())
  }

  /** Whether we may act, computed now from the lease's deadline on both clocks: good for a check right before the act. */
  get isLeader(): boolean {
    return this.#candidacy.leads(momentOf(this.#group.clock))
  }

  /** For how many ms more we may act without another confirm; 0 while we may not. */
  get leadsForMs(): number {
    return this.#candidacy.leadsForMs(momentOf(this.#group.clock))
  }

  /** What we are, computed now. */
  get state(): Leadership {
    const role = this.#role === 'leader' && !this.isLeader ? this.#roleWithout() : this.#role
    return {
      role,
      ...(this.#candidacy.token !== undefined && role !== 'follower' && { token: this.#candidacy.token }),
      ...(this.#leader !== undefined && { leader: this.#leader }),
      sinceMs: this.#sinceMs,
      reason: this.#reason,
    }
  }

  /** The present term; undefined while we do not lead. */
  get term(): Term | undefined {
    return this.#term
  }

  /**
   * Campaigns until {@link resign}: for those who follow events or the iterator. Idempotent.
   * @throws ElectionError `CLOSED`
   */
  stand(): void {
    this.#group.assertOpen()
    this.#anchor ??= this.#group.clock.hold?.()
    this.apply((candidacy, now) => candidacy.stand(now))
    this.#group.begin()
    this.#group.plan(this)
  }

  /**
   * Changes `holdBackMs`, also while it campaigns: members that come and go change who is to be first. Who holds the name is not disturbed.
   * @throws ElectionError `OPTION_INVALID`
   */
  prefer(holdBackMs: number): void {
    this.#candidacy.prefer(holdBackOf(holdBackMs))
    this.#group.plan(this)
  }

  /**
   * The usual form: campaigns, runs `work` while we lead, resigns once it has ended, and gives what it gave. If the term ends first,
   * its signal aborts, `work` is waited for, and runs again in the next term; what it threw after that is a warning.
   * @throws the signal's reason; whatever `work` throws while its term lasts; ElectionError `TERM_RESIGNED` after {@link resign}, `CLOSED`,
   * `OPTION_INVALID`, `ALREADY_CAMPAIGNING`
   *
   * @example
   * await election.lead(async (term) => {
   *   for await (const job of jobs.next({ signal: term.signal })) await term.act(job.id, (token) => job.run(token))
   * })
   */
  async lead<T>(work: (term: Term) => T | Promise<T>, options: CampaignOptions = {}): Promise<T> {
    return this.#campaign(options.signal, async () => {
      for (;;) {
        const term = await this.#nextTerm(options.signal)
        const outcome = await this.#holder.work(() => settled(async () => work(term)))
        // Work may learn before us that its term has ended: from the clock, or by the store's answer to an act.
        this.#notice()
        const stale = outcome.status === 'rejected' && isStale(outcome.reason, term.token)
        if (stale && !term.signal.aborted) await this.#group.confirm().catch(() => undefined)
        if (!stale && !term.signal.aborted) {
          await this.resign('its work has ended')
          if (outcome.status === 'rejected') throw outcome.reason
          return outcome.value
        }
        if (outcome.status === 'rejected' && !isEnd(outcome.reason, term.signal)) {
          this.#group.warn(
            new ElectionError('STALE_TERM', `work failed after its term had ended`, false, { cause: outcome.reason }),
          )
        }
      }
    })
  }

  /**
   * Campaigns until we lead and gives the term, or at once the present one. Disposing of the term resigns, also when it has ended and
   * another has begun: nobody works under that.
   * @throws the signal's reason; ElectionError `TERM_RESIGNED` after {@link resign}, `CLOSED`, `OPTION_INVALID`, `ALREADY_CAMPAIGNING`
   */
  async campaign(options: CampaignOptions = {}): Promise<Term> {
    return this.#campaign(options.signal, async () => (this.#given = await this.#nextTerm(options.signal)))
  }

  /**
   * Gives up leadership and no longer campaigns; resolves once another may have the name, or after the grace and the store's silence.
   * The term's signal aborts at once; work under it is waited for: work that awaits this waits for itself until its grace is over.
   * A campaign under way ends.
   */
  async resign(why = 'resigned'): Promise<void> {
    this.#anchor?.cancel()
    this.#anchor = undefined
    this.apply((candidacy, now) => candidacy.withdraw(now, why))
    this.#group.plan(this)
    const candidacy = this.#candidacy
    // An acquisition under way may succeed yet, and is given back then.
    await this.#until(() => !candidacy.holds && (candidacy.standing || candidacy.state !== 'acquiring'))
  }

  /**
   * Hands the name over to a member of the group, and goes on standing behind it. Resolves once that member holds the name; at once where
   * that is ourselves. Work under the term is waited for, as by {@link resign}.
   * @param to the member's id
   * @throws ElectionError `OPTION_INVALID` when no live member has this id; `STALE_TERM` when we do not hold the name; `HAND_OVER_FAILED` when
   * it was given up and another holds it, or nobody has taken it in time; `CLOSED`
   */
  async handOver(to: string): Promise<void> {
    const { token } = this.#candidacy
    if (token === undefined) {
      throw new ElectionError('STALE_TERM', `${this.#group.name}/${this.name} is not ours to hand over`, false)
    }
    const ids = this.#group.members.map(({ id }) => id)
    if (!ids.includes(to)) {
      throw new ElectionError('OPTION_INVALID', `there is no member ${to}; the members are ${ids.join(', ')}`, true)
    }
    if (to === this.#group.id) return
    this.apply((candidacy, now) => candidacy.yield(now, `handed over to ${to}`, to))
    this.#group.plan(this)
    const next = (): NameView['holder'] =>
      this.#candidacy.view!.token > token && !this.#group.isClosed ? this.#candidacy.view!.holder : undefined
    await this.#until(() => next() !== undefined, successorsChanceMs)
    if (next()?.id === to) return
    this.#group.assertOpen()
    const held = this.#candidacy.token === token ? 'is not given up yet' : `is held by ${next()?.id ?? 'nobody'}`
    const said = `${this.#group.name}/${this.name} was handed over to ${to}, which did not take it in time; it ${held}`
    throw new ElectionError('HAND_OVER_FAILED', said, true)
  }

  /** What we are, now and at each change. Conflated: who is slow gets the latest and misses what lay between. Ends with the group. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Leadership, void, undefined> {
    let last: Leadership | undefined
    for (;;) {
      this.#notice()
      const state = this.state
      if (last === undefined || !sameLeadership(last, state)) yield (last = state)
      else if (this.#group.isClosed) return
      else await this.#nextChange()
    }
  }

  /** Resigns. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.resign('disposed of')
  }

  /** @internal */
  get isStanding(): boolean {
    return this.#candidacy.standing
  }

  /** @internal Whether the name is held, acting or not. */
  get holds(): boolean {
    return this.#candidacy.holds
  }

  /** @internal What is to be done at the store now. */
  wish(): Wish | undefined {
    return this.apply((candidacy, now) => candidacy.wish(now))
  }

  /** @internal */
  nextInMs(): number | undefined {
    return this.#candidacy.nextInMs(momentOf(this.#group.clock))
  }

  /** @internal A read was answered. */
  seen(view: NameView | undefined, sent: Moment): void {
    this.apply((candidacy, now) => candidacy.seen(view, sent, now))
    const leader = this.#candidacy.view?.holder
    if (leader?.session !== this.#leader?.session) {
      this.#leader = leader
      this.emit('leader', leader)
      this.#changed()
    }
    const request = this.#candidacy.view?.request
    if (request === undefined || this.#term === undefined || leader?.session !== this.#group.self.session) return
    const asked = JSON.stringify([String(this.#term.token), request])
    if (asked === this.#declined || !this.#group.canHeed(request)) return
    if (!this.#group.accepts(this.name, request)) return void (this.#declined = asked)
    this.apply((candidacy, now) => candidacy.yield(now, `handed over, as ${request.by} asked`, request.to))
  }

  /** @internal Changes the candidacy, then tells of what has changed: in this order, so that a listener may call us. */
  apply<T>(change: (candidacy: Candidacy, now: Moment) => T): T {
    const held = this.#candidacy.holds
    const result = change(this.#candidacy, momentOf(this.#group.clock))
    if (this.#candidacy.holds !== held) this.#group.holdsOneMore(!held)
    if (this.#delivering) return result
    this.#delivering = true
    for (let next = this.#changes.shift(); next !== undefined; next = this.#changes.shift()) this.#deliver(next)
    this.#delivering = false
    return result
  }

  /** @internal */
  warned(error: ElectionError): void {
    this.emit('warning', error)
  }

  /** @internal The group cannot work: whoever campaigns is told. */
  failed(): void {
    this.#changed()
  }

  /** @internal The group has closed: whoever waits is told. */
  closed(): void {
    this.#anchor?.cancel()
    this.#anchor = undefined
    this.#works.close()
    this.#changed()
  }

  /** What we are where we may not act and nobody was told of that yet. */
  #roleWithout(): Role {
    const { state } = this.#candidacy
    return state === 'leading' || state === 'suspended' ? 'suspended' : 'follower'
  }

  #deliver({ state, before, why, token }: Change): void {
    const had = this.#term
    if (state === 'leading') return this.#begin(token!, why)
    if (state === 'suspended' && had !== undefined) {
      this.#become('suspended', why)
      this.emit('suspended', this.#end('TERM_SUSPENDED', why))
    } else if (state === 'resigning' && (had !== undefined || this.#role === 'suspended')) {
      this.#become('follower', why)
      this.emit('resigned', this.#end('TERM_RESIGNED', why))
    } else if (state === 'following' && (had !== undefined || this.#role === 'suspended')) {
      this.#become('follower', why)
      this.emit('deposed', this.#end('TERM_DEPOSED', why))
    } else if (before === 'waiting' || state === 'waiting' || state === 'following' || state === 'apart') {
      this.#become('follower', why)
    }
    this.#changed()
  }

  #begin(token: bigint, why: string): void {
    const term = new Term(this.name, token, this.#holder, new AbortController())
    this.#term = term
    this.#group.count(token === this.#lastToken ? 'resumptions' : 'terms')
    this.#become('leader', why)
    this.emit(token === this.#lastToken ? 'resumed' : 'elected', term)
    this.#lastToken = token
    this.#changed()
  }

  #end(code: 'TERM_SUSPENDED' | 'TERM_DEPOSED' | 'TERM_RESIGNED', why: string): ElectionError {
    const reason = new ElectionError(code, `leadership of ${this.#group.name}/${this.name} has ended: ${why}`, true)
    const term = this.#term
    this.#term = undefined
    if (code === 'TERM_SUSPENDED') this.#group.count('suspensions')
    term?.end(reason)
    this.#works.termEnded()
    return reason
  }

  #overrun(): void {
    const seconds = this.#settings.graceMs / 1000
    const heed = 'let it heed term.signal, and await no resign(), close() or handOver() of its own'
    const said = `work goes on ${seconds} s after its term for ${this.#group.name}/${this.name} has ended; ${heed}`
    this.#group.overrun(new ElectionError('OVERRUN', said, false))
    this.apply((candidacy) => candidacy.overrun())
    this.#group.plan(this)
  }

  #become(role: Role, reason: string): void {
    if (role !== this.#role) this.#sinceMs = this.#group.clock.wallMs()
    this.#role = role
    this.#reason = reason
  }

  #changed(): void {
    const { state } = this
    if (this.#told === undefined || !sameLeadership(this.#told, state)) this.emit('state', (this.#told = state))
    for (const resolve of [...this.#waiting]) resolve()
  }

  /** Resolves at the next change of any kind. */
  #nextChange(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done)
        signal?.removeEventListener('abort', done)
        resolve()
      }
      this.#waiting.add(done)
      signal?.addEventListener('abort', done)
    })
  }

  /** Stands, as long as `campaign` takes; resigns when it fails, and when it is aborted. */
  async #campaign<T>(signal: AbortSignal | undefined, campaign: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted()
    if (this.#campaigning) {
      const said = `a campaign for ${this.#group.name}/${this.name} is under way; await it first`
      throw new ElectionError('ALREADY_CAMPAIGNING', said, false)
    }
    this.#campaigning = true
    this.#given = undefined
    const resign = (): void => void this.resign('aborted')
    signal?.addEventListener('abort', resign)
    try {
      this.stand()
      return await campaign()
    } catch (error) {
      // Whoever resigned may stand again by now.
      if (!this.#group.isClosed && error !== this.#resigned) await this.resign('its campaign has ended')
      throw error
    } finally {
      signal?.removeEventListener('abort', resign)
      this.#campaigning = false
    }
  }

  /** Waits for a term, and for the work of the one before to have ended. */
  async #nextTerm(signal: AbortSignal | undefined): Promise<Term> {
    for (;;) {
      signal?.throwIfAborted()
      if (this.#group.failure !== undefined) throw this.#group.failure
      this.#group.assertOpen()
      if (!this.#candidacy.standing) {
        const said = `the campaign for ${this.#group.name}/${this.name} has ended: ${this.#candidacy.why}`
        throw (this.#resigned = new ElectionError('TERM_RESIGNED', said, true))
      }
      this.#notice()
      if (this.#term !== undefined && this.#candidacy.state === 'leading') return this.#term
      await this.#nextChange(signal)
    }
  }

  /** Acts on what time alone has changed: by the time a timer does, a clock that jumped may be set back, and nobody would be told. */
  #notice(): void {
    this.apply((candidacy, now) => candidacy.tick(now))
  }

  /** Waits until something holds; no longer than work may take, and then two leases for a store that is away, and what else it takes. */
  async #until(holds: () => boolean, moreMs = 0): Promise<void> {
    const limitMs = this.#settings.graceMs + 2 * this.#group.self.leaseMs + moreMs
    let late = false
    const limit = this.#group.clock.setTimer(limitMs, () => {
      late = true
      this.#changed()
    })
    while (!this.#group.isClosed && !holds() && !late) await this.#nextChange()
    limit.cancel()
  }

  #makeHolder(): TermHolder {
    const group = this.#group
    const journal = journalFor(group, this.name, this.#settings.journalKeepMs)
    let attempts = 0
    return {
      get gate(): Gate {
        return group.gate
      },
      get journal(): TermJournal | undefined {
        return journal()
      },
      leads: (term) => term === this.#term && this.isLeader,
      confirm: () => group.confirm(),
      warn: (error) => group.warn(error),
      work: (run) => this.#work(run),
      resign: async (term) => {
        const suspended = this.#term === undefined && term.token === this.#candidacy.token
        if (term === this.#term || term === this.#given || suspended) await this.resign('its term was disposed of')
      },
      attempt: () => `${group.self.session ?? group.self.id}/${++attempts}`,
    }
  }

  async #work<T>(run: () => Promise<T>): Promise<T> {
    const ended = this.#works.begin()
    if (this.#works.going === 1) this.apply((candidacy) => candidacy.setWorking(true))
    try {
      return await run()
    } finally {
      ended()
      if (this.#works.going === 0) {
        this.apply((candidacy) => candidacy.setWorking(false))
        // A leader has nothing to do now that it had not before.
        if (this.#candidacy.state !== 'leading') this.#group.plan(this)
      }
    }
  }
}

interface Change {
  readonly state: CandidacyState
  readonly before: CandidacyState
  readonly why: string
  /** The token at that time: by the time it is told, the name may be lost. */
  readonly token: bigint | undefined
}

/** @throws ElectionError `OPTION_INVALID` */
function holdBackOf(ms: number): number {
  if (typeof ms === 'number' && ms >= 0) return ms
  throw new ElectionError('OPTION_INVALID', `holdBackMs is ${String(ms)}; give milliseconds, 0 or more`, false)
}

/** How a promise ended: as Promise.allSettled says it. */
async function settled<T>(run: () => Promise<T>): Promise<PromiseSettledResult<T>> {
  const [result] = await Promise.allSettled([run()])
  return result
}
