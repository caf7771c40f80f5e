/**
 * Hostile input, done to every listener of the real daemon: so many attempts at each, drawn from a seed, while clients that behave are served. Afterwards nothing
 * of it is left: no connection, no byte that waits, no memory to speak of; and what was closed was counted.
 */
import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, connect } from 'node:net'
import { connect as secure } from 'node:tls'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { residentBytesOf } from '../../bench/daemon.ts'
import { SeededRandom } from '../../random.ts'
import { CertificateAuthority } from '../../servers/certificates.ts'
import { ask } from '../../servers/http.ts'
import { guarded } from '../../servers/process.ts'
import { pause } from '../../servers/wait.ts'
import { Daemon } from '../daemon.ts'
import { Staying, tried, type Target } from './attempt.ts'
import { Datagrams, droppedByKernel } from './datagrams.ts'
import { httpTarget, sseTarget } from './http.ts'
import { graphiteTarget, openTsdbTarget } from './lines.ts'
import { Neighbours, type Listeners } from './neighbours.ts'
import { goodMsgs, riemannTarget, tlsTarget } from './riemann.ts'
import { webSocketTarget } from './web-sockets.ts'

export interface HostileOptions {
  /** The built `ricci.mjs`. */
  readonly program: string
  /** At each listener. */
  readonly attempts: number
  readonly seed: number
  /** Some of {@link listenerNames}; all of them unless told. */
  readonly listeners?: readonly string[]
  /** The number of the only attempt that is made, to see one again. */
  readonly only?: number
  readonly report: (line: string) => void
}

export const listenerNames = ['tcp', 'udp', 'tls', 'http', 'websocket', 'sse', 'graphite', 'opentsdb'] as const

/** What one listener was done. */
export interface ListenerResult {
  readonly name: string
  readonly attempts: number
  /** How many of each kind. */
  readonly kinds: ReadonlyMap<string, number>
  readonly seconds: number
  /** Rounds in which all neighbours were served meanwhile, and the longest of them. */
  readonly rounds: number
  readonly longestRoundMs: number
  /** Resident memory when a fifth was done, and in the end. */
  readonly earlyBytes: number
  readonly lateBytes: number
  /** What has grown of the server's counters of malformed input and of connections it closed. */
  readonly counted: readonly string[]
  /** What was wrong; nothing of it, hopefully. */
  readonly wrong: readonly string[]
}

/** What came out at one listener, for people. */
export function hostileText(result: ListenerResult): string {
  const { name, attempts, kinds, seconds, rounds, longestRoundMs, earlyBytes, lateBytes, counted, wrong } = result
  const mb = (bytes: number): string => (bytes / 1e6).toFixed(0)
  return [
    `${name}: ${attempts} attempts of ${kinds.size} kinds in ${seconds.toFixed(0)} s; ${rounds} rounds of all neighbours served, the longest ${longestRoundMs.toFixed(0)} ms; ${mb(earlyBytes)} MB after a fifth, ${mb(lateBytes)} in the end`,
    ...counted.map((line) => `  ${line}`),
    ...wrong.map((why) => `  WRONG ${why}`),
  ].join('\n')
}

/** At once, as long as connections last. */
const atOnce = 32

/** A round of the neighbours for so many attempts. */
const attemptsPerRound = 50

/** From a fifth of the attempts to their end the process may grow by this: what waits for the collector, and the index of what was good among it. */
const maxGrowthBytes = 160e6

/** Until all that was left is gone. */
const leavingMs = 60_000

/** What is wrong is told so often at most. */
const maxWrong = 20

const rules = `import { index, rules } from 'ricci'\nexport default rules(index())\n`

