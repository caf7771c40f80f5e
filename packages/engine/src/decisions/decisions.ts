import type { Ownership } from '../engine.ts'
import type { Mutation } from '../mutations.ts'
import type { AttemptRecord, ClaimRecord, CommandRecord, OutcomeRecord } from '../records.ts'
import { type Commanded, type CommandResult, Commands, type CommandStatus } from './commands.ts'
import { Digests } from './digests.ts'
import { boundedProvenance, type Incident, type IncidentMember, type PageDescription, type Told } from './incident.ts'
import { Incidents, type IncidentsState } from './incidents.ts'
import { type Listed, listed } from './listing.ts'
import { IncidentLives, type LivesAround } from './lives.ts'
import { Moment, type PageDetails } from './moment.ts'
import { Overflow, type OverflowState } from './overflow.ts'
import type { DecisionsObserver, PageAction, PageChanges, PendingPage, Subject } from './page.ts'
import { PageBook, type PageBookState, type SettledResult } from './pages.ts'
import { decisionSettings, defaultDecisionSettings, type DecisionSettings } from './settings.ts'

/** Name of the incident that opens at the fallback receiver; rules may not use it. */
export const deliveryFailedRule = 'delivery-failed'

/** Name of the incident that opens where a rule was taken out because it stalls the engine; rules may not use it. */
export const ruleQuarantinedRule = 'rule-quarantined'

/** Whose decisions they are, and who is told. */
export interface DecisionsOptions {
  readonly logId: string
  readonly partition: number
  readonly observer?: DecisionsObserver
  /** Told within a record of many things that one more of them is done. */
  readonly onStep?: () => void
  /** Tests only. */
  readonly mutations?: ReadonlySet<Mutation>
}

/** {@link Decisions} as plain data, fit for JSON. */
export interface DecisionsState extends IncidentsState {
  readonly book: PageBookState
  readonly overflow: OverflowState
  readonly commands: ReturnType<Commands['snapshot']>
  readonly ownership: Ownership | null
  readonly settings: DecisionSettings
}

/**
 * What the engine decided: incidents, the pages they make, and what attempts, outcomes and commands do to them. A part of the
 * engine's state: deterministic, without I/O, moved by log records only.
 *
 * Per record the engine calls {@link begin}, then whatever the record is or what its rules decide meanwhile. A decision's id
 * is made of log id, partition, offset, its place among the record's decisions and the record's checksum: every replica gives
 * the same, and no two decisions ever share one.
 */
export class Decisions {
  readonly #options: DecisionsOptions
  readonly #at: Moment
  readonly #book: PageBook
  readonly #overflow = new Overflow()
  readonly #incidents = new Incidents()
  readonly #digests: Digests
  readonly #lives: IncidentLives
  readonly #commands: Commands
  #ownership: Ownership | undefined
  #settings = defaultDecisionSettings

  constructor(options: DecisionsOptions) {
    this.#options = options
    this.#at = new Moment(options.logId, options.partition)
    this.#book = new PageBook({
      decided: (page) => options.observer?.onDecision?.(page, this.#at.offset),
      settled: (page, result) => options.observer?.onSettled?.(page, result, this.#at.offset),
    })
    const parts = this.#parts()
    this.#digests = new Digests(parts, this.#book, this.#overflow, this.#incidents)
    this.#lives = new IncidentLives(parts, this.#book, this.#digests, this.#incidents)
    this.#commands = new Commands(parts)
  }

  /**
   * A record begins.
   * @param checksum of the record, unsigned 32 bits
   * @param calendarMs, ownedMs the engine's clocks after this record moved them, or as a timer that fires sees them
   */
  begin(offset: number, checksum: number, calendarMs: number, ownedMs: number): void {
    this.#at.begin(offset, checksum)
    this.time(calendarMs, ownedMs)
  }

  /** The clocks as the next decision sees them: a timer sees its own deadline as now. */
  time(calendarMs: number, ownedMs: number): void {
    this.#at.calendarMs = calendarMs
    this.#at.ownedMs = ownedMs
  }

  /** The calendar was set back: what waits for a time that was stamped too far ahead waits that much less. */
  calendarBack(byMs: number): void {
    this.#book.shiftDigests(byMs)
    this.#incidents.shiftPromises(byMs)
    this.#lives.lookAgain()
  }

