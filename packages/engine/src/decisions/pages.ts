import type { AttemptRecord, OutcomeRecord } from '../records.ts'
import { CutList, type Place } from '../state/cut-list.ts'
import { RunningHash } from './hash.ts'
import type { ChangingDigest, Digest } from './incident.ts'
import type { InOrder } from './listing.ts'
import type { Attempt, PageChanges, PendingPage, SettledPage } from './page.ts'

/** Doubtful triggers remembered after they left the state; the oldest goes first. One is written per attempt cut off by a takeover. */
const doubtLimit = 1_000
/** Members named on a digest; further ones are counted only. */
const memberLimit = 1_000

/** Results that settle a page; `failed` and `unknown` leave it pending. */
export type SettledResult = 'delivered' | 'refused' | 'gave-up' | 'overtaken' | 'digested'

/**
 * An attempt to trigger whose outcome the log does not know although its page is settled: a later owner repeated it. Should its
 * outcome still come after the resolve was attempted, the receiver may hold an open incident that nobody would ever resolve.
 */
interface Doubt {
  readonly epoch: number
  readonly n: number
  readonly trigger: Readonly<PendingPage>
  /** Id of the page that takes the trigger back, once decided. */
  resolve?: string
  /** Epoch of that page's first attempt. */
  resolveEpoch?: number
}

export interface PageBookState {
  readonly pending: Iterable<PendingPage>
  readonly doubts: readonly Doubt[]
  readonly digests: Iterable<Digest>
  readonly hash: string
}

/** The pages that are decided and not settled, and what attempts and outcomes make of them. Part of {@link Decisions}' state. */
export class PageBook {
  readonly #list = new CutList<PendingPage>(copyOf)
  readonly #pending = new Map<string, Place<PendingPage>>()
  #doubts: Doubt[] = []
  readonly #digestList = new CutList<ChangingDigest>((digest) => ({ ...digest }))
  readonly #digests = new Map<string, Place<ChangingDigest>>()
  readonly #hash = new RunningHash()

  // Derived from the pending pages, not state.
  readonly #perReceiver = new Map<string, number>()
  readonly #resolveOf = new Map<string, string>()
  readonly #acknowledgementOf = new Map<string, string>()

  // What nobody was told yet, not state either.
  readonly #changed = new Set<string>()
  #settled: SettledPage[] = []

  readonly #told: PageBookObserver

  constructor(told: PageBookObserver) {
    this.#told = told
  }

  get(id: string): PendingPage | undefined {
    return this.#pending.get(id)?.value
  }

  /** In the order of their decisions. */
  get pages(): InOrder<Readonly<PendingPage>> {
    return this.#list
  }

