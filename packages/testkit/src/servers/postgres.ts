/** A real PostgreSQL on loopback, on a database cluster made for it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CertificateAuthority } from './certificates.ts'
import { FalseClock } from './false-clock.ts'
import { freePorts } from './ports.ts'
import {
  ready,
  removeFolder,
  runProgram,
  serverFolder,
  ServerProcess,
  unprivileged,
  type ServerUser,
} from './process.ts'
import { beside, program } from './program.ts'

export interface PostgresOptions {
  /** Whether commits wait for the disk, as they do unless told; without it a start is faster, and so is everything else. */
  readonly fsync?: boolean
  /** On top of its configuration, e.g. `{ idle_session_timeout: '2s' }`. */
  readonly settings?: Readonly<Record<string, string | number>>
  /** Connections over TCP must be encrypted; {@link PostgresServer.authority} signed the server's certificate. */
  readonly tls?: boolean
  /** The server's wall clock can be set apart from the machine's: {@link PostgresServer.setClockOffset}. Needs `faketime`. */
  readonly ownClock?: boolean
}

/** How a server is restarted: `fast` ends its sessions first, `immediate` is a crash and recovery follows. */
export type PostgresRestart = 'fast' | 'immediate'

/** The signal by which a server is told to stop like that. */
const stopSignals = { fast: 'SIGINT', immediate: 'SIGQUIT' } as const
const userName = 'ricci'
const password = 'of-a-test'
/** After a kill the old sessions need a moment to see that their server is gone; until then a new one refuses to start. */
const stillInUse = /pre-existing shared memory block|lock file "postmaster.pid" already exists/
const restartMs = 30_000

export class PostgresServer {
  private process: ServerProcess
  private freezing: ChildProcess | undefined
  private stopping: Promise<void> | undefined

  private constructor(
    private readonly folder: string,
    /** Of 127.0.0.1. */
    readonly port: number,
    private readonly words: readonly string[],
    /** Who signed the server's certificate, with `tls`. */
    readonly authority: CertificateAuthority | undefined,
    private readonly clock: FalseClock | undefined,
    private readonly user: ServerUser | undefined,
  ) {
    this.process = this.spawn()
  }

  /** Starts one; resolves when it takes queries. @throws Error with its output when it does not get there */
  static async start(options: PostgresOptions = {}): Promise<PostgresServer> {
    const { fsync = true, tls = false, ownClock = false } = options
    const user = unprivileged()
    const folder = serverFolder('postgres', user)
    const data = await initialise(folder, user)
    const [port] = await freePorts(1)
    const authority = tls ? await CertificateAuthority.create(folder) : undefined
    const certificate = await authority?.issue('postgres', { user })
    if (tls) writeFileSync(join(data, 'pg_hba.conf'), 'hostssl all all 127.0.0.1/32 scram-sha-256\n')
    const settings = {
      port,
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      fsync: fsync ? 'on' : 'off',
      // shared memory in its own folder rather than in /dev/shm, which nobody would clear after a kill
      dynamic_shared_memory_type: 'mmap',
      ...(certificate && { ssl: 'on', ssl_cert_file: certificate.certFile, ssl_key_file: certificate.keyFile }),
      ...options.settings,
    }
    const words = ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
    const clock = ownClock ? new FalseClock(join(folder, 'clock')) : undefined
    const server = new PostgresServer(folder, port, words, authority, clock, user)
    try {
      await server.ready()
    } catch (error) {
      await server.stop()
      throw error
    }
    return server
  }

  /** Where clients connect, with user, password and database. */
  get url(): string {
    return `postgres://${userName}:${password}@127.0.0.1:${this.port}/postgres`
  }

  /** The end of what the server wrote, for the message of a failure. */
  get output(): string {
    return this.process.output
  }

  /**
   * Runs SQL by psql on a connection of its own; gives the lines of its answer, columns separated by `|`.
   * @param url where to connect, e.g. to a proxy before it
   * @throws Error with what psql said, when it fails
   */
  query(sql: string, url = this.url): Promise<readonly string[]> {
    return query(this.folder, url, sql, this.authority)
  }

  /** What it is, as it says itself. */
  async about(): Promise<string> {
    const [version] = await this.query("select current_setting('server_version')")
    return `PostgreSQL ${version.split(' ')[0]}: 1 server`
  }