  /** The clocks have moved by a tick: what people promised ends, and who else is to be told of an incident is. */
  tick(): void {
    this.#lives.tick()
  }

  // ---- What rules decide

  /** Id of the incident of this rule and key that is open. */
  idOfOpen(rule: string, key: string): string | undefined {
    return this.#incidents.get(rule, key)?.id
  }

  /** Whether any incident of this rule is open, for a yet quicker no. */
  hasOpen(rule: string): boolean {
    return this.#incidents.hasRule(rule)
  }

  /**
   * An event reached `incident(rule)`: opens at the first bad one of its key, resolves at the first that is not.
   * @param told receivers; each gets a page of its own
   * @param describe called only when something is decided
   * @param host of the event, where the key leaves it open: hosts may join
   */
  incident(rule: string, key: string, bad: boolean, told: Told, describe: () => PageDescription, host?: string): void {
    const incident = this.#incidents.get(rule, key)
    if (bad && incident === undefined) {
      this.#lives.open(rule, key, told, describe(), host === undefined ? {} : { hosts: [host] })
    } else if (bad && host !== undefined) this.#lives.stillBad(incident!, host)
    else if (!bad && incident !== undefined) {
      const { provenance, summary } = describe()
      this.#lives.close(incident, 'not bad any more', provenance(), summary)
    }
  }

  /**
   * An event reached `incident(rule)` that is one for all keys of a group: opens at the first bad one of any, resolves when none of them is bad any more.
   * @param group the incident's key
   * @param key of the event within its group
   * @param host of the event, or empty
   */
  member(
    rule: string,
    group: string,
    { key, host, bad }: IncidentMember,
    told: Told,
    describe: () => PageDescription,
  ): void {
    const incident = this.#incidents.get(rule, group)
    if (incident === undefined) {
      if (bad) this.#lives.open(rule, group, told, describe(), { members: [{ key, host, bad }] })
    } else if (bad) this.#lives.memberBad(incident, key, host)
    else if (this.#lives.memberWell(incident, key)) {
      const { provenance, summary } = describe()
      const count = incident.members?.length ?? 1
      const reason = count === 1 ? 'not bad any more' : `none of its ${count} is bad any more`
      this.#lives.close(incident, reason, provenance(), count === 1 ? summary : `${reason}: ${summary}`)
    }
  }

  /** An event reached `notify(to)`: a page without a life of its own. */
  notify(rule: string, to: readonly string[], describe: () => PageDescription): void {
    const description = describe()
    for (const receiver of to) this.#decideNew('notify', rule, receiver, () => this.#page(rule, receiver, description))
  }

  /**
   * A rule was taken out. Open until the rules are switched.
   * @param to the rule's own receivers; without any, the fallback receiver is told
   * @param events which it stalled at
   */
  quarantine(branch: string, to: readonly string[], summary: string, events: readonly string[]): void {
    const { fallbackReceiver } = this.#settings
    const receivers = to.length > 0 || fallbackReceiver === undefined ? to : [fallbackReceiver]
    if (receivers.length === 0) return
    this.incident(ruleQuarantinedRule, branch, true, { to: receivers }, () => ({
      severity: 'critical',
      summary,
      host: '',
      service: '',
      provenance: () => ({ branch, events: [...events] }),
    }))
  }

  // ---- What records do

