import { systemClock, type Clock } from '../clock.ts'
import type { Endpoints } from '../endpoints.ts'
import { ElectionError, hasCode } from '../errors.ts'
import { hedged } from '../hedged.ts'
import type { TlsOptions } from '../http.ts'
import { keptLeaseMs } from '../lease.ts'
import { invalid } from '../options.ts'
import type {
  Acquisition,
  GroupView,
  HandOverRequest,
  Json,
  LeaseStore,
  NameView,
  Release,
  SessionOptions,
  StoreSession,
} from '../store.ts'
import { EtcdClient, type Change, type Login } from './etcd/client.ts'
import {
  endedValue,
  heldValue,
  Layout,
  leaderValue,
  memberValue,
  noLease,
  noVersion,
  requestValue,
} from './etcd/layout.ts'
import { Watch } from './etcd/watch.ts'
import { endpointsOf, optionsOf, prefixOf } from './options.ts'

/** Where etcd listens for clients unless told. */
const defaultPort = 2379

/**
 * What is left of a lease when a sign of life is due: the detection time that was asked for, or the nearer of these parts of the lease. So
 * a silence of that length ends nothing; and as a lease ends its length after the *last* sign, fewer of them find a dead leader sooner.
 * Measured over three members, a lease of 2 s, D of 0.5 s, from SIGKILL to the successor's first act, on two busy cores:
 *
 * | a sign each | left of the lease | median |
 * | --- | --- | --- |
 * | 0.5 s | 1.5 s | 2.48 s (16 trials) |
 * | 1 s | 1 s | 2.25 s (32) |
 * | 1.5 s | 0.5 s, what `fast` asks for | 1.88 s (24) |
 */
const leftOfLease = { least: 1 / 4, most: 1 / 2 }

/** How often a sign of life is tried in what is left of the lease, while it is not answered. */
const keepAliveTries = 4

/** The part of a trusted lease that its holder uses: etcd counts from when a sign of life arrived, the holder from when it was sent; the rest is margin. */
const trustedPart = 0.9

/** How often a member that holds nothing reads beside the watch, in ms. */
const rereadMs = 3000

/** A member that is silent for longer is asked last, in ms, even where the lease is short: a busy machine may take as long. */
const leastPatienceMs = 250

/** Patience of a question outside of a session, in ms. */
const lookPatienceMs = 1000

/** How long the mark of a name that nobody holds is kept, in ms: who comes later waits a lease's length once more. */
const keepTenureMs = 7 * 24 * 3_600_000

/** How many such marks a new session removes at most; etcd takes 128 changes in a transaction. */
const forgetAtOnce = 60

/** The first releases that do not revoke leases which are alive (etcd-io/etcd#15247), by their series. */
const fixedPatch: Readonly<Record<string, number>> = { '3.4': 31, '3.5': 13 }

/** Options of {@link etcd}. */
export interface EtcdOptions {
  /**
   * Where its members can be asked: `http://127.0.0.1:2379`, which is also the default, `https://…`, or
   * `https+srv://_etcd-client-ssl._tcp.example.org` for what DNS names. Several are tried in their order.
   */
  readonly addresses?: string | readonly string[]
  /** What all keys begin with. Default `election`. */
  readonly prefix?: string
  /**
   * With `password`: who we are, where etcd asks. Needs no right but to read and write the keys of its group:
   *
   * ```
   * etcdctl role add elect
   * etcdctl role grant-permission elect readwrite --prefix=true election/groups/nightly/
   * etcdctl user add elect && etcdctl user grant-role elect elect
   * ```
   *
   * etcd's gateway does not take a client certificate's name for a user's.
   */
  readonly user?: string
  readonly password?: string
  readonly tls?: TlsOptions
  /**
   * Whether a name whose holder's lease has ended is free at once, rather than after a lease's length (`lease`) more. A crash then has a
   * successor after the lease alone. The leader uses 0.9 of what etcd grants instead of `lease`, and each of its reads renews the lease first.
   *
   * It is true only if etcd never ends a lease early: nobody may revoke one, and etcd must have the fix of #15247 (3.4.31, 3.5.13; its
   * authors call what remains unlikely). `true` takes effect only where every member that answers has it, else there is a warning; `'unfixed'` asks nobody. All candidates
   * of a group should have the same. Default false: an operator's `etcdctl lease revoke` looks like an end by itself, and would
   * make two leaders.
   */
  readonly trustLease?: boolean | 'unfixed'
}

