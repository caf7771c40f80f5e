/**
 * A server as a process of ours, in a session of its own, where a terminal's Ctrl-C does not reach it. It ends when this process does, however that
 * ends: the kernel kills it (PR_SET_PDEATHSIG, set by `setpriv`), and a frozen one as well. Programs that refuse to run as root run as somebody else when we are root.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { chownSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeDeadline, pause } from './wait.ts'
import type { Program } from './program.ts'

/** Lines of output kept, of which the last are shown with a failure. */
const keptLines = 400
const shownLines = 40
/** An orderly end that takes longer is none. */
const endMs = 10_000

/** How a process ended. */
export interface ServerExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** Whom a server runs as. */
export interface ServerUser {
  readonly uid: number
  readonly gid: number
  /** It may read and write whatever root may: programs lie where they lie. */
  readonly readsAll?: boolean
}

export interface ServerProcessOptions {
  /** Its working directory: the server's own folder, so that nothing is written elsewhere. */
  readonly folder: string
  /** On top of our environment. */
  readonly env?: Readonly<Record<string, string>>
  /** Whom it runs as; us, unless told. */
  readonly user?: ServerUser
  /** A part of the line by which it says that it has started. */
  readonly startedBy?: string
}

/** Words of `setpriv` for a process that ends with ours, however that ends, and runs as somebody. */
export function guarded(user?: ServerUser): string[] {
  const identity = user === undefined ? [] : [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups']
  const rights = user?.readsAll === true ? ['--inh-caps=+dac_override', '--ambient-caps=+dac_override'] : []
  return ['--pdeathsig=KILL', ...identity, ...rights]
}

/** A running server. Whoever starts one ends it. */
export class ServerProcess {
  /** Its last lines of standard output and error. */
  readonly lines: string[] = []
  /** Resolves when it is gone and its output was read to the end. */
  readonly exited: Promise<ServerExit>
  /** How it ended, once it has. */
  exit: ServerExit | undefined
  /** Whether it has said that it has started, however much it said since. */
  started = false
  private readonly child: ChildProcess
  private readonly listeners = new Set<() => void>()

  constructor(
    program: Pick<Program, 'file' | 'libraries'>,
    args: readonly string[],
    private readonly options: ServerProcessOptions,
  ) {
    const { folder, env = {}, user } = options
    const libraries = program.libraries.length === 0 ? {} : { LD_LIBRARY_PATH: program.libraries.join(':') }
    // by `env`, so that the machine's own setpriv does not see foreign libraries
    const settings = Object.entries({ ...libraries, ...env }).map(([name, value]) => `${name}=${value}`)
    const words = [...guarded(user), 'env', ...settings, program.file, ...args]
    this.child = spawn('setpriv', words, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    for (const stream of [this.child.stdout!, this.child.stderr!]) this.read(stream)
    this.exited = new Promise((resolve) =>
      this.child.on('close', (code, signal) => {
        this.exit = { code, signal }
        resolve(this.exit)
        this.tell()
      }),
    )
  }

  get pid(): number {
    return this.child.pid!
  }

  get running(): boolean {
    return this.exit === undefined && this.child.exitCode === null && this.child.signalCode === null
  }

  /** The end of its output, as text for a failure. */
  get output(): string {
    return this.lines.slice(-shownLines).join('\n')
  }

  /**
   * Resolves with the first of the kept lines, written already or later, that matches.
   * @throws Error with the end of its output, when it ends first or `withinMs` pass
   */
  async logged(pattern: RegExp, withinMs = 30_000): Promise<string> {
    const deadline = performance.now() + withinMs
    for (;;) {
      const line = this.lines.find((text) => pattern.test(text))
      if (line !== undefined) return line
      if (this.exit !== undefined)
        throw new Error(`The server ended without saying ${pattern}; it said:\n${this.output}`)
      const told = new Promise<void>((resolve) => this.listeners.add(resolve))
      if (!(await beforeDeadline(told, deadline)))
        throw new Error(`The server has not said ${pattern} within ${withinMs} ms; it said:\n${this.output}`)
    }
  }

  /** Sends a signal, if it still runs. A frozen one (SIGSTOP) goes on at SIGCONT. */
  signal(name: NodeJS.Signals): void {
    this.child.kill(name)
  }

  /** Ends it and waits until it is gone: by `name`, and where that is of no use by SIGKILL. May be called again. */
  async end(name: NodeJS.Signals = 'SIGKILL'): Promise<ServerExit> {
    if (this.running) {
      this.signal(name)
      // a frozen one hears of it only when it goes on
      if (name !== 'SIGKILL') this.signal('SIGCONT')
      if (!(await beforeDeadline(this.exited, performance.now() + endMs))) this.signal('SIGKILL')
    }
    return this.exited
  }

  private read(stream: NodeJS.ReadableStream): void {
    let partial = ''
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => {
      const parts = (partial + text).split('\n')
      partial = parts.pop()!
      this.lines.push(...parts)
      const { startedBy } = this.options
      if (startedBy !== undefined && parts.some((line) => line.includes(startedBy))) this.started = true
      if (this.lines.length > keptLines) this.lines.splice(0, this.lines.length - keptLines)
      this.tell()
    })
    stream.on('end', () => partial !== '' && this.lines.push(partial))
  }

  private tell(): void {
    const told = [...this.listeners]
    this.listeners.clear()
    for (const tell of told) tell()
  }
}

/** Runs a program to its end; gives what it wrote. @throws Error with its output when it fails */
export async function runProgram(
  program: Program,
  args: readonly string[],
  options: ServerProcessOptions,
): Promise<readonly string[]> {
  const running = new ServerProcess(program, args, options)
  const { code, signal } = await running.exited
  if (code !== 0) throw new Error(`${program.file} ended with ${code ?? signal}:\n${running.output}`)
  return running.lines
}

/**
 * Resolves with what `attempt` gives, asked again and again until it gives something: a server is ready when a real request
 * succeeds. An attempt that throws counts as nothing yet.
 * @throws Error with the output of the processes, when one of them ends or `withinMs` pass
 */
export async function ready<T>(
  what: string,
  processes: readonly ServerProcess[],
  attempt: () => Promise<T | undefined>,
  withinMs = 60_000,
): Promise<T> {
  const deadline = performance.now() + withinMs
  let last: unknown = 'nothing'
  for (;;) {
    try {
      const answer = await attempt()
      if (answer !== undefined) return answer
    } catch (error) {
      last = error
    }
    const ended = processes.find(({ running }) => !running)
    const late = performance.now() > deadline ? `not within ${withinMs} ms` : undefined
    const why = ended === undefined ? late : `its process ended with ${ended.exit?.code ?? ended.exit?.signal}`
    if (why !== undefined) {
      const said = processes.map(({ output }) => output).join('\n--\n')
      throw new Error(`${what}: ${why}. The last attempt gave ${String(last)}. Its output ends with:\n${said}`)
    }
    await pause()
  }
}

/** Whom a program runs as that refuses to be root: PostgreSQL's user where there is one, else nobody; us, where we are not root. */
export function unprivileged(): ServerUser | undefined {
  if (process.getuid!() !== 0) return undefined
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  const [, , uid, gid] = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody') ?? []
  if (gid === undefined)
    throw new Error('/etc/passwd knows neither postgres nor nobody: start the tests as another user than root.')
  return { uid: Number(uid), gid: Number(gid) }
}

/** An empty folder for a server's files. Whoever makes one calls {@link removeFolder}. */
export function serverFolder(name: string, user?: ServerUser): string {
  const folder = mkdtempSync(join(tmpdir(), `ricci-${name}-`))
  if (user !== undefined) chownSync(folder, user.uid, user.gid)
  return folder
}

/** Removes a server's files; once its processes are gone, of which a child may still be writing its last. */
export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 10 })
}
