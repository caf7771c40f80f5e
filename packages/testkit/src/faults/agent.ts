/**
 * kill -9 to an agent and to its server in turn, while a program that knows nothing of either sends to the agent. The program keeps a list of what was
 * acknowledged; the server's log, through a fresh engine, and its index say what became of it.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RiemannTcpClient } from '@ricci/client'
import { SeededRandom } from '../random.ts'
import { freePorts } from '../servers/ports.ts'
import { Daemon } from './daemon.ts'
import { readEvidence } from './evidence.ts'

export interface AgentKillsOptions {
  /** Path of the built `ricci.mjs`. */
  readonly program: string
  /** Ends after so many kills, or after so long, whichever is given. */
  readonly kills?: number
  readonly minutes?: number
  readonly seed: number
  readonly report?: (line: string) => void
}

/** What was counted; and what is wrong, in sentences. */
export interface AgentKillsResult {
  readonly counts: Readonly<Record<string, number>>
  readonly wrong: readonly string[]
}

/** The program sends an event every so often, each a message of its own. */
const beatMs = 10
/** Nothing that is waited for takes longer. */
const patienceMs = 60_000
/** A server is away for this long at most. */
const longestAwayMs = 6_000
/** Entries outlast the run: all of them are in the index at its end. */
const ttlSeconds = 36_000

// what the agent measures has metrics that look like a program's
const rulesText = `import { index, rules, tap, where } from 'ricci'
export default rules(index(), where('host = "program"', tap('all')))
`