/**
 * A store in etcd, 3.4 to 3.6, over its JSON gateway: plain HTTP or TLS, no dependency. A session is a lease of at least 1.5 election timeouts
 * of etcd, usually 2 s, whatever `detect` asks for.
 *
 * @example
 * const election = new Election({ name: 'nightly', store: etcd('http://127.0.0.1:2379') })
 *
 * @throws ElectionError `OPTION_INVALID`
 */
export function etcd(options: string | readonly string[] | EtcdOptions = {}): LeaseStore {
  return new EtcdStore(optionsOf(options))
}

class EtcdStore implements LeaseStore {
  readonly description: string
  readonly #options: EtcdOptions
  readonly #prefix: string
  readonly #login: Login | undefined
  readonly #endpoints: Endpoints

  constructor(options: EtcdOptions) {
    const { addresses = `http://127.0.0.1:${defaultPort}`, user, password } = options
    this.#options = options
    this.#prefix = prefixOf(options.prefix)
    if ((user === undefined) !== (password === undefined)) {
      throw invalid('user and password go together; give both or neither')
    }
    this.#login = user === undefined ? undefined : { user, password: password! }
    this.#endpoints = endpointsOf(addresses, defaultPort)
    this.description = `etcd at ${this.#endpoints.description}`
    // Files that cannot be read are told now.
    this.#client('*', lookPatienceMs).close()
  }

  async open(options: SessionOptions): Promise<StoreSession> {
    const { group, detectMs, leaseMs, clock, signal, warn } = options
    const client = this.#client(group, Math.max(leaseMs / 4, leastPatienceMs), clock)
    try {
      const trusting = await this.#trusts(client, signal, warn)
      const askedSeconds = Math.max(1, Math.ceil(detectMs / 1000))
      const { lease, ttlSeconds } = await client.grant(askedSeconds, signal)
      if (!(ttlSeconds > 0)) throw new ElectionError('BAD_REPLY', `etcd granted a lease of ${ttlSeconds} s`, true)
      if (ttlSeconds > askedSeconds) {
        warn(
          `etcd grants no lease shorter than ${ttlSeconds} s: a dead leader is noticed after that, not ${detectMs} ms`,
        )
      }
      const layout = new Layout(this.#prefix, group)
      const session = new EtcdSession(client, layout, options, { lease, ttlSeconds, trusting })
      await session.join(signal)
      return session
    } catch (error) {
      client.close()
      throw error
    }
  }

  async look(group: string, signal: AbortSignal): Promise<GroupView> {
    const layout = new Layout(this.#prefix, group)
    return this.#once(group, async (client) => layout.view((await client.range(layout.root, signal)).entries, false))
  }

  async request(
    group: string,
    name: string,
    token: bigint,
    request: HandOverRequest,
    signal: AbortSignal,
  ): Promise<void> {
    const layout = new Layout(this.#prefix, group)
    // Under no lease, and yet no litter: one key a name, which its next acquisition removes.
    const put = { put: layout.request(name), value: requestValue(token, request) }
    const held = { key: layout.leader(name), revision: String(token) }
    await this.#once(group, (client) => client.transact([held], [put], signal))
  }

  /** Uses a client that is closed afterwards. */
  async #once<T>(group: string, use: (client: EtcdClient) => Promise<T>): Promise<T> {
    const client = this.#client(group, lookPatienceMs)
    try {
      return await use(client)
    } finally {
      client.close()
    }
  }

  #client(group: string, patienceMs: number, clock: Clock = systemClock): EtcdClient {
    const { tls } = this.#options
    const endpoints = this.#endpoints
    const { root } = new Layout(this.#prefix, group)
    const permission = `a user with a role that has READWRITE on all keys that begin with ${root}`
    const login = this.#login
    return new EtcdClient({ endpoints, permission, patienceMs, clock, ...(login && { login }), ...(tls && { tls }) })
  }

  async #trusts(client: EtcdClient, signal: AbortSignal, warn: (message: string) => void): Promise<boolean> {
    const { trustLease = false } = this.#options
    if (trustLease !== true) return trustLease === 'unfixed'
    const versions = await client.versions(signal)
    const unfixed = versions.find((version) => !hasFix(version))
    if (unfixed === undefined) return versions.length > 0
    warn(`trustLease does not take effect: etcd ${unfixed} may revoke leases that are alive (etcd-io/etcd#15247)`)
    return false
  }
}

/** A lease as it was granted, and whether it ends by nothing but silence. */
interface Granted {
  readonly lease: string
  readonly ttlSeconds: number
  readonly trusting: boolean
}

class EtcdSession implements StoreSession {
  readonly id: string
  readonly leaseMs: number
  readonly rereadMs = rereadMs
  readonly keepAliveMs: number
  readonly #client: EtcdClient
  readonly #layout: Layout
  readonly #options: SessionOptions
  readonly #trusting: boolean
  /** What is left of the lease when a sign of life is due, in ms. */
  readonly #leftMs: number
  readonly #ending = new AbortController()
  #watch: Watch | undefined
  /** The revision that wrote our member's key, as we know it. */
  #published = noVersion

