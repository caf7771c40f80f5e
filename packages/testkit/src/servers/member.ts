/** One server of a cluster: started anew with the same arguments and on its own data, as its machine would. */
import { ServerProcess, type ServerProcessOptions } from './process.ts'
import type { Program } from './program.ts'

export class Member {
  private current: ServerProcess
  private isFrozen = false

  constructor(
    /** What it is called in its cluster. */
    readonly name: string,
    private readonly program: Program,
    private readonly args: readonly string[],
    private readonly options: ServerProcessOptions,
  ) {
    this.current = new ServerProcess(program, args, options)
  }

  /** The process that runs, or ran last. */
  get process(): ServerProcess {
    return this.current
  }

  /** Whether it can answer: it runs and is not frozen. */
  get up(): boolean {
    return this.current.running && !this.isFrozen
  }

  /** SIGKILL ends it with the process gone when this resolves; SIGSTOP freezes it until SIGCONT. */
  async signal(name: NodeJS.Signals): Promise<void> {
    if (name === 'SIGSTOP') this.isFrozen = true
    if (name === 'SIGCONT') this.isFrozen = false
    this.current.signal(name)
    if (name === 'SIGKILL') await this.current.exited
  }

  /** Starts it anew; whatever of it still runs is killed before. */
  async restart(): Promise<void> {
    await this.end()
    this.isFrozen = false
    this.current = new ServerProcess(this.program, this.args, this.options)
  }

  /** Kills it: the data of a test need no orderly end. May be called again. */
  async end(): Promise<void> {
    await this.current.end()
  }
}
