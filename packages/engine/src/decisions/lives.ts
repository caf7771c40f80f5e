import type { CommandRecord } from '../records.ts'
import { nextStep, spanText } from './escalation.ts'
import { type Deciding, Digests } from './digests.ts'
import {
  boundedProvenance,
  type ChangingDelivery,
  type ChangingIncident,
  type EscalationStep,
  hostLimit,
  type Incident,
  type IncidentDelivery,
  type PageDescription,
  type Promised,
  type Told,
} from './incident.ts'
import { type Incidents, memberLimit, openLimit } from './incidents.ts'
import { openedNow } from './moment.ts'
import type { PendingPage } from './page.ts'
import type { PageBook, SettledResult } from './pages.ts'
import type { DecisionSettings } from './settings.ts'

/** What the lives of incidents need of the decisions around them. */
export interface LivesAround extends Deciding {
  readonly settings: DecisionSettings
  /** A trigger within the limits is a page of its own, beyond them part of a digest; gives the id of that page. @param words asked for the former only */
  trigger(receiver: string, incident: Incident, words: () => Pick<Incident, 'summary' | 'provenance'>): string
  /** One more of many is done, within a record: it is long, not stuck. */
  goesOn(): void
  alarm(name: string, detail: string): void
}

/**
 * What becomes of incidents: opened, taken on, left alone, escalated, resolved. Their state is that of {@link Incidents} and of the book.
 *
 * Escalation runs on owned time from the opening (while nobody owned, nobody could have been told), and begins anew when an
 * acknowledgement or a snooze ends; steps that were taken are not taken again. Acknowledgements and snoozes are promised by
 * people, by their clocks: they end in calendar time. All of it is looked at with each tick.
 */
export class IncidentLives {
  readonly #around: LivesAround
  readonly #book: PageBook
  readonly #digests: Digests
  readonly #incidents: Incidents
  /** Nothing is due before; derived, and too early is no harm. */
  #dueOwnedMs = 0
  #dueCalendarMs = 0

  constructor(around: LivesAround, book: PageBook, digests: Digests, incidents: Incidents) {
    this.#around = around
    this.#book = book
    this.#digests = digests
    this.#incidents = incidents
  }

