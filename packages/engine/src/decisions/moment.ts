import { hex } from './hash.ts'
import { boundedProvenance, boundedText, type ChangingIncident, type PageDescription, type Told } from './incident.ts'
import type { PageAction, PendingPage, Subject } from './page.ts'

/** What a page is decided with besides what it speaks of. */
export type PageDetails = Partial<
  Pick<PendingPage, 'incident' | 'trigger' | 'after' | 'repair' | 'mayBeOpen' | 'members' | 'memberCount' | 'retryAtMs'>
>

/** The record in flight and the clocks at it: where a decision stands in the log, which names it, and when it was made. */
export class Moment {
  offset = -1
  calendarMs = 0
  ownedMs = 0
  #checksum = 0
  #ordinal = 0
  readonly #prefix: string

  constructor(logId: string, partition: number) {
    this.#prefix = `${logId}.${partition}`
  }

  /** A record begins; `checksum` is unsigned 32 bits. */
  begin(offset: number, checksum: number): void {
    this.offset = offset
    this.#checksum = checksum
    this.#ordinal = 0
  }

  /** The id of the next decision: of log, partition, offset, its place among the record's decisions, and the record's checksum. */
  nextId(): string {
    return `${this.#prefix}.${this.offset}.${this.#ordinal++}.${hex(this.#checksum)}`
  }

  /** A page decided now. */
  page(action: PageAction, receiver: string, subject: Subject, provenance: unknown, details: PageDetails): PendingPage {
    const id = this.nextId()
    return {
      id,
      action,
      receiver,
      rule: subject.rule,
      key: subject.key,
      dedupKey: subject.dedupKey === '' ? id : subject.dedupKey,
      decidedAtMs: this.calendarMs,
      decidedAtOwnedMs: this.ownedMs,
      severity: subject.severity,
      summary: boundedText(subject.summary),
      host: subject.host,
      service: subject.service,
      provenance,
      attempts: [],
      retryAtMs: 0,
      ...details,
    }
  }
}

/**
 * An incident that opens now; its id is that of a decision of its own.
 * @param joined the first of those that may join it
 */
export function openedNow(
  at: Moment,
  rule: string,
  key: string,
  { escalate }: Told,
  description: PageDescription,
  joined: Pick<ChangingIncident, 'hosts' | 'members'>,
): ChangingIncident {
  const id = at.nextId()
  return {
    id,
    rule,
    key,
    dedupKey: description.dedupKey ?? id,
    severity: description.severity,
    summary: boundedText(description.summary),
    host: description.host,
    service: description.service,
    openedAtMs: at.calendarMs,
    openedOffset: at.offset,
    provenance: boundedProvenance(description.provenance()),
    deliveries: [],
    unattendedSinceMs: at.ownedMs,
    escalated: 0,
    ...(escalate === undefined ? {} : { escalate }),
    ...joined,
  }
}
