import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { ElectionError } from '../errors.ts'
import { keptLeaseMs } from '../lease.ts'
import type {
  Acquisition,
  GroupView,
  HandOverRequest,
  Journal,
  JournalEntry,
  Json,
  LeaseStore,
  Member,
  NameView,
  Release,
  SessionOptions,
  StoreSession,
} from '../store.ts'

/** Options of the store in process. */
export interface MemoryOptions {
  /**
   * A file that keeps the highest token, so that tokens rise over restarts too: written before each grant. Its folder is made. Without it
   * tokens begin at the wall clock's milliseconds, which a clock set back would repeat.
   */
  readonly tokenFile?: string
}

/** A name, and what was asked of its holder. */
interface Entry {
  version: number
  token: bigint
  holder?: MemorySession
  settled: boolean
  leaseMs: number
  successor?: string
  request?: HandOverRequest
}

interface Group {
  readonly sessions: Set<MemorySession>
  readonly names: Map<string, Entry>
  readonly journal: Map<string, { token: bigint; attempt: string; done: boolean; beganMs: number }>
}

/**
 * A store for the candidates of one process: several in tests, the only one where a program runs alone and wants the same code as in
 * a cluster. Grants at once; a session lasts until it is closed. It does not elect between processes.
 */
export function memory(options: MemoryOptions = {}): LeaseStore {
  return new MemoryStore(options)
}

class MemoryStore implements LeaseStore {
  readonly description = 'this process'
  readonly #groups = new Map<string, Group>()
  readonly #tokenFile: string | undefined
  #highestToken = 0n
  #opened = 0

  constructor({ tokenFile }: MemoryOptions) {
    this.#tokenFile = tokenFile
    if (tokenFile !== undefined) this.#highestToken = readToken(tokenFile)
  }

  async open(options: SessionOptions): Promise<StoreSession> {
    const session = new MemorySession(`session-${++this.#opened}`, this, this.#group(options.group), options)
    session.group.sessions.add(session)
    session.tellAll()
    return session
  }

  async look(group: string): Promise<GroupView> {
    return viewOf(this.#group(group))
  }

  async request(group: string, name: string, token: bigint, request: HandOverRequest): Promise<void> {
    const found = this.#group(group)
    const entry = found.names.get(name)
    if (entry?.holder === undefined || entry.token !== token) return
    entry.request = request
    for (const session of found.sessions) session.tell()
  }

  /** Higher than every token before, also than those of earlier processes where a file keeps them. */
  nextToken(wallMs: number): bigint {
    const now = BigInt(Math.max(0, Math.floor(wallMs)))
    const token = this.#highestToken >= now ? this.#highestToken + 1n : now
    if (this.#tokenFile !== undefined) writeToken(this.#tokenFile, token)
    return (this.#highestToken = token)
  }

  #group(name: string): Group {
    const known = this.#groups.get(name)
    if (known !== undefined) return known
    const made: Group = { sessions: new Set(), names: new Map(), journal: new Map() }
    this.#groups.set(name, made)
    return made
  }
}

class MemorySession implements StoreSession {
  readonly leaseMs: number
  /** Everything that changes is told of. */
  readonly rereadMs = 60_000
  readonly journal: Journal
  #data: Json
  #changed = true
  #wake: (() => void) | undefined

  constructor(
    readonly id: string,
    private readonly store: MemoryStore,
    readonly group: Group,
    private readonly options: SessionOptions,
  ) {
    this.#data = options.data
    this.leaseMs = options.leaseMs
    this.journal = this.#makeJournal()
  }

  get member(): Member {
    return { session: this.id, id: this.options.id, data: this.#data }
  }

  async read(): Promise<GroupView> {
    this.#assertAlive()
    return viewOf(this.group)
  }

  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        this.#wake = undefined
        signal.removeEventListener('abort', onAbort)
      }
      const onAbort = (): void => {
        end()
        reject(signal.reason)
      }
      const wake = (): void => {
        this.#changed = false
        end()
        resolve()
      }
      if (signal.aborted) return onAbort()
      if (this.#changed) return wake()
      this.#wake = wake
      signal.addEventListener('abort', onAbort)
    })
  }

  async acquire(seen: NameView | undefined, name: string): Promise<Acquisition> {
    this.#assertAlive()
    const entry = this.group.names.get(name)
    // Nobody has held it yet, and this process is all there is: its first holder need not wait.
    if (entry === undefined) this.group.names.set(name, { version: 0, token: 0n, settled: true, leaseMs: 0 })
    if (entry === undefined || entry.holder !== undefined || String(entry.version) !== seen?.version) {
      return { kind: 'changed' }
    }
    const token = this.store.nextToken(this.options.clock.wallMs())
    const leaseMs = keptLeaseMs(this.leaseMs, entry)
    this.group.names.set(name, { version: entry.version + 1, token, holder: this, settled: false, leaseMs })
    this.tellAll()
    return { kind: 'acquired', token }
  }

  async release(name: string, token: bigint, how: Release): Promise<void> {
    const entry = this.group.names.get(name)
    if (entry?.holder === this && entry.token === token) this.#free(entry, how)
    this.tellAll()
  }

  async publish(data: Json): Promise<void> {
    this.#data = data
    this.tellAll()
  }

  async close(): Promise<void> {
    this.group.sessions.delete(this)
    for (const entry of this.group.names.values())
      if (entry.holder === this) this.#free(entry, { settled: false, leaseMs: entry.leaseMs })
    this.tellAll()
  }

  /** Something may have changed. */
  tell(): void {
    this.#changed = true
    this.#wake?.()
  }

  tellAll(): void {
    for (const session of this.group.sessions) session.tell()
  }

  #free(entry: Entry, { settled, leaseMs = 0, successor }: Release): void {
    delete entry.holder
    delete entry.request
    entry.version++
    entry.settled = settled
    entry.leaseMs = leaseMs
    if (successor === undefined) delete entry.successor
    else entry.successor = successor
  }

