/** Three candidates around a real store, each with a way to it of its own that can be cut, and everything that they tell. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { TcpProxy } from '../../servers/proxy.ts'
import type { CandidateEvent, CandidateSettings } from './candidate.ts'

/** What a candidate told, and when, on the machine's monotonic clock. */
export interface Told {
  readonly id: string
  readonly event: CandidateEvent
  readonly atMs: number
  readonly token: bigint
}

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

  constructor(
    readonly id: string,
    private readonly proxies: readonly TcpProxy[],
    private readonly program: string,
    private readonly settings: CandidateSettings,
    private readonly told: (told: Told) => void,
  ) {}

  start(): void {
    const child = spawn(process.execPath, [this.program, JSON.stringify(this.settings)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.process = child
    createInterface({ input: child.stdout }).on('line', (line) => {
      const [event, atMs, token] = line.split(' ')
      this.told({ id: this.id, event: event as CandidateEvent, atMs: Number(atMs), token: BigInt(token) })
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

  async stop(): Promise<void> {
    this.process?.kill('SIGKILL')
    await this.ended
    await Promise.all(this.proxies.map((proxy) => proxy.close()))
  }
}

export class Fleet {
  readonly members: readonly FleetMember[]
  /** Everything that was told, in the order in which it arrived. */
  readonly history: Told[] = []
  #wake: () => void = () => undefined

  private constructor({ program, settings, ways }: FleetOptions, proxies: readonly (readonly TcpProxy[])[]) {
    this.members = proxies.map((own, at) => {
      const addresses = own.map((proxy, way) => proxy.through(ways[at][way]))
      const id = `c${at + 1}`
      return new FleetMember(id, own, program, { ...settings, id, addresses }, (told) => {
        this.history.push(told)
        this.#wake()
      })
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
        event !== 'act'
          ? !['standing', 'slip', 'starved'].includes(event)
          : id !== first.id || atMs >= first.atMs + forMs
      const next = await this.until('the leader goes on', first.atMs, turn, endMs - nowMs())
      if (next.event === 'act' && next.id === first.id) return next
      fromMs = next.atMs
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map((member) => member.stop()))
  }

  /** What was told last, acts left out, and what was warned of. */
  state(): string {
    const last = this.history.filter(({ event }) => event !== 'act').slice(-12)
    const events = last.map(({ id, event, atMs, token }) => `  ${atMs.toFixed(0)} ${id} ${event} ${token}`)
    const warnings = this.members.flatMap(({ id, warnings }) => warnings.slice(-3).map((line) => `  ${id}: ${line}`))
    return [...events, ...warnings].join('\n')
  }
}
