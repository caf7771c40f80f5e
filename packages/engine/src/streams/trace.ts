/**
 * A traced engine is the same engine: what leads to one rule is passed through here and looked at, before and after. Nothing of the
 * state changes by it. For who asks afterwards, over a stretch of the log, why a rule did not page.
 */
import { type Event, type EventCursor, cursorToEvent } from '@ricci/client'
import { compilePredicate, type Predicate } from './fields.ts'
import type { Behaviour, ColumnSpec } from './operator.ts'
import { isExpired } from './operators/expired.ts'
import type { Runtime } from './runtime.ts'
import { type Facts, keyOf, sayingOf, shortened } from './trail.ts'
import type { Node } from './tree.ts'

/** What is to be traced: the way of one host's events to the incidents or notifications of one name. */
export interface TraceQuestion {
  readonly host: string
  readonly service?: string
  readonly rule: string
  /** Told of each event of the host that came, and of each timer that let something of it go, once it has gone its way. */
  readonly onSeen: (seen: Seen) => void
}

/** An operator that kept something to itself. */
export interface Gate {
  readonly path: string
  readonly operator: string
  /** What it does, in the words of the rules. */
  readonly says: string
  /** Whose fork it is, where it lies below a `by`. */
  readonly key?: string
  readonly before?: Facts
  readonly after?: Facts
  /** It threw; or it is out, because it stalled the engine. */
  readonly failed?: 'threw' | 'out'
  /** The rule lies below the other branch of a `where`. */
  readonly branch?: 'otherwise'
}

/** What an incident or notification made of an event that reached it. */
export interface Judged {
  readonly key: string
  readonly bad: boolean
  /** Id of the incident of this key that was open already. */
  readonly open?: string
  /** It came late, and a newer event of its host and service says otherwise. */
  readonly contradicted?: true
}

/** How far an event, or what a timer let go, came on its way to the rule. */
export interface Seen {
  /** Calendar time, milliseconds. */
  readonly atMs: number
  /** Absent where a timer fired. */
  readonly event?: Event
  readonly late: boolean
  /** Its time to live had passed when it came, or its state says so. */
  readonly expired: boolean
  /** Whether the event as it came is what the incident calls bad; absent where that cannot be said. */
  readonly bad?: boolean
  /** Operators that it reached. */
  readonly depth: number
  /** The first that let nothing of it on; absent where it reached the rule. */
  readonly gate?: Gate
  readonly judged?: readonly Judged[]
}

interface Visit {
  readonly event: Event | undefined
  readonly late: boolean
  readonly expired: boolean
  readonly bad: boolean | undefined
  readonly reached: Reached[]
  readonly judged: Judged[]
}

interface Reached {
  readonly node: Node
  readonly fork: number
  readonly before: Facts | undefined
  after: Facts | undefined
  threw: boolean
}

/** Of one event: one that a window passes on in many lists is told by the first. */
const mostReached = 1_000
const mostJudged = 20

/** The tracing of one engine. */
export class Trace {
  readonly #question: TraceQuestion
  readonly #bad = new Map<Node, (event: EventCursor) => boolean>()
  /** Forks that something of the host was in, by operator: what their timers do is about it. */
  readonly #touched = new WeakMap<Node, Set<number>>()
  #visit: Visit | undefined

  constructor(question: TraceQuestion) {
    this.#question = question
  }

