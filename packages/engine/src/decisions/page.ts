/** What the engine decided and people (or their receivers) have not been told yet. Plain data: it is state. */

export type PageAction = 'trigger' | 'acknowledge' | 'resolve' | 'notify'

/** One try to send a page, as far as the log knows. */
export interface Attempt {
  readonly epoch: number
  readonly n: number
  /** Offset of the attempt record. */
  readonly offset: number
  /** Result of its outcome record; absent while there is none: after its epoch has passed, that attempt is in doubt. */
  result?: 'failed' | 'unknown' | 'settled'
}

/**
 * A page that is decided and not settled. It leaves the state with the outcome that settles it
 * (`delivered`, `refused`, `overtaken`, `gave-up`); `failed` and `unknown` leave it pending.
 */
export interface PendingPage {
  /** (log id, partition, offset, ordinal, checksum of the record), as text: the same on every replica. */
  readonly id: string
  readonly action: PageAction
  readonly receiver: string
  /** Id of the incident it speaks of; absent for `notify` and digests. */
  readonly incident?: string
  /** For a resolve or acknowledgement: id of the trigger page it is about. It is sent once that one has been settled. */
  readonly trigger?: string
  /** For a resolve: id of an acknowledgement that may be under way; what arrived behind the resolve would undo it where people look. */
  readonly after?: string
  /** A resolve sent once more, because a doubtful trigger turned out to have arrived after the first. */
  readonly repair?: true
  /** A trigger decided anew whose incident may be open at its receiver by an earlier one: it was attempted, as it were. */
  readonly mayBeOpen?: true
  /** For a digest: decision ids it stands for, at most 1,000 of them. */
  readonly members?: string[]
  /** For a digest: how many decisions it stands for. */
  memberCount?: number
  /** Name of the incident or, for `notify`, of the rule's operator. */
  readonly rule: string
  /** Key of the incident within its name; empty for `notify`. */
  readonly key: string
  /** The id of the decision that opened the incident, or the user's own key: what a keyed receiver deduplicates by. */
  readonly dedupKey: string
  /** Calendar time of the decision, milliseconds. */
  readonly decidedAtMs: number
  /** Owned time of the decision, milliseconds. */
  readonly decidedAtOwnedMs: number
  readonly severity: string
  readonly summary: string
  readonly host: string
  readonly service: string
  /** Provenance: the events and operator values that led here, at most 8 KiB as JSON. */
  readonly provenance: unknown
  readonly attempts: Attempt[]
  /** Not to be tried before this wall time, as the last `failed` outcome said. */
  retryAtMs: number
}

/**
 * Whether a request of this page may have taken effect: of every attempt that did not fail for sure nobody knows. At a keyed
 * receiver that one is open under the page's own key: it must be resolved under it, so no digest may stand for such a page.
 */
export function mayHaveTakenEffect({ mayBeOpen, attempts }: Readonly<PendingPage>): boolean {
  return mayBeOpen === true || attempts.some(({ result }) => result !== 'failed')
}

/** What a page speaks of: an incident, a digest, or an earlier page. An empty dedup key stands for the page's own id. */
export type Subject = Pick<PendingPage, 'rule' | 'key' | 'dedupKey' | 'severity' | 'summary' | 'host' | 'service'>

/** A page that left the state. */
export interface SettledPage {
  readonly id: string
  readonly result: string
  /** Whether the log tells of no answer to one of its attempts: that request may be under way for a while. */
  readonly inDoubt: boolean
}

/** What happened to pages, for whoever keeps a copy of the pending ones. */
export interface PageChanges {
  /** New, or with other attempts than before: as they stand now. */
  readonly changed: readonly Readonly<PendingPage>[]
  /** No longer pending. */
  readonly settled: readonly SettledPage[]
}

/** Told of decisions as they are made and settled; see EngineObserver. */
export interface DecisionsObserver {
  onDecision?(page: Readonly<PendingPage>, offset: number): void
  onSettled?(page: Readonly<PendingPage>, result: string, offset: number): void
  onAlarm?(name: string, detail: string, offset: number): void
}
