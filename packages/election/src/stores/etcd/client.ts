import { bounded } from '../../bounded.ts'
import type { Clock } from '../../clock.ts'
import type { Endpoints } from '../../endpoints.ts'
import { ElectionError } from '../../errors.ts'
import { HttpClient, type HttpAnswer, type HttpQuestion, type TlsOptions } from '../../http.ts'

/** The gateway's statuses whose bodies say what is the matter; with 429 and from 500 on another member may do better, and is asked next. */
const telling = [400, 401, 403, 404, 409, 412]

/** How long a login may take, in ms: etcd hashes the password on purpose slowly (bcrypt, about 0.1 s), others may be before us. */
const loginPatienceMs = 5000

/** gRPC's codes of failures that may pass: cancelled, unknown, deadline exceeded, resource exhausted, aborted, internal, unavailable. */
const passing: readonly unknown[] = [1, 2, 4, 8, 10, 13, 14]
const notFound = 5
const notEnabled = 9
const unauthenticated = 16

/** A key with its value and what etcd notes about it. Revisions and leases stay the decimal text that they are sent as. */
export interface Entry {
  readonly key: string
  readonly value: string
  /** The store's revision that wrote it last. */
  readonly revision: string
  /** `0` where it has none. */
  readonly lease: string
}

/** A condition of a transaction. Of a key that is not there, revision and lease are `0`. */
export type Condition =
  { readonly key: string; readonly revision: string } | { readonly key: string; readonly lease: string }

/** What a transaction does to a key, no key twice. */
export type Change =
  { readonly put: string; readonly value: string; readonly lease?: string } | { readonly remove: string }

/** What a watch tells. */
export type WatchNews =
  /** It has begun: whatever changes after this revision is told. */
  | { readonly kind: 'begun'; readonly revision: string }
  /** Everything up to this revision has been told. */
  | { readonly kind: 'changed'; readonly revision: string }
  /** What has happened since the revision it was to begin with is not known any more. */
  | { readonly kind: 'compacted' }

/** A user and its password, and the token that etcd gave for them. Shared by all clients of one store. */
export interface Login {
  readonly user: string
  readonly password: string
  /** Undefined before the first login, and after the token was refused; empty while etcd asks nobody who he is. */
  token?: string
}

/** What a client is made with. */
export interface EtcdClientOptions {
  readonly endpoints: Endpoints
  readonly tls?: TlsOptions
  readonly login?: Login
  /** What right everything here needs: told where etcd refuses. */
  readonly permission: string
  /** After how much silence another member is asked first, in ms. */
  readonly patienceMs: number
  readonly clock: Clock
}

/**
 * Asks etcd by its JSON gateway (`/v3/…`): the calls that the store needs. Every request demands a member that knows a leader, so that one
 * that is cut off refuses at once, and another is asked.
 *
 * Every method fails with the ElectionErrors `STORE_UNAVAILABLE`, `STORE_REFUSED`, `BAD_REPLY`; those that name a lease also with
 * `SESSION_LOST`, where etcd does not know it.
 */
export class EtcdClient {
  readonly #options: EtcdClientOptions
  readonly #http: HttpClient
  #entering: Promise<void> | undefined

  /** @throws ElectionError `OPTION_INVALID` */
  constructor(options: EtcdClientOptions) {
    const { endpoints, tls, login, clock } = options
    this.#options = options
    const headers = (): Record<string, string> => ({
      'grpc-metadata-hasleader': 'true',
      ...(login?.token && { authorization: login.token }),
    })
    this.#http = new HttpClient({ store: 'etcd', endpoints, headers, clock, ...(tls && { tls }) })
  }

