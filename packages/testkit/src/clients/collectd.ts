/** collectd of Debian's, with one plugin by which values are handed to it, and whatever a configuration adds. */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import type { DebianTree } from '../house/tools.ts'
import { ready, removeFolder, serverFolder, ServerProcess } from '../servers/process.ts'

export class Collectd {
  private constructor(
    private readonly folder: string,
    readonly process: ServerProcess,
    private readonly socket: Socket,
    private readonly answers: Interface,
  ) {}

  /**
   * Starts it; resolves once values can be handed to it.
   * @param libraries what its plugins need beyond Debian's own dependencies, which leave it to the reader
   */
  static async start(tree: DebianTree, libraries: readonly string[], configuration: string): Promise<Collectd> {
    const folder = serverFolder('collectd')
    const [file, socketFile] = [join(folder, 'collectd.conf'), join(folder, 'socket')]
    const base = `Hostname "collector"
FQDNLookup false
Interval 10
BaseDir "${folder}"
PIDFile "${folder}/pid"
PluginDir "${tree.root}/usr/lib/collectd"
TypesDB "${tree.root}/usr/share/collectd/types.db"
LoadPlugin logfile
<Plugin logfile>
  LogLevel info
  File stdout
</Plugin>
LoadPlugin unixsock
<Plugin unixsock>
  SocketFile "${socketFile}"
</Plugin>
`
    writeFileSync(file, base + configuration)
    const program = { file: join(tree.root, 'usr/sbin/collectd'), libraries: [...tree.libraries, ...libraries] }
    const process = new ServerProcess(program, ['-f', '-C', file], { folder })
    try {
      const socket = await ready('collectd', [process], () => dial(socketFile))
      return new Collectd(folder, process, socket, createInterface(socket))
    } catch (error) {
      await process.end()
      removeFolder(folder)
      throw error
    }
  }

  /** Hands it a value or a notification, in its own words, e.g. `PUTVAL web-1/load/load interval=10 N:1:2:3`. @throws Error when it refuses */
  async put(line: string): Promise<void> {
    const answered = once(this.answers, 'line')
    this.socket.write(`${line}\n`)
    const [answer] = (await answered) as [string]
    if (!/^0 |^-?\d+ Done/.test(answer)) throw new Error(`collectd answers "${answer}" to "${line}".`)
  }

  /**
   * Has it write what it holds back to fill a message, again and again until that was seen: a thread of its own may not have brought a value so far.
   * @param seen resolves then
   */
  async flushed<T>(seen: Promise<T>): Promise<T> {
    let waits = true
    const over = (): void => void (waits = false)
    seen.then(over, over)
    while (waits) await this.put('FLUSH')
    return seen
  }

  async end(): Promise<void> {
    this.answers.close()
    this.socket.destroy()
    await this.process.end('SIGTERM')
    removeFolder(this.folder)
  }
}

async function dial(file: string): Promise<Socket> {
  const socket = connect(file)
  await once(socket, 'connect')
  return socket
}