/** Runs all of it. Gives what came out for each listener. */
export async function runHostile(options: HostileOptions): Promise<ListenerResult[]> {
  const folder = mkdtempSync(join(tmpdir(), 'ricci-hostile-'))
  const random = new SeededRandom(options.seed)
  let daemon: Daemon | undefined
  try {
    const authority = await CertificateAuthority.create(folder)
    const { certFile, keyFile } = await authority.issue('server')
    mkdirSync(join(folder, 'rules'))
    writeFileSync(join(folder, 'rules', 'index.ts'), rules)
    const any = '127.0.0.1:0'
    const listen = { tcp: any, udp: any, http: any, tls: any, sse: any, graphite: any, opentsdb: any }
    const config = { data: 'data', listen, tls: { cert: certFile, key: keyFile } }
    writeFileSync(join(folder, 'ricci.yaml'), JSON.stringify(config))
    const words = ['serve', '--config', 'ricci.yaml', '--log-format', 'json']
    daemon = new Daemon(options.program, words, { cwd: folder, through: ['setpriv', ...guarded()] })
    const listeners = await listenersOf(daemon)
    const hello = await recordedHello(authority.certificate)
    const targets = new Map<string, Target>(
      [
        riemannTarget(listeners.tcp, random.fork('tcp')),
        tlsTarget(listeners.tls, authority.certificate, hello, random.fork('tls')),
        httpTarget(listeners.http),
        webSocketTarget(listeners.http),
        sseTarget(listeners.sse),
        graphiteTarget(listeners.graphite),
        openTsdbTarget(listeners.opentsdb),
      ].map((target) => [target.name, target]),
    )
    const results: ListenerResult[] = []
    const died = daemon.exited.then(({ code, signal }): never => {
      throw new Error(`the daemon ended (${String(code ?? signal)}):\n${daemon!.text.slice(-4_000)}`)
    })
    // where it ends in its time nobody waits for that
    died.catch(() => undefined)
    for (const name of options.listeners ?? listenerNames) {
      const siege = new Siege(daemon, listeners, authority.certificate, options)
      const run = siege.run(name, targets.get(name)).catch(async (error: unknown): Promise<never> => {
        // that it died explains all else
        await Promise.race([died, pause(1_000)])
        throw error
      })
      const result = await Promise.race([run, died])
      options.report(hostileText(result))
      results.push(result)
    }
    const { code } = await daemon.stop()
    if (code !== 0) throw new Error(`the daemon ended with code ${code}:\n${daemon.text.slice(-2_000)}`)
    return results
  } finally {
    await daemon?.kill()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** One listener, and all that is done to it. */
class Siege {
  private readonly kinds = new Map<string, number>()
  private readonly wrong: string[] = []
  private earlyBytes = 0

  constructor(
    private readonly daemon: Daemon,
    private readonly listeners: Listeners,
    private readonly ca: string,
    private readonly options: HostileOptions,
  ) {}

  /** @param target undefined: datagrams */
  async run(name: string, target: Target | undefined): Promise<ListenerResult> {
    const { daemon, options, listeners } = this
    const socketsBefore = socketsOf(daemon.pid)
    const linesBefore = daemon.lines.length
    const neighbours = await Neighbours.open(listeners, this.ca)
    const began = performance.now()
    let counted: string[] = []
    let lateBytes = 0
    try {
      await neighbours.serve()
      const before = await metricsOf(listeners)
      if (target === undefined) await this.flood(neighbours)
      else await this.besiege(target, neighbours)
      await neighbours.serve().catch((error: unknown) => this.blame(error))
      const after = await this.settled(neighbours)
      counted = grown(before, after)
      for (const line of target?.grows ?? [])
        if (options.only === undefined && !counted.some((one) => one.startsWith(line)))
          this.blame(`${line} has not grown`)
    } finally {
      lateBytes = residentBytesOf(daemon.pid)
      await neighbours.close()
    }
    await this.until('a socket is left over', () => socketsOf(daemon.pid) <= socketsBefore)
    const mb = (lateBytes - this.earlyBytes) / 1e6
    if (lateBytes - this.earlyBytes > maxGrowthBytes) this.blame(`the process grew by ${mb.toFixed(0)} MB`)
    for (const line of daemon.lines.slice(linesBefore))
      if (line.level >= 50 && line.alarm === undefined) this.blame(`it logged: ${JSON.stringify(line).slice(0, 1_000)}`)
    const { kinds, wrong, earlyBytes } = this
    const attempts = [...kinds.values()].reduce((sum, count) => sum + count, 0)
    const seconds = (performance.now() - began) / 1000
    const { rounds, longestMs: longestRoundMs } = neighbours
    return { name, attempts, kinds, seconds, rounds, longestRoundMs, earlyBytes, lateBytes, counted, wrong }
  }

  private async besiege(target: Target, neighbours: Neighbours): Promise<void> {
    const { options } = this
    const staying = new Staying()
    const numbers = this.numbers()
    const one = async (): Promise<void> => {
      for (const n of numbers) {
        const random = new SeededRandom(`${options.seed}/${target.name}/${n}`)
        const attempt = target.draw(random)
        this.note(n, attempt.kind)
        const why = await tried(target, attempt, staying, random)
        if (why !== undefined) this.blame(`${target.name} ${n} (${attempt.kind}): ${why}`)
        staying.dribble(random)
        // who waits here lets the others go on: neighbours are never far behind
        if (n % attemptsPerRound === 0) await neighbours.serve().catch((error: unknown) => this.blame(error))
      }
    }
    await Promise.all(Array.from({ length: atOnce }, one))
    await staying.leave()
  }

  /** Datagrams, as many as a neighbour's round lets through: what became of each is counted. */
  private async flood(neighbours: Neighbours): Promise<void> {
    const { options, listeners } = this
    const datagrams = await Datagrams.open(listeners.udp, goodMsgs(new SeededRandom(options.seed)))
    const before = [await seenDatagrams(listeners), neighbours.datagrams, droppedByKernel(listeners.udp)]
    let sent = 0
    for (const n of this.numbers()) {
      this.note(n, await datagrams.send(new SeededRandom(`${options.seed}/udp/${n}`)))
      sent++
      if (n % attemptsPerRound === 0) await neighbours.serve().catch((error: unknown) => this.blame(error))
    }
    await datagrams.close()
    await neighbours.serve().catch((error: unknown) => this.blame(error))
    const after = [await seenDatagrams(listeners), neighbours.datagrams, droppedByKernel(listeners.udp)]
    const [seen, others, lost] = after.map((count, i) => count - before[i])
    if (seen + lost !== sent + others)
      this.blame(
        `${sent} datagrams and ${others} of others were sent, ${seen} were counted, the kernel dropped ${lost}`,
      )
  }

  private *numbers(): Generator<number> {
    const { only, attempts } = this.options
    if (only !== undefined) yield only
    else for (let n = 1; n <= attempts; n++) yield n
  }

  private note(n: number, kind: string): void {
    const { attempts, only, report } = this.options
    this.kinds.set(kind, (this.kinds.get(kind) ?? 0) + 1)
    if (n === Math.ceil(attempts / 5) || only !== undefined) this.earlyBytes = residentBytesOf(this.daemon.pid)
    if (n % 10_000 === 0) report(`  ${n}: ${(residentBytesOf(this.daemon.pid) / 1e6).toFixed(0)} MB`)
  }

  /** Once none but the neighbours' connections are open, and nothing waits. */
  private async settled(neighbours: Neighbours): Promise<Metrics> {
    const { intake, http } = neighbours.connections
    let metrics: Metrics = new Map()
    await this.until('connections, or bytes that wait, are left over', async () => {
      metrics = await metricsOf(this.listeners)
      const has = (name: string): number => metrics.get(name) ?? NaN
      return (
        has('ricci_intake_connections') === intake &&
        has('ricci_intake_queued_bytes') === 0 &&
        has('ricci_intake_held_acks') === 0 &&
        // and the one that asks
        has('ricci_http_connections') === http + 1
      )
    })
    return metrics
  }

  private async until(otherwise: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
    const deadlineMs = performance.now() + leavingMs
    while (!(await isSo())) {
      if (performance.now() > deadlineMs) return this.blame(otherwise)
      await pause()
    }
  }

  private blame(why: unknown): void {
    const text = why instanceof Error ? why.message : String(why)
    if (this.wrong.length < maxWrong && !this.wrong.includes(text)) this.wrong.push(text)
  }
}

type Metrics = ReadonlyMap<string, number>

async function metricsOf({ http }: Listeners): Promise<Metrics> {
  const { text } = await ask(`http://127.0.0.1:${http}/metrics`, { timeoutMs: 60_000 })
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  )
}

/** Datagrams that the server has counted, whatever became of them. */
async function seenDatagrams(listeners: Listeners): Promise<number> {
  const metrics = await metricsOf(listeners)
  const of = (name: string): number => metrics.get(name) ?? 0
  return (
    of('ricci_intake_messages_total{transport="udp"}') +
    of('ricci_intake_malformed_total{transport="udp"}') +
    of('ricci_intake_dropped_total{reason="too-large"}')
  )
}

/** Of refusals and closed connections, those that have grown, and by how much. */
function grown(before: Metrics, after: Metrics): string[] {
  return [...after].flatMap(([name, value]) => {
    const more = value - (before.get(name) ?? 0)
    const tells = /malformed|dropped|closed_total|http_requests|events_total/.test(name)
    return tells && more > 0 ? [`${name} +${more}`] : []
  })
}

/** Sockets that a process holds: none of its own counts is asked. */
function socketsOf(pid: number): number {
  const folder = `/proc/${pid}/fd`
  return readdirSync(folder).filter((fd) => {
    try {
      return readlinkSync(`${folder}/${fd}`).startsWith('socket:')
    } catch {
      return false // closed meanwhile
    }
  }).length
}

async function listenersOf(daemon: Daemon): Promise<Listeners> {
  const said = await daemon.logged(/^ricci \S+ serves$/)
  const port = (name: string): number => Number(String(said[name]).split(':').at(-1))
  const listeners = {
    ...{ tcp: port('tcp'), udp: port('udp'), tls: port('tls'), http: port('http'), sse: port('sse') },
    ...{ graphite: port('graphite'), opentsdb: port('opentsdb') },
  }
  while ((await ask(`http://127.0.0.1:${listeners.http}/readyz`)).status !== 200) await pause()
  return listeners
}

/** What a TLS client says first. */
async function recordedHello(ca: string): Promise<Buffer> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const client = secure({ socket: connect(port, '127.0.0.1'), ca, servername: 'localhost' })
  client.on('error', () => undefined)
  const [socket] = (await once(server, 'connection')) as [import('node:net').Socket]
  const [hello] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  client.destroy()
  server.close()
  await once(server, 'close')
  return hello
}