  /** Resolves when it takes queries. */
  async ready(): Promise<void> {
    await ready('PostgreSQL', [this.process], () => this.query('select 1'))
  }

  /**
   * Sends a signal to the server: SIGKILL and SIGSTOP to all of its processes, as when its machine dies or stands still, anything else to
   * the first one, which passes it on. After SIGKILL it is gone when this resolves.
   */
  async signal(name: NodeJS.Signals): Promise<void> {
    if (name === 'SIGCONT') return this.thaw()
    if (name !== 'SIGKILL' && name !== 'SIGSTOP') return this.process.signal(name)
    const all = [this.process.pid, ...childrenOf(this.process.pid)]
    if (!this.process.running) return
    for (const pid of all) send(pid, name)
    if (name === 'SIGSTOP') this.freezing = guardFrozen(all)
    else {
      await this.thaw()
      await this.process.exited
    }
  }

  /** Starts it anew on its data, and resolves when it takes queries; one that does not run is just started. */
  async restart(how: PostgresRestart = 'fast'): Promise<void> {
    await this.thaw()
    await this.process.end(stopSignals[how])
    const deadline = performance.now() + restartMs
    for (;;) {
      this.process = this.spawn()
      try {
        return await this.ready()
      } catch (error) {
        if (!stillInUse.test(this.output) || performance.now() > deadline) throw error
      }
    }
  }

  /** Sets the server's wall clock so far ahead of the machine's (or behind, if negative), at once and for what is connected. Its timers run on. */
  setClockOffset(offsetMs: number): void {
    if (this.clock === undefined) throw new Error('This server was not started with ownClock.')
    this.clock.set(offsetMs)
  }

  /** Ends it and removes its files. May be called again. */
  stop(): Promise<void> {
    this.stopping ??= this.end()
    return this.stopping
  }

  private async end(): Promise<void> {
    await this.thaw()
    await this.process.end(stopSignals.immediate)
    removeFolder(this.folder)
  }

  private async thaw(): Promise<void> {
    const { freezing } = this
    if (freezing === undefined) return
    this.freezing = undefined
    const gone = once(freezing, 'exit')
    freezing.stdin!.end()
    await gone
  }

  private spawn(): ServerProcess {
    const env = this.clock?.environment ?? {}
    return new ServerProcess(program('postgres'), this.words, { folder: this.folder, user: this.user, env })
  }
}

/** Runs SQL at a PostgreSQL or what stands before one. */
export function query(
  folder: string,
  url: string,
  sql: string,
  authority: CertificateAuthority | undefined,
): Promise<readonly string[]> {
  const trust = authority && { PGSSLMODE: 'verify-full', PGSSLROOTCERT: authority.file }
  const words = ['--no-psqlrc', '--quiet', '--no-align', '--tuples-only', '--set=ON_ERROR_STOP=1', '-c', sql, url]
  return runProgram(beside(program('postgres'), 'psql'), words, { folder, env: { PGCONNECT_TIMEOUT: '5', ...trust } })
}

/** Makes a database cluster; gives its folder. */
async function initialise(folder: string, user: ServerUser | undefined): Promise<string> {
  const data = join(folder, 'data')
  const secret = join(folder, 'password')
  writeFileSync(secret, password)
  if (user !== undefined) chownSync(secret, user.uid, user.gid)
  const identity = ['--username', userName, '--pwfile', secret, '--auth', 'scram-sha-256']
  const speed = ['--no-locale', '--encoding', 'UTF8', '--no-sync', '--no-instructions']
  await runProgram(beside(program('postgres'), 'initdb'), ['-D', data, ...identity, ...speed], { folder, user })
  return data
}

/** A shell that lets frozen processes go on once its input ends: when we say so, or die. */
function guardFrozen(pids: readonly number[]): ChildProcess {
  const words = ['-c', 'read -r _; kill -CONT "$@" 2>/dev/null', 'sh', ...pids.map(String)]
  // outlives what ends our process group
  return spawn('sh', words, { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        // the command's name, in parentheses, may hold anything
        return Number(readFileSync(`/proc/${name}/stat`, 'utf8').split(') ').at(-1)!.split(' ')[1]) === parent
      } catch {
        return false // it has just ended
      }
    })
    .map(Number)
}

function send(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error // it has just ended
  }
}
