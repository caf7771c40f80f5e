import { bounded, pause } from '../bounded.ts'
import { systemClock, type Clock } from '../clock.ts'
import type { Endpoints } from '../endpoints.ts'
import { ElectionError, hasCode } from '../errors.ts'
import { HttpClient, type TlsOptions } from '../http.ts'
import { keptLeaseMs } from '../lease.ts'
import type {
  Acquisition,
  GroupView,
  HandOverRequest,
  Journal,
  Json,
  LeaseStore,
  NameView,
  Release,
  SessionOptions,
  StoreSession,
} from '../store.ts'
import { KvClient, maxOperations, type KvEntry, type KvOperation } from './consul/client.ts'
import { ConsulJournal } from './consul/journal.ts'
import {
  Keys,
  understand,
  type HolderValue,
  type MemberValue,
  type ReleasedValue,
  type RequestValue,
} from './consul/keys.ts'
import { Registration } from './consul/registration.ts'
import { endpointsOf, optionsOf, prefixOf } from './options.ts'

/** Where Consul's agents listen unless told. */
const defaultPort = 8500

/** How long Consul is asked to wait for a change, in ms: half of what proxies usually allow for silence. */
const waitMs = 30_000

/** How long after that its answer may take, in ms: Consul adds a sixteenth of the wait by chance, and may be busy. */
const waitGraceMs = waitMs / 16 + 5000

/** The least time between two waits, in ms: a hundred changes a second wake us once each hundredth of it. */
const leastGapMs = 10

/** An answer within this time that tells of no change is no wait, in ms: something between us and Consul cuts it short. */
const tooSoonMs = 1500

/** How often who holds nothing reads all the same, in ms: should a wait hang on a connection that is dead. */
const rereadMs = 5000

/** How long removing garbage may take, in ms. */
const collectMs = 2000

/** Options of {@link consul}. */
export interface ConsulOptions {
  /**
   * Where Consul can be asked, best a local agent's address: `http://127.0.0.1:8500`, which is also the default, `https://…`, or
   * `http+srv://_consul._tcp.example.org`. Several are tried in their order. Those of servers work, too.
   */
  readonly addresses?: string | readonly string[]
  /** What all keys begin with, and what the service is called that each member registers. Default `election`. */
  readonly prefix?: string
  /**
   * The ACL token. With prefix `election` it needs
   * `key_prefix "election/" { policy = "write" }`, `service "election" { policy = "write" }` and `session_prefix "" { policy = "write" }`.
   */
  readonly token?: string
  readonly tls?: TlsOptions
}

/**
 * Consul as the store, through its HTTP API; 1.7 and later, older ones as far as they bind sessions to `Checks`.
 *
 * A member is a service with a TTL check, and a session that is bound to it, so that a process that dies or freezes is noticed after
 * the detection time. Names are keys that the session locks; tokens are the `ModifyIndex` of the write that locked them. Consul's lock-delay
 * is set to 0: the core waits by its own rules.
 *
 * @example
 * await using election = new Election({ name: 'nightly', store: consul('http://127.0.0.1:8500') })
 * @throws ElectionError `OPTION_INVALID`
 */
export function consul(options: string | readonly string[] | ConsulOptions = {}): LeaseStore {
  return new ConsulStore(optionsOf(options))
}

class ConsulStore implements LeaseStore {
  readonly description: string
  readonly #options: ConsulOptions
  readonly #prefix: string
  readonly #endpoints: Endpoints

  constructor(options: ConsulOptions) {
    this.#options = options
    this.#prefix = prefixOf(options.prefix)
    this.#endpoints = endpointsOf(options.addresses ?? `http://127.0.0.1:${defaultPort}`, defaultPort)
    this.description = `Consul at ${this.#endpoints.description}`
    // Files that cannot be read are told now.
    this.#client(systemClock).http.close()
  }

