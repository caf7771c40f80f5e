/**
 * A store as an election sees one: everything it does is atomic and in order, and everything between it and its clients goes wrong.
 * Requests and answers take their time, overtake one another and get lost; sessions end when they have given no sign of life, and also for no
 * reason at all.
 */
import {
  ElectionError,
  type Acquisition,
  type GroupView,
  type HandOverRequest,
  type Journal,
  type JournalEntry,
  type Json,
  type LeaseStore,
  type Member,
  type NameView,
  type Release,
  type SessionOptions,
  type StoreSession,
} from '@ricci/election'
import type { VirtualClock } from '../clock.ts'
import type { SeededRandom } from '../random.ts'
import type { Happening } from './history.ts'
import type { Process } from './world.ts'

/** How bad the way to the store is. */
export interface Weather {
  /** Usual delay of one direction, in ms. */
  readonly delayMs: number
  /** Part of the messages that take up to {@link slowMs}. */
  readonly slow: number
  readonly slowMs: number
  /** Part of the messages that never arrive. */
  readonly lost: number
}

interface Tenure {
  version: number
  token: bigint
  holder: SimSession | undefined
  settled: boolean
  leaseMs: number
  successor: string | undefined
  request: HandOverRequest | undefined
  /** Nobody is granted it before, in world ms. */
  delayedUntilMs: number
}

/** A store, and what it did. */
export class SimStore {
  weather: Weather = { delayMs: 2, slow: 0, slowMs: 0, lost: 0 }
  /** Requests that arrive meanwhile are not answered. */
  down = false
  /** Some processes' reads show what was so this long ago, in ms: what the port forbids. */
  staleMs = 0
  /** How long nobody is granted a name that was lost, in ms. */
  lockDelayMs = 0
  /** Called when a name was granted: for troubles that lie in wait for it. */
  onGranted: ((name: string, session: SimSession) => void) | undefined
  readonly clock: VirtualClock
  readonly random: SeededRandom
  readonly history: Happening[]
  readonly names = new Map<string, Tenure>()
  readonly sessions = new Set<SimSession>()
  readonly journal = new Map<string, { token: bigint; attempt: string; done: boolean }>()
  #index = 0n
  #opened = 0
  #past: { atMs: number; view: GroupView }[] = []

  constructor(clock: VirtualClock, random: SeededRandom, history: Happening[]) {
    this.clock = clock
    this.random = random
    this.history = history
  }

  /** The store as one process reaches it. */
  for(process: Process): LeaseStore {
    return {
      description: 'a simulated store',
      open: (options) => this.#open(process, options),
      look: () => this.request(process, () => this.view()),
      request: (_group, name, token, request) =>
        this.request(process, () => {
          const tenure = this.names.get(name)
          if (tenure?.holder !== undefined && tenure.token === token) tenure.request = request
          this.changed()
        }),
    }
  }

  /** A request of a process and its answer, each of which may be late or lost. */
  request<T>(process: Process, serve: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#travel(process, () => {
        if (this.down || process.cut === 'both') return
        let answer: () => void
        try {
          const result = serve()
          answer = () => resolve(result)
        } catch (error) {
          answer = () => reject(error)
        }
        // What has left the store arrives, though the way is cut behind it.
        if (process.cut === 'none') this.#travel(process, () => process.run(answer))
      })
    })
  }

  /** Takes everything from a session, or one name: an expiry, a health check that flaps, an operator. */
  end(session: SimSession): void {
    if (!this.sessions.delete(session)) return
    for (const [name, tenure] of this.names)
      if (tenure.holder === session) this.free(name, tenure, { settled: false, leaseMs: tenure.leaseMs })
    this.changed()
  }

  free(name: string, tenure: Tenure, how: Release): void {
    tenure.holder = undefined
    tenure.request = undefined
    tenure.version = Number(++this.#index)
    tenure.settled = how.settled
    tenure.leaseMs = how.leaseMs ?? 0
    tenure.successor = how.successor
    tenure.delayedUntilMs = how.settled ? 0 : this.clock.monotonicMs() + this.lockDelayMs
    this.history.push({
      kind: 'freed',
      name,
      token: tenure.token,
      settled: how.settled,
      atMs: this.clock.monotonicMs(),
    })
  }

  acquire(session: SimSession, name: string, seen: NameView | undefined): Acquisition {
    const tenure = this.names.get(name)
    if (tenure === undefined) {
      const version = Number(++this.#index)
      this.names.set(name, {
        version,
        token: 0n,
        holder: undefined,
        settled: false,
        leaseMs: 0,
        successor: undefined,
        request: undefined,
        delayedUntilMs: 0,
      })
      this.changed()
      return { kind: 'changed' }
    }
    if (tenure.holder !== undefined || String(tenure.version) !== seen?.version) return { kind: 'changed' }
    if (this.clock.monotonicMs() < tenure.delayedUntilMs) return { kind: 'delayed' }
    const token = ++this.#index
    const leaseMs = tenure.settled ? session.leaseMs : Math.max(session.leaseMs, tenure.leaseMs)
    Object.assign(tenure, {
      version: Number(token),
      token,
      holder: session,
      settled: false,
      leaseMs,
      successor: undefined,
    })
    this.history.push({ kind: 'granted', name, token, by: session.processName, atMs: this.clock.monotonicMs() })
    this.onGranted?.(name, session)
    this.changed()
    return { kind: 'acquired', token }
  }

  view(): GroupView {
    const names = Array.from(this.names, ([name, tenure]): [string, NameView] => [
      name,
      {
        name,
        version: String(tenure.version),
        token: tenure.token,
        ...(tenure.holder !== undefined && { holder: tenure.holder.member }),
        settled: tenure.settled,
        leaseMs: tenure.leaseMs,
        ...(tenure.successor !== undefined && { successor: tenure.successor }),
        ...(tenure.request !== undefined && { request: tenure.request }),
      },
    ])
    return { members: Array.from(this.sessions, ({ member }) => member), names: new Map(names) }
  }

  /** What a read shows: the present, unless the process reads from a server that lags behind. */
  read(process: Process): GroupView {
    if (this.staleMs === 0 || !process.readsBehind) return this.view()
    const atMs = this.clock.monotonicMs() - this.staleMs
    const past = this.#past.filter((view) => view.atMs <= atMs).at(-1)
    return past === undefined ? this.view() : { ...this.view(), names: past.view.names }
  }

  /** Tells every session that something has changed; such a word may be late or lost, too. */
  changed(): void {
    if (this.staleMs > 0)
      this.#past = [...this.#past.slice(-100), { atMs: this.clock.monotonicMs(), view: this.view() }]
    for (const session of this.sessions) {
      if (session.process.cut !== 'none') continue
      this.#travel(session.process, () => session.process.run(() => session.tell()))
    }
  }

  #open(process: Process, options: SessionOptions): Promise<StoreSession> {
    return this.request(process, () => {
      const session = new SimSession(`s${++this.#opened}`, this, process, options)
      this.sessions.add(session)
      this.changed()
      return session
    })
  }

  #travel({ lagMs }: Process, arrive: () => void): void {
    const { delayMs, slow, slowMs, lost } = this.weather
    if (this.random.chance(lost)) return
    const usual = this.random.between(0.5, 1.5) * delayMs + this.random.between(0, lagMs)
    this.clock.setTimer(this.random.chance(slow) ? this.random.between(usual, slowMs) : usual, arrive)
  }
}

