import type { Mutation } from '../mutations.ts'
import type { AttemptRecord } from '../records.ts'
import { boundedProvenance } from './incident.ts'
import type { Incidents } from './incidents.ts'
import type { Moment, PageDetails } from './moment.ts'
import type { Overflow } from './overflow.ts'
import { mayHaveTakenEffect, type PageAction, type PendingPage, type Subject } from './page.ts'
import type { PageBook, SettledResult } from './pages.ts'

/** Members that a digest names by their ids; the count tells of the others. */
const membersNamed = 1_000
/** Members that its provenance tells of in words: 8 KiB hold some fifty. */
const membersTold = 50

/** Who decides and settles pages. */
export interface Deciding {
  readonly at: Moment
  /** Gives the page's id. */
  decide(action: PageAction, receiver: string, subject: Subject, provenance: unknown, details: PageDetails): string
  settle(page: PendingPage, result: SettledResult): void
  /** Whether tests took this rule away. */
  without(mutation: Mutation): boolean
}

/** One page in the place of many: of those beyond a limit, and of those that waited for over an hour. Its state is the book's. */
export class Digests {
  readonly #decisions: Deciding
  readonly #book: PageBook
  readonly #overflow: Overflow
  readonly #incidents: Incidents

  constructor(decisions: Deciding, book: PageBook, overflow: Overflow, incidents: Incidents) {
    this.#decisions = decisions
    this.#book = book
    this.#overflow = overflow
    this.#incidents = incidents
  }

  /** A page beyond a limit joins the digest of its rule (of the receiver, for `''`); gives the digest's page.*/
  join(action: 'trigger' | 'notify', rule: string, receiver: string, member: string, why: string): string {
    const current = this.#book.get(this.#overflow.digestOf(action, rule, receiver) ?? '')
    const minuteEndMs = this.#overflow.minuteEndMs(this.#decisions.at.calendarMs)
    if (current !== undefined && current.attempts.length === 0 && (rule === '' || current.retryAtMs === minuteEndMs)) {
      this.#book.join(current, member)
      const digest = this.#book.changeDigest(current.id)
      if (digest !== undefined) digest.open++
      return current.id
    }
    const subject = overflowSubject(rule, why)
    // Not sent before its minute is over: by then it names all it stands for.
    const rest = { members: [member], memberCount: 1, retryAtMs: minuteEndMs }
    const id = this.#decisions.decide(action, receiver, subject, { digest: why }, rest)
    this.#overflow.remember(action, rule, receiver, id)
    if (action === 'trigger') this.#book.addDigest({ ...subject, id, receiver, dedupKey: id, open: 1 })
    return id
  }

  /** An attempt makes the digest: its members leave the state, one page that names them stands in their place. */
  takeIn(record: AttemptRecord, pages: readonly PendingPage[]): boolean {
    const action = pages[0].action
    const anyway = this.#decisions.without('digest-doubt')
    const members = pages.filter((p) => p.action === action && canBeMember(p, anyway))
    if (members.length === 0) return false
    const subject = waitedSubject(members)
    const id = this.#decisions.decide(action, record.receiver, subject, waitedProvenance(members), {
      members: members.slice(0, membersNamed).map((p) => p.id),
      memberCount: members.length,
    })
    if (action === 'trigger') this.#book.addDigest({ ...subject, id, receiver: record.receiver, dedupKey: id, open: 0 })
    const digest = this.#book.changeDigest(id)
    for (const page of members) {
      const delivery = this.#incidents.changeDelivery(page)
      if (delivery !== undefined && digest !== undefined) {
        delivery.trigger = id
        digest.open++
      }
      // Over already: its resolve waited for this trigger, and the digest says both.
      const resolve = this.#book.resolveFor(page.id)
      // nor can anybody have taken it on there: it has no key of its own any more
      const acknowledgement = this.#book.acknowledgementOf(page.id)
      this.#book.settle(page, 'digested')
      if (acknowledgement !== undefined) this.#book.settle(acknowledgement, 'digested')
      if (resolve !== undefined && !this.#decisions.without('member-resolve')) this.#book.settle(resolve, 'digested')
    }
    const page = this.#book.get(id)!
    this.#book.addAttempt(page, record, this.#decisions.at.offset)
    if (digest !== undefined && digest.open === 0 && !this.#decisions.without('digest-end')) this.#close(id)
    return true
  }

  /** An incident that it stands for has resolved. */
  leave(id: string): void {
    const digest = this.#book.changeDigest(id)!
    digest.open--
    if (digest.open === 0) this.#close(id)
  }

  /** All it stood for has resolved. */
  #close(id: string): void {
    const digest = this.#book.digest(id)!
    this.#book.removeDigest(id)
    const page = this.#book.get(id)
    if (page !== undefined && page.attempts.length === 0) return this.#decisions.settle(page, 'overtaken')
    const subject = { ...digest, summary: `resolved: ${digest.summary}` }
    this.#decisions.decide('resolve', digest.receiver, subject, { digest: id }, { trigger: id })
  }
}

/**
 * Whether a digest can stand for a page that waited: not for one about another, nor for one that may have taken effect.
 * @param evenInDoubt tests only
 */
export function canBeMember(page: Readonly<PendingPage>, evenInDoubt = false): boolean {
  const isFirst = page.action === 'trigger' || page.action === 'notify'
  return isFirst && page.members === undefined && (evenInDoubt || !mayHaveTakenEffect(page))
}

/** What stands for the pages beyond a limit. */
function overflowSubject(rule: string, why: string): Subject {
  return {
    rule: rule === '' ? 'overflow' : rule,
    key: '',
    dedupKey: '',
    severity: 'critical',
    summary: `${why}: this page stands for the rest`,
    host: '',
    service: '',
  }
}

/** What stands for pages that waited for over an hour. */
function waitedSubject(members: readonly Readonly<PendingPage>[]): Subject {
  const [first] = members
  return {
    rule: 'digest',
    key: '',
    dedupKey: '',
    severity: members.some((page) => page.severity === 'critical') ? 'critical' : first.severity,
    summary: `${members.length} pages waited for over an hour: ${members.map((page) => page.summary).join('; ')}`,
    host: members.every((page) => page.host === first.host) ? first.host : '',
    service: members.every((page) => page.service === first.service) ? first.service : '',
  }
}

function waitedProvenance(members: readonly Readonly<PendingPage>[]): unknown {
  return boundedProvenance({
    waited: members
      .slice(0, membersTold)
      .map(({ id, rule, key, summary }) => ({ id, rule, key, summary: summary.slice(0, 80) })),
  })
}
