/** A schedule, carried out against a cluster under load; then the oracle. */
import { hasOwnNetwork } from '../../servers/network.ts'
import { pause } from '../../servers/wait.ts'
import { monotonicMs } from '../pager.ts'
import { Arena, type ArenaOptions } from './arena.ts'
import { judge, type Judgement } from './judgement.ts'
import type { Undo } from './rows.ts'
import { scheduleOf, victimOf, type FaultKind, type PlannedFault } from './schedule.ts'
import { timeline, type Span } from './timeline.ts'
import { figuresOf } from './trial.ts'

export interface StormOptions extends Omit<ArenaOptions, 'receiversFail'> {
  readonly durationMs: number
}

/** What a storm came to. */
export interface StormResult {
  readonly faults: number
  readonly counts: Readonly<Record<string, number>>
  readonly wrong: readonly string[]
  /** The picture of it: SVG. */
  readonly picture: string
}

/** Brokers that were away for longer than this take one another for dead, and may stay split for good when they are back: an operator restarts the one. */
const tickMs = 6_000
/** Who owns is looked at so often. */
const ownersEveryMs = 500
/** After the end of a fault: until the operator looks. */
const lookAfterMs = 5_000

export async function runStorm(options: StormOptions): Promise<StormResult> {
  const arena = await Arena.start({ ...options, receiversFail: true })
  try {
    await arena.begin()
    const storm = new Storm(arena, options)
    await storm.blow()
    return await storm.judge()
  } finally {
    await arena.stop()
  }
}

class Storm {
  private readonly spans: Span[] = []
  private readonly wrong: string[] = []
  private readonly fromMs = monotonicMs()
  private inFlight = 0
  /** Instances that something has befallen, and the one that owns most, as far as is known. */
  private readonly struck = new Set<number>()
  private owner: number | undefined
  private over = false

  constructor(
    private readonly arena: Arena,
    private readonly options: StormOptions,
  ) {}

  /** Does all of it; resolves when everything is well again. */
  async blow(): Promise<void> {
    const { arena, options } = this
    const schedule = scheduleOf(options.seed, options.durationMs, hasOwnNetwork())
    const watching = this.watchOwners()
    await Promise.all(
      schedule.map(async (fault) => {
        await this.until(fault.atMs)
        try {
          await this.befall(fault)
        } catch (error) {
          this.wrong.push(`${fault.kind} ${fault.target}: ${(error as Error).message}`)
        }
      }),
    )
    await this.until(options.durationMs)
    this.over = true
    await watching
    await arena.calm().catch((error: Error) => this.wrong.push(`no calm after the storm: ${error.message}`))
  }

  async judge(): Promise<StormResult> {
    const { arena, spans, fromMs } = this
    const toMs = monotonicMs()
    let judgement: Judgement | undefined
    try {
      judgement = await judge(arena)
      this.wrong.push(...judgement.wrong)
    } catch (error) {
      this.wrong.push(`the oracle came to nothing: ${(error as Error).message}`)
    }
    if (spans.length === 0) this.wrong.push('no fault was done: it shows nothing')
    if (this.inFlight === 0) this.wrong.push('no page was in flight at any fault: it shows nothing')
    const claims = judgement?.evidence.claims ?? 0
    if (judgement !== undefined && claims <= arena.partitions) this.wrong.push('nobody took over: it shows nothing')
    const pages = arena.script.pages()
    const evidence = judgement?.evidence
    const wallMs = Date.now() - monotonicMs()
    const picture = timeline({
      title: `Seed ${this.options.seed}`,
      fromMs,
      toMs,
      spans,
      instances: arena.instances.map(({ name }) => name),
      ownerships: (evidence?.ownerships ?? []).map((one) => ({ ...one, fromMs: one.fromMs - wallMs })),
      decidedMs: [...(evidence?.decided.values() ?? [])].map(({ decidedAtMs }) => decidedAtMs - wallMs),
      deliveredMs: [...arena.pager.requests, ...arena.chat.requests].flatMap(({ status, answeredMs }) =>
        status === 200 ? [answeredMs!] : [],
      ),
      pages,
    })
    const latestMs = Math.max(0, ...pages.map(({ sentMs, arrivedMs }) => (arrivedMs ?? sentMs) - sentMs))
    const counts = {
      'faults done': spans.length,
      'pages in flight at a fault': this.inFlight,
      'longest that a page took, in ms': Math.round(latestMs),
      ...judgement?.counts,
    }
    return { faults: spans.length, counts, wrong: this.wrong, picture }
  }