  #assertAlive(): void {
    if (this.group.sessions.has(this)) return
    throw new ElectionError('SESSION_LOST', 'the session was closed', true)
  }

  #makeJournal(): Journal {
    const { journal, names } = this.group
    const { clock } = this.options
    const key = (name: string, id: string): string => JSON.stringify([name, id])
    return {
      begin: async (name, token, id, attempt): Promise<JournalEntry> => {
        const entry = names.get(name)
        if (entry?.holder !== this || entry.token !== token) return { kind: 'stale' }
        const known = journal.get(key(name, id))
        if (known !== undefined && known.attempt !== attempt) {
          return { kind: 'exists', token: known.token, attempt: known.attempt, done: known.done }
        }
        if (known === undefined) journal.set(key(name, id), { token, attempt, done: false, beganMs: clock.wallMs() })
        return { kind: 'begun' }
      },
      finish: async (name, id, attempt) => {
        const known = journal.get(key(name, id))
        if (known?.attempt === attempt) known.done = true
      },
      withdraw: async (name, id, attempt) => {
        if (journal.get(key(name, id))?.attempt === attempt) journal.delete(key(name, id))
      },
      prune: async (name, olderThanMs) => {
        const before = clock.wallMs() - olderThanMs
        const old = [...journal].filter(([at, { beganMs }]) => JSON.parse(at)[0] === name && beganMs < before)
        for (const [at] of old) journal.delete(at)
        return old.length
      },
    }
  }
}

function viewOf(group: Group): GroupView {
  const names = Array.from(group.names, ([name, entry]): [string, NameView] => [
    name,
    {
      name,
      version: String(entry.version),
      token: entry.token,
      ...(entry.holder !== undefined && { holder: entry.holder.member }),
      settled: entry.settled,
      leaseMs: entry.leaseMs,
      ...(entry.successor !== undefined && { successor: entry.successor }),
      ...(entry.request !== undefined && { request: entry.request }),
    },
  ])
  return { members: Array.from(group.sessions, ({ member }) => member), names: new Map(names) }
}

/** The highest token that a file names; 0 where there is none. @throws ElectionError `OPTION_INVALID` */
function readToken(file: string): bigint {
  let text: string
  try {
    mkdirSync(dirname(file), { recursive: true })
    text = readFileSync(file, 'utf8').trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0n
    throw new ElectionError('OPTION_INVALID', `the token file ${file} cannot be read`, false, { cause: error })
  }
  if (/^\d+$/.test(text)) return BigInt(text)
  throw new ElectionError('OPTION_INVALID', `the token file ${file} holds no number; remove it, or write one`, false)
}

/** Written beside it and renamed: a reader finds the old number or the new one. */
function writeToken(file: string, token: bigint): void {
  writeFileSync(`${file}.new`, `${token}\n`)
  renameSync(`${file}.new`, file)
}
