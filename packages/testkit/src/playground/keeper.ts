/** What systemd does for a machine's services: starts anew what died, a while later, and says so. */
import { readFileSync } from 'node:fs'
import type { Exit } from '../faults/daemon.ts'

/** A process that is kept, whatever runs as it now. */
export interface Kept {
  readonly name: string
  /** Of the process that runs, or ran last. */
  readonly pid: number
  /** Resolves when that one is gone. */
  readonly exited: Promise<Exit>
  /** The end of what it wrote, for when it ends by itself. */
  readonly said: string
  start(): Promise<void> | void
}

/** How a process is: a frozen one was sent SIGSTOP. */
export type Condition = 'runs' | 'frozen' | 'gone'

/** How often it is looked whether a process was frozen: nobody tells. */
const lookEveryMs = 500

export class Keeper {
  private readonly conditions = new Map<Kept, Condition>()
  private readonly restarts = new Set<NodeJS.Timeout>()
  private readonly starting = new Set<Promise<void>>()
  private readonly looks: NodeJS.Timeout
  private stopped = false

  /** @param restartMs a process that died is started again so much later */
  constructor(
    readonly kept: readonly Kept[],
    private readonly restartMs: number,
    private readonly say: (line: string) => void,
  ) {
    for (const each of kept) this.keep(each)
    this.looks = setInterval(() => this.look(), lookEveryMs)
  }

  condition(of: Kept): Condition {
    return this.conditions.get(of)!
  }

  /** From now on what ends has ended. */
  async stop(): Promise<void> {
    this.stopped = true
    clearInterval(this.looks)
    for (const timer of this.restarts) clearTimeout(timer)
    await Promise.allSettled(this.starting)
  }

  private keep(each: Kept): void {
    this.conditions.set(each, 'runs')
    void each.exited.then(({ code, signal }) => {
      this.conditions.set(each, 'gone')
      if (this.stopped) return
      const how = signal === null ? `ended with code ${code}, its last words: ${each.said}` : `died by ${signal}`
      this.say(`${each.name} ${how}; it is started again in ${this.restartMs / 1_000} s`)
      const timer = setTimeout(() => {
        this.restarts.delete(timer)
        const start = this.restart(each).finally(() => this.starting.delete(start))
        this.starting.add(start)
      }, this.restartMs)
      this.restarts.add(timer)
    })
  }

  private async restart(each: Kept): Promise<void> {
    await each.start()
    this.say(`${each.name} is started again: pid ${each.pid}`)
    this.keep(each)
  }

  private look(): void {
    for (const each of this.kept) {
      const before = this.condition(each)
      if (before === 'gone') continue
      const now = isFrozen(each.pid) ? 'frozen' : 'runs'
      if (now === before) continue
      this.conditions.set(each, now)
      this.say(now === 'frozen' ? `${each.name} is frozen; kill -CONT ${each.pid} wakes it` : `${each.name} goes on`)
    }
  }
}

/** The kernel's word, in the field after the name, which stands in parentheses. */
function isFrozen(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat[stat.lastIndexOf(')') + 2] === 'T'
  } catch {
    return false // gone just now: that is told by its end
  }
}