  list(): readonly Readonly<PendingPage>[] {
    return [...this.#list]
  }

  get size(): number {
    return this.#list.length
  }

  pendingAt(receiver: string): number {
    return this.#perReceiver.get(receiver) ?? 0
  }

  get hash(): string {
    return this.#hash.text
  }

  /** The resolve that waits for this trigger, if one was decided and is not settled. */
  resolveFor(trigger: string): PendingPage | undefined {
    const id = this.#resolveOf.get(trigger)
    return id === undefined ? undefined : this.get(id)
  }

  /** The acknowledgement of this trigger, if one was decided and is not settled. */
  acknowledgementOf(trigger: string): PendingPage | undefined {
    const id = this.#acknowledgementOf.get(trigger)
    return id === undefined ? undefined : this.get(id)
  }

  digest(id: string): Digest | undefined {
    return this.#digests.get(id)?.value
  }

  /** A digest, to be changed now. */
  changeDigest(id: string): ChangingDigest | undefined {
    const place = this.#digests.get(id)
    if (place !== undefined) this.#digestList.keep(place)
    return place?.value
  }

  addDigest(digest: Digest): void {
    this.#digests.set(digest.id, this.#digestList.add({ ...digest }))
  }

  removeDigest(id: string): void {
    this.#digestList.remove(this.#digests.get(id)!)
    this.#digests.delete(id)
  }

  decide(page: PendingPage): void {
    this.#add(page)
    this.#hash.mix(page.id)
    this.#hash.mix(page.action)
    this.#hash.mix(page.receiver)
    this.#hash.mix(page.rule)
    this.#hash.mix(page.key)
    if (page.action === 'resolve' && page.trigger !== undefined) {
      for (const doubt of this.#doubts) if (doubt.trigger.id === page.trigger) doubt.resolve ??= page.id
    }
    this.#told.decided(page)
  }

  settle(page: PendingPage, result: SettledResult): void {
    this.#list.remove(this.#pending.get(page.id)!)
    this.#pending.delete(page.id)
    this.#perReceiver.set(page.receiver, this.pendingAt(page.receiver) - 1)
    this.#followedBy(page)?.delete(page.trigger!)
    this.#changed.delete(page.id)
    const inDoubt = page.attempts.some((attempt) => attempt.result === undefined || attempt.result === 'unknown')
    this.#settled.push({ id: page.id, result, inDoubt })
    this.#hash.mix(page.id)
    this.#hash.mix(result)
    if (page.action === 'trigger') this.#keepDoubts(page)
    this.#told.settled(page, result)
  }

  /** Digests that wait for the end of their calendar minute wait that much longer, or less. */
  shiftDigests(byMs: number): void {
    for (const page of this.#list) {
      if (page.members === undefined || page.attempts.length > 0 || page.retryAtMs === 0) continue
      this.#change(page)
      page.retryAtMs += byMs
    }
  }

  /** A digest takes in one more decision. */
  join(page: PendingPage, member: string): void {
    this.#change(page)
    if (page.members !== undefined && page.members.length < memberLimit) page.members.push(member)
    page.memberCount = (page.memberCount ?? 0) + 1
    this.#hash.mix(page.id)
    this.#hash.mix(member)
  }

  /** Adds an attempt that is in force. Gives false where the page has it already. */
  addAttempt(page: PendingPage, record: AttemptRecord, offset: number): boolean {
    if (page.attempts.some((a) => a.epoch === record.epoch && a.n === record.n)) return false
    this.#change(page)
    page.attempts.push({ epoch: record.epoch, n: record.n, offset })
    if (page.action === 'resolve') {
      for (const doubt of this.#doubts) if (doubt.resolve === page.id) doubt.resolveEpoch ??= record.epoch
    }
    return true
  }

  /** What became of an attempt. Settling is the caller's; gives the pages that are to be settled. */
  addOutcome(record: OutcomeRecord): PendingPage[] {
    const done: PendingPage[] = []
    for (const id of new Set(record.pages)) {
      const page = this.get(id)
      if (page === undefined) continue
      const attempt = page.attempts.find((a) => a.epoch === record.epoch && a.n === record.n)
      if (record.result !== 'failed' && record.result !== 'unknown') {
        this.#change(page)
        if (attempt !== undefined) page.attempts.splice(page.attempts.indexOf(attempt), 1, settledAttempt(attempt))
        done.push(page)
      } else if (attempt !== undefined && attempt.result === undefined) {
        this.#change(page)
        attempt.result = record.result
        if (record.retryAtMs !== undefined && record.retryAtMs > page.retryAtMs) page.retryAtMs = record.retryAtMs
      }
    }
    return done
  }

  /**
   * A doubt is cleared by its outcome. Gives the trigger whose resolve must be sent again: it took effect, as far as anybody
   * knows, after a younger epoch had begun to resolve it.
   */
  clearDoubt(record: OutcomeRecord): Readonly<PendingPage> | undefined {
    const at = this.#doubts.findIndex((d) => d.epoch === record.epoch && d.n === record.n)
    if (at < 0) return undefined
    const [doubt] = this.#doubts.splice(at, 1)
    const tookEffect = record.result === 'delivered' || record.result === 'unknown'
    const tooLate = doubt.resolveEpoch !== undefined && doubt.resolveEpoch > doubt.epoch
    return tookEffect && tooLate ? doubt.trigger : undefined
  }

  takeChanges(): PageChanges {
    const changed = [...this.#changed].map((id) => {
      const page = this.get(id)!
      return { ...page, attempts: page.attempts.map((a) => ({ ...a })), members: page.members?.slice() }
    })
    const settled = this.#settled
    this.#changed.clear()
    this.#settled = []
    return { changed, settled }
  }

  snapshot(): PageBookState {
    return {
      pending: this.#list,
      doubts: this.#doubts.map((d) => ({ ...d })),
      digests: this.#digestList,
      hash: this.#hash.text,
    }
  }

  restore(state: PageBookState): void {
    this.#list.clear()
    this.#pending.clear()
    this.#perReceiver.clear()
    this.#resolveOf.clear()
    this.#acknowledgementOf.clear()
    this.#digestList.clear()
    this.#digests.clear()
    this.#changed.clear()
    this.#settled = []
    for (const page of state.pending) this.#add(copyOf(page))
    this.#doubts = state.doubts.map((d) => ({ ...d }))
    for (const digest of state.digests) this.addDigest(digest)
    this.#hash.text = state.hash
  }

  #add(page: PendingPage): void {
    this.#pending.set(page.id, this.#list.add(page))
    this.#changed.add(page.id)
    this.#perReceiver.set(page.receiver, this.pendingAt(page.receiver) + 1)
    this.#followedBy(page)?.set(page.trigger!, page.id)
  }

  /** Where a page is found by the trigger that it is about. */
  #followedBy({ action, trigger }: PendingPage): Map<string, string> | undefined {
    if (trigger === undefined) return undefined
    return action === 'resolve' ? this.#resolveOf : action === 'acknowledge' ? this.#acknowledgementOf : undefined
  }

  /** Call before a page is changed. */
  #change(page: PendingPage): void {
    this.#list.keep(this.#pending.get(page.id)!)
    this.#changed.add(page.id)
  }

  #keepDoubts(page: PendingPage): void {
    const trigger = { ...page, provenance: null, members: undefined, attempts: [] }
    for (const attempt of page.attempts) {
      if (attempt.result !== undefined) continue
      this.#doubts.push({ epoch: attempt.epoch, n: attempt.n, trigger, resolve: this.#resolveOf.get(page.id) })
    }
    if (this.#doubts.length > doubtLimit) this.#doubts.splice(0, this.#doubts.length - doubtLimit)
  }
}

export interface PageBookObserver {
  decided(page: Readonly<PendingPage>): void
  settled(page: Readonly<PendingPage>, result: SettledResult): void
}

/** The attempt that settled its page is in doubt no longer. */
function settledAttempt(attempt: Attempt): Attempt {
  return { ...attempt, result: attempt.result ?? 'settled' }
}

function copyOf(page: Readonly<PendingPage>): PendingPage {
  return {
    ...page,
    attempts: page.attempts.map((a) => ({ ...a })),
    ...(page.members === undefined ? {} : { members: page.members.slice() }),
  }
}