  async open(options: SessionOptions): Promise<StoreSession> {
    const kv = this.#client(options.clock)
    try {
      const registration = await Registration.make(kv.http, this.#prefix.replaceAll(/[^A-Za-z0-9-]/g, '-'), options)
      const session = new ConsulSession(kv, new Keys(this.#prefix, options.group), registration, options)
      await session.join()
      return session
    } catch (error) {
      kv.http.close()
      throw error
    }
  }

  look(group: string, signal: AbortSignal): Promise<GroupView> {
    return this.#once(async (kv) => {
      const keys = new Keys(this.#prefix, group)
      return understand(await kv.list(keys.folder, signal), keys).view
    })
  }

  async request(
    group: string,
    name: string,
    token: bigint,
    request: HandOverRequest,
    signal: AbortSignal,
  ): Promise<void> {
    const keys = new Keys(this.#prefix, group)
    const value: RequestValue = { ...request, token: String(token) }
    const operations: KvOperation[] = [
      { Verb: 'check-index', Key: keys.name(name), Index: Number(token) },
      { Verb: 'set', Key: keys.request(name), value },
    ]
    // A tenure that has ended is asked for nothing.
    await this.#once((kv) => kv.transact(operations, signal))
  }

  /** With a client for this alone: a store has nothing that somebody would close. */
  async #once<T>(use: (kv: KvClient) => Promise<T>): Promise<T> {
    const kv = this.#client(systemClock)
    try {
      return await use(kv)
    } finally {
      kv.http.close()
    }
  }

  #client(clock: Clock): KvClient {
    const { token, tls } = this.#options
    const headers = (): Record<string, string> => (token === undefined ? {} : { 'x-consul-token': token })
    const http = new HttpClient({ store: 'Consul', endpoints: this.#endpoints, tls, headers, clock })
    return new KvClient(http, `key_prefix "${this.#prefix}/" { policy = "write" }`)
  }
}

class ConsulSession implements StoreSession {
  readonly id: string
  readonly leaseMs: number
  readonly rereadMs = rereadMs
  readonly keepAliveMs: number
  readonly journal: Journal
  readonly #kv: KvClient
  readonly #keys: Keys
  readonly #registration: Registration
  readonly #options: SessionOptions
  readonly #ending = new AbortController()
  /** Under which token and LockIndex we hold names, as the last answers showed. */
  readonly #held = new Map<string, { readonly token: bigint; readonly lock: number; readonly leaseMs: number }>()
  /** The index of our member's key as we know it. */
  #published: number | undefined
  /** The index to wait after. */
  #index = 0
  /** When we last began to wait, in monotonic ms. */
  #waitedMs = -Infinity
  #collecting = false

  constructor(kv: KvClient, keys: Keys, registration: Registration, options: SessionOptions) {
    this.#kv = kv
    this.#keys = keys
    this.#registration = registration
    this.#options = options
    this.id = registration.session
    this.leaseMs = options.leaseMs
    this.keepAliveMs = registration.beatEveryMs
    this.journal = new ConsulJournal(kv, keys, this.id, options.clock)
  }

  /** Becomes a member. */
  async join(): Promise<void> {
    try {
      await this.publish(this.#options.data, this.#options.signal)
    } catch (error) {
      const { clock } = this.#options
      await bounded(clock, collectMs, undefined, (signal) => this.#registration.end(signal)).catch(() => undefined)
      throw error
    }
  }

  async read(signal: AbortSignal): Promise<GroupView> {
    const entries = await this.#kv.list(this.#keys.folder, signal, this.leaseMs / 4)
    const { view, locks, garbage } = understand(entries, this.#keys)
    for (const { name, token, holder, leaseMs } of view.names.values()) {
      // An answer that was overtaken shows a token lower than one we know.
      if (token < (this.#held.get(name)?.token ?? 0n)) continue
      if (holder?.session === this.id) this.#held.set(name, { token, lock: locks.get(name)!, leaseMs })
      else this.#held.delete(name)
    }
    if (garbage.length > 0) void this.#collect(view, garbage)
    return view
  }

  /** The index tells whether something was written; one that goes back (a server restored from a copy) is as good as none. */
  async changed(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    for (;;) {
      const gapMs = this.#waitedMs + leastGapMs - clock.monotonicMs()
      if (gapMs > 0) await pause(clock, gapMs, signal)
      signal.throwIfAborted()
      const before = this.#index
      this.#waitedMs = clock.monotonicMs()
      const next = await bounded(clock, waitMs + waitGraceMs, signal, (given) =>
        this.#kv.wait(this.#keys.folder, before, waitMs, given),
      )
      this.#index = next < before ? 0 : next
      if (next !== before) return
      if (clock.monotonicMs() - this.#waitedMs < tooSoonMs) await pause(clock, tooSoonMs, signal)
    }
  }

  keepAlive(signal: AbortSignal): Promise<void> {
    return this.#registration.beat(signal)
  }

  async acquire(seen: NameView | undefined, name: string, signal: AbortSignal): Promise<Acquisition> {
    const Key = this.#keys.name(name)
    if (seen === undefined) {
      // A key that is there, from now on: the next read shows the version to acquire it by.
      await this.#kv.transact([{ Verb: 'cas', Key, Index: 0, value: {} }], signal)
      return { kind: 'changed' }
    }
    if (seen.holder !== undefined) return { kind: 'changed' }
    const leaseMs = keptLeaseMs(this.leaseMs, seen)
    const value: HolderValue = { id: this.#options.id, leaseMs }
    const outcome = await this.#kv.transact(
      [
        { Verb: 'check-index', Key, Index: Number(seen.version) },
        { Verb: 'lock', Key, Session: this.id, value },
      ],
      signal,
    )
    if (outcome.done) {
      const { ModifyIndex, LockIndex } = outcome.entries.at(-1)!
      const token = BigInt(ModifyIndex)
      this.#held.set(name, { token, lock: LockIndex, leaseMs })
      return { kind: 'acquired', token }
    }
    const said = outcome.failures.map((failure) => failure.said).join('; ')
    if (/invalid session/i.test(said)) {
      throw new ElectionError('SESSION_LOST', 'our session with Consul has ended', true)
    }
    return { kind: outcome.failures.every((failure) => isDelay(failure.said)) ? 'delayed' : 'changed' }
  }

  async release(name: string, token: bigint, how: Release, signal: AbortSignal): Promise<void> {
    const held = this.#held.get(name)
    const lock = held?.token === token ? held.lock : undefined
    await this.#kv.transact(this.#unlock(name, token, { ...how, lock }), signal)
    if (held?.token === token) this.#held.delete(name)
  }

  async publish(data: Json, signal: AbortSignal): Promise<void> {
    const value: MemberValue = { id: this.#options.id, data }
    const Key = this.#keys.member(this.id)
    for (;;) {
      // What was given up may come yet: after this it finds another index, and has no effect.
      const last = this.#published
      const condition: KvOperation[] = last === undefined ? [] : [{ Verb: 'check-index', Key, Index: last }]
      const outcome = await this.#kv.transact([...condition, { Verb: 'lock', Key, Session: this.id, value }], signal)
      if (outcome.done) return void (this.#published = outcome.entries.at(-1)!.ModifyIndex)
      const said = outcome.failures.map((failure) => failure.said).join('; ')
      const entry = /invalid session/i.test(said) ? undefined : await this.#kv.get(Key, signal)
      if (entry?.Session !== this.id) {
        throw new ElectionError('SESSION_LOST', 'our session with Consul has ended', true)
      }
      if (entry.ModifyIndex === last) {
        throw new ElectionError('STORE_UNAVAILABLE', `Consul did not take what we publish (${said})`, true)
      }
      this.#published = entry.ModifyIndex
    }
  }

  async close(signal: AbortSignal): Promise<void> {
    this.#ending.abort()
    try {
      // Given up one by one, so that no lock-delay applies to others should Consul have made the session with one.
      const names = [...this.#held].flatMap(([name, { token, lock, leaseMs }]) =>
        this.#unlock(name, token, { settled: false, leaseMs, lock }),
      )
      const operations: KvOperation[] = [{ Verb: 'delete', Key: this.#keys.member(this.id) }, ...names]
      // An odd number: names come in pairs. Those beyond it are freed with the session.
      await this.#kv.transact(operations.slice(0, maxOperations - 1), signal).catch((error: unknown) => {
        if (!hasCode(error, 'STORE_UNAVAILABLE')) throw error
      })
      await this.#registration.end(signal)
    } finally {
      this.#kv.http.close()
    }
  }

  #unlock(name: string, token: bigint, value: ReleasedValue): KvOperation[] {
    const Key = this.#keys.name(name)
    return [
      { Verb: 'check-index', Key, Index: Number(token) },
      { Verb: 'unlock', Key, Session: this.id, value },
    ]
  }

  /** Removes what nobody needs any more, one of all members does, some at a time. What it does not get the next read shows again. */
  async #collect({ members }: GroupView, garbage: readonly KvEntry[]): Promise<void> {
    const first = members.map(({ session }) => session).toSorted()[0]
    if (this.#collecting || first !== this.id) return
    this.#collecting = true
    const operations = garbage
      .slice(0, maxOperations)
      .map(({ Key, ModifyIndex }): KvOperation => ({ Verb: 'delete-cas', Key, Index: ModifyIndex }))
    await bounded(this.#options.clock, collectMs, this.#ending.signal, (signal) =>
      this.#kv.transact(operations, signal),
    ).catch(() => undefined)
    this.#collecting = false
  }
}

function isDelay(said: string): boolean {
  return /lock[- ]delay/i.test(said)
}
