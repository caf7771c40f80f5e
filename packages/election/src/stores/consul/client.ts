import { ElectionError } from '../../errors.ts'
import type { HttpClient } from '../../http.ts'

/** The most operations of a transaction: 64 up to Consul 1.16, 128 since. */
export const maxOperations = 64

/** An entry of Consul's key-value store as its API gives it, as far as we look at it. */
export interface KvEntry {
  readonly Key: string
  /** Base64. */
  readonly Value: string | null
  /** The session that has locked it. */
  readonly Session?: string
  /** How often it was locked since it was created. */
  readonly LockIndex: number
  /** The number of the last write to it, of all writes to this Consul: it never comes back, not even if the key is removed. */
  readonly ModifyIndex: number
}

/** One operation of a transaction: all of them take effect, or none. */
export interface KvOperation {
  readonly Verb: 'set' | 'cas' | 'lock' | 'unlock' | 'get' | 'check-index' | 'check-session' | 'delete' | 'delete-cas'
  readonly Key: string
  readonly Index?: number
  readonly Session?: string
  /** Any JSON. */
  readonly value?: unknown
}

/** What became of a transaction: the entries that its operations gave, or what was wrong with which of them. */
export type KvOutcome =
  | { readonly done: true; readonly entries: readonly KvEntry[] }
  | { readonly done: false; readonly failures: readonly { readonly operation: number; readonly said: string }[] }

/** Consul's key-value store over its HTTP API. */
export class KvClient {
  /**
   * @param permission what a token needs for it, in Consul's words
   */
  constructor(
    readonly http: HttpClient,
    private readonly permission: string,
  ) {}

  /** Everything below a prefix, and this alone is linearizable: `consistent` makes the leader ask its followers whether it still is. */
  async list(prefix: string, signal: AbortSignal, patienceMs?: number): Promise<readonly KvEntry[]> {
    const path = `/v1/kv/${inPath(prefix)}?recurse&consistent`
    const answer = await this.http.ask({ path, permission: this.permission, accept: [404], patienceMs, signal })
    return answer.status === 404 ? [] : answer.json()
  }

  /** One entry, read likewise. */
  async get(key: string, signal: AbortSignal): Promise<KvEntry | undefined> {
    const path = `/v1/kv/${inPath(key)}?consistent`
    const answer = await this.http.ask({ path, permission: this.permission, accept: [404], signal })
    return answer.status === 404 ? undefined : answer.json<readonly KvEntry[]>()[0]
  }

  /** The keys below a prefix. */
  async keys(prefix: string, signal: AbortSignal): Promise<readonly string[]> {
    const path = `/v1/kv/${inPath(prefix)}?keys`
    const answer = await this.http.ask({ path, permission: this.permission, accept: [404], signal })
    return answer.status === 404 ? [] : answer.json()
  }

  /** Waits until something below a prefix was written after `index`, for `waitMs` at most; gives the index to wait after next. */
  async wait(prefix: string, index: number, waitMs: number, signal: AbortSignal): Promise<number> {
    // Only the folders below it: what was written is for a consistent read to tell.
    const path = `/v1/kv/${inPath(prefix)}?keys&separator=/&index=${index}&wait=${waitMs}ms`
    const answer = await this.http.ask({ path, permission: this.permission, accept: [404], waits: true, signal })
    const next = Number(answer.header('x-consul-index'))
    if (Number.isSafeInteger(next)) return next
    throw new ElectionError('BAD_REPLY', 'Consul named no index; is something between us and it?', true)
  }

  /** Carries out all operations, or none. @throws ElectionError `STORE_REFUSED` where the token has no right to one of them */
  async transact(operations: readonly KvOperation[], signal: AbortSignal): Promise<KvOutcome> {
    const body = operations.map(({ value, ...operation }) => ({
      KV: {
        ...operation,
        ...(value !== undefined && { Value: Buffer.from(JSON.stringify(value)).toString('base64') }),
      },
    }))
    const { permission } = this
    const answer = await this.http.ask({ path: '/v1/txn', body, permission, accept: [409], signal })
    const { Results, Errors } = answer.json<{
      Results: readonly { KV: KvEntry }[] | null
      Errors: readonly { OpIndex: number; What: string }[] | null
    }>()
    if (answer.status !== 409) return { done: true, entries: (Results ?? []).map(({ KV }) => KV) }
    const failures = (Errors ?? []).map(({ OpIndex, What }) => ({ operation: OpIndex, said: What }))
    if (failures.some(({ said }) => /permission denied/i.test(said))) {
      const needs = `it needs ${permission}. Is the token the right one, and has it this right?`
      throw new ElectionError('STORE_REFUSED', `Consul refuses to write (Permission denied): ${needs}`, false)
    }
    return { done: false, failures }
  }
}

/** A key in the path of a URL. */
function inPath(key: string): string {
  return key.split('/').map(encodeURIComponent).join('/')
}