/** A session of a process. Ends by itself when it has given no sign of life for the detection time. */
export class SimSession implements StoreSession {
  readonly id: string
  readonly leaseMs: number
  readonly rereadMs = 1500
  readonly keepAliveMs: number
  readonly journal: Journal
  readonly process: Process
  readonly processName: string
  readonly #store: SimStore
  readonly #detectMs: number
  #data: Json
  readonly #id: string
  #lives = 0
  #changed = true
  #wake: (() => void) | undefined

  constructor(id: string, store: SimStore, process: Process, options: SessionOptions) {
    this.id = id
    this.process = process
    this.processName = options.id
    this.leaseMs = options.leaseMs
    this.#detectMs = options.detectMs
    this.keepAliveMs = options.detectMs / 4
    this.#store = store
    this.#id = options.id
    this.#data = options.data
    this.journal = this.#makeJournal()
    this.#prolong()
  }

  get member(): Member {
    return { session: this.id, id: this.#id, data: this.#data }
  }

  read(): Promise<GroupView> {
    return this.#ask(() => this.#store.read(this.process))
  }

  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => (): void => {
        this.#wake = undefined
        signal.removeEventListener('abort', abort)
        settle()
      }
      const abort = end(() => reject(signal.reason))
      this.#wake = end(() => {
        this.#changed = false
        resolve()
      })
      signal.addEventListener('abort', abort)
      if (this.#changed) this.#wake()
    })
  }

  tell(): void {
    this.#changed = true
    this.#wake?.()
  }

  keepAlive(): Promise<void> {
    return this.#ask(() => this.#prolong())
  }

  acquire(seen: NameView | undefined, name: string): Promise<Acquisition> {
    return this.#ask(() => this.#store.acquire(this, name, seen))
  }

  release(name: string, token: bigint, how: Release): Promise<void> {
    return this.#ask(() => {
      const tenure = this.#store.names.get(name)
      if (tenure?.holder === this && tenure.token === token) this.#store.free(name, tenure, how)
      this.#store.changed()
    })
  }

  publish(data: Json): Promise<void> {
    return this.#ask(() => {
      this.#data = data
      this.#store.changed()
    })
  }

  close(): Promise<void> {
    return this.#store.request(this.process, () => this.#store.end(this))
  }

  #ask<T>(serve: () => T): Promise<T> {
    return this.#store.request(this.process, () => {
      if (!this.#store.sessions.has(this)) throw new ElectionError('SESSION_LOST', 'the session has ended', true)
      return serve()
    })
  }

  #prolong(): void {
    const life = ++this.#lives
    this.#store.clock.setTimer(this.#detectMs, () => {
      if (life === this.#lives) this.#store.end(this)
    })
  }

  #makeJournal(): Journal {
    const { journal, names } = this.#store
    return {
      begin: (name, token, id, attempt) =>
        this.#ask((): JournalEntry => {
          const tenure = names.get(name)
          if (tenure?.holder !== this || tenure.token !== token) return { kind: 'stale' }
          const known = journal.get(id)
          if (known !== undefined && known.attempt !== attempt) {
            return { kind: 'exists', token: known.token, attempt: known.attempt, done: known.done }
          }
          if (known === undefined) journal.set(id, { token, attempt, done: false })
          return { kind: 'begun' }
        }),
      finish: (_name, id, attempt) =>
        this.#store.request(this.process, () => {
          const known = journal.get(id)
          if (known?.attempt === attempt) known.done = true
        }),
      withdraw: (_name, id, attempt) =>
        this.#store.request(this.process, () => {
          if (journal.get(id)?.attempt === attempt) journal.delete(id)
        }),
      prune: async () => 0,
    }
  }
}