  private async befall(planned: PlannedFault): Promise<void> {
    const { arena, struck } = this
    const { kind, lastsMs } = planned
    const isOfInstance = /instance|agent/.test(kind)
    const target = isOfInstance ? victimOf(planned, this.owner, struck) : planned.target
    if (target === undefined) return
    const fault = { ...planned, target }
    const own = !isOfInstance ? [] : kind === 'all instances killed' ? [0, 1, 2] : [target]
    for (const at of own) struck.add(at)
    const fromMs = monotonicMs()
    this.inFlight += figuresOf(arena.script.pages(), () => 0, [0], fromMs, fromMs).inFlight
    const { lane, undo } = await strikes[kind](arena, fault)
    const span = { what: kind, lane, fromMs, toMs: fromMs + lastsMs }
    this.spans.push(span)
    arena.options.report(`${this.seconds(fromMs)} s: ${kind} (${lane}), for ${(lastsMs / 1_000).toFixed(1)} s`)
    await this.until(fault.atMs + lastsMs)
    await undo()
    span.toMs = monotonicMs()
    for (const at of own) struck.delete(at)
    if (!/^broker (frozen|cut)/.test(kind) || lastsMs < tickMs) return
    await this.until(fault.atMs + lastsMs + lookAfterMs)
    await arena.rabbit.restart(target)
    this.spans.push({ what: 'broker restarted', lane, fromMs: span.toMs + lookAfterMs, toMs: monotonicMs() })
  }

  private async watchOwners(): Promise<void> {
    const { arena } = this
    while (!this.over) {
      const owned = [...(await arena.owners()).values()]
      const counts = arena.instances.map((instance) => owned.filter((each) => each === instance).length)
      const most = Math.max(...counts)
      if (most > 0) this.owner = counts.indexOf(most)
      await pause(ownersEveryMs)
    }
  }

  private seconds(atMs: number): string {
    return ((atMs - this.fromMs) / 1_000).toFixed(1)
  }

  /** A schedule is about time itself. */
  private until(atMs: number): Promise<void> {
    return new Promise((done) => void setTimeout(() => done(), Math.max(0, this.fromMs + atMs - monotonicMs())))
  }
}

/** How each is done; gives whom it befell, by the name of the picture's lane, and what undoes it. */
type Strike = (arena: Arena, fault: PlannedFault) => Promise<{ readonly lane: string; readonly undo: Undo }>

const instance = (arena: Arena, at: number): string => `instance ${arena.instances[at].name}`

const strikes: Readonly<Record<FaultKind, Strike>> = {
  async 'instance killed'(arena, { target }) {
    await arena.instances[target].kill()
    return { lane: instance(arena, target), undo: () => arena.instances[target].start() }
  },
  'instance frozen'(arena, { target }) {
    arena.instances[target].freeze()
    return Promise.resolve({ lane: instance(arena, target), undo: () => arena.instances[target].thaw() })
  },
  async 'instance ended and started'(arena, { target }) {
    await arena.instances[target].stop()
    return { lane: instance(arena, target), undo: () => arena.instances[target].start() }
  },
  'instance cut off'(arena, { target }) {
    return Promise.resolve({ lane: instance(arena, target), undo: arena.instanceHosts[target].cut() })
  },
  'instance cut off from a broker'(arena, { target, other }) {
    const undo = arena.instanceHosts[target].cutFrom(arena.brokerHosts[other])
    return Promise.resolve({ lane: instance(arena, target), undo })
  },
  'instance deaf to a broker'(arena, { target, other }) {
    const undo = arena.brokerHosts[other].cutTowards(arena.instanceHosts[target])
    return Promise.resolve({ lane: instance(arena, target), undo })
  },
  async 'agent killed'(arena, { target }) {
    const { consul } = arena
    const agent = consul.agents.findIndex(({ server }) => !server) + target
    await consul.signal(agent, 'SIGKILL')
    return { lane: instance(arena, target), undo: () => consul.restart(agent) }
  },
  async 'all instances killed'(arena) {
    await Promise.all(arena.instances.map((each) => each.kill()))
    return { lane: 'all instances', undo: () => arena.instances.forEach((each) => each.start()) }
  },
  async 'broker killed'({ rabbit }, { target }) {
    await rabbit.signal(target, 'SIGKILL')
    return { lane: `broker ${target}`, undo: () => rabbit.restart(target) }
  },
  async 'two brokers killed'({ rabbit }, { target }) {
    const both = [target, (target + 1) % 3]
    for (const broker of both) await rabbit.signal(broker, 'SIGKILL')
    const undo = async (): Promise<void> => {
      for (const broker of both) await rabbit.restart(broker)
    }
    return { lane: `broker ${target}`, undo }
  },
  async 'broker frozen'({ rabbit }, { target }) {
    await rabbit.signal(target, 'SIGSTOP')
    return { lane: `broker ${target}`, undo: () => rabbit.signal(target, 'SIGCONT') }
  },
  'broker cut off'(arena, { target }) {
    return Promise.resolve({ lane: `broker ${target}`, undo: arena.brokerHosts[target].cut() })
  },
  async 'store leader killed'({ consul }) {
    const server = await consul.leader()
    await consul.signal(server, 'SIGKILL')
    return { lane: 'store', undo: () => consul.restart(server) }
  },
  async 'two servers killed'({ consul }, { target }) {
    const both = [target, (target + 1) % 3]
    for (const server of both) await consul.signal(server, 'SIGKILL')
    const undo = async (): Promise<void> => {
      for (const server of both) await consul.restart(server)
    }
    return { lane: 'store', undo }
  },
  async 'store server frozen'({ consul }, { target }) {
    await consul.signal(target, 'SIGSTOP')
    return { lane: 'store', undo: () => consul.signal(target, 'SIGCONT') }
  },
}