  /** @param joined the first of those that may join it */
  open(
    rule: string,
    key: string,
    told: Told,
    description: PageDescription,
    joined: Pick<ChangingIncident, 'hosts' | 'members'>,
  ): void {
    const { at } = this.#around
    if (this.#incidents.full) {
      this.#around.alarm(
        'incidents-full',
        `${openLimit} incidents are open; ${rule} has one more, which goes as a digest`,
      )
      for (const receiver of told.to)
        this.#digests.join('notify', rule, receiver, at.nextId(), 'too many open incidents')
      return
    }
    const incident = openedNow(at, rule, key, told, description, joined)
    this.#incidents.add(incident)
    for (const receiver of new Set(told.to)) {
      const trigger = this.#around.trigger(receiver, incident, () => incident)
      incident.deliveries.push({ receiver, trigger })
    }
    this.#comesDue(incident)
  }

  /** An open incident's event is bad again. A host that was not among its own ends an acknowledgement: it was given for less. */
  stillBad(incident: Incident, host: string): void {
    const { hosts, acknowledged } = incident
    if (hosts === undefined || hosts.length >= hostLimit || hosts.includes(host)) return
    const changed = this.#incidents.change(incident)
    changed.hosts!.push(host)
    if (acknowledged !== undefined) this.#breakAcknowledgement(incident)
  }

  /** A member of an open incident is bad. One that was not among its own ends an acknowledgement, like a host. */
  memberBad(incident: Incident, key: string, host: string): void {
    const at = memberAt(incident, key)
    if (at >= 0) {
      if (!incident.members![at].bad) this.#incidents.change(incident).members![at].bad = true
      return
    }
    // one that is not remembered comes with each of its events: it is told of once
    if (!this.#incidents.join(incident, key, host)) {
      if (incident.membersLost === true) return
      this.#incidents.change(incident).membersLost = true
      const what = `${incident.members!.length} members of ${incident.rule} ${incident.key} are bad, at most ${memberLimit} are remembered`
      this.#around.alarm('group-full', `${what}; a further one is not: ${key}`)
    }
    if (incident.acknowledged !== undefined) this.#breakAcknowledgement(incident)
  }

  /** A member of an open incident is well. Gives whether none is bad any more. */
  memberWell(incident: Incident, key: string): boolean {
    const at = memberAt(incident, key)
    if (at >= 0 && incident.members![at].bad) this.#incidents.change(incident).members![at].bad = false
    return badMembers(incident) === 0
  }

  /** @param summary of an incident that no event ends: what it was, and why it is told to be over */
  close(incident: Incident, reason: string, provenance: unknown, summary = `${incident.summary} (${reason})`): void {
    const { at } = this.#around
    const kept = boundedProvenance(provenance)
    const closed = { atMs: at.calendarMs, offset: at.offset, reason, provenance: kept }
    const { deliveries } = this.#incidents.close(incident, closed)
    for (const delivery of deliveries) this.#takeBack({ ...incident, summary }, delivery, kept)
  }

  /** Triggers that failed for good are decided anew, one of a digest as a page of its own: the digest stands for it no longer. */
  redrive(incident: Incident): boolean {
    let any = false
    for (const delivery of this.#incidents.change(incident).deliveries) {
      const digest = this.#book.digest(delivery.trigger)
      const result = delivery.result ?? digest?.result
      if (result !== 'refused' && result !== 'gave-up') continue
      if (digest !== undefined) this.#digests.leave(digest.id)
      // it is about a trigger that nobody has: the new one is told of it when it has arrived
      const acknowledgement = this.#book.acknowledgementOf(delivery.trigger)
      if (acknowledgement?.attempts.length === 0) this.#around.settle(acknowledgement, 'overtaken')
      delivery.trigger = this.#around.decide('trigger', delivery.receiver, incident, incident.provenance, {
        incident: incident.id,
        ...(delivery.mayBeOpen === true ? { mayBeOpen: true } : {}),
      })
      delete delivery.result
      any = true
    }
    return any
  }

  /**
   * Somebody takes it on: receivers that know such a thing are told, if and only if their trigger was attempted.
   * @param via the receiver that said so, and knows
   */
  acknowledge(incident: Incident, { who, from, why }: CommandRecord, untilMs: number, via: unknown): void {
    this.#promise(incident, 'acknowledged', { who, from, why, atMs: this.#around.at.calendarMs, untilMs })
    for (const delivery of incident.deliveries) {
      if (delivery.receiver !== via) this.#tellAcknowledged(incident, delivery)
    }
  }

  /** Nobody else is to be told for a while. */
  snooze(incident: Incident, { who, from, why }: CommandRecord, untilMs: number): void {
    this.#promise(incident, 'snoozed', { who, from, why, atMs: this.#around.at.calendarMs, untilMs })
  }

  /** The clocks have moved: what was promised ends, and who else is to be told is. */
  tick(): void {
    const { calendarMs, ownedMs } = this.#around.at
    if (ownedMs < this.#dueOwnedMs && calendarMs < this.#dueCalendarMs) return
    this.#dueOwnedMs = this.#dueCalendarMs = Infinity
    for (const incident of this.#incidents.open) {
      this.#around.goesOn()
      const { acknowledged, snoozed } = incident
      if (acknowledged !== undefined || snoozed !== undefined) {
        const isOver = acknowledged !== undefined && acknowledged.untilMs <= calendarMs
        const isAwake = snoozed !== undefined && snoozed.untilMs <= calendarMs
        if (isOver) delete this.#incidents.change(incident).acknowledged
        if (isAwake) delete this.#incidents.change(incident).snoozed
        if (isOver || isAwake) this.#unattended(incident)
      }
      for (let step = this.#due(incident); step !== undefined; step = this.#due(incident)) {
        this.#escalate(incident, step, `not acknowledged for ${spanText(step.afterMs)}`)
      }
      this.#comesDue(incident)
    }
  }

  /** Whether something is due is to be found out anew: after a restore, or when the calendar went back. */
  lookAgain(): void {
    this.#dueOwnedMs = this.#dueCalendarMs = 0
  }

  /** A trigger was settled: who hears of it only now is told that it is taken on; where nobody can hear of it, others are told. */
  triggerSettled(page: Readonly<PendingPage>, result: SettledResult): void {
    const digest = this.#book.changeDigest(page.id)
    const delivery = digest === undefined ? this.#incidents.changeDelivery(page) : undefined
    const told = digest ?? delivery
    if (told !== undefined) told.result = result
    if (delivery !== undefined && mayBeOpenAfter(page, result)) delivery.mayBeOpen = true
    if (result === 'delivered' && delivery !== undefined) {
      const incident = this.#incidents.get(page.rule, page.key)!
      if (incident.acknowledged !== undefined) this.#tellAcknowledged(incident, delivery)
    }
    if (result !== 'refused' && result !== 'gave-up') return
    if (delivery !== undefined) this.#escalateUntold(this.#incidents.get(page.rule, page.key)!, page.receiver)
    if (digest === undefined) return
    for (const incident of this.#incidents.open) {
      this.#around.goesOn()
      if (incident.deliveries.some(({ trigger }) => trigger === page.id)) this.#escalateUntold(incident, page.receiver)
    }
  }

  #promise(incident: Incident, name: 'acknowledged' | 'snoozed', promised: Promised): void {
    this.#incidents.change(incident)[name] = promised
    this.#dueCalendarMs = Math.min(this.#dueCalendarMs, promised.untilMs)
  }

  #breakAcknowledgement(incident: Incident): void {
    delete this.#incidents.change(incident).acknowledged
    this.#unattended(incident)
  }

  #unattended(incident: Incident): void {
    this.#incidents.change(incident).unattendedSinceMs = this.#around.at.ownedMs
    this.#comesDue(incident)
  }

  #comesDue(incident: Incident): void {
    const { acknowledged, snoozed, unattendedSinceMs } = incident
    const step = this.#nextStep(incident)
    if (step !== undefined) this.#dueOwnedMs = Math.min(this.#dueOwnedMs, unattendedSinceMs + step.afterMs)
    const untilMs = Math.min(acknowledged?.untilMs ?? Infinity, snoozed?.untilMs ?? Infinity)
    this.#dueCalendarMs = Math.min(this.#dueCalendarMs, untilMs)
  }

  #due(incident: Incident): EscalationStep | undefined {
    const step = this.#nextStep(incident)
    return step === undefined || this.#around.at.ownedMs < incident.unattendedSinceMs + step.afterMs ? undefined : step
  }

  #nextStep(incident: Incident): EscalationStep | undefined {
    if (this.#around.without('escalation')) return undefined
    return this.#around.without('acknowledged') ? incident.escalate?.[incident.escalated] : nextStep(incident)
  }

  #escalateUntold(incident: Incident, receiver: string): void {
    const step = nextStep(incident)
    if (step !== undefined) this.#escalate(incident, step, `${receiver} could not be told`)
  }

  /** One more receiver has the incident from here on: like those of the rule, it is told when it is over. */
  #escalate(incident: Incident, { to, afterMs }: EscalationStep, why: string): void {
    const changed = this.#incidents.change(incident)
    changed.escalated++
    const count = badMembers(incident)
    const trigger = this.#around.trigger(to, incident, () => ({
      summary: `${why}: ${incident.summary}${count > 1 ? ` (${count} are bad)` : ''}`,
      provenance: boundedProvenance({ escalated: { afterMs, why }, opened: incident.provenance }),
    }))
    changed.deliveries.push({ receiver: to, trigger })
  }

  #tellAcknowledged(incident: Incident, { receiver, trigger }: IncidentDelivery): void {
    if (!this.#around.settings.acknowledging.includes(receiver)) return
    // A digest is an incident of its own, of which only a part is taken on.
    if (this.#book.digest(trigger) !== undefined || this.#book.acknowledgementOf(trigger) !== undefined) return
    const page = this.#book.get(trigger)
    if (page !== undefined && page.attempts.length === 0 && page.mayBeOpen !== true) return
    const { who, why } = incident.acknowledged!
    const summary = `taken on by ${who}: ${incident.summary}`
    this.#around.decide(
      'acknowledge',
      receiver,
      { ...incident, summary },
      { acknowledged: { who, why } },
      {
        incident: incident.id,
        trigger,
      },
    )
  }

  /** Resolve if and only if the trigger was attempted. */
  #takeBack(incident: Readonly<Incident>, delivery: ChangingDelivery, provenance: unknown): void {
    const digest = this.#book.digest(delivery.trigger)
    if (digest !== undefined) return this.#digests.leave(digest.id)
    const acknowledgement = this.#book.acknowledgementOf(delivery.trigger)
    if (acknowledgement?.attempts.length === 0) this.#around.settle(acknowledgement, 'overtaken')
    const after = this.#book.acknowledgementOf(delivery.trigger)?.id
    const trigger = this.#book.get(delivery.trigger)
    if (trigger !== undefined && trigger.attempts.length === 0 && trigger.mayBeOpen !== true) {
      const { bothWhenOvertaken } = this.#around.settings
      if (!bothWhenOvertaken.includes(delivery.receiver)) {
        delivery.result = 'overtaken'
        return this.#around.settle(trigger, 'overtaken')
      }
    }
    delivery.resolve = this.#around.decide('resolve', delivery.receiver, incident, provenance, {
      incident: incident.id,
      trigger: delivery.trigger,
      ...(after === undefined ? {} : { after }),
    })
  }
}

function memberAt({ members }: Incident, key: string): number {
  return members?.findIndex((member) => member.key === key) ?? -1
}

/** How many of a group are bad; 0 where the incident is for none. */
function badMembers({ members = [] }: Incident): number {
  let count = 0
  for (const { bad } of members) if (bad) count++
  return count
}

/** Whether a trigger that failed for good may have taken effect before. What the last try of one given up came to is not known here. */
function mayBeOpenAfter({ attempts }: Readonly<PendingPage>, result: SettledResult): boolean {
  if (result === 'gave-up') return true
  return result === 'refused' && attempts.some((a) => a.result === undefined || a.result === 'unknown')
}