  /** Gives whether the claim is in force: its epoch is higher than any before it. The first of an epoch wins it. */
  claim(record: ClaimRecord): boolean {
    if (record.epoch <= (this.#ownership?.epoch ?? 0)) return false
    this.#ownership = { epoch: record.epoch, instance: record.instance, offset: this.#at.offset }
    return true
  }

  /** Gives whether the attempt is in force: its epoch is the highest claim's and at least one of its pages waits there. */
  attempt(record: AttemptRecord): boolean {
    if (record.epoch !== this.#ownership?.epoch && !this.#without('epoch-check')) return false
    const pages: PendingPage[] = []
    for (const id of record.pages) {
      const page = this.#book.get(id)
      if (page !== undefined && page.receiver === record.receiver && !pages.includes(page)) pages.push(page)
    }
    if (pages.length === 0) return false
    if (record.digest === 'waited') return this.#digests.takeIn(record, pages)
    let added = false
    for (const page of pages) if (this.#book.addAttempt(page, record, this.#at.offset)) added = true
    return added
  }

  /** An outcome is a fact, whatever its epoch. */
  outcome(record: OutcomeRecord): void {
    if (record.epoch !== this.#ownership?.epoch && this.#without('older-outcome')) return
    const late = this.#book.clearDoubt(record)
    if (late !== undefined && !this.#without('repair')) this.#repair(late)
    const done = this.#book.addOutcome(record)
    for (const page of done) this.#settle(page, record.result as SettledResult, record)
    // One that is there a second time tells of a time that has passed: the receiver may have failed since.
    if (record.result === 'delivered' && done.length > 0) this.#receiverWorks(record.receiver)
  }

  /**
   * A command by a person; one that comes twice acts once, and gives undefined.
   * All but `drill` name an open incident by `rule` and `key`, and by its id, `incident`, where no other of that key is meant.
   * `acknowledge` and `snooze` hold `forMs` or `untilMs`; an acknowledgement that came `via` a receiver is not told to it.
   * `redrive` decides the triggers anew that their receivers refused or could not take for a day; `drill` sends a test page to
   * `receiver`.
   */
  command(record: CommandRecord): CommandResult | undefined {
    return this.#commands.apply(record)
  }

  /** What one of the last 10,000 commands came to, by its id, with the attempts so far of a drill's page that is not settled. */
  commandStatus(id: string): CommandStatus | undefined {
    const applied = this.#commands.get(id)
    const attempts = applied?.page === undefined ? undefined : this.#book.get(applied.page)?.attempts.length
    return applied === undefined || attempts === undefined ? applied : { ...applied, attempts }
  }

  /**
   * New rules are in force: incidents whose rule is declared nowhere any more resolve.
   * @param names every incident's name in the new rules
   * @param settings of the rules record
   * @throws EngineError `SETTING_INVALID`, before anything was changed
   */
  rulesSwitched(names: ReadonlySet<string>, settings: Readonly<Record<string, unknown>> = {}): void {
    this.#settings = decisionSettings(settings)
    for (const incident of this.#incidents.open) {
      const { rule } = incident
      if (names.has(rule) || rule === deliveryFailedRule) continue
      const reason = rule === ruleQuarantinedRule ? 'the rules were switched' : 'its rule was deleted'
      this.#lives.close(incident, reason, { rule, reason })
    }
  }

  // ---- What others see

  get ownership(): Ownership | undefined {
    return this.#ownership
  }

  /** In the order of their decisions. */
  pendingPages(): readonly Readonly<PendingPage>[] {
    return this.#book.list()
  }

  takePageChanges(): PageChanges {
    return this.#book.takeChanges()
  }

  /** Open incidents in the order of their opening, then the last 1,000 closed, newest last. */
  incidents(): { readonly open: readonly Incident[]; readonly closed: readonly Incident[] } {
    const { open, closed } = this.#incidents
    return { open: [...open], closed }
  }

  /** Open incidents, closed ones and pending pages, as {@link listed} says. */
  listed(cursor?: string): Iterable<Listed> {
    const { open, closed } = this.#incidents
    return listed(open, closed, this.#book.pages, cursor)
  }

  /** Running hash of every decision and settlement so far. */
  get hash(): string {
    return this.#book.hash
  }

  // ---- State

  snapshot(): DecisionsState {
    return {
      book: this.#book.snapshot(),
      ...this.#incidents.snapshot(),
      overflow: this.#overflow.snapshot(),
      commands: this.#commands.snapshot(),
      ownership: this.#ownership ?? null,
      settings: this.#settings,
    }
  }

  /** Takes over what `snapshot` gave, by way of JSON or not; every pending page counts as changed afterwards. */
  restore(state: DecisionsState): void {
    this.#book.restore(state.book)
    this.#incidents.restore(state)
    this.#overflow.restore(state.overflow)
    this.#commands.restore(state.commands)
    this.#lives.lookAgain()
    this.#ownership = state.ownership ?? undefined
    this.#settings = state.settings
  }

  // ---- Pages

  /** A trigger or notification as rules decide them: within the limits a page of its own, beyond them part of a digest. @param own decides the former */
  #decideNew(action: 'trigger' | 'notify', rule: string, receiver: string, own: () => string): string {
    if (this.#book.pendingAt(receiver) >= this.#settings.pendingPerReceiver) {
      const why = `more than ${this.#settings.pendingPerReceiver} pages wait for ${receiver}`
      return this.#digests.join(action, '', receiver, this.#at.nextId(), why)
    }
    if (!this.#overflow.admit(rule, this.#at.calendarMs, this.#settings.pagesPerMinute)) {
      const why = `${rule} decided more than ${this.#settings.pagesPerMinute} pages within a minute`
      return this.#digests.join(action, rule, receiver, this.#at.nextId(), why)
    }
    return own()
  }

  #page(rule: string, receiver: string, description: PageDescription): string {
    const subject = { ...description, rule, key: '', dedupKey: description.dedupKey ?? '' }
    return this.#decide('notify', receiver, subject, boundedProvenance(description.provenance()), {})
  }

  #decide(action: PageAction, receiver: string, subject: Subject, provenance: unknown, details: PageDetails): string {
    const page = this.#at.page(action, receiver, subject, provenance, details)
    this.#book.decide(page)
    return page.id
  }

  #settle(page: PendingPage, result: SettledResult, outcome?: OutcomeRecord): void {
    this.#book.settle(page, result)
    if (page.action === 'trigger') this.#lives.triggerSettled(page, result)
    this.#commands.settled(page.id, result, outcome?.detail)
    if (result === 'refused' || result === 'gave-up') this.#deliveryFailed(page, result, outcome?.detail ?? '')
  }

  /** The trigger's receiver may hold an incident again that was resolved already: resolve it once more. */
  #repair(trigger: Readonly<PendingPage>): void {
    const reopened = this.#incidents.get(trigger.rule, trigger.key)
    // With a key of the user's own the same key may be open again for good reason.
    if (reopened !== undefined && reopened.dedupKey === trigger.dedupKey) return
    this.#decide('resolve', trigger.receiver, trigger, { repairs: trigger.id }, { trigger: trigger.id, repair: true })
  }

  // ---- Receivers that fail

  #deliveryFailed(page: Readonly<PendingPage>, result: string, detail: string): void {
    const fallback = this.#settings.fallbackReceiver
    this.#alarm('delivery-failed', `${page.receiver} ${result}: ${page.summary}${detail === '' ? '' : ` (${detail})`}`)
    // The fallback's own failures have nowhere to go but the alarm.
    if (fallback === undefined || fallback === page.receiver) return
    this.incident(deliveryFailedRule, page.receiver, true, { to: [fallback] }, () => ({
      severity: 'critical',
      summary: `${page.receiver} could not be told (${result}${detail === '' ? '' : `: ${detail}`}): ${page.summary}`,
      host: page.host,
      service: page.service,
      provenance: () => ({ page: page.id, rule: page.rule, key: page.key, result, detail }),
    }))
  }

  #receiverWorks(receiver: string): void {
    const incident = this.#incidents.get(deliveryFailedRule, receiver)
    if (incident !== undefined) this.#lives.close(incident, `${receiver} takes pages again`, { receiver })
  }

