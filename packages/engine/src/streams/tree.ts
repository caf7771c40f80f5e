/**
 * The tree of operator instances made of a set of rules, and how a new tree takes over the state of an old one.
 *
 * Old and new trees are matched level by level: siblings by label, then by equal description (functions by text), then by kind in
 * order. A matched operator keeps its columns where they are the same and lie in the same dimension; a matched `by` keeps the
 * dimension it opened when its key is equal.
 *
 * Building goes in two steps: everything that can be refused is made beside the old tree, then the new one takes over. Rules that
 * are refused leave the old tree as it was.
 */
import type { EventCursor } from '@ricci/client'
import { EngineError } from '../errors.ts'
import type { EventList } from '../folds/list.ts'
import type { Column } from '../state/columns.ts'
import { Dimension, maximalKeys } from '../state/dimension.ts'
import { TimerColumn } from '../time/timers.ts'
import {
  type Behaviour,
  type Build,
  type ColumnKind,
  type Columns,
  type ColumnSpec,
  type Flow,
  makeColumn,
  type Operator,
  operatorNamed,
} from './operator.ts'
import { Out } from './out.ts'
import type { Runtime } from './runtime.ts'
import { describeArgument, describeStream, makingOf, type RulesDescription, Stream } from './stream.ts'
import { type Facts, trailOf } from './trail.ts'

/** An operator instance. */
export class Node {
  readonly stream: Stream
  /** Place in the tree, depth first: the operator's identity among timers. */
  readonly number: number
  /** For people, and for skips: the way from the root, as in `by[1] > stable[0]`. */
  readonly path: string
  readonly dimension: Dimension
  readonly inner: Dimension
  readonly spec: ColumnSpec
  readonly columns: Readonly<Record<string, Column>>
  /** Undefined of the root. */
  readonly parent: Node | undefined
  /** The nearest operator above that hears of what fails here. */
  readonly catcher: Node | undefined
  readonly children: Node[] = []
  /** Throws and skips, not state: counted for people. */
  errors = 0
  /** Events, lists and values that were given to it, not state either. */
  taken = 0
  #behaviour: Behaviour<ColumnSpec> = {}
  #disabled = false
  event: (event: EventCursor, fork: number) => void = refuse
  list: (list: EventList, fork: number) => void = refuse
  value: (value: unknown, fork: number) => void = refuse

  constructor(
    stream: Stream,
    number: number,
    path: string,
    dimension: Dimension,
    inner: Dimension,
    spec: ColumnSpec,
    columns: Readonly<Record<string, Column>>,
    parent: Node | undefined,
    catcher: Node | undefined,
  ) {
    this.parent = parent
    this.catcher = catcher
    this.stream = stream
    this.number = number
    this.path = path
    this.dimension = dimension
    this.inner = inner
    this.spec = spec
    this.columns = columns
  }

