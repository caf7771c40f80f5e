/** syslog-ng of Debian's, with a source on loopback and whatever a configuration adds. */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import type { DebianTree } from '../house/tools.ts'
import { freePorts } from '../servers/ports.ts'
import { ready, removeFolder, serverFolder, ServerProcess } from '../servers/process.ts'

export class SyslogNg {
  private constructor(
    private readonly folder: string,
    readonly process: ServerProcess,
    private readonly socket: Socket,
  ) {}

  /** Starts it; resolves once messages can be sent to its source, which a configuration calls `s_local`. */
  static async start(tree: DebianTree, configuration: string): Promise<SyslogNg> {
    const folder = serverFolder('syslog-ng')
    const [port] = await freePorts(1)
    const file = join(folder, 'syslog-ng.conf')
    const source = `@version: 3.38
options { keep-hostname(yes); stats-freq(0); time-reopen(1); };
source s_local { network(ip("127.0.0.1") port(${port}) transport("tcp")); };
`
    writeFileSync(file, source + configuration)
    const places = { R: 'persist', p: 'pid', c: 'control' }
    const words = Object.entries(places).flatMap(([option, name]) => [`-${option}`, join(folder, name)])
    const modules = `--module-path=${join(tree.root, 'usr/lib/syslog-ng/3.38')}`
    const program = {
      file: join(tree.root, 'usr/sbin/syslog-ng'),
      libraries: [...tree.libraries, join(tree.root, 'usr/lib/syslog-ng')],
    }
    const process = new ServerProcess(program, ['-F', '-e', '--no-caps', '-f', file, ...words, modules], { folder })
    try {
      const socket = await ready('syslog-ng', [process], () => dial(port))
      return new SyslogNg(folder, process, socket)
    } catch (error) {
      await process.end()
      removeFolder(folder)
      throw error
    }
  }

  /** Sends it a message of now: priority, host, and the program with what it says. */
  send(priority: string, host: string, message: string): void {
    this.socket.write(`${priority}${new Date().toISOString()} ${host} ${message}\n`)
  }

  async end(): Promise<void> {
    this.socket.destroy()
    await this.process.end('SIGTERM')
    removeFolder(this.folder)
  }
}

async function dial(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  return socket
}
