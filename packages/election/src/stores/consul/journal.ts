import type { Clock } from '../../clock.ts'
import { ElectionError } from '../../errors.ts'
import type { Journal, JournalEntry } from '../../store.ts'
import { maxOperations, type KvClient, type KvEntry } from './client.ts'
import { valueOf, type Keys } from './keys.ts'

/** How often an entry is looked at again that somebody else changes at the same time. */
const maxTries = 5

/** How many entries one call of `prune` looks at. */
const prunedAtOnce = 4 * maxOperations

/** What an action's key says. */
interface ActionValue {
  /** Decimal. */
  readonly token: string
  readonly attempt: string
  readonly done: boolean
  /** When it was begun, by the clock of whoever did, in ms since 1970. */
  readonly beganMs: number
}

/** The journal in Consul: an intent is written in one transaction with the check that its writer holds the name. */
export class ConsulJournal implements Journal {
  /** Up to which key of a name `prune` has looked. */
  readonly #prunedTo = new Map<string, string>()

  constructor(
    private readonly kv: KvClient,
    private readonly keys: Keys,
    private readonly session: string,
    private readonly clock: Clock,
  ) {}

  async begin(name: string, token: bigint, id: string, attempt: string, signal: AbortSignal): Promise<JournalEntry> {
    const [held, action] = [this.keys.name(name), this.keys.action(name, id)]
    const value: ActionValue = { token: String(token), attempt, done: false, beganMs: this.clock.wallMs() }
    for (let tries = 0; tries < maxTries; tries++) {
      const outcome = await this.kv.transact(
        [
          { Verb: 'check-index', Key: held, Index: Number(token) },
          { Verb: 'check-session', Key: held, Session: this.session },
          { Verb: 'cas', Key: action, Index: 0, value },
        ],
        signal,
      )
      if (outcome.done) return { kind: 'begun' }
      if (outcome.failures.some(({ operation }) => operation < 2)) return { kind: 'stale' }
      const known = await this.#find(action, signal)
      if (known?.value.attempt === attempt) return { kind: 'begun' }
      if (known !== undefined) {
        const { token: began, attempt: by, done } = known.value
        return { kind: 'exists', token: BigInt(began), attempt: by, done }
      }
      // It was withdrawn or pruned in between.
    }
    throw busy(id)
  }

  async finish(name: string, id: string, attempt: string, signal: AbortSignal): Promise<void> {
    await this.#change(name, id, attempt, signal, ({ entry, value }) => ({
      Verb: 'cas',
      Key: entry.Key,
      Index: entry.ModifyIndex,
      value: { ...value, done: true } satisfies ActionValue,
    }))
  }

  async withdraw(name: string, id: string, attempt: string, signal: AbortSignal): Promise<void> {
    await this.#change(name, id, attempt, signal, ({ entry }) => ({
      Verb: 'delete-cas',
      Key: entry.Key,
      Index: entry.ModifyIndex,
    }))
  }

  async prune(name: string, olderThanMs: number, signal: AbortSignal): Promise<number> {
    const beforeMs = this.clock.wallMs() - olderThanMs
    const all = await this.kv.keys(this.keys.actions(name), signal)
    // Goes on where the last call ended, and then from the beginning again.
    const from = this.#prunedTo.get(name) ?? ''
    const later = all.filter((key) => key > from)
    const keys = (later.length > 0 ? later : all).slice(0, prunedAtOnce)
    let pruned = 0
    for (let at = 0; at < keys.length; at += maxOperations) {
      const some = keys.slice(at, at + maxOperations)
      const read = await this.kv.transact(
        some.map((Key) => ({ Verb: 'get', Key })),
        signal,
      )
      // One of them has gone meanwhile: the next round finds the others.
      if (!read.done) continue
      const old = read.entries.filter((entry) => (actionOf(entry)?.beganMs ?? -Infinity) < beforeMs)
      if (old.length === 0) continue
      const removed = await this.kv.transact(
        old.map(({ Key, ModifyIndex }) => ({ Verb: 'delete-cas', Key, Index: ModifyIndex })),
        signal,
      )
      if (removed.done) pruned += old.length
    }
    this.#prunedTo.set(name, keys.at(-1) ?? '')
    return pruned
  }

  /** Changes an entry of this attempt's, as it was read; does nothing where there is none. */
  async #change(
    name: string,
    id: string,
    attempt: string,
    signal: AbortSignal,
    change: (found: Action) => Parameters<KvClient['transact']>[0][number],
  ): Promise<void> {
    for (let tries = 0; tries < maxTries; tries++) {
      const found = await this.#find(this.keys.action(name, id), signal)
      if (found?.value.attempt !== attempt) return
      if ((await this.kv.transact([change(found)], signal)).done) return
    }
    throw busy(id)
  }

  async #find(key: string, signal: AbortSignal): Promise<Action | undefined> {
    const entry = await this.kv.get(key, signal)
    if (entry === undefined) return undefined
    const value = actionOf(entry)
    if (value !== undefined) return { entry, value }
    throw new ElectionError('BAD_REPLY', `${key} in Consul holds no journal entry; remove it if nobody needs it`, true)
  }
}

interface Action {
  readonly entry: KvEntry
  readonly value: ActionValue
}

function actionOf(entry: KvEntry): ActionValue | undefined {
  const { token, attempt, done, beganMs }: Partial<ActionValue> = valueOf(entry)
  if (!/^\d+$/.test(token ?? '') || typeof attempt !== 'string' || typeof beganMs !== 'number') return undefined
  return { token: token!, attempt, done: done === true, beganMs }
}

function busy(id: string): ElectionError {
  const said = `the journal entry of ${id} was changed by others ${maxTries} times in a row`
  return new ElectionError('STORE_UNAVAILABLE', said, true)
}
