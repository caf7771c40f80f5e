import {
  ElectionError,
  memory,
  type Acquisition,
  type GroupView,
  type HandOverRequest,
  type Journal,
  type JournalEntry,
  type Json,
  type LeaseStore,
  type NameView,
  type Release,
  type SessionOptions,
  type StoreSession,
} from '@ricci/election'

/** A kind of request. */
export type Verb =
  | 'open'
  | 'look'
  | 'request'
  | 'read'
  | 'changed'
  | 'acquire'
  | 'release'
  | 'publish'
  | 'keepAlive'
  | 'close'
  | 'begin'
  | 'finish'
  | 'withdraw'
  | 'prune'

/** What becomes of a request. */
export type Fate =
  /** Served and answered at once. */
  | 'answered'
  /** Neither served nor answered, until the test lets it pass. */
  | 'held'
  /** Served at once; its answer is held. */
  | 'late'
  /** Refused at once, as by a server that is not there. */
  | 'refused'
  /** Fails with this error. */
  | Error

/** A request, or its answer, that the test holds. */
export interface Held {
  readonly verb: Verb
  /** Serves it where it was not, and answers. */
  pass(): void
  fail(error: Error): void
}

/** How a scripted store differs from the one in process. */
export interface ScriptedElectionOptions {
  readonly rereadMs?: number
  readonly keepAliveMs?: number
  /** Default true. */
  readonly journal?: boolean
  /** The lease it grants, whatever was asked for. */
  readonly leaseMs?: number
}

/**
 * The store in process, with a script: every request is counted, and may be held, failed, or answered late and out of order. It heeds no
 * signal: what is given up is given up by who asked.
 */
export class ScriptedElectionStore implements LeaseStore {
  readonly description = 'a scripted store'
  readonly inner = memory()
  readonly held: Held[] = []
  readonly sessions: ScriptedElectionSession[] = []
  /** Whatever the answer to an acquisition is, this one is given. */
  acquisition: Acquisition | undefined
  readonly #fates = new Map<Verb, Fate>()
  readonly #counts = new Map<Verb, number>()

  constructor(readonly options: ScriptedElectionOptions = {}) {}

  /** What becomes of such requests from now on. */
  on(verb: Verb, fate: Fate): void {
    this.#fates.set(verb, fate)
  }

  /** Every request is refused from now on, or answered again. */
  away(away: boolean): void {
    const verbs = 'open look request read changed acquire release publish keepAlive close begin finish withdraw prune'
    for (const verb of verbs.split(' ') as Verb[]) this.on(verb, away ? 'refused' : 'answered')
  }

  /** How many such requests there were. */
  count(verb: Verb): number {
    return this.#counts.get(verb) ?? 0
  }

  /** The session opened last. */
  get session(): ScriptedElectionSession {
    return this.sessions.at(-1)!
  }

  /** Lets everything pass that is held, or what is of one kind; gives how many. */
  pass(verb?: Verb): number {
    const passing = this.held.filter((held) => verb === undefined || held.verb === verb)
    for (const held of passing) {
      this.held.splice(this.held.indexOf(held), 1)
      held.pass()
    }
    return passing.length
  }

  async open(options: SessionOptions): Promise<StoreSession> {
    return this.ask('open', async () => {
      const session = new ScriptedElectionSession(this, await this.inner.open(options), this.options)
      this.sessions.push(session)
      return session
    })
  }

  look(group: string, signal: AbortSignal): Promise<GroupView> {
    return this.ask('look', () => this.inner.look(group, signal))
  }

  request(group: string, name: string, token: bigint, request: HandOverRequest, signal: AbortSignal): Promise<void> {
    return this.ask('request', () => this.inner.request(group, name, token, request, signal))
  }

  /** One request, and what the script does with it. */
  ask<T>(verb: Verb, serve: () => Promise<T>): Promise<T> {
    this.#counts.set(verb, this.count(verb) + 1)
    const fate = this.#fates.get(verb) ?? 'answered'
    if (fate === 'answered') return serve()
    if (fate === 'refused') return Promise.reject(new ElectionError('STORE_UNAVAILABLE', 'connection refused', true))
    if (fate instanceof Error) return Promise.reject(fate)
    const served = fate === 'late' ? serve() : undefined
    served?.catch(() => undefined)
    return new Promise((resolve, reject) => {
      this.held.push({ verb, pass: () => resolve(served ?? serve()), fail: reject })
    })
  }
}

/** A session of a scripted store. */
export class ScriptedElectionSession implements StoreSession {
  readonly id: string
  readonly leaseMs: number
  readonly rereadMs: number
  readonly keepAliveMs: number | undefined
  readonly journal: Journal | undefined
  readonly #store: ScriptedElectionStore
  readonly #inner: StoreSession
  /** Whether the store knows it no more. */
  ended = false

  constructor(store: ScriptedElectionStore, inner: StoreSession, options: ScriptedElectionOptions) {
    this.id = inner.id
    this.leaseMs = options.leaseMs ?? inner.leaseMs
    this.rereadMs = options.rereadMs ?? 10_000
    this.keepAliveMs = options.keepAliveMs
    this.#store = store
    this.#inner = inner
    if (options.journal !== false) this.journal = this.#makeJournal(inner.journal!)
  }

  /** The store ends it. */
  end(): Promise<void> {
    this.ended = true
    return this.#inner.close(AbortSignal.abort())
  }

  /** The store takes a name away from it. */
  take(name: string, token: bigint): Promise<void> {
    return this.#inner.release(name, token, { settled: false, leaseMs: this.leaseMs }, AbortSignal.abort())
  }

  read(signal: AbortSignal): Promise<GroupView> {
    return this.#store.ask('read', () => this.#inner.read(signal))
  }

  changed(signal: AbortSignal): Promise<void> {
    return this.#store.ask('changed', () => this.#inner.changed(signal))
  }

  keepAlive(): Promise<void> {
    return this.#store.ask('keepAlive', async () => undefined)
  }

  acquire(seen: NameView | undefined, name: string, signal: AbortSignal): Promise<Acquisition> {
    return this.#store.ask('acquire', async () => {
      return this.#store.acquisition ?? this.#inner.acquire(seen, name, signal)
    })
  }

  release(name: string, token: bigint, how: Release, signal: AbortSignal): Promise<void> {
    return this.#store.ask('release', () => this.#inner.release(name, token, how, signal))
  }

  publish(data: Json, signal: AbortSignal): Promise<void> {
    return this.#store.ask('publish', () => this.#inner.publish(data, signal))
  }

  close(): Promise<void> {
    return this.#store.ask('close', () => this.end())
  }

  #makeJournal(inner: Journal): Journal {
    const store = this.#store
    return {
      begin: (...words): Promise<JournalEntry> => store.ask('begin', () => inner.begin(...words)),
      finish: (...words) => store.ask('finish', () => inner.finish(...words)),
      withdraw: (...words) => store.ask('withdraw', () => inner.withdraw(...words)),
      prune: (...words) => store.ask('prune', () => inner.prune(...words)),
    }
  }
}