/** Runs both, kills them, lets all that waits arrive, and judges. */
export async function runAgentKills(options: AgentKillsOptions): Promise<AgentKillsResult> {
  const folder = mkdtempSync(join(tmpdir(), 'ricci-agent-kills-'))
  const run = new AgentKills(options, folder, await freePorts(3))
  try {
    return await run.run()
  } finally {
    await run.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What a plain client does: sends, waits for the ack, and sends again on a new connection what has none. */
class Program {
  readonly acked = new Set<number>()
  /** Sent again after a connection was lost: whether the agent had them, nobody knows. */
  readonly again = new Set<number>()
  /** Why it was refused something: nothing should be. */
  readonly refusals: string[] = []
  sent = 0
  /** Longest time between a send and its ack. */
  longestMs = 0
  readonly #unacked = new Map<number, number>()
  readonly #client: RiemannTcpClient
  #timer: NodeJS.Timeout | undefined
  #next: (() => void)[] = []

  constructor(port: number) {
    this.#client = new RiemannTcpClient({ port, timeoutMs: patienceMs, backoffMaxMs: 200 })
  }

  begin(): void {
    this.#timer = setInterval(() => this.#send(++this.sent), beatMs)
  }

  /** Resolves when so many more were acknowledged. */
  async untilMore(count: number): Promise<void> {
    const target = this.acked.size + count
    while (this.acked.size < target) await new Promise<void>((resolve) => this.#next.push(resolve))
  }

  /** Sends no more; resolves when everything is acknowledged. */
  async end(): Promise<void> {
    clearInterval(this.#timer)
    while (this.#unacked.size > 0) await new Promise<void>((resolve) => this.#next.push(resolve))
    await this.#client.destroy()
  }

  async destroy(): Promise<void> {
    clearInterval(this.#timer)
    await this.#client.destroy()
  }

  #send(id: number): void {
    const nowMs = Date.now()
    if (!this.#unacked.has(id)) this.#unacked.set(id, nowMs)
    this.#client.send({ host: 'program', service: `${id}`, metric: id, time: nowMs / 1000, ttl: ttlSeconds }).then(
      () => {
        this.longestMs = Math.max(this.longestMs, Date.now() - this.#unacked.get(id)!)
        this.acked.add(id)
        this.#unacked.delete(id)
        for (const next of this.#next.splice(0)) next()
      },
      (error: Error & { code?: string }) => {
        if (error.code === 'CLOSED') return
        if (error.code === 'REFUSED') this.refusals.push(error.message)
        this.again.add(id)
        this.#send(id)
      },
    )
  }
}

class AgentKills {
  readonly #options: AgentKillsOptions
  readonly #folder: string
  readonly #random: SeededRandom
  readonly #ports: { readonly server: number; readonly http: number; readonly agent: number }
  readonly #program: Program
  #server: Daemon | undefined
  #agent: Daemon | undefined

  constructor(options: AgentKillsOptions, folder: string, [server, http, agent]: readonly number[]) {
    this.#options = options
    this.#folder = folder
    this.#random = new SeededRandom(options.seed)
    this.#ports = { server, http, agent }
    this.#program = new Program(agent)
    mkdirSync(join(folder, 'rules'))
    writeFileSync(join(folder, 'rules', 'index.ts'), rulesText)
    const at = (port: number): string => `127.0.0.1:${port}`
    const listen = { tcp: at(server), udp: at(server), http: at(http) }
    writeFileSync(join(folder, 'ricci.yaml'), JSON.stringify({ instance: 'server', data: 'data', listen }))
  }

  async run(): Promise<AgentKillsResult> {
    const { kills = Infinity, minutes = Infinity, report } = this.#options
    const random = this.#random
    const endMs = performance.now() + minutes * 60_000
    await this.#startServer()
    await this.#startAgent()
    this.#program.begin()
    let [servers, agents] = [0, 0]
    let longestAwayMsSeen = 0
    while (servers + agents < kills && performance.now() < endMs) {
      // not before this life has done something
      await within(this.#program.untilMore(1 + random.below(200)), 'acks', this.#agent)
      const which = (servers + agents) % 3
      if (which !== 1) {
        await this.#agent!.kill()
        agents++
        await this.#startAgent()
      }
      if (which !== 0) {
        await this.#server!.kill()
        servers++
        const awayMs = random.below(longestAwayMs)
        longestAwayMsSeen = Math.max(longestAwayMsSeen, awayMs)
        // real time is the subject: the server is to be away for a while, and the program to notice nothing
        await new Promise((resolve) => setTimeout(resolve, awayMs))
        await this.#startServer()
      }
      report?.(`${servers} kills of the server, ${agents} of the agent; ${this.#program.acked.size} acknowledged`)
    }
    await within(this.#program.end(), 'the last acks', this.#agent)
    const found = await within(this.#allThere(), 'everything in the index', this.#server)
    // what waits is on the disk, and nothing does any more
    await this.#agent!.stop()
    await this.#server!.stop()
    return this.#judge({ servers, agents, longestAwayMsSeen }, found)
  }

  async close(): Promise<void> {
    await this.#program.destroy()
    await this.#agent?.kill()
    await this.#server?.kill()
  }

  async #startServer(): Promise<void> {
    const config = join(this.#folder, 'ricci.yaml')
    this.#server = new Daemon(this.#options.program, ['serve', '--config', config, '--log-format', 'json'])
    await within(this.#server.serving(), 'a server', this.#server)
  }

  async #startAgent(): Promise<void> {
    const { server, agent } = this.#ports
    this.#agent = new Daemon(this.#options.program, [
      ...['agent', '--server', `127.0.0.1:${server}`, '--listen', `127.0.0.1:${agent}`, '--http', 'none'],
      ...['--data', join(this.#folder, 'agent'), '--host', 'machine', '--log-format', 'json'],
    ])
    await within(this.#agent.logged(/^takes what programs/), 'an agent', this.#agent)
  }

  /** The program's services in the index, once all that were acknowledged are there; those that are after a while, else. */
  async #allThere(): Promise<Set<number>> {
    const { acked } = this.#program
    const url = `http://127.0.0.1:${this.#ports.http}/api/v1/query?query=${encodeURIComponent('host = "program"')}`
    const endMs = performance.now() + patienceMs / 2
    for (;;) {
      const answer = await fetch(url)
      const { events = [] } = (await answer.json()) as { events?: { service: string }[] }
      const found = new Set(events.map(({ service }) => Number(service)))
      if ([...acked].every((id) => found.has(id)) || performance.now() > endMs) return found
    }
  }

  async #judge(kills: Record<string, number>, found: ReadonlySet<number>): Promise<AgentKillsResult> {
    const { acked, again, refusals, sent, longestMs } = this.#program
    const { applied, repeated } = await readEvidence(join(this.#folder, 'data'))
    const lost = [...acked].filter((id) => !applied.has(id))
    const notIndexed = [...acked].filter((id) => !found.has(id))
    const doubled = [...acked].filter((id) => (applied.get(id) ?? 0) > 1 && !again.has(id))
    const some = (ids: readonly number[]): string => `${ids.length}, ${ids.slice(0, 5).join(', ')} among them`
    const wrong = [
      ...(lost.length > 0 ? [`acknowledged and lost: ${some(lost)}`] : []),
      ...(notIndexed.length > 0 ? [`acknowledged and not in the index: ${some(notIndexed)}`] : []),
      ...(doubled.length > 0 ? [`sent once and applied twice: ${some(doubled)}`] : []),
      ...refusals.slice(0, 5).map((text) => `the program was refused: ${text}`),
    ]
    return {
      counts: {
        'kills of the server': kills.servers,
        'kills of the agent': kills.agents,
        'longest time without a server, ms': kills.longestAwayMsSeen,
        'events sent': sent,
        'events acknowledged': acked.size,
        'longest wait for an ack, ms': longestMs,
        'events sent again by the program': again.size,
        'messages in the log more than once': repeated,
        'events in the index': found.size,
      },
      wrong,
    }
  }
}

/** Nothing is waited for without end. */
async function within<T>(work: Promise<T>, what: string, daemon: Daemon | undefined): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    const words = (): string => daemon?.text.slice(-2_000) ?? ''
    timer = setTimeout(() => reject(new Error(`${what}: not within ${patienceMs} ms. ${words()}`)), patienceMs)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** The result for people. */
export function agentKillsText({ counts, wrong }: AgentKillsResult): string {
  return [
    ...Object.entries(counts).map(([name, value]) => `  ${String(value).padStart(7)} ${name}`),
    ...wrong.map((text) => `  WRONG ${text}`),
  ].join('\n')
}
