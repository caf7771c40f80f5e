import type { Ownership } from '../engine.ts'
import type { Mutation } from '../mutations.ts'
import type { AttemptRecord, ClaimRecord, CommandRecord, OutcomeRecord } from '../records.ts'
import { membersNamed, overflowSubject, type Subject, waitedProvenance, waitedSubject } from './digests.ts'
import { hex } from './hash.ts'
import {
  boundedProvenance,
  boundedText,
  type Incident,
  type IncidentDelivery,
  type PageDescription,
} from './incident.ts'
import { Overflow, type OverflowState } from './overflow.ts'
import type { PageAction, PageChanges, PendingPage } from './page.ts'
import { PageBook, type PageBookState, type SettledResult } from './pages.ts'
import { decisionSettings, defaultDecisionSettings, type DecisionSettings } from './settings.ts'

/** Closed incidents that are still shown, with their provenance. */
const closedLimit = 1_000
/** Command ids remembered, so that a command that comes twice acts once. */
const commandLimit = 10_000
/** Open incidents of all rules together; further ones are counted into a digest and have no life of their own. */
const openLimit = 100_000
/** Name of the incident that opens at the fallback receiver; rules may not use it. */
export const deliveryFailedRule = 'delivery-failed'

/** Name of the incident that opens where a rule was taken out because it stalls the engine. */
export const ruleQuarantinedRule = 'rule-quarantined'

/** Told of decisions as they are made and settled; see EngineObserver. */
export interface DecisionsObserver {
  onDecision?(page: Readonly<PendingPage>, offset: number): void
  onSettled?(page: Readonly<PendingPage>, result: string, offset: number): void
  onAlarm?(name: string, detail: string, offset: number): void
}

/** Whose decisions they are, and who is told. */
export interface DecisionsOptions {
  readonly logId: string
  readonly partition: number
  readonly observer?: DecisionsObserver
  /** Tests only. */
  readonly mutations?: ReadonlySet<Mutation>
}

/** {@link Decisions} as plain data, fit for JSON. */
export interface DecisionsState {
  readonly book: PageBookState
  readonly open: readonly Incident[]
  readonly closed: readonly Incident[]
  readonly overflow: OverflowState
  readonly commands: readonly string[]
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
  readonly #book: PageBook
  readonly #overflow = new Overflow()
  readonly #open = new Map<string, Map<string, Incident>>()
  #openCount = 0
  #closed: Incident[] = []
  #commands = new Set<string>()
  #ownership: Ownership | undefined
  #settings = defaultDecisionSettings

  // Of the record in flight.
  #offset = -1
  #checksum = 0
  #ordinal = 0
  #calendarMs = 0
  #ownedMs = 0

  constructor(options: DecisionsOptions) {
    this.#options = options
    this.#book = new PageBook({
      decided: (page) => options.observer?.onDecision?.(page, this.#offset),
      settled: (page, result) => options.observer?.onSettled?.(page, result, this.#offset),
    })
  }

  /**
   * A record begins.
   * @param checksum of the record, unsigned 32 bits
   * @param calendarMs, ownedMs the engine's clocks after this record moved them, or as a timer that fires sees them
   */
  begin(offset: number, checksum: number, calendarMs: number, ownedMs: number): void {
    this.#offset = offset
    this.#checksum = checksum
    this.#ordinal = 0
    this.time(calendarMs, ownedMs)
  }

  /** The clocks as the next decision sees them: a timer sees its own deadline as now. */
  time(calendarMs: number, ownedMs: number): void {
    this.#calendarMs = calendarMs
    this.#ownedMs = ownedMs
  }

  /** The calendar was set back: what waits for a time that was stamped too far ahead waits that much less. */
  calendarBack(byMs: number): void {
    this.#book.shiftDigests(byMs)
    for (const byKey of this.#open.values()) {
      for (const incident of byKey.values()) {
        if (incident.snoozed !== undefined) {
          incident.snoozed = { ...incident.snoozed, untilMs: incident.snoozed.untilMs + byMs }
        }
      }
    }
  }

  // ---- What rules decide

  /** Whether an incident of this rule and key is open: for an event that is not bad, nothing need be called when not. */
  isOpen(rule: string, key: string): boolean {
    return this.#open.get(rule)?.has(key) === true
  }

  /** Whether any incident of this rule is open, for a yet quicker no. */
  hasOpen(rule: string): boolean {
    return this.#open.has(rule)
  }