  /** The versions of those members that answer, e.g. `3.5.16`. */
  async versions(signal: AbortSignal): Promise<readonly string[]> {
    const { permission, endpoints } = this.#options
    const known = await endpoints.list(signal)
    const answers = await Promise.allSettled(
      known.map((endpoint) => this.#http.ask({ path: '/version', permission, endpoint, signal })),
    )
    signal.throwIfAborted()
    return answers.flatMap((answer) =>
      answer.status === 'fulfilled' ? [String(answer.value.json<{ etcdserver?: unknown }>().etcdserver)] : [],
    )
  }

  /** Every key that begins so, as one linearizable read, and the store's revision at that time. */
  async range(prefix: string, signal: AbortSignal): Promise<{ revision: string; entries: readonly Entry[] }> {
    const answer = await this.#call<RangeReply>('/v3/kv/range', rangeOf(prefix), signal, { repeatable: true })
    return { revision: revisionOf(answer), entries: (answer.kvs ?? []).map(entryOf) }
  }

  /** Makes the changes if every condition holds: all or nothing. The revision is that of its writes. */
  async transact(
    conditions: readonly Condition[],
    changes: readonly Change[],
    signal: AbortSignal,
  ): Promise<{ succeeded: boolean; revision: string }> {
    const body = { compare: conditions.map(compareOf), success: changes.map(operationOf) }
    const answer = await this.#call<Reply & { succeeded?: boolean }>('/v3/kv/txn', body, signal)
    return { succeeded: answer.succeeded === true, revision: revisionOf(answer) }
  }

  /** A new lease; `ttlSeconds` is what etcd grants, which may be longer than what was asked for. */
  async grant(ttlSeconds: number, signal: AbortSignal): Promise<{ lease: string; ttlSeconds: number }> {
    const answer = await this.#call<LeaseReply>('/v3/lease/grant', { TTL: String(ttlSeconds) }, signal)
    if (answer.ID === undefined) throw badReply('granted a lease without an ID')
    return { lease: answer.ID, ttlSeconds: Number(answer.TTL) }
  }

  /** Renews a lease for its whole length, from some time between call and answer on. */
  async keepAlive(lease: string, signal: AbortSignal): Promise<void> {
    const answer = await this.#call<{ result?: LeaseReply }>('/v3/lease/keepalive', { ID: lease }, signal, {
      repeatable: true,
    })
    if (answer.result === undefined) throw badReply('answered a keepalive without a result')
    // The answer for a lease that has ended is one without a time to live.
    if (!(Number(answer.result.TTL) > 0)) throw sessionLost()
  }

  /** Ends a lease, and removes its keys. */
  async revoke(lease: string, signal: AbortSignal): Promise<void> {
    await this.#call('/v3/lease/revoke', { ID: lease }, signal)
  }

  /**
   * Tells of changes to keys that begin so, until the connection breaks or the signal aborts.
   * @param from the first revision that is of interest; `0` for those to come
   */
  async *watch(prefix: string, from: string, signal: AbortSignal): AsyncGenerator<WatchNews, void, undefined> {
    await this.#enter(signal)
    const body = { create_request: { ...rangeOf(prefix), start_revision: from } }
    for await (const reply of this.#http.stream<WatchReply>(this.#question('/v3/watch', body, signal))) {
      const failure = failureOf(reply)
      if (failure !== undefined) throw this.#failed(failure)
      const { created, canceled, compact_revision: compacted, cancel_reason: reason, events } = reply.result ?? {}
      if (canceled && Number(compacted) > 0) return yield { kind: 'compacted' }
      if (canceled) throw this.#canceled(reason)
      if (created) yield { kind: 'begun', revision: revisionOf(reply.result!) }
      // The head's revision may be ahead of the events: of a long backlog only the first thousand revisions come at once.
      const last = events?.at(-1)?.kv?.mod_revision
      if (last !== undefined) yield { kind: 'changed', revision: last }
    }
  }

  /** Gives up what is under way and closes every connection. Idempotent. */
  close(): void {
    this.#http.close()
  }

  async #call<T>(path: string, body: unknown, signal: AbortSignal, more: Partial<HttpQuestion> = {}): Promise<T> {
    const { login } = this.#options
    // A refused token had no effect: the same once more, with a new one.
    for (let again = login !== undefined; ; again = false) {
      await this.#enter(signal)
      const token = login?.token
      const reply = await this.#askRaw<T>(path, body, signal, more)
      const failure = failureOf(reply)
      if (failure === undefined) return reply
      if (!again || !isTokenRefused(failure)) throw this.#failed(failure)
      if (login!.token === token) delete login!.token
    }
  }

  async #askRaw<T>(path: string, body: unknown, signal: AbortSignal, more: Partial<HttpQuestion> = {}): Promise<T> {
    const answer: HttpAnswer = await this.#http.ask({ ...this.#question(path, body, signal), ...more })
    const reply = answer.json<T>()
    if (answer.status < 400 || failureOf(reply) !== undefined) return reply
    throw badReply(`at ${answer.endpoint.url} answered ${answer.status}; is it etcd?`)
  }

  #question(path: string, body: unknown, signal: AbortSignal): HttpQuestion {
    const { permission, patienceMs } = this.#options
    return { method: 'POST', path, body, permission, patienceMs, accept: telling, signal }
  }

  /** Sees to it that there is a token, where a user is to be told. */
  async #enter(signal: AbortSignal): Promise<void> {
    const { login, clock } = this.#options
    if (login === undefined || login.token !== undefined) return
    // One login for all who wait for it: none of them may end it for the others.
    this.#entering ??= bounded(clock, loginPatienceMs, undefined, (its) => this.#logIn(login, its)).finally(
      () => (this.#entering = undefined),
    )
    const entering = this.#entering
    await bounded(clock, loginPatienceMs, signal, () => entering)
  }

  async #logIn(login: Login, signal: AbortSignal): Promise<void> {
    const body = { name: login.user, password: login.password }
    const reply = await this.#askRaw<{ token?: string }>('/v3/auth/authenticate', body, signal)
    const failure = failureOf(reply)
    if (failure?.code === notEnabled) login.token = ''
    else if (failure !== undefined) throw this.#failed(failure)
    else if (typeof reply.token !== 'string') throw badReply('answered a login without a token')
    else login.token = reply.token
  }

  #failed({ code, message }: Failure): ElectionError {
    if (code === notFound && /lease not found/.test(message)) return sessionLost()
    if (passing.includes(code)) {
      return new ElectionError('STORE_UNAVAILABLE', `etcd cannot answer now: ${message}`, true)
    }
    return this.#refused(message)
  }

  /** etcd has ended a watch: for want of permission, of a leader, or because the token is not valid any more, which older ones do not tell apart. */
  #canceled(reason = 'no reason given'): ElectionError {
    if (/no leader|leader changed|unavailable/i.test(reason)) {
      return new ElectionError('STORE_UNAVAILABLE', `etcd has ended a watch: ${reason}`, true)
    }
    const { login } = this.#options
    if (login !== undefined) delete login.token
    return this.#refused(reason)
  }

  #refused(message: string): ElectionError {
    return new ElectionError(
      'STORE_REFUSED',
      `etcd refuses: ${message.slice(0, 200)}. It needs ${this.#options.permission}`,
      false,
    )
  }
}

