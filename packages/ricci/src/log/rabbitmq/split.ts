/**
 * Whether RabbitMQ's brokers are split. After a freeze or a cut they often stay so with all links up (measured: 64 of 84 freezes), look healthy, and serve
 * some partitions only: whoever is named here must be restarted. Only the management API tells.
 */
import type { Clock, Timer } from '@ricci/replica'

/** What one broker says of another, or of itself, in `/api/nodes`. */
interface NodeFacts {
  readonly name: string
  /** Those that it lost, and has not made up with. */
  readonly partitions?: readonly string[]
}

/** @returns the fewest brokers to restart, of those that lost one another; none where no two did */
export function brokersToRestart(nodes: readonly NodeFacts[]): string[] {
  const lost = new Map<string, Set<string>>()
  const note = (a: string, b: string): void => void lost.set(a, (lost.get(a) ?? new Set()).add(b))
  for (const { name, partitions = [] } of nodes) {
    for (const other of partitions) {
      note(name, other)
      note(other, name)
    }
  }
  const restarted: string[] = []
  while (lost.size > 0) {
    // whoever lost most of the others is the one that was away; by its name, so that everybody names the same one
    const [worst] = [...lost].sort(([a, x], [b, y]) => y.size - x.size || (a < b ? -1 : 1))[0]
    restarted.push(worst)
    lost.delete(worst)
    for (const [name, others] of lost) {
      others.delete(worst)
      if (others.size === 0) lost.delete(name)
    }
  }
  return restarted
}

export interface SplitWatchOptions {
  /** The management API of each broker, e.g. `http://monitor:secret@broker-1:15672`: any that answers tells of all. */
  readonly urls: readonly string[]
  readonly clock: Clock
  /** Told when the brokers to be restarted become others; none: all is well again. */
  readonly onChange: (restart: readonly string[]) => void
}

/** A split lasts until somebody mends it: no need to know within seconds. */
const lookMs = 10_000
/** A broker that is frozen answers nothing. */
const answerMs = 3_000

/** Looks now and then. */
export class SplitWatch {
  /** Brokers to restart; undefined while no broker's API has answered. */
  restart: readonly string[] | undefined
  private readonly closing = new AbortController()
  private timer: Timer | undefined

  constructor(private readonly options: SplitWatchOptions) {}

  start(): void {
    if (this.options.urls.length === 0) return
    void this.look().finally(() => {
      if (!this.closing.signal.aborted) this.timer = this.options.clock.setTimer(lookMs, () => this.start())
    })
  }

  close(): void {
    this.closing.abort()
    this.timer?.cancel()
  }

  /** Resolves when all brokers were asked. What each of them says counts: one that is alone in its part sees no other's words. */
  async look(): Promise<void> {
    const answers = await Promise.all(this.options.urls.map((url) => this.nodes(url)))
    if (this.closing.signal.aborted || answers.every((answer) => answer === undefined)) return
    const before = this.restart ?? []
    this.restart = brokersToRestart(answers.flatMap((answer) => answer ?? []))
    if (this.restart.join() !== before.join()) this.options.onChange(this.restart)
  }

  private async nodes(url: string): Promise<readonly NodeFacts[] | undefined> {
    const { username, password, origin, pathname } = new URL(url)
    const user = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
    const gone = new AbortController()
    const timer = this.options.clock.setTimer(answerMs, () => gone.abort())
    try {
      const answer = await fetch(`${origin}${pathname.replace(/\/$/, '')}/api/nodes?columns=name,partitions`, {
        headers: { authorization: `Basic ${Buffer.from(user).toString('base64')}` },
        signal: AbortSignal.any([gone.signal, this.closing.signal]),
      })
      if (!answer.ok) return undefined
      const nodes: unknown = await answer.json()
      return Array.isArray(nodes) ? (nodes as NodeFacts[]) : undefined
    } catch {
      // away, frozen, or no such API: the others may tell
      return undefined
    } finally {
      timer.cancel()
    }
  }
}