  /**
   * An event reached `incident(rule)`: opens at the first bad one of its key, resolves at the first that is not.
   * @param to receivers; each gets a page of its own
   * @param describe called only when something is decided
   */
  incident(rule: string, key: string, bad: boolean, to: readonly string[], describe: () => PageDescription): void {
    const incident = this.#open.get(rule)?.get(key)
    if (bad && incident === undefined) this.#openIncident(rule, key, to, describe())
    else if (!bad && incident !== undefined) this.#closeIncident(incident, 'not bad any more', describe().provenance)
  }

  /** An event reached `notify(to)`: a page without a life of its own. */
  notify(rule: string, to: readonly string[], describe: () => PageDescription): void {
    const description = describe()
    for (const receiver of to) this.#decideNew('notify', rule, '', receiver, description, undefined)
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
    this.incident(ruleQuarantinedRule, branch, true, receivers, () => ({
      severity: 'critical',
      summary,
      host: '',
      service: '',
      provenance: { branch, events: [...events] },
    }))
  }

  // ---- What records do

  /** Gives whether the claim is in force: its epoch is higher than any before it. The first of an epoch wins it. */
  claim(record: ClaimRecord): boolean {
    if (record.epoch <= (this.#ownership?.epoch ?? 0)) return false
    this.#ownership = { epoch: record.epoch, instance: record.instance, offset: this.#offset }
    return true
  }

  /** Gives whether the attempt is in force: its epoch is the highest claim's and at least one of its pages waits there. */
  attempt(record: AttemptRecord): boolean {
    if (record.epoch !== this.#ownership?.epoch && !this.#options.mutations?.has('epoch-check')) return false
    const pages: PendingPage[] = []
    for (const id of record.pages) {
      const page = this.#book.get(id)
      if (page !== undefined && page.receiver === record.receiver && !pages.includes(page)) pages.push(page)
    }
    if (pages.length === 0) return false
    if (record.digest === 'waited') return this.#digestWaited(record, pages)
    let added = false
    for (const page of pages) if (this.#book.addAttempt(page, record, this.#offset)) added = true
    return added
  }

  /** An outcome is a fact, whatever its epoch. */
  outcome(record: OutcomeRecord): void {
    const late = this.#book.clearDoubt(record)
    if (late !== undefined) this.#repair(late)
    for (const page of this.#book.addOutcome(record)) this.#settle(page, record.result as SettledResult, record)
    if (record.result === 'delivered') this.#receiverWorks(record.receiver)
  }

  /**
   * A command by a person; one that comes twice acts once. Gives whether it did anything.
   * `resolve`, `acknowledge` and `snooze` (`forMs`) name an incident by `rule` and `key`; `redrive` decides the triggers of an
   * open incident anew that its receivers refused or could not take for a day; `drill` sends a test page to `receiver`.
   */
  command(record: CommandRecord): boolean {
    if (this.#commands.has(record.id)) return false
    this.#commands.add(record.id)
    if (this.#commands.size > commandLimit) this.#commands.delete(this.#commands.values().next().value!)
    const { who, why } = record
    if (record.name === 'drill') {
      const receiver = record.arguments['receiver']
      if (typeof receiver !== 'string') return false
      this.notify('drill', [receiver], () => drillPage(record))
      return true
    }
    const incident = this.#open.get(String(record.arguments['rule']))?.get(String(record.arguments['key'] ?? ''))
    if (incident === undefined) return false
    switch (record.name) {
      case 'resolve':
        this.#closeIncident(incident, `resolved by ${who}: ${why}`, { command: record.id, who, from: record.from, why })
        return true
      case 'acknowledge':
        incident.acknowledged = { who, why, atMs: this.#calendarMs }
        return true
      case 'snooze': {
        const forMs = record.arguments['forMs']
        if (typeof forMs !== 'number' || !(forMs > 0)) return false
        incident.snoozed = { who, why, untilMs: this.#calendarMs + forMs }
        return true
      }
      case 'redrive':
        return this.#redrive(incident)
    }
  }

  /**
   * New rules are in force: incidents whose rule is declared nowhere any more resolve.
   * @param names every incident's name in the new rules
   * @param settings of the rules record
   * @throws EngineError `SETTING_INVALID`, before anything was changed
   */
  rulesSwitched(names: ReadonlySet<string>, settings: Readonly<Record<string, unknown>> = {}): void {
    this.#settings = decisionSettings(settings)
    for (const [rule, incidents] of [...this.#open]) {
      if (names.has(rule) || rule === deliveryFailedRule) continue
      const reason = rule === ruleQuarantinedRule ? 'the rules were switched' : 'its rule was deleted'
      for (const incident of [...incidents.values()]) this.#closeIncident(incident, reason, { rule, reason })
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

  /** Open incidents in the order of their opening within a rule, then the last 1,000 closed, newest last. */
  incidents(): { readonly open: readonly Readonly<Incident>[]; readonly closed: readonly Readonly<Incident>[] } {
    return { open: [...this.#open.values()].flatMap((byKey) => [...byKey.values()]), closed: this.#closed }
  }

  /** Running hash of every decision and settlement so far. */
  get hash(): string {
    return this.#book.hash
  }

  // ---- State

  /** Everything that is state, as text in a fixed order. */
  mixState(mix: (text: string) => void): void {
    this.#book.mixState(mix)
    for (const byKey of this.#open.values()) {
      for (const incident of byKey.values()) {
        mix(incident.id)
        for (const d of incident.deliveries) mix(`${d.receiver} ${d.trigger} ${d.result ?? ''}`)
        mix(`${incident.acknowledged?.atMs ?? ''} ${incident.snoozed?.untilMs ?? ''}`)
      }
    }
    mix(String(this.#closed.length))
    const last = this.#closed.at(-1)
    if (last !== undefined) mix(`${last.id} ${last.closed!.offset}`)
    this.#overflow.mixState(mix)
    mix(`${this.#commands.size} ${this.#ownership?.epoch ?? 0} ${JSON.stringify(this.#settings)}`)
  }

  snapshot(): DecisionsState {
    const { open, closed } = this.incidents()
    return {
      book: this.#book.snapshot(),
      open: open.map(copyOf),
      closed: closed.map(copyOf),
      overflow: this.#overflow.snapshot(),
      commands: [...this.#commands],
      ownership: this.#ownership ?? null,
      settings: this.#settings,
    }
  }

  /** Takes over what `snapshot` gave, by way of JSON or not; every pending page counts as changed afterwards. */
  restore(state: DecisionsState): void {
    this.#book.restore(state.book)
    this.#open.clear()
    this.#openCount = 0
    for (const incident of state.open) this.#remember(copyOf(incident))
    this.#closed = state.closed.map(copyOf)
    this.#overflow.restore(state.overflow)
    this.#commands = new Set(state.commands)
    this.#ownership = state.ownership ?? undefined
    this.#settings = state.settings
  }

  // ---- Incidents

  #openIncident(rule: string, key: string, to: readonly string[], description: PageDescription): void {
    if (this.#openCount >= openLimit) {
      this.#alarm('incidents-full', `${openLimit} incidents are open; ${rule} has one more, which goes as a digest`)
      for (const receiver of to) this.#joinDigest('notify', rule, receiver, this.#nextId(), 'too many open incidents')
      return
    }
    const id = this.#nextId()
    const incident: Incident = {
      id,
      rule,
      key,
      dedupKey: description.dedupKey ?? id,
      severity: description.severity,
      summary: boundedText(description.summary),
      host: description.host,
      service: description.service,
      openedAtMs: this.#calendarMs,
      openedOffset: this.#offset,
      provenance: boundedProvenance(description.provenance),
      deliveries: [],
    }
    this.#remember(incident)
    for (const receiver of new Set(to)) {
      const trigger = this.#decideNew('trigger', rule, key, receiver, description, incident)
      incident.deliveries.push({ receiver, trigger })
    }
  }

  #closeIncident(incident: Incident, reason: string, provenance: unknown): void {
    const byKey = this.#open.get(incident.rule)!
    byKey.delete(incident.key)
    if (byKey.size === 0) this.#open.delete(incident.rule)
    this.#openCount--
    const kept = boundedProvenance(provenance)
    incident.closed = { atMs: this.#calendarMs, offset: this.#offset, reason, provenance: kept }
    this.#closed.push(incident)
    if (this.#closed.length > closedLimit) this.#closed.shift()
    for (const delivery of incident.deliveries) this.#takeBack(incident, delivery, kept)
  }

  /** Resolve if and only if the trigger was attempted. */
  #takeBack(incident: Incident, delivery: IncidentDelivery, provenance: unknown): void {
    const digest = this.#book.digest(delivery.trigger)
    if (digest !== undefined) return this.#leaveDigest(digest.id)
    const trigger = this.#book.get(delivery.trigger)
    if (trigger !== undefined && trigger.attempts.length === 0) {
      if (!this.#settings.bothWhenOvertaken.includes(delivery.receiver)) return this.#settle(trigger, 'overtaken')
    }
    this.#decide('resolve', delivery.receiver, incident, provenance, {
      incident: incident.id,
      trigger: delivery.trigger,
    })
  }

  #remember(incident: Incident): void {
    let byKey = this.#open.get(incident.rule)
    if (byKey === undefined) this.#open.set(incident.rule, (byKey = new Map()))
    byKey.set(incident.key, incident)
    this.#openCount++
  }

  #redrive(incident: Incident): boolean {
    let any = false
    for (const delivery of incident.deliveries) {
      if (delivery.result !== 'refused' && delivery.result !== 'gave-up') continue
      delivery.trigger = this.#decide('trigger', delivery.receiver, incident, incident.provenance, {
        incident: incident.id,
      })
      delete delivery.result
      any = true
    }
    return any
  }

  // ---- Pages

  /** A trigger or notification as rules decide them: within the limits a page of its own, beyond them part of a digest. */
  #decideNew(
    action: 'trigger' | 'notify',
    rule: string,
    key: string,
    receiver: string,
    description: PageDescription,
    incident: Incident | undefined,
  ): string {
    if (this.#book.pendingAt(receiver) >= this.#settings.pendingPerReceiver) {
      const why = `more than ${this.#settings.pendingPerReceiver} pages wait for ${receiver}`
      return this.#joinDigest(action, '', receiver, this.#nextId(), why)
    }
    if (!this.#overflow.admit(rule, this.#calendarMs, this.#settings.pagesPerMinute)) {
      const why = `${rule} decided more than ${this.#settings.pagesPerMinute} pages within a minute`
      return this.#joinDigest(action, rule, receiver, this.#nextId(), why)
    }
    if (incident !== undefined) {
      return this.#decide(action, receiver, incident, incident.provenance, { incident: incident.id })
    }
    const subject = { ...description, rule, key, dedupKey: description.dedupKey ?? '' }
    return this.#decide(action, receiver, subject, boundedProvenance(description.provenance), {})
  }

  #decide(
    action: PageAction,
    receiver: string,
    subject: Subject,
    provenance: unknown,
    rest: Partial<Pick<PendingPage, 'incident' | 'trigger' | 'repair' | 'members' | 'memberCount' | 'retryAtMs'>>,
  ): string {
    const id = this.#nextId()
    this.#book.decide({
      id,
      action,
      receiver,
      rule: subject.rule,
      key: subject.key,
      dedupKey: subject.dedupKey === '' ? id : subject.dedupKey,
      decidedAtMs: this.#calendarMs,
      decidedAtOwnedMs: this.#ownedMs,
      severity: subject.severity,
      summary: boundedText(subject.summary),
      host: subject.host,
      service: subject.service,
      provenance,
      attempts: [],
      retryAtMs: 0,
      ...rest,
    })
    return id
  }

  #settle(page: PendingPage, result: SettledResult, outcome?: OutcomeRecord): void {
    this.#book.settle(page, result)
    if (page.action === 'trigger') {
      const incident = this.#open.get(page.rule)?.get(page.key)
      const delivery = incident?.deliveries.find((d) => d.trigger === page.id)
      if (delivery !== undefined) delivery.result = result
    }
    if (result === 'refused' || result === 'gave-up') this.#deliveryFailed(page, result, outcome?.detail ?? '')
  }

  /** The trigger's receiver may hold an incident again that was resolved already: resolve it once more. */
  #repair(trigger: Readonly<PendingPage>): void {
    const reopened = this.#open.get(trigger.rule)?.get(trigger.key)
    // With a key of the user's own the same key may be open again for good reason.
    if (reopened !== undefined && reopened.dedupKey === trigger.dedupKey) return
    this.#decide('resolve', trigger.receiver, trigger, { repairs: trigger.id }, { trigger: trigger.id, repair: true })
  }

  // ---- Digests

  #joinDigest(action: 'trigger' | 'notify', rule: string, receiver: string, member: string, why: string): string {
    const current = this.#book.get(this.#overflow.digestOf(action, rule, receiver) ?? '')
    const minuteEndMs = this.#overflow.minuteEndMs(this.#calendarMs)
    if (current !== undefined && current.attempts.length === 0 && (rule === '' || current.retryAtMs === minuteEndMs)) {
      this.#book.join(current, member)
      const digest = this.#book.digest(current.id)
      if (digest !== undefined) digest.open++
      return current.id
    }
    const subject = overflowSubject(rule, why)
    // Not sent before its minute is over: by then it names all it stands for.
    const rest = { members: [member], memberCount: 1, retryAtMs: minuteEndMs }
    const id = this.#decide(action, receiver, subject, { digest: why }, rest)
    this.#overflow.remember(action, rule, receiver, id)
    if (action === 'trigger') this.#book.addDigest({ ...subject, id, receiver, dedupKey: id, open: 1 })
    return id
  }

  /** The attempt makes the digest: its members leave the state, one page that names them stands in their place. */
  #digestWaited(record: AttemptRecord, pages: readonly PendingPage[]): boolean {
    const action = pages[0].action
    const members = pages.filter((p) => p.action === action && p.action !== 'resolve' && p.members === undefined)
    if (members.length === 0) return false
    const subject = waitedSubject(members)
    const id = this.#decide(action, record.receiver, subject, waitedProvenance(members), {
      members: members.slice(0, membersNamed).map((p) => p.id),
      memberCount: members.length,
    })
    if (action === 'trigger') this.#book.addDigest({ ...subject, id, receiver: record.receiver, dedupKey: id, open: 0 })
    const digest = this.#book.digest(id)
    for (const page of members) {
      const incident = this.#open.get(page.rule)?.get(page.key)
      const delivery = incident?.deliveries.find((d) => d.trigger === page.id)
      if (delivery !== undefined && digest !== undefined) {
        delivery.trigger = id
        digest.open++
      }
      // Over already: its resolve waited for this trigger, and the digest says both.
      const resolve = this.#book.resolveFor(page.id)
      this.#book.settle(page, 'digested')
      if (resolve !== undefined) this.#book.settle(resolve, 'digested')
    }
    const page = this.#book.get(id)!
    this.#book.addAttempt(page, record, this.#offset)
    if (digest !== undefined && digest.open === 0) this.#closeDigest(id)
    return true
  }

  #leaveDigest(id: string): void {
    const digest = this.#book.digest(id)!
    digest.open--
    if (digest.open === 0) this.#closeDigest(id)
  }