/** What etcd says instead of an answer. */
interface Failure {
  readonly code: unknown
  readonly message: string
}

/** Every answer's head. Numbers of 64 bits are text, fields that are zero or empty are left out. */
interface Reply {
  readonly header?: { readonly revision?: string }
}

interface KeyValue {
  readonly key: string
  readonly value?: string
  readonly mod_revision?: string
  readonly lease?: string
}

interface RangeReply extends Reply {
  readonly kvs?: readonly KeyValue[]
}

interface LeaseReply extends Reply {
  readonly ID?: string
  readonly TTL?: string
}

interface WatchReply {
  readonly result?: Reply & {
    readonly created?: boolean
    readonly canceled?: boolean
    readonly compact_revision?: string
    readonly cancel_reason?: string
    readonly events?: readonly { readonly kv?: { readonly mod_revision?: string } }[]
  }
}

/** 3.4: `{ error, code, message }`, 3.6: `{ code, message }`; in a stream `{ error: { grpc_code | code, message } }`. */
function failureOf(reply: unknown): Failure | undefined {
  const { error, code, message } = reply as { error?: unknown; code?: unknown; message?: unknown }
  if (typeof error === 'object' && error !== null) {
    const inner = error as { grpc_code?: unknown; code?: unknown; message?: unknown }
    return { code: inner.grpc_code ?? inner.code, message: String(inner.message) }
  }
  return code === undefined ? undefined : { code, message: String(message ?? error) }
}

/** The token has ended, the member that knew it was started anew, rights were changed, or etcd has begun to ask for users. */
function isTokenRefused({ code, message }: Failure): boolean {
  return code === unauthenticated || /revision of auth store is old|user name is empty/.test(message)
}

function revisionOf({ header }: Reply): string {
  if (header?.revision === undefined) throw badReply('answered without its revision')
  return header.revision
}

function entryOf({ key, value = '', mod_revision: revision = '0', lease = '0' }: KeyValue): Entry {
  return { key: textOf(key), value: textOf(value), revision, lease }
}

/** All keys with a prefix of ASCII: up to the one whose last letter is the next. */
function rangeOf(prefix: string): { key: string; range_end: string } {
  const last = prefix.length - 1
  const end = prefix.slice(0, last) + String.fromCharCode(prefix.charCodeAt(last) + 1)
  return { key: base64Of(prefix), range_end: base64Of(end) }
}

function compareOf(condition: Condition): object {
  const key = base64Of(condition.key)
  return 'lease' in condition
    ? { key, target: 'LEASE', result: 'EQUAL', lease: condition.lease }
    : { key, target: 'MOD', result: 'EQUAL', mod_revision: condition.revision }
}

function operationOf(change: Change): object {
  if ('remove' in change) return { request_delete_range: { key: base64Of(change.remove) } }
  const { put, value, lease } = change
  return { request_put: { key: base64Of(put), value: base64Of(value), ...(lease !== undefined && { lease }) } }
}

function base64Of(text: string): string {
  return Buffer.from(text).toString('base64')
}

function textOf(base64: string): string {
  return Buffer.from(base64, 'base64').toString()
}

function sessionLost(): ElectionError {
  return new ElectionError('SESSION_LOST', 'etcd does not know our lease any more: it has expired or was revoked', true)
}

function badReply(what: string): ElectionError {
  return new ElectionError('BAD_REPLY', `etcd ${what}`, true)
}
