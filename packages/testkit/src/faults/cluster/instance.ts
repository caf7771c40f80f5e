/** One server of the cluster: its process, which is started again on the same data and ports, and what it says of itself. */
import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Host } from '../../servers/hosts.ts'
import { ask } from '../../servers/http.ts'
import { freePorts } from '../../servers/ports.ts'
import { guarded, serverFolder, removeFolder } from '../../servers/process.ts'
import { Daemon, type Exit } from '../daemon.ts'

/** Longer, and it is not there: frozen, cut off or gone. */
const askMs = 3_000
/** An orderly end that takes longer is none: stepping down has 13 s, the last snapshot as much. */
const endMs = 40_000

/** What it says of each page, which hides the rest. */
const aboutPages = /^page decided|^a page (may|has)|HTTP 503: try again$/

/** What is asked of an instance's status. */
interface Status {
  readonly ready: boolean
  readonly partitions: readonly { readonly partition: number; readonly standing?: string }[]
}

/** What an instance is to others with each partition that it runs, by number: a standby that has not caught up is none. */
export interface Roles {
  readonly ready: boolean
  readonly states: ReadonlyMap<number, string>
}

export interface InstanceOptions {
  /** Path of the built `ricci.mjs`. */
  readonly program: string
  readonly name: string
  readonly host?: Host
  readonly rules: string
  /** What it is told of the cluster, and the rest of its configuration. */
  readonly cluster: Readonly<Record<string, unknown>>
  readonly config: Readonly<Record<string, unknown>>
}

export class Instance {
  frozen = false
  /** Ends that nobody asked for: how it ended, and what it said last. */
  readonly deaths: string[] = []
  private ending = false
  private saidLast = ''
  daemon: Daemon | undefined
  private life = 0

  private constructor(
    private readonly options: InstanceOptions,
    private readonly folder: string,
    readonly ports: { readonly tcp: number; readonly http: number; readonly peers: number },
  ) {}

  /** The log that it was of when it last began. */
  get logId(): string {
    return (JSON.parse(readFileSync(join(this.folder, 'data/log-id'), 'utf8')) as { id: string }).id
  }

  /** Makes its folder; does not start it. */
  static async prepare(options: InstanceOptions): Promise<Instance> {
    const { name, host, rules, config } = options
    const folder = serverFolder(`cluster-${name}`, host?.user)
    const [tcp, http, peers] = await freePorts(3)
    for (const port of [tcp, http, peers]) host?.listens(port)
    mkdirSync(join(folder, 'rules'))
    writeFileSync(join(folder, 'rules/index.ts'), rules)
    const cluster = { ...options.cluster, listen: `127.0.0.1:${peers}`, address: `127.0.0.1:${peers}` }
    const listen = { tcp: `127.0.0.1:${tcp}`, udp: 'off', http: `127.0.0.1:${http}` }
    writeFileSync(
      join(folder, 'ricci.yaml'),
      JSON.stringify({ instance: name, data: 'data', listen, cluster, ...config }),
    )
    if (host !== undefined)
      for (const path of ['.', 'rules']) chownSync(join(folder, path), host.user.uid, host.user.gid)
    return new Instance(options, folder, { tcp, http, peers })
  }

  get name(): string {
    return this.options.name
  }

  get host(): Host | undefined {
    return this.options.host
  }

  get running(): boolean {
    return this.daemon !== undefined
  }

  /** What it runs by from a reload on. */
  writeRules(text: string): void {
    writeFileSync(join(this.folder, 'rules/index.ts'), text)
  }

  start(): void {
    const life = ++this.life
    const words = ['serve', '--config', 'ricci.yaml', '--log-format', 'json']
    // in a session of its own, where a terminal's Ctrl-C does not reach it
    const through = ['setsid', 'setpriv', ...guarded(this.host?.user)]
    const daemon = new Daemon(this.options.program, words, { cwd: this.folder, through })
    this.daemon = daemon
    this.ending = false
    void daemon.exited.then(({ code, signal }) => {
      if (this.life !== life) return
      const { said } = this
      if (!this.ending) this.deaths.push(`${this.name} ended by itself: ${signal ?? code}\n${said}`)
      this.saidLast = said
      this.daemon = undefined
    })
  }

  /** SIGKILL; it is gone when this resolves. */
  async kill(): Promise<void> {
    this.frozen = false
    this.ending = true
    await this.daemon?.kill()
  }

  /** Asks it to stop; resolves with how it ended. Where it does not in time it is killed. */
  async stop(): Promise<Exit> {
    const { daemon } = this
    if (daemon === undefined) return { code: 0, signal: null }
    this.thaw()
    this.ending = true
    const timer = setTimeout(() => void daemon.kill(), endMs)
    const exit = await daemon.stop()
    clearTimeout(timer)
    return exit
  }

  freeze(): void {
    if (this.daemon === undefined) return
    this.frozen = true
    process.kill(this.daemon.pid, 'SIGSTOP')
  }

  thaw(): void {
    this.frozen = false
    if (this.daemon !== undefined) process.kill(this.daemon.pid, 'SIGCONT')
  }

  /** What it does; undefined where it does not say. */
  async roles(): Promise<Roles | undefined> {
    try {
      const { ready, partitions } = (await this.request('/api/v1/status')).json<Status>()
      return { ready, states: new Map(partitions.map(({ partition, standing = 'stopped' }) => [partition, standing])) }
    } catch {
      return undefined
    }
  }

  /** Has it drained, or take part again: as `ricci cluster drain` asks, whose own process would take a core for a second. */
  async drain(on: boolean): Promise<void> {
    const body = { instance: this.name, drain: on }
    const url = `http://127.0.0.1:${this.ports.http}/api/v1/cluster/drain`
    const headers = { 'content-type': 'application/json' }
    const { status, text } = await ask(url, { method: 'POST', body, headers, timeoutMs: askMs })
    if (status !== 200) throw new Error(`${this.name} was not drained: ${status} ${text}`)
  }

  request(path: string): ReturnType<typeof ask> {
    return ask(`http://127.0.0.1:${this.ports.http}${path}`, { timeoutMs: askMs })
  }

  /** What it logged last, for a failure. */
  get said(): string {
    if (this.daemon === undefined) return `not running any more; ${this.saidLast}`
    const lines = this.daemon.lines.map(({ msg }) => msg).filter((line) => !aboutPages.test(line))
    return `${this.name}: ${lines.join('\n').slice(-2_000)}`
  }

  /** What it logged since a moment of its wall clock, each with its time and all that it says. */
  since(wallMs: number): string[] {
    const lines = this.daemon?.lines.filter(({ msg }) => !aboutPages.test(msg)) ?? []
    const told = lines.filter(({ time }) => typeof time !== 'string' || Date.parse(time) >= wallMs)
    return told.map(({ time, msg, ...rest }) => `${String(time)} ${this.name}: ${msg} ${JSON.stringify(rest)}`)
  }

  async close(): Promise<void> {
    await this.kill()
    removeFolder(this.folder)
  }
}