  /** What digests, incidents and commands reach of this. */
  #parts(): LivesAround & Commanded {
    const settings = (): DecisionSettings => this.#settings
    return {
      at: this.#at,
      get settings() {
        return settings()
      },
      incident: (rule, key) => this.#incidents.get(rule, key),
      decide: (action, receiver, subject, provenance, details) =>
        this.#decide(action, receiver, subject, provenance, details),
      trigger: (receiver, incident, words) =>
        this.#decideNew('trigger', incident.rule, receiver, () => {
          const { summary, provenance } = words()
          return this.#decide('trigger', receiver, { ...incident, summary }, provenance, { incident: incident.id })
        }),
      goesOn: () => this.#options.onStep?.(),
      page: (rule, to, description) => this.#page(rule, to, description),
      settle: (page, result) => this.#settle(page, result),
      without: (mutation) => this.#without(mutation),
      alarm: (name, detail) => this.#alarm(name, detail),
      close: (incident, reason, provenance) => this.#lives.close(incident, reason, provenance),
      acknowledge: (incident, record, untilMs, via) => this.#lives.acknowledge(incident, record, untilMs, via),
      snooze: (incident, record, untilMs) => this.#lives.snooze(incident, record, untilMs),
      redrive: (incident) => this.#lives.redrive(incident),
    }
  }

  #without(mutation: Mutation): boolean {
    return this.#options.mutations?.has(mutation) === true
  }

  #alarm(name: string, detail: string): void {
    this.#options.observer?.onAlarm?.(name, detail, this.#at.offset)
  }
}
