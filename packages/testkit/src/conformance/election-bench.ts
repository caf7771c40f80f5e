/** What the suites for stores of elections have in common: the backend, and one test's sessions and groups. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import {
  ElectionError,
  ElectionGroup,
  systemClock,
  type Acquisition,
  type Candidate,
  type CandidateOptions,
  type Clock,
  type GroupView,
  type Json,
  type LeaseStore,
  type NameView,
  type StoreSession,
} from '@ricci/election'
import type { CountedStore } from './election-requests.ts'
import { until, type Turn } from './turns.ts'

/** One store, empty. Made anew for each test; the server behind it may be the same if what earlier tests left does not show. */
export interface ElectionStoreBackend {
  /** What is behind it, as the servers themselves say: which store, which version, how many of them. */
  servers(): Promise<string>
  /** A client of it, as another process would have. */
  store(): LeaseStore
  /** The clock of sessions and groups; the machine's unless told. */
  readonly clock?: Clock
  /** Lets time pass, where the clock is not the machine's. */
  readonly turn?: Turn
  /** How its requests are counted; absent where it is asked over no network. */
  readonly counted?: CountedStore
  /** The lease and the detection time that are asked for; 1 s each unless told: short, and enough for a busy machine. */
  readonly leaseMs?: number
  readonly detectMs?: number
  /** An operator removes what the store keeps of a name: the key, the row. Absent where nobody can. */
  removeName?(group: string, name: string): Promise<void>
  /** Sessions last until they are closed, because they cannot outlive their process. */
  readonly sessionsLast?: boolean
  /** The store ends a session before its time, as an operator or a failed check would. Absent where nobody can. */
  endSession?(group: string, session: string): Promise<void>
}

/** How long one test may take: a real store on a busy machine answers within 100 ms, and a few leases are waited out. */
const testMs = 60_000

/** How long one call may take. */
const callMs = 20_000

/** How long anything is waited for. */
const waitMs = 25_000

/** How often an acquisition is tried: one creates the name, one is refused because of it; a delay may be in force, for as many round trips. */
const acquireTries = 100

/** Declares one test over a backend of its own. */
export type ElectionTest = (what: string, run: (bench: ElectionBench, context: TestContext) => Promise<void>) => void

/** Tests over backends that `makeBackend` makes, each closed after its test. */
export function electionTests(makeBackend: (context: TestContext) => Promise<ElectionStoreBackend>): ElectionTest {
  return (what, run) =>
    void test(what, { timeout: testMs }, async (context) => {
      const bench = new ElectionBench(await makeBackend(context))
      try {
        await run(bench, context)
      } finally {
        await bench.close()
      }
    })
}

/** One test's sessions and groups: kept alive, and closed at its end. */
export class ElectionBench {
  readonly group = 'conformance'
  readonly leaseMs: number
  readonly #clock: Clock
  readonly #sessions = new Map<StoreSession, AbortController>()
  readonly #groups: ElectionGroup[] = []
  /** Who waits for a change. */
  readonly #waiting = new Set<() => void>()

  constructor(readonly backend: ElectionStoreBackend) {
    this.leaseMs = backend.leaseMs ?? 1000
    this.#clock = backend.clock ?? systemClock
  }

  store(): LeaseStore {
    return this.backend.store()
  }

  /** A signal for one call. */
  soon(): AbortSignal {
    return AbortSignal.timeout(callMs)
  }

  /** Lets time pass where it does not by itself. */
  async turn(): Promise<void> {
    await this.backend.turn?.()
  }