  constructor(client: EtcdClient, layout: Layout, options: SessionOptions, { lease, ttlSeconds, trusting }: Granted) {
    this.id = lease
    this.leaseMs = trusting ? trustedPart * ttlSeconds * 1000 : options.leaseMs
    const ttlMs = ttlSeconds * 1000
    this.#leftMs = Math.min(Math.max(options.detectMs, ttlMs * leftOfLease.least), ttlMs * leftOfLease.most)
    this.keepAliveMs = ttlMs - this.#leftMs
    this.#client = client
    this.#layout = layout
    this.#options = options
    this.#trusting = trusting
  }

  /** Becomes a member, and removes marks of names that were given up long ago. */
  async join(signal: AbortSignal): Promise<void> {
    const { clock, data } = this.#options
    const { revision } = await this.#client.transact([], [this.#member(data)], signal)
    this.#published = revision
    this.#watch = new Watch(this.#client, this.#layout.root, revision, clock, this.#ending.signal)
    const { entries } = await this.#client.range(this.#layout.root, signal)
    const forgotten = this.#layout.forgotten(entries, clock.wallMs() - keepTenureMs).slice(0, forgetAtOnce)
    if (forgotten.length === 0) return
    const conditions = forgotten.flatMap(({ name, version }) => this.#free(name, version))
    const changes = forgotten.flatMap(({ name }) => [
      { remove: this.#layout.tenure(name) },
      { remove: this.#layout.request(name) },
    ])
    await this.#client.transact(conditions, changes, signal)
  }

  async read(signal: AbortSignal): Promise<GroupView> {
    // In any order: the lease was renewed, and the keys were there, at some time after this was called.
    const [{ revision, entries }] = await Promise.all([
      this.#client.range(this.#layout.root, signal),
      this.#renewed(signal),
    ])
    const newest = entries.reduce((most, entry) => (BigInt(entry.revision) > most ? BigInt(entry.revision) : most), 0n)
    this.#watch!.heard(BigInt(revision), newest)
    return this.#layout.view(entries, this.#trusting)
  }

  changed(signal: AbortSignal): Promise<void> {
    return this.#watch!.changed(signal)
  }

  keepAlive(signal: AbortSignal): Promise<void> {
    const hedge = { calls: keepAliveTries, everyMs: this.#leftMs / keepAliveTries }
    const isFinal = (error: unknown): boolean => hasCode(error, 'SESSION_LOST', 'CLOSED')
    return hedged(this.#options.clock, hedge, signal, isFinal, (its) => this.#client.keepAlive(this.id, its))
  }

  async acquire(seen: NameView | undefined, name: string, signal: AbortSignal): Promise<Acquisition> {
    const { clock, id } = this.#options
    const tenure = this.#layout.tenure(name)
    if (seen === undefined || seen.version === noVersion) {
      const ended = endedValue(clock.wallMs(), 0n, { settled: false, leaseMs: 0 })
      await this.#client.transact([{ key: tenure, revision: noVersion }], [{ put: tenure, value: ended }], signal)
      return { kind: 'changed' }
    }
    const changes: Change[] = [
      { put: this.#layout.leader(name), value: leaderValue(id), lease: this.id },
      { put: tenure, value: heldValue(clock.wallMs(), this.id, this.#trusting, keptLeaseMs(this.leaseMs, seen)) },
      { remove: this.#layout.request(name) },
    ]
    const [{ succeeded, revision }] = await Promise.all([
      this.#client.transact(this.#free(name, seen.version), changes, signal),
      // Whoever acquires it acts for a lease's length from when this was called.
      this.#renewed(signal),
    ])
    return succeeded ? { kind: 'acquired', token: BigInt(revision) } : { kind: 'changed' }
  }

  async release(name: string, token: bigint, how: Release, signal: AbortSignal): Promise<void> {
    const leader = this.#layout.leader(name)
    const ours = [
      { key: leader, revision: String(token) },
      { key: leader, lease: this.id },
    ]
    const ended = endedValue(this.#options.clock.wallMs(), token, how)
    await this.#client.transact(ours, [{ remove: leader }, { put: this.#layout.tenure(name), value: ended }], signal)
  }

  async publish(data: Json, signal: AbortSignal): Promise<void> {
    const key = this.#layout.member(this.id)
    for (;;) {
      // What was given up may come yet: after this it finds another revision, and has no effect.
      const conditions = [
        { key, lease: this.id },
        { key, revision: this.#published },
      ]
      const { succeeded, revision } = await this.#client.transact(conditions, [this.#member(data)], signal)
      if (succeeded) return void (this.#published = revision)
      const { entries } = await this.#client.range(key, signal)
      const entry = entries.find((each) => each.key === key && each.lease === this.id)
      // Whom an operator has removed from the group has lost its session: it does not come back by itself.
      if (entry === undefined) throw new ElectionError('SESSION_LOST', 'our member key is not there any more', true)
      this.#published = entry.revision
    }
  }

  async close(signal: AbortSignal): Promise<void> {
    this.#ending.abort(new ElectionError('CLOSED', 'the session was closed', false))
    try {
      if (this.#trusting) await this.#releaseAll(signal)
      await this.#client.revoke(this.id, signal)
    } catch (error) {
      if (!hasCode(error, 'SESSION_LOST')) throw error
    } finally {
      this.#client.close()
    }
  }

  /** A trusted lease that ends says that its holder has stopped: one that is revoked must not. */
  async #releaseAll(signal: AbortSignal): Promise<void> {
    const { names } = this.#layout.view((await this.#client.range(this.#layout.root, signal)).entries, false)
    const held = [...names.values()].filter(({ holder }) => holder?.session === this.id)
    for (const { name, token, leaseMs } of held) {
      await this.release(name, token, { settled: false, leaseMs }, signal)
    }
  }

  async #renewed(signal: AbortSignal): Promise<void> {
    if (this.#trusting) await this.#client.keepAlive(this.id, signal)
  }

  /** The conditions for a name to be free under a version. */
  #free(name: string, version: string): [{ key: string; lease: string }, { key: string; revision: string }] {
    return [
      { key: this.#layout.leader(name), lease: noLease },
      { key: this.#layout.tenure(name), revision: version },
    ]
  }

  #member(data: Json): Change {
    const value = memberValue(this.#options.id, data)
    return { put: this.#layout.member(this.id), value, lease: this.id }
  }
}

/** Whether a version does not revoke leases that are alive. */
function hasFix(version: string): boolean {
  const [, series, patch] = /^(\d+\.\d+)\.(\d+)/.exec(version) ?? []
  if (series === undefined) return false
  const first = fixedPatch[series]
  const [major, minor] = series.split('.').map(Number)
  return first === undefined ? major > 3 || (major === 3 && minor > 5) : Number(patch) >= first
}
