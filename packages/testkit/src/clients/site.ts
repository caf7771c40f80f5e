/** A server set up as the guide says, as a process of its own, and the shell of a machine beside it. */
import { execFile } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { RiemannTcpClient, type Event } from '@ricci/client'
import { builtProgram } from '../bench/built.ts'
import { Daemon } from '../faults/daemon.ts'
import type { DebianTree } from '../house/tools.ts'
import { CertificateAuthority } from '../servers/certificates.ts'
import { freePorts } from '../servers/ports.ts'
import { removeFolder, serverFolder } from '../servers/process.ts'
import type { Guide } from './guide.ts'

const execute = promisify(execFile)

/** The ports that the guide speaks of, Riemann's own. */
const guidePorts = ['5555', '5554', '5556', '5558', '2003', '4242']
/** Where the guide has its files. */
const guideFolders = ['/etc/', '/var/']

/** A server by the guide. Whoever starts one ends it. */
export class Site {
  readonly client: RiemannTcpClient
  private daemon: Daemon | undefined

  private constructor(
    readonly folder: string,
    private readonly ports: Readonly<Record<string, number>>,
  ) {
    this.client = new RiemannTcpClient({ port: this.port('5555'), timeoutMs: 20_000, backoffMaxMs: 100 })
  }

  /** Starts one with the guide's configuration and rules, and certificates where that has them; resolves once it takes events. */
  static async start(guide: Guide): Promise<Site> {
    const folder = serverFolder('site')
    const free = await freePorts(guidePorts.length)
    const ports = Object.fromEntries(guidePorts.map((port, index) => [port, free[index]]))
    for (const needed of ['bin', 'etc/ricci/rules', 'etc/riemann', 'var/lib'])
      mkdirSync(join(folder, needed), { recursive: true })
    const etc = join(folder, 'etc')
    const authority = await CertificateAuthority.create(folder)
    copyFileSync(authority.file, join(etc, 'riemann/ca.pem'))
    for (const name of ['server', 'web-1']) {
      const { certFile, keyFile } = await authority.issue(name, { names: ['ricci.example'] })
      copyFileSync(certFile, join(etc, `riemann/${name}.pem`))
      copyFileSync(keyFile, join(etc, `riemann/${name}.key`))
    }
    writeShim(join(folder, 'bin/ricci'), [process.execPath, builtProgram('ricci')])
    const site = new Site(folder, ports)
    const heading = 'Start Ricci beside Riemann'
    site.write('ricci/ricci.yaml', guide.block(heading, 'yaml'))
    site.write('ricci/rules/index.ts', guide.block(heading, 'ts'))
    try {
      await site.again()
      return site
    } catch (error) {
      await site.close()
      throw error
    }
  }

  /** The port that stands for one of the guide's. */
  port(ofGuide: string): number {
    return this.ports[ofGuide]
  }

  /** A text of the guide with this server's address and a test's own folders in it; nothing else is changed. */
  here(text: string): string {
    return moved(text.replaceAll('ricci.example', '127.0.0.1'), this.folder, this.ports)
  }

  /** Makes a program of Debian's one of those that {@link run} finds. @param env on top of ours */
  install(tree: DebianTree, file: string, env: Readonly<Record<string, string>> = {}): void {
    const settings = Object.entries({ LD_LIBRARY_PATH: tree.libraries.join(':'), ...env })
    const words = ['env', ...settings.map(([name, value]) => `${name}=${value}`), join(tree.root, file)]
    writeShim(join(this.folder, 'bin', file.replace(/^.*\//, '')), words)
  }

  /** Runs commands of the guide; gives what they write. @throws Error when one fails */
  async run(commands: string): Promise<string> {
    const PATH = `${join(this.folder, 'bin')}:${process.env.PATH}`
    const options = { cwd: this.folder, env: { ...process.env, PATH, NODE_OPTIONS: '' } }
    return (await execute('bash', ['-euo', 'pipefail', '-c', this.here(commands)], options)).stdout
  }

  /**
   * The events that a query finds once they are enough, in the order of their services; asked until then.
   * @throws Error with those there are when `withinMs` pass
   */
  async found(query: string, count: number, withinMs = 20_000): Promise<readonly Event[]> {
    const deadline = performance.now() + withinMs
    for (;;) {
      const events = await this.client.query(query)
      if (events.length >= count)
        return events.toSorted((one, other) => (one.service ?? '').localeCompare(other.service ?? ''))
      if (performance.now() > deadline)
        throw new Error(`${query} has found this for ${withinMs} ms, not ${count} events: ${JSON.stringify(events)}`)
    }
  }

  /** Writes a file of the guide's below `/etc`. */
  write(path: string, text: string): void {
    writeFileSync(
      join(this.folder, 'etc', path),
      moved(text.replaceAll('0.0.0.0', '127.0.0.1'), this.folder, this.ports),
    )
  }

  /** Ends the server as a service is ended; nobody listens when this resolves. */
  async stop(): Promise<void> {
    await this.daemon?.stop()
  }

  /** Starts it on the same data and ports; resolves once it takes events. */
  async again(): Promise<void> {
    const words = ['serve', '--config', join(this.folder, 'etc/ricci/ricci.yaml'), '--log-format', 'json']
    this.daemon = new Daemon(builtProgram('ricci'), words, { cwd: this.folder })
    await this.daemon.serving()
    while (!(await fetch(`http://127.0.0.1:${this.port('5556')}/readyz`)).ok) continue
  }

  async close(): Promise<void> {
    this.client.destroy()
    await this.daemon?.kill()
    removeFolder(this.folder)
  }
}

/** Folders and ports in their places. */
function moved(text: string, folder: string, ports: Readonly<Record<string, number>>): string {
  const inFolder = guideFolders.reduce((moving, one) => moving.replaceAll(one, `${folder}${one}`), text)
  return inFolder.replace(/(?<![\w.-])\d{4}(?![\w.-])/g, (port) => String(ports[port] ?? port))
}

function writeShim(file: string, words: readonly string[]): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `#!/bin/sh\nexec ${words.map((word) => `'${word}'`).join(' ')} "$@"\n`)
  chmodSync(file, 0o755)
}
