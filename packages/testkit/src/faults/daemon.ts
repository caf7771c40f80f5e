/** The built product as a process of its own: started with a configuration, listened to by its log lines, ended by its pid. */
import { spawn, type ChildProcess } from 'node:child_process'

/** One line of the process's log: pino's JSON, or text that came from elsewhere. */
export interface LogLine {
  readonly level: number
  readonly msg: string
  readonly [field: string]: unknown
}

/** Where a daemon listens; ports of 127.0.0.1. */
export interface Ports {
  readonly tcp: number
  /** 0 where it is off. */
  readonly udp: number
  readonly http: number
}

/** How a process ended. */
export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A `ricci` process. Whoever starts one ends it. */
export class Daemon {
  /** What it logged so far; the last of them say why it ended. */
  readonly lines: LogLine[] = []
  /** What it wrote to standard output. */
  output = ''
  /** Resolves when the process is gone and its streams are read to their end. */
  readonly exited: Promise<Exit>
  private readonly child: ChildProcess
  private readonly listeners = new Set<() => void>()
  private gone = false
  private partial = ''

  /**
   * @param program path of the built `ricci.mjs`
   * @param words its command line
   * @param options `through`: a command that becomes the daemon with `exec`, by the words that follow its own
   */
  constructor(
    program: string,
    words: readonly string[],
    { cwd, through = [] }: { readonly cwd?: string; readonly through?: readonly string[] } = {},
  ) {
    const [command, ...rest] = [...through, process.execPath, program, ...words]
    this.child = spawn(command, rest, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => (this.output += text))
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => this.read(text))
    this.exited = new Promise((resolve) =>
      this.child.on('close', (code, signal) => {
        this.gone = true
        if (this.partial !== '') this.read('\n')
        resolve({ code, signal })
        this.tell()
      }),
    )
  }

  get pid(): number {
    return this.child.pid!
  }

  /** Everything logged, one message a line. */
  get text(): string {
    return this.lines.map((line) => line.msg).join('\n')
  }

  /**
   * Resolves with the first line, logged already or later, whose message matches.
   * @throws Error with the log's end, when the process ends first
   */
  async logged(pattern: RegExp): Promise<LogLine> {
    for (;;) {
      const line = this.lines.find(({ msg }) => pattern.test(msg))
      if (line !== undefined) return line
      if (this.gone) throw new Error(`the daemon ended without saying ${pattern}; it said:\n${this.text.slice(-2_000)}`)
      await new Promise<void>((resolve) => this.listeners.add(resolve))
    }
  }

  /** Resolves once it listens. Throws as {@link logged}. */
  async serving(): Promise<Ports> {
    const { tcp, udp, http } = await this.logged(/^ricci \S+ serves$/)
    return { tcp: portOf(tcp), udp: portOf(udp), http: portOf(http) }
  }

  /** kill -9: the process runs not one instruction more. */
  async kill(): Promise<Exit> {
    this.child.kill('SIGKILL')
    return this.exited
  }

  /** Asks it to load its rules anew. */
  reload(): void {
    this.child.kill('SIGHUP')
  }

  /** Asks it to stop, and waits for its end. */
  async stop(): Promise<Exit> {
    this.child.kill('SIGTERM')
    return this.exited
  }

  /** From now on nobody reads what it prints and logs: its writes fail. */
  deafen(): void {
    this.child.stdout!.destroy()
    this.child.stderr!.destroy()
  }

  private read(text: string): void {
    const parts = (this.partial + text).split('\n')
    this.partial = parts.pop()!
    for (const part of parts) this.lines.push(parse(part))
    this.tell()
  }

  private tell(): void {
    const told = [...this.listeners]
    this.listeners.clear()
    for (const tell of told) tell()
  }
}

function parse(line: string): LogLine {
  try {
    const entry: unknown = JSON.parse(line)
    if (typeof entry === 'object' && entry !== null && 'msg' in entry) return entry as LogLine
  } catch {
    // no line of the logger: what the command line says for people, or a crash's trace
  }
  return { level: 60, msg: line }
}

function portOf(address: unknown): number {
  return address === undefined ? 0 : Number(String(address).split(':').at(-1))
}