  /** Waits until something holds of groups and candidates of this bench: looks whenever one of them tells of a change. */
  async until(what: string, holds: () => boolean): Promise<void> {
    const { turn } = this.backend
    if (turn !== undefined) return until(what, holds, turn)
    const late = AbortSignal.timeout(waitMs)
    late.addEventListener('abort', () => this.#changed())
    while (!holds()) {
      if (late.aborted) assert.fail(`this did not happen: ${what}`)
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }

  /** Reads until a view shows what is wanted: as a member does, when the store says that something has changed, and as often as it advises. */
  async follow(session: StoreSession, what: string, shows: (view: GroupView) => boolean): Promise<GroupView> {
    const late = AbortSignal.timeout(waitMs)
    const end = new AbortController()
    let told: Promise<void> | undefined
    try {
      for (;;) {
        const view = await this.read(session)
        if (shows(view)) return view
        if (late.aborted) assert.fail(`this did not happen: ${what}`)
        told ??= session.changed(end.signal).then(() => void (told = undefined))
        await this.#orAfter(told, Math.min(view.changesInMs ?? Infinity, session.rereadMs))
      }
    } finally {
      told?.catch(() => undefined)
      end.abort()
    }
  }

  /** What a promise gives, time passing meanwhile. */
  async finish<T>(promise: Promise<T>): Promise<T> {
    const { turn } = this.backend
    if (turn === undefined) return promise
    let settled = false
    const end = (): void => void (settled = true)
    promise.then(end, end)
    await until('it ends', () => settled, turn)
    return promise
  }

  async open(id: string, data: Json = null, group = this.group): Promise<StoreSession> {
    const session = await this.store().open({
      group,
      id,
      data,
      leaseMs: this.leaseMs,
      detectMs: this.backend.detectMs ?? 1000,
      clock: this.#clock,
      random: Math.random,
      signal: this.soon(),
      warn: () => undefined,
    })
    const end = new AbortController()
    this.#sessions.set(session, end)
    this.#beat(session, end.signal)
    return session
  }

  /** Gives no more signs of life, as a process that has died. */
  silence(session: StoreSession): void {
    this.#sessions.get(session)?.abort()
  }

  async leave(session: StoreSession): Promise<void> {
    this.#sessions.get(session)?.abort()
    this.#sessions.delete(session)
    await session.close(this.soon())
  }

  join(id: string): ElectionGroup {
    const store = this.store()
    const { detectMs = 1000, clock } = this.backend
    const made = new ElectionGroup({ name: this.group, store, id, lease: this.leaseMs, detect: detectMs, clock })
    made.on('members', () => this.#changed())
    this.#groups.push(made)
    return made
  }

  /** A candidate whose changes {@link until} sees. */
  candidate(group: ElectionGroup, name: string, options?: CandidateOptions): Candidate {
    return group.candidate(name, options).on('state', () => this.#changed())
  }

  read(session: StoreSession): Promise<GroupView> {
    return session.read(this.soon())
  }

  async name(session: StoreSession, name: string): Promise<NameView> {
    const view = (await this.read(session)).names.get(name)
    assert.ok(view !== undefined, `${name} is not there`)
    return view
  }

  try(session: StoreSession, name: string, seen: NameView | undefined): Promise<Acquisition> {
    return session.acquire(seen, name, this.soon())
  }

  /** Acquires a name that is free, or becomes free; gives its token. */
  async acquire(session: StoreSession, name: string): Promise<bigint> {
    for (let tries = 0; tries < acquireTries; tries++) {
      const seen = (await this.read(session)).names.get(name)
      if (seen?.holder !== undefined) assert.fail(`${seen.holder.id} holds ${name}`)
      const answer = await this.try(session, name, seen)
      if (answer.kind === 'acquired') return answer.token
    }
    return assert.fail(`${name} could not be acquired`)
  }

  /** Makes a name be there, free. */
  async create(session: StoreSession, name: string): Promise<void> {
    const token = await this.acquire(session, name)
    await session.release(name, token, { settled: true }, this.soon())
  }

  async close(): Promise<void> {
    await this.finish(Promise.all(this.#groups.map((group) => group.close())))
    for (const session of [...this.#sessions.keys()]) await this.leave(session).catch(codeOf)
  }

  #changed(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const resolve of waiting) resolve()
  }

  /** Resolves with a promise, or after so long by the sessions' clock. */
  #orAfter(promise: Promise<void>, ms: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(ms, resolve)
      promise.then(resolve, reject).finally(() => timer.cancel())
    })
  }

  /** Keeps a session alive, as a group would. */
  #beat(session: StoreSession, end: AbortSignal): void {
    const everyMs = session.keepAliveMs ?? session.leaseMs / 4
    const beat = (): void => {
      if (end.aborted) return
      const call = session.keepAlive?.(this.soon()) ?? session.read(this.soon())
      call.catch(codeOf)
      const timer = this.#clock.setTimer(everyMs, beat)
      end.addEventListener('abort', () => timer.cancel(), { once: true })
    }
    beat()
  }
}

/** An error's code. @throws whatever is not one of ours */
export function codeOf(error: unknown): string {
  if (error instanceof ElectionError) return error.code
  throw error
}
