/**
 * What an election needs from a store. Consul, etcd, PostgreSQL and the store in process each fill this port; the core decides
 * everything else and knows none of them.
 *
 * A store keeps, for each **group**, its live **members** and its **names**. A member has a **session**; a name is free or held by
 * one session. When a session ends, for whatever reason and as early as the store likes, what it held becomes free: the core's own
 * rules, not the store's, see to it that nobody acts too long.
 */
import type { Clock, Random } from './clock.ts'

/** What can be written as JSON. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** A live member of a group. */
export interface Member {
  /** The store's own name for its session: what tells two members with one id apart. */
  readonly session: string
  /** The name it gave itself. */
  readonly id: string
  /** What it publishes about itself: address, zone, version. */
  readonly data: Json
}

/** Somebody asks the holder of a name to give it up. */
export interface HandOverRequest {
  /** The id of the member who is to have it; anybody where it is absent. */
  readonly to?: string
  /** The id of who asks. */
  readonly by: string
  /** Tells it from an earlier one of the same words: whoever declined that is asked again. */
  readonly attempt?: string
}

/** One name as a read found it. */
export interface NameView {
  readonly name: string
  /**
   * What an acquisition is conditional on. Another one after each acquisition and each clean release, and never one that was there
   * before: two reads that show a name free under one version show one free time.
   */
  readonly version: string
  /**
   * Fencing token of the tenure. While the name is free, a number from the last tenure's token on and below the next one's, or 0 where the
   * store keeps none. That of a tenure is higher than every number before, while the store is sound.
   */
  readonly token: bigint
  /** Who holds it; absent while it is free. */
  readonly holder?: Pick<Member, 'session' | 'id'>
  /**
   * Free: whoever held it before has certainly stopped, because it released the name itself after its work had ended, or because
   * the store honours the lease's whole length. Otherwise who acquires it waits the lease's length.
   */
  readonly settled: boolean
  /** How long whoever held it last may act after it was lost, in ms, as it wrote when it acquired the name; 0 where that is not known. */
  readonly leaseMs: number
  /** Free: the id of the member to whom its holder handed it over. */
  readonly successor?: string
  /** Held: somebody asks its holder to give it up. A request to an earlier holder is not shown. */
  readonly request?: HandOverRequest
}

/** Everything a group has, as one read found it. */
export interface GroupView {
  readonly members: readonly Member[]
  /** By name; names that nobody ever campaigned for are not there. */
  readonly names: ReadonlyMap<string, NameView>
  /** After how long a name becomes free though nothing is written: expiry that the store does not tell of. */
  readonly changesInMs?: number
}

/** How an acquisition ended. */
export type Acquisition =
  | { readonly kind: 'acquired'; readonly token: bigint }
  /** Somebody holds it, or its version is another by now: read again. */
  | { readonly kind: 'changed' }
  /** The store grants it to nobody for now, and will not tell when it does (Consul's lock-delay): try again. */
  | { readonly kind: 'delayed' }

/** How a name is given up. */
export interface Release {
  /** Whoever acquires it next need not wait: the work under it has ended. */
  readonly settled: boolean
  /** Otherwise how long it waits at least, in ms: {@link NameView.leaseMs}. Default 0: for its own lease. */
  readonly leaseMs?: number
  /** The id of the member who is to have it next. */
  readonly successor?: string
}

/** How the intent of an action was taken. */
export type JournalEntry =
  | { readonly kind: 'begun' }
  /** Another holds the name, or this session under another token. */
  | { readonly kind: 'stale' }
  /** An action of this id stands in the journal already. */
  | { readonly kind: 'exists'; readonly token: bigint; readonly attempt: string; readonly done: boolean }

/** A list of actions beside the names, that only the present holder can write to: the fence is the store's own transaction. */
export interface Journal {
  /**
   * Writes the intent to act, unless one of this id stands there or `token` is not the name's present one.
   * @param attempt tells a repeated call, whose first answer was lost, from another's entry
   */
  begin(name: string, token: bigint, id: string, attempt: string, signal: AbortSignal): Promise<JournalEntry>
  /** Writes that the action has been done: by whoever began it, whether or not it still holds the name. */
  finish(name: string, id: string, attempt: string, signal: AbortSignal): Promise<void>
  /** Takes back an intent that was not followed by an action. */
  withdraw(name: string, id: string, attempt: string, signal: AbortSignal): Promise<void>
  /** Removes entries of this name that are older; at most some hundred a call. Gives how many. */
  prune(name: string, olderThanMs: number, signal: AbortSignal): Promise<number>
}

/** A member's session with the store. Every method rejects with `STORE_UNAVAILABLE` when the store does not answer, `SESSION_LOST` when it no longer knows the session. */
export interface StoreSession {
  readonly id: string
  /** The lease that a confirm is good for, in ms from when it was sent: what was asked for, or what the store grants instead. */
  readonly leaseMs: number
  /**
   * One linearizable read of everything: what it shows was true at some time between call and answer. It confirms every name that
   * it shows to be held by this session.
   */
  read(signal: AbortSignal): Promise<GroupView>
  /** How often a member that holds nothing reads, as a safety net beside {@link changed}, in ms. */
  readonly rereadMs: number
  /** Resolves when the group may have changed since the last call resolved, the first time since the session began. May resolve for nothing. */
  changed(signal: AbortSignal): Promise<void>
  /** How often {@link keepAlive} is called, in ms; absent where reads keep the session alive. */
  readonly keepAliveMs?: number
  /** Tells the store that this member is alive. */
  keepAlive?(signal: AbortSignal): Promise<void>
  /**
   * Acquires a name that `seen` showed free, on the condition that its version is still the same. Writes down beside it how long whoever comes next has
   * to wait: {@link keptLeaseMs}. A name that is not there (`seen` undefined) is only made, free and under a version: `changed`.
   */
  acquire(seen: NameView | undefined, name: string, signal: AbortSignal): Promise<Acquisition>
  /** Gives up a name held under `token`; does nothing where it is held under another, or no longer. */
  release(name: string, token: bigint, how: Release, signal: AbortSignal): Promise<void>
  /** Changes what this member publishes, one call after another. One that was given up has no effect any more once a later one was answered. */
  publish(data: Json, signal: AbortSignal): Promise<void>
  readonly journal?: Journal
  /** Ends the session at the store, if it can be reached, and everything opened here. Names still held become free without being settled. */
  close(signal: AbortSignal): Promise<void>
}

/** What a session is opened with. */
export interface SessionOptions {
  readonly group: string
  readonly id: string
  readonly data: Json
  /** The lease D that is wanted, in ms. */
  readonly leaseMs: number
  /** After how long of silence the store is to declare this member dead, in ms. */
  readonly detectMs: number
  readonly clock: Clock
  readonly random: Random
  readonly signal: AbortSignal
  /** Something that is no failure and that people should know. */
  readonly warn: (message: string) => void
}

/** A store, before anybody has a session with it. */
export interface LeaseStore {
  /** What it is and where, without secrets: for messages. */
  readonly description: string
  /**
   * Makes a session and joins the group; what was asked of the store is read back.
   * @throws ElectionError `STORE_UNAVAILABLE` (tried again), `STORE_REFUSED`, `OPTION_INVALID`
   */
  open(options: SessionOptions): Promise<StoreSession>
  /** Reads a group without joining it. */
  look(group: string, signal: AbortSignal): Promise<GroupView>
  /** Leaves a request with the tenure under `token` of a name: its holder finds it in what it reads. */
  request(group: string, name: string, token: bigint, request: HandOverRequest, signal: AbortSignal): Promise<void>
}
