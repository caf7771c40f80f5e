/** How a decision came about, for people: the operators on the way to it, with what of their state matters. */
import { EventCursor, type InternTable, Kind } from '@ricci/client'
import { isFold } from '../folds/fold.ts'
import type { EventList } from '../folds/list.ts'
import type { Dimension } from '../state/dimension.ts'
import { type ValueSlot, valueText } from '../state/values.ts'
import type { Runtime } from './runtime.ts'
import { describeArgument, type Stream } from './stream.ts'
import type { Node } from './tree.ts'

/** Plain data about an operator's state, few and short: times are seconds since 1970, texts those of {@link shortened}. */
export type Facts = Readonly<Record<string, string | number | boolean | undefined>>

/** An operator on the way from the root to a decision. */
export interface Step {
  /** Its place below the operator before it, as in a path: `by[1]`, or its label. */
  readonly at: string
  /** What it does, in the words of the rules: `stable 30 (e) => e.metric > 0.9`. */
  readonly says: string
  /** For a `by`: whose fork it is. */
  readonly key?: string
  readonly state?: Facts
}

/** Between the parts of a path. */
const between = ' > '
/** Steps of a decision that are kept, the nearest to it: they share 8 KiB with its events. */
const mostSteps = 16
/** Characters of a description: a query or a short function fits. */
const longestSaying = 160
/** Characters of any other text. */
const longestText = 100

/** The steps from the root to a node, as its fork sees them. Changes nothing; the same on every replica. */
export function trailOf(node: Node, fork: number, runtime: Runtime): readonly Step[] {
  const steps: Step[] = []
  let below: Dimension | undefined
  let inner = fork
  for (let at: Node | undefined = node; at?.parent !== undefined && steps.length < mostSteps; at = at.parent) {
    const own = forkOf(at, below, inner)
    steps.unshift(stepOf(at, own, below, inner, runtime))
    below = at.dimension
    inner = own
  }
  return steps
}

/** The fork of an operator that one below it lies in; -1 where `shared` stands between them. */
function forkOf({ dimension }: Node, below: Dimension | undefined, inner: number): number {
  if (below === undefined || below === dimension) return inner
  if (dimension.parent === undefined) return 0
  return inner < 0 ? -1 : below.idIn(dimension, inner)
}

function stepOf(node: Node, fork: number, below: Dimension | undefined, inner: number, runtime: Runtime): Step {
  const { path, stream } = node
  const opened = below !== undefined && below !== node.dimension && below.parent !== undefined
  const state = fork < 0 ? undefined : node.explain(fork)
  return {
    at: shortened(node.parent?.path === '' ? path : path.slice(node.parent!.path.length + between.length)),
    says: sayingOf(stream),
    ...(opened && inner >= 0 ? { key: keyOf(below, inner, runtime) } : {}),
    ...(state === undefined ? {} : { state }),
  }
}

/** The key of a fork, as people read it: an absent part is `-`. */
export function keyOf(dimension: Dimension, fork: number, { table }: Runtime): string {
  const parts: string[] = []
  for (let i = 0; i < dimension.keyCount; i++) {
    const id = dimension.keyOf(fork, i)
    // keys that are no text are kept behind a control character
    parts.push(id === 0 ? '-' : table.text(id).replace('\u0001', ''))
  }
  return shortened(parts.join(' '))
}

/** What an operator does, in the words of the rules; functions by their text. */
export function sayingOf({ operator, args }: Stream): string {
  const [first, second] = args
  if (operator === 'incident' || operator === 'notify') {
    const { bad } = second as { readonly bad?: unknown }
    return shortened(`${operator} ${String(first)}${bad === undefined ? '' : `: bad is ${wordOf(bad)}`}`, longestSaying)
  }
  return shortened([operator, ...args.map(wordOf).filter((word) => word !== '{}')].join(' '), longestSaying)
}

function wordOf(value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value === 'function') return String(value).replace(/\s+/g, ' ')
  if (isFold(value)) return `fold.${value.name}`
  if (Array.isArray(value)) return value.map(wordOf).join(' ')
  if (typeof value === 'object' && value !== null) return JSON.stringify(describeArgument(value))
  return String(value)
}

/** A value of an event or a function, as a fact. */
export function factOf(slot: ValueSlot, table: InternTable): Facts[string] {
  const value = slot.value(table)
  if (value === undefined || typeof value === 'boolean') return value
  return typeof value === 'number' && Number.isFinite(value) ? value : shortened(valueText(value))
}

/** The times of a queue's first and last event. */
export function spanOf(events: EventList): Facts {
  const cursor = new EventCursor()
  const timeOf = (i: number): number | undefined =>
    events.load(i, cursor) && cursor.timeKind !== Kind.none ? cursor.time : undefined
  return { held: events.length, ...(events.length > 0 && { since: timeOf(0), until: timeOf(events.length - 1) }) }
}

/** Text of bearable length, never half a surrogate pair at its end. */
export function shortened(text: string, most = longestText): string {
  if (text.length <= most) return text
  const last = text.charCodeAt(most - 2)
  return `${text.slice(0, last >= 0xd800 && last < 0xdc00 ? most - 2 : most - 1)}…`
}
