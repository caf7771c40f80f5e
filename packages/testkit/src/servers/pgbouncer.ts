/** A real PgBouncer before a PostgreSQL of a test, in transaction mode: a session has a server's connection for a transaction only. */
import { chownSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePorts } from './ports.ts'
import { query } from './postgres.ts'
import { ready, removeFolder, serverFolder, ServerProcess, unprivileged } from './process.ts'
import { program } from './program.ts'

export interface PgBouncerOptions {
  /** Connections to the server at most; sessions beyond wait. 20 unless told, as PgBouncer has it. */
  readonly poolSize?: number
  /** On top of its configuration, e.g. `{ query_wait_timeout: 5 }`. */
  readonly settings?: Readonly<Record<string, string | number>>
}

export class PgBouncer {
  private stopping: Promise<void> | undefined

  private constructor(
    private readonly folder: string,
    private readonly process: ServerProcess,
    /** Where clients connect instead of the server, with user, password and database. */
    readonly url: string,
  ) {}

  /**
   * Starts one before a PostgreSQL, or a proxy before that; resolves when a query through it succeeds.
   * @throws Error with its output when it does not get there
   */
  static async start(
    postgres: { readonly url: string },
    { poolSize = 20, settings = {} }: PgBouncerOptions = {},
  ): Promise<PgBouncer> {
    const user = unprivileged()
    const folder = serverFolder('pgbouncer', user)
    const [port] = await freePorts(1)
    const server = new URL(postgres.url)
    const users = join(folder, 'users.txt')
    const file = join(folder, 'pgbouncer.ini')
    const configuration = {
      listen_addr: '127.0.0.1',
      listen_port: port,
      unix_socket_dir: '',
      pool_mode: 'transaction',
      default_pool_size: poolSize,
      auth_type: 'scram-sha-256',
      auth_file: users,
      admin_users: server.username,
      ...settings,
    }
    const lines = Object.entries(configuration).map(([name, value]) => `${name} = ${value}`)
    const database = `postgres = host=127.0.0.1 port=${server.port} dbname=postgres`
    writeFileSync(users, `"${server.username}" "${server.password}"\n`)
    writeFileSync(file, ['[databases]', database, '[pgbouncer]', ...lines, ''].join('\n'))
    if (user !== undefined) for (const path of [users, file]) chownSync(path, user.uid, user.gid)
    const running = new ServerProcess(program('pgbouncer'), [file], { folder, user })
    const url = new URL(postgres.url)
    url.port = `${port}`
    const pgbouncer = new PgBouncer(folder, running, url.href)
    try {
      await ready('PgBouncer', [running], () => pgbouncer.query('select 1'))
    } catch (error) {
      await pgbouncer.stop()
      throw error
    }
    return pgbouncer
  }

  /** Runs SQL through it, as `PostgresServer.query` does; on the database `pgbouncer` its own commands, e.g. `show pools`. */
  query(sql: string, database = 'postgres'): Promise<readonly string[]> {
    return query(this.folder, this.url.replace(/\w+$/, database), sql, undefined)
  }

  /** Sends its process a signal. */
  signal(name: NodeJS.Signals): void {
    this.process.signal(name)
  }

  /** Ends it and removes its files. May be called again. */
  stop(): Promise<void> {
    this.stopping ??= this.process.end().then(() => removeFolder(this.folder))
    return this.stopping
  }
}
