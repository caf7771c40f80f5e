/** What tests of the daemon share: a server on ephemeral ports with its data in a folder that goes with the test. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { RiemannTcpClient } from '@ricci/client'
import { defaultConfig, type Config } from '../config/config.ts'
import { TypeCheck } from '../rules/type-check.ts'
import { createLogger } from '../telemetry/logger.ts'
import { Telemetry } from '../telemetry/telemetry.ts'
import { builtFile } from './built-file.ts'
import { nodeClock } from './node-clock.ts'
import { Server, type ServerOptions } from './server.ts'

export const plainRules = `import { index, rules } from 'ricci'
export default rules(index())
`

/** Of all servers of a file of tests: what each would parse anew takes a second of a core. */
const types = new TypeCheck({ file: builtFile('type-checker'), clock: nodeClock, keep: true })
after(() => types.close())

/** A folder for data and rules, and the servers on it. */
export class Bench {
  readonly folder = mkdtempSync(join(tmpdir(), 'ricci-test-'))
  /** What console receivers were given. */
  readonly lines: string[] = []
  /** What was logged. */
  readonly logged: string[] = []
  private readonly open: { stop(): Promise<void> }[] = []
  private readonly clients: RiemannTcpClient[] = []
  private readonly told = new Set<() => void>()

  constructor(rules = plainRules) {
    mkdirSync(join(this.folder, 'rules'))
    this.writeRules(rules)
  }

  writeRules(text: string): void {
    writeFileSync(join(this.folder, 'rules', 'index.ts'), text)
  }

  config(more: Partial<Config> = {}): Config {
    const any = { host: '127.0.0.1', port: 0 }
    return {
      ...defaultConfig(this.folder),
      dataFolder: join(this.folder, 'data'),
      instance: 'here',
      listen: { tcp: any, udp: any, http: any },
      ...more,
    }
  }

  server(more: Partial<ServerOptions> = {}): Server {
    const log = createLogger({ format: 'people', write: (line) => this.note(this.logged, line) })
    const server = new Server({
      config: this.config(),
      version: '0.0.0',
      types,
      telemetry: new Telemetry(log, () => nodeClock.monotonicMs()),
      console: (line) => this.note(this.lines, line),
      ...more,
    })
    this.open.push(server)
    return server
  }

  /** A client of the server that listens at an address. */
  client(address: string | undefined): RiemannTcpClient {
    const client = new RiemannTcpClient({
      host: '127.0.0.1',
      port: Number(address!.split(':').at(-1)),
      timeoutMs: 20_000,
    })
    this.clients.push(client)
    return client
  }

  /** The services of host a in the index, sorted, once the awaited one is among them: an engine may be restored meanwhile. */
  async services(http: string | undefined, awaited: string): Promise<(string | undefined)[]> {
    for (;;) {
      const answer = await fetch(`http://${http}/api/v1/query?query=${encodeURIComponent('host = "a"')}`)
      if (answer.status !== 200) continue
      const { events } = (await answer.json()) as { events: { service?: string }[] }
      const found = events.map((event) => event.service)
      if (found.includes(awaited)) return found.sort()
    }
  }

  /** Resolves with the first line written or logged, now or later, that matches. */
  async said(pattern: RegExp): Promise<string> {
    for (;;) {
      const line = [...this.lines, ...this.logged].find((text) => pattern.test(text))
      if (line !== undefined) return line
      await new Promise<void>((resolve) => this.told.add(resolve))
    }
  }

  async close(): Promise<void> {
    for (const client of this.clients) await client.close()
    for (const server of this.open) await server.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }

  private note(list: string[], line: string): void {
    list.push(line)
    for (const tell of this.told) tell()
    this.told.clear()
  }
}