  /** All it stood for has resolved. */
  #closeDigest(id: string): void {
    const digest = this.#book.digest(id)!
    this.#book.removeDigest(id)
    const page = this.#book.get(id)
    if (page !== undefined && page.attempts.length === 0) return this.#settle(page, 'overtaken')
    const subject = { ...digest, summary: `resolved: ${digest.summary}` }
    this.#decide('resolve', digest.receiver, subject, { digest: id }, { trigger: id })
  }

  // ---- Receivers that fail

  #deliveryFailed(page: Readonly<PendingPage>, result: string, detail: string): void {
    const fallback = this.#settings.fallbackReceiver
    this.#alarm('delivery-failed', `${page.receiver} ${result}: ${page.summary}${detail === '' ? '' : ` (${detail})`}`)
    // The fallback's own failures have nowhere to go but the alarm.
    if (fallback === undefined || fallback === page.receiver) return
    this.incident(deliveryFailedRule, page.receiver, true, [fallback], () => ({
      severity: 'critical',
      summary: `${page.receiver} could not be told (${result}${detail === '' ? '' : `: ${detail}`}): ${page.summary}`,
      host: page.host,
      service: page.service,
      provenance: { page: page.id, rule: page.rule, key: page.key, result, detail },
    }))
  }

  #receiverWorks(receiver: string): void {
    const incident = this.#open.get(deliveryFailedRule)?.get(receiver)
    if (incident !== undefined) this.#closeIncident(incident, `${receiver} takes pages again`, { receiver })
  }

  #alarm(name: string, detail: string): void {
    this.#options.observer?.onAlarm?.(name, detail, this.#offset)
  }

  #nextId(): string {
    const { logId, partition } = this.#options
    return `${logId}.${partition}.${this.#offset}.${this.#ordinal++}.${hex(this.#checksum)}`
  }
}

function drillPage(record: CommandRecord): PageDescription {
  return {
    severity: 'info',
    summary: `Drill: ${record.why}. Nothing is wrong.`,
    host: '',
    service: '',
    provenance: { command: record.id, who: record.who, from: record.from },
  }
}

function copyOf(incident: Readonly<Incident>): Incident {
  return { ...incident, deliveries: incident.deliveries.map((d) => ({ ...d })) }
}