  /** What an operator does, looked at where it leads to the rule. */
  wrap(node: Node, behaviour: Behaviour<ColumnSpec>, runtime: Runtime): Behaviour<ColumnSpec> {
    if (node.parent === undefined || !this.#leads(node)) return behaviour
    if (node.stream.operator === 'incident') {
      const { bad } = node.stream.args[1] as { readonly bad: Predicate }
      this.#bad.set(node, compilePredicate(bad, runtime))
    }
    const { event, list, value, timers } = behaviour
    const fired = Object.entries<(fork: number, deadline: number, gap: boolean) => void>(timers ?? {})
    return {
      ...behaviour,
      ...(event && { event: (one, fork) => this.#pass(node, fork, one, runtime, () => event(one, fork)) }),
      ...(list && { list: (some, fork) => this.#pass(node, fork, undefined, runtime, () => list(some, fork)) }),
      ...(value && { value: (any, fork) => this.#pass(node, fork, undefined, runtime, () => value(any, fork)) }),
      timers: Object.fromEntries(
        fired.map(([name, fire]) => [
          name,
          (fork: number, deadline: number, gap: boolean) => {
            const isOurs = this.#touched.get(node)?.has(fork) === true
            this.#visiting(isOurs ? newVisit() : undefined, runtime, () =>
              this.#enter(node, fork, () => fire(fork, deadline, gap)),
            )
          },
        ]),
      ),
    }
  }

  /** Told by the rule itself what it makes of an event. */
  judged(judged: Judged): void {
    if (this.#visit !== undefined && this.#visit.judged.length < mostJudged) this.#visit.judged.push(judged)
  }

  #isTarget({ stream }: Node): boolean {
    return (stream.operator === 'incident' || stream.operator === 'notify') && stream.args[0] === this.#question.rule
  }

  #leads(node: Node): boolean {
    return this.#isTarget(node) || node.children.some((child) => this.#leads(child))
  }

  #pass(node: Node, fork: number, event: EventCursor | undefined, runtime: Runtime, run: () => void): void {
    const isBegin = this.#visit === undefined && node.parent?.parent === undefined && event !== undefined
    if (!isBegin) return this.#enter(node, fork, run)
    this.#visiting(this.#visitOf(event, runtime), runtime, () => this.#enter(node, fork, run))
  }

  #visiting(visit: Visit | undefined, runtime: Runtime, run: () => void): void {
    if (visit === undefined) return run()
    this.#visit = visit
    try {
      run()
    } finally {
      this.#visit = undefined
      this.#tell(visit, runtime)
    }
  }

  #enter(node: Node, fork: number, run: () => void): void {
    const visit = this.#visit
    if (visit === undefined || visit.reached.length >= mostReached) return run()
    const touched = this.#touched.get(node) ?? new Set()
    this.#touched.set(node, touched.add(fork))
    const reached: Reached = { node, fork, before: node.explain(fork), after: undefined, threw: false }
    visit.reached.push(reached)
    try {
      run()
    } catch (error) {
      reached.threw = true
      throw error
    } finally {
      reached.after = node.explain(fork)
    }
  }

  #visitOf(event: EventCursor, runtime: Runtime): Visit | undefined {
    const { table } = runtime
    const { host, service } = this.#question
    if (event.host === 0 || table.text(event.host) !== host) return undefined
    if (service !== undefined && (event.service === 0 || table.text(event.service) !== service)) return undefined
    return {
      event: cursorToEvent(event, table),
      late: event.late === 1,
      expired: isExpired(event, runtime),
      bad: this.#isBad(event),
      reached: [],
      judged: [],
    }
  }

  #isBad(event: EventCursor): boolean | undefined {
    try {
      const verdicts = [...this.#bad.values()].map((isBad) => isBad(event))
      return verdicts.length === 0 ? undefined : verdicts.includes(true)
    } catch {
      return undefined
    }
  }

  #tell({ event, late, expired, bad, reached, judged }: Visit, runtime: Runtime): void {
    const atMs = runtime.clocks.calendar.now
    const depth = Math.max(0, ...reached.map(({ node }) => depthOf(node)))
    const arrived = reached.some(({ node }) => this.#isTarget(node))
    const last = reached.findLast(({ node }) => depthOf(node) === depth)
    const gate = arrived || last === undefined ? undefined : this.#gateOf(last, runtime)
    this.#question.onSeen({
      ...{ atMs, event, late, expired, depth },
      ...(bad !== undefined && { bad }),
      ...(gate !== undefined && { gate }),
      ...(arrived && { judged }),
    })
  }

  #gateOf({ node, fork, before, after, threw }: Reached, runtime: Runtime): Gate {
    const below = node.children.filter((child) => this.#leads(child))
    const out = threw ? undefined : below.find((child) => child.disabled)
    const { path, stream, dimension } = out ?? node
    return {
      path: shortened(path, longestPath),
      operator: stream.operator,
      says: sayingOf(stream),
      ...(dimension.parent !== undefined && dimension === node.dimension && { key: keyOf(dimension, fork, runtime) }),
      ...(out === undefined ? { before, after } : { failed: 'out' }),
      ...(threw && { failed: 'threw' }),
      ...(below.every((child) => child.stream.operator === 'otherwise') && below.length > 0 && { branch: 'otherwise' }),
    }
  }
}

const longestPath = 500

function newVisit(): Visit {
  return { event: undefined, late: false, expired: false, bad: undefined, reached: [], judged: [] }
}

function depthOf(node: Node): number {
  let depth = 0
  for (let at = node.parent; at !== undefined; at = at.parent) depth++
  return depth
}
