import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { builtProgram } from './built.ts'

/** Linux counts processor time for programs in hundredths of a second, whatever the kernel's own tick. */
const tickNs = 10_000_000
/** How often the server is asked how far it is: seldom enough that answering does not show. */
const pollMs = 25

interface Status {
  readonly partitions: readonly {
    readonly log: { readonly end: number }
    readonly engine: { readonly appliedOffset: number }
  }[]
}

/** The built program, serving in a process of its own on free ports of this machine, with a durable log on this disk. */
export class Daemon {
  private constructor(
    private readonly child: ChildProcess,
    private readonly folder: string,
    readonly url: string,
    readonly port: number,
  ) {}

  /** Starts it and waits until it evaluates rules. @param settings of its configuration, beside where it listens */
  static async start(rules: string, settings: Readonly<Record<string, unknown>> = {}): Promise<Daemon> {
    // Beside the code rather than in /tmp, which is often no disk at all.
    mkdirSync('.build', { recursive: true })
    const folder = mkdtempSync(join('.build', 'bench-server-'))
    mkdirSync(join(folder, 'rules'))
    writeFileSync(join(folder, 'rules', 'index.ts'), rules)
    const listen = { tcp: '127.0.0.1:0', udp: 'off', http: '127.0.0.1:0' }
    writeFileSync(join(folder, 'ricci.yaml'), JSON.stringify({ data: 'data', listen, ...settings }))
    const args = [builtProgram('ricci'), 'serve', '--config', join(folder, 'ricci.yaml'), '--log-format', 'json']
    // flags for a profiler may be handed to the server alone
    const flags = (process.env.RICCI_BENCH_SERVER_FLAGS ?? '').split(' ').filter((flag) => flag !== '')
    const child = spawn(process.execPath, [...flags, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
    const said: string[] = []
    for await (const line of createInterface(child.stderr!)) {
      said.push(line)
      const { tcp, http } = JSON.parse(line) as { tcp?: string; http?: string }
      if (tcp === undefined) continue
      child.stderr!.resume()
      const daemon = new Daemon(child, folder, `http://${http}`, Number(tcp.split(':')[1]))
      while (!(await fetch(`${daemon.url}/readyz`)).ok) await sleep(pollMs)
      return daemon
    }
    rmSync(folder, { recursive: true, force: true })
    throw new Error(`the server ended before it listened:\n${said.join('\n')}`)
  }

  /** Resolves when everything that is durable now has been applied. */
  async applied(): Promise<void> {
    const { partitions } = await this.status()
    const areApplied = async (): Promise<boolean> => {
      const now = await this.status()
      return partitions.every(({ log }, place) => now.partitions[place].engine.appliedOffset >= log.end - 1)
    }
    while (!(await areApplied())) await sleep(pollMs)
  }

  /** Processor time of all its threads so far, nanoseconds. */
  cpuNs(): number {
    return cpuNsOf(this.child.pid!)
  }

  /** Processor time of each thread that is alive, nanoseconds, by its id; the main thread's comes first. */
  threadCpuNs(): Map<number, number> {
    const folder = `/proc/${this.child.pid}/task`
    return new Map(readdirSync(folder).map((id) => [Number(id), ticksOf(`${folder}/${id}/stat`) * tickNs]))
  }

  /** Resident memory, bytes. */
  residentBytes(): number {
    return residentBytesOf(this.child.pid!)
  }

  /** The value of a metric without labels. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text()
    const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `))
    if (line === undefined) throw new Error(`the server has no metric ${name}`)
    return Number(line.split(' ')[1])
  }

  async stop(): Promise<void> {
    const exited = once(this.child, 'exit')
    this.child.kill('SIGTERM')
    await exited
    rmSync(this.folder, { recursive: true, force: true })
  }

  private async status(): Promise<Status> {
    return (await (await fetch(`${this.url}/api/v1/status`)).json()) as Status
  }
}

/** Processor time of a process, nanoseconds. */
export function cpuNsOf(pid: number): number {
  return ticksOf(`/proc/${pid}/stat`) * tickNs
}

/** Resident memory of a process, bytes. */
export function residentBytesOf(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kilobytes) * 1024
}

/** User and system time of a process or thread, from proc(5)'s `stat`. */
function ticksOf(file: string): number {
  const text = readFileSync(file, 'utf8')
  // the second field is the name, in parentheses, and may itself hold spaces
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}
