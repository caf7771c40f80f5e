/** Three candidates around a real store, each with a way to it of its own that can be cut, and everything that they tell. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { FalseClock } from '../../servers/false-clock.ts'
import { removeFolder, serverFolder } from '../../servers/process.ts'
import { TcpProxy } from '../../servers/proxy.ts'
import type { CandidateEvent, CandidateSettings } from './candidate.ts'
import type { Grant } from './witness.ts'

/** What a candidate told, and when, on the machine's monotonic clock. */
export interface Told {
  readonly id: string
  readonly event: CandidateEvent
  readonly atMs: number
  readonly token: bigint
  /** With `acquired`. */
  readonly grant?: Pick<Grant, 'seenFreeMs' | 'waitMs'>
}

/** What says that a term has begun or ended. */
const turns: readonly CandidateEvent[] = ['elected', 'resumed', 'suspended', 'deposed', 'resigned']

/** Now, on the clock that candidates tell by. */
export const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6

/** How a fleet is made. */
export interface FleetOptions {
  /** The candidate's program. */
  readonly program: string
  readonly settings: Omit<CandidateSettings, 'id' | 'addresses'>
  /** The store's addresses for each candidate. A proxy of its own stands before each. */
  readonly ways: readonly (readonly string[])[]
}

/** One candidate: its process, its way to the store, what it told. */
export class FleetMember {
  process: ChildProcess | undefined
  ended: Promise<void> = Promise.resolve()
  readonly warnings: string[] = []
  /** Its own wall clock, where it runs with one. */
  clock: FalseClock | undefined

  constructor(
    /** What it is called here; its id in the election is in its settings. */
    readonly id: string,
    private readonly proxies: readonly TcpProxy[],
    private readonly program: string,
    readonly settings: CandidateSettings,
    private readonly told: (told: Told) => void,
  ) {}

  start(): void {
    const child = spawn(process.execPath, [this.program, JSON.stringify(this.settings)], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...this.clock?.environment },
    })
    this.process = child
    createInterface({ input: child.stdout }).on('line', (line) => {
      const [event, atMs, token, seenFreeMs, waitMs] = line.split(' ')
      this.told({
        id: this.id,
        event: event as CandidateEvent,
        atMs: Number(atMs),
        token: BigInt(token),
        ...(event === 'acquired' && { grant: { seenFreeMs: Number(seenFreeMs), waitMs: Number(waitMs) } }),
      })
    })
    createInterface({ input: child.stderr }).on('line', (line) => {
      this.warnings.push(line)
      if (this.warnings.length > 50) this.warnings.shift()
    })
    this.ended = once(child, 'close').then(() => undefined)
  }

  signal(signal: NodeJS.Signals): void {
    this.process?.kill(signal)
  }

  /** Nothing passes between it and the store any more; connections stay, as when packets are dropped. */
  cut(): void {
    for (const proxy of this.proxies) proxy.stall()
  }

  /** Each message takes so much longer, both ways. */
  slow(ms: number): void {
    for (const proxy of this.proxies) proxy.set({ delayMs: { up: ms, down: ms } })
  }

  heal(): void {
    for (const proxy of this.proxies) proxy.heal()
  }

  /** Kills it, and resolves when it is gone. */
  async kill(): Promise<void> {
    this.signal('SIGKILL')
    await this.ended
  }
}

export class Fleet {
  readonly members: readonly FleetMember[]
  /** Everything that was told, in the order in which it arrived. */
  readonly history: Told[] = []
  readonly #options: FleetOptions
  readonly #proxies: readonly TcpProxy[]
  readonly #twins: FleetMember[] = []
  /** Where the members' wall clocks are. */
  readonly #folder = serverFolder('candidates')
  #wake: () => void = () => undefined

  private constructor(options: FleetOptions, proxies: readonly (readonly TcpProxy[])[]) {
    this.#options = options
    this.#proxies = proxies.flat()
    this.members = proxies.map((own, at) => {
      const addresses = own.map((proxy, way) => proxy.through(options.ways[at][way]))
      const id = `c${at + 1}`
      return this.#make(id, own, { ...options.settings, id, addresses })
    })
  }

  #make(id: string, proxies: readonly TcpProxy[], settings: CandidateSettings): FleetMember {
    return new FleetMember(id, proxies, this.#options.program, settings, (told) => {
      this.history.push(told)
      this.#wake()
    })
  }

  /** Starts the candidates. */
  static async start(options: FleetOptions): Promise<Fleet> {
    const start = (address: string): Promise<TcpProxy> => TcpProxy.start(Number(new URL(address).port))
    const proxies = await Promise.all(options.ways.map((addresses) => Promise.all(addresses.map(start))))
    const fleet = new Fleet(options, proxies)
    for (const member of fleet.members) member.start()
    return fleet
  }

  member(id: string): FleetMember {
    return this.members.find((member) => member.id === id)!
  }

  /** Starts another candidate under a member's id; whoever does ends it. */
  startTwin(id: string): FleetMember {
    const twin = this.#make(`${id}-twin-${this.#twins.length + 1}`, [], this.member(id).settings)
    this.#twins.push(twin)
    twin.start()
    return twin
  }

  /** Starts all members anew with wall clocks of their own, or the machine's again; gives whether any had another. */
  async useOwnClocks(own: boolean): Promise<boolean> {
    const others = this.members.filter(({ clock }) => (clock !== undefined) !== own)
    for (const member of others) {
      await member.kill()
      member.clock = own ? new FalseClock(join(this.#folder, member.id)) : undefined
      member.start()
    }
    return others.length > 0
  }

  /** Resolves with the first thing told after `sinceMs` that matches. @throws when it is not told within the limit */
  async until(what: string, sinceMs: number, matches: (told: Told) => boolean, limitMs: number): Promise<Told> {
    const endMs = nowMs() + limitMs
    for (let seen = 0; ;) {
      for (; seen < this.history.length; seen++) {
        const told = this.history[seen]
        if (told.atMs > sinceMs && matches(told)) return told
      }
      const leftMs = endMs - nowMs()
      if (leftMs <= 0) throw new Error(`not within ${limitMs} ms: ${what}\n${this.state()}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  /** Resolves with who has acted, alone and without a gap, for so long. */
  async steady(forMs: number, limitMs: number): Promise<Told> {
    const endMs = nowMs() + limitMs
    for (let fromMs = nowMs(); ;) {
      const first = await this.until('somebody acts', fromMs, ({ event }) => event === 'act', endMs - nowMs())
      const turn = ({ event, id, atMs }: Told): boolean =>
        event === 'act' ? id !== first.id || atMs >= first.atMs + forMs : turns.includes(event)
      const next = await this.until('the leader goes on', first.atMs, turn, endMs - nowMs())
      if (next.event === 'act' && next.id === first.id) return next
      fromMs = next.atMs
    }
  }

  async stop(): Promise<void> {
    await Promise.all([...this.members, ...this.#twins].map((member) => member.kill()))
    await Promise.all(this.#proxies.map((proxy) => proxy.close()))
    removeFolder(this.#folder)
  }

  /** What was told last, acts left out, and what was warned of. */
  state(): string {
    const last = this.history.filter(({ event }) => event !== 'act').slice(-12)
    const events = last.map(({ id, event, atMs, token }) => `  ${atMs.toFixed(0)} ${id} ${event} ${token}`)
    const warnings = this.members.flatMap(({ id, warnings }) => warnings.slice(-3).map((line) => `  ${id}: ${line}`))
    return [...events, ...warnings].join('\n')
  }
}