  /** Connects what the operator does; timers fire with this node as the place an error belongs to. */
  connect(behaviour: Behaviour<ColumnSpec>, runtime: Runtime): void {
    this.#behaviour = behaviour
    this.enable()
    const timers = (behaviour.timers ?? {}) as Record<string, (fork: number, deadline: number, gap: boolean) => void>
    let ordinal = 0
    for (const [name, column] of Object.entries(this.columns)) {
      if (!(column instanceof TimerColumn)) continue
      column.identity = this.number * timersPerOperator + ordinal++
      column.onFire = (fork, deadline, gap) => {
        if (this.#disabled) return
        runtime.progress[0] = this.number
        runtime.timersFired++
        try {
          timers[name](fork, deadline, gap)
        } catch (error) {
          runtime.rescue(this, error, fork)
        }
      }
    }
  }

  /** Whether the branch is out. */
  get disabled(): boolean {
    return this.#disabled
  }

  /** What of a fork's state matters to a person who asks why. */
  explain(fork: number): Facts | undefined {
    return this.#behaviour.explain?.(fork)
  }

  caught(event: EventCursor, fork: number): void {
    this.#behaviour.caught?.(event, fork)
  }

  /** Takes the branch out, its timers too, as a skip or a quarantine asks. */
  disable(): void {
    this.#disabled = true
    this.event = nothing
    this.list = nothing
    this.value = nothing
  }
  enable(): void {
    this.#disabled = false
    this.event = this.#behaviour.event ?? refuse
    this.list = this.#behaviour.list ?? refuse
    this.value = this.#behaviour.value ?? refuse
  }
}

/** More timers than any operator has: their order among those due at one time must not depend on a cache. */
const timersPerOperator = 8

function nothing(): void {}
function refuse(): void {
  throw new EngineError('RULES_INVALID', 'this operator does not take what its parent gave')
}

export interface Tree {
  readonly root: Node
  readonly nodes: readonly Node[]
  /** Dimensions in the order of the tree, the top one first. */
  readonly dimensions: readonly Dimension[]
  readonly report: RulesReport
}

/** What a switch of rules did to the state of operators, by their paths: only those that have any. */
export interface RulesReport {
  /** Goes on with what it had. */
  readonly kept: readonly string[]
  /** Begins anew. */
  readonly fresh: readonly string[]
  /** Of the old rules: its state is gone. */
  readonly dropped: readonly string[]
}

/** Told of each operator of new rules, and of the old one that it was matched with, if any. @param whole it goes on with all that the old one held */
export type OnMatch = (node: Node, before: Node | undefined, whole: boolean) => void

/**
 * Builds the tree of a set of rules, carrying over what it can from an old one.
 * @throws whatever an operator refuses its arguments with, EngineError `RULES_INVALID` among it; the old tree is untouched then
 */
export function buildTree(rules: RulesDescription, runtime: Runtime, old: Tree | undefined, onMatch?: OnMatch): Tree {
  const top = old?.root.inner ?? new Dimension(undefined, 0, 1)
  const nodes: Node[] = []
  const dimensions: Dimension[] = [top]
  const report = { kept: [] as string[], fresh: [] as string[], dropped: [] as string[] }
  const kept = new Set<Column>()
  const fresh: Column[] = []
  const goesOn = new Set<Node>()
  // check everything that can be refused before anything of the old tree is touched
  checkFlows(new Stream('rules', [], rules.streams), ['event'], '')

  const made: [Node, Operator, Stream | undefined][] = []
  function make(
    stream: Stream,
    before: Node | undefined,
    parent: Node | undefined,
    path: string,
    catcher: Node | undefined,
  ): Node {
    const dimension = parent?.inner ?? top
    const operator = operatorNamed(stream.operator)
    const spec = typeof operator.columns === 'function' ? operator.columns(stream.args) : operator.columns
    const carried = before !== undefined && before.dimension === dimension && sameSpec(spec, before.spec)
    const columns: Record<string, Column> = {}
    for (const [name, kind] of Object.entries(spec)) {
      if (carried) kept.add((columns[name] = before.columns[name]))
      else fresh.push((columns[name] = makeColumn(kind as ColumnKind, runtime)))
    }
    let whole = carried
    let inner = dimension
    if (operator.opens === 'top') inner = top
    else if (operator.opens !== undefined) {
      const sameKey = carried && sameArguments(stream, before.stream)
      inner = sameKey
        ? before.inner
        : new Dimension(dimension, operator.opens(stream.args), runtime.settings.forksPerBy)
      dimensions.push(inner)
      whole = sameKey
    }
    if (holdsState(spec, operator)) (whole ? report.kept : report.fresh).push(path)
    if (whole) goesOn.add(before!)
    const node = new Node(stream, nodes.length, path, dimension, inner, spec, columns, parent, catcher)
    nodes.push(node)
    onMatch?.(node, before, whole)
    const partners = matchSiblings(stream.children, before === undefined ? [] : before.children)
    stream.children.forEach((child, i) => {
      const place = `${path === '' ? '' : `${path} > `}${child.label ?? child.operator}[${i}]`
      const hears = operator.catches === true && i > 0 ? node : catcher
      node.children.push(make(child, partners[i], node, place, hears))
    })
    made.push([node, operator, carried ? before.stream : undefined])
    return node
  }
  const behaviours: Behaviour<ColumnSpec>[] = []
  let root: Node
  try {
    root = make(new Stream('rules', [], rules.streams), old?.root, undefined, '', undefined)
    for (const [node, operator] of made) behaviours.push(operator.build(partsOf(node, runtime)))
  } catch (error) {
    // timers made for the new tree know their clock already
    for (const column of fresh) if (column instanceof TimerColumn) column.clock.detach(column)
    throw error
  }

  // nothing below is refused: the new tree takes over
  for (const node of old?.nodes ?? []) {
    for (const column of Object.values(node.columns)) {
      if (kept.has(column)) continue
      node.dimension.detach(column)
      if (column instanceof TimerColumn) column.clock.detach(column)
    }
    if (!goesOn.has(node) && holdsState(node.spec, operatorNamed(node.stream.operator))) report.dropped.push(node.path)
  }
  // columns stand in their dimension in the order of the tree: snapshots read them back in that order
  for (const dimension of dimensions) {
    dimension.columns.length = 0
    if (dimension !== top) dimension.limit = runtime.settings.forksPerBy
  }
  top.name = 'the rules'
  for (const node of nodes) {
    if (node.inner !== node.dimension && node.inner !== top) node.inner.name = node.path
    for (const [name, column] of Object.entries(node.columns)) node.dimension.attach(column, `${node.path}: ${name}`)
  }
  const starting = new Map<Dimension, ((fork: number) => void)[]>()
  made.forEach(([node, , before], i) => {
    node.connect(runtime.trace?.wrap(node, behaviours[i], runtime) ?? behaviours[i], runtime)
    const { start, resume } = behaviours[i]
    const { dimension, stream } = node
    if (start !== undefined) starting.set(dimension, [...(starting.get(dimension) ?? []), start])
    const begin = before === undefined ? start : sameArguments(stream, before) ? undefined : resume
    if (begin === undefined) return
    for (let fork = 0; fork < dimension.high; fork++) if (dimension.isAlive(fork)) begin(fork, before?.args ?? [])
  })
  for (const dimension of dimensions) {
    const starts = starting.get(dimension)
    dimension.onAdd = starts === undefined ? undefined : (fork) => starts.forEach((start) => start(fork))
  }
  return { root, nodes, dimensions, report }
}

/** What an operator is built with, for a node that has its children already. */
function partsOf(node: Node, runtime: Runtime): Build<ColumnSpec> {
  const { stream, children } = node
  return {
    args: stream.args,
    columns: node.columns as unknown as Columns<ColumnSpec>,
    out: new Out(children, runtime),
    outTo: (some) =>
      new Out(
        children.filter((child) => some.includes(child.stream)),
        runtime,
      ),
    children: stream.children,
    dimension: node.dimension,
    inner: node.inner,
    runtime,
    path: node.path,
    trail: (fork) => trailOf(node, fork, runtime),
  }
}

/** Whether an operator keeps anything from one event to the next: columns, or the forks of a dimension that it opens. */
export function holdsState(spec: ColumnSpec, operator: Operator): boolean {
  return typeof operator.opens === 'function' || Object.keys(spec).length > 0
}

/** Finds for each new sibling the old one it goes on from. */
function matchSiblings(streams: readonly Stream[], old: readonly Node[]): (Node | undefined)[] {
  const free = new Set(old)
  const partners: (Node | undefined)[] = streams.map(() => undefined)
  const rounds: ((stream: Stream, node: Node) => boolean)[] = [
    (stream, node) => stream.label !== undefined && stream.label === node.stream.label && sameKind(stream, node.stream),
    (stream, node) => describeStream(stream) === describeStream(node.stream),
    // two labels that differ say that these are different things
    (stream, node) => (stream.label === undefined || node.stream.label === undefined) && sameKind(stream, node.stream),
  ]
  for (const matches of rounds) {
    streams.forEach((stream, i) => {
      if (partners[i] !== undefined) return
      for (const node of free) {
        if (!matches(stream, node)) continue
        partners[i] = node
        free.delete(node)
        return
      }
    })
  }
  return partners
}

function sameKind(a: Stream, b: Stream): boolean {
  return a.operator === b.operator
}

function sameSpec(a: ColumnSpec, b: ColumnSpec): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

function sameArguments(a: Stream, b: Stream): boolean {
  return JSON.stringify(a.args.map(describeArgument)) === JSON.stringify(b.args.map(describeArgument))
}

function checkFlows(stream: Stream, given: readonly Flow[], path: string): void {
  const operator = operatorNamed(stream.operator)
  const place = path === '' ? stream.operator : `${path} > ${stream.operator}`
  const taken = given.filter((flow) => operator.takes.includes(flow))
  if (taken.length < given.length) {
    const missing = given.find((flow) => !operator.takes.includes(flow))!
    throw new EngineError(
      'RULES_INVALID',
      `${place}: ${stream.operator} takes ${operator.takes.join(' or ')}s, but its parent gives ${missing}s; put smap with a fold or function between them`,
      { cause: makingOf(stream) },
    )
  }
  if (typeof operator.opens === 'function' && operator.opens(stream.args) > maximalKeys) {
    const cause = makingOf(stream)
    throw new EngineError('RULES_INVALID', `${place}: at most ${maximalKeys} fields make a key`, { cause })
  }
  if (operator.gives === 'nothing') {
    if (stream.children.length === 0) return
    throw new EngineError('RULES_INVALID', `${place} takes no children`, { cause: makingOf(stream) })
  }
  const gives = operator.gives === 'same' ? taken : [operator.gives]
  for (const child of stream.children) checkFlows(child, gives, place)
}
