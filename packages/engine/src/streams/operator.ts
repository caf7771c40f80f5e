import type { EventCursor } from '@ricci/client'
import { EngineError } from '../errors.ts'
import type { EventList } from '../folds/list.ts'
import type { Column } from '../state/columns.ts'
import { F64Column, I32Column, ObjectColumn, SymbolColumn, U8Column } from '../state/columns.ts'
import type { Dimension } from '../state/dimension.ts'
import { ListColumn } from '../state/lists.ts'
import { EventColumn } from '../state/rows.ts'
import { ValueColumn } from '../state/values.ts'
import { TimerColumn } from '../time/timers.ts'
import type { Out } from './out.ts'
import type { Runtime } from './runtime.ts'
import type { Stream } from './stream.ts'
import type { Facts, Step } from './trail.ts'

/**
 * What flows: an event (the cursor), a list of events, or a plain value. An operator says which it takes and gives; the tree is
 * refused when they do not fit. `same` gives what it takes.
 */
export type Flow = 'event' | 'list' | 'value'

/** Kinds of columns an operator may declare. Its whole state lies in them: no operator hides state in a closure. */
export interface ColumnKinds {
  /** A number; 0 at first. */
  number: F64Column
  /** A small count or id; 0 at first. */
  count: I32Column
  /** A symbol id; 0 is absent. */
  symbol: SymbolColumn
  flag: U8Column
  /** Anything a field or function may give. */
  value: ValueColumn
  /** One event. */
  event: EventColumn
  /** A queue of events. */
  list: ListColumn
  /** Plain JSON data, for rare things. */
  object: ObjectColumn
  /** A timer on owned time. */
  ownedTimer: TimerColumn
  /** The same, for deadlines of things that did not happen: put off after a claim or gap. */
  gracedTimer: TimerColumn
  /** A timer on calendar time. */
  calendarTimer: TimerColumn
  /** The same, for windows that follow each other: each gap ends the one under way, so that nothing half counted is given. */
  periodicTimer: TimerColumn
}
export type ColumnKind = keyof ColumnKinds
export type ColumnSpec = Readonly<Record<string, ColumnKind>>
export type Columns<S extends ColumnSpec> = { readonly [K in keyof S]: ColumnKinds[S[K]] }
type TimerNames<S extends ColumnSpec> = {
  [K in keyof S]: S[K] extends 'ownedTimer' | 'gracedTimer' | 'calendarTimer' | 'periodicTimer' ? K : never
}[keyof S]

/** What an operator instance does. Timers see the fork, the deadline (their clock's now) and whether a gap in calendar time made them late. */
export interface Behaviour<S extends ColumnSpec> {
  /** A fork begins: at its first event, at the top of the tree when the rules are put in force. Sets where windows are anchored. */
  start?(fork: number): void
  /** A fork goes on from rules that gave the operator other arguments: what was set by these may hold no longer. */
  resume?(fork: number, before: readonly unknown[]): void
  event?(event: EventCursor, fork: number): void
  list?(list: EventList, fork: number): void
  value?(value: unknown, fork: number): void
  /**
   * What of a fork's state matters to a person who asks why something was decided, or was not: part of every decision's provenance,
   * asked only when one is made. Changes nothing; the same on every replica.
   */
  explain?(fork: number): Facts
  /** Hears of what failed below; only of an operator that {@link Operator.catches}. */
  caught?(event: EventCursor, fork: number): void
  timers?: { readonly [K in TimerNames<S>]: (fork: number, deadline: number, gap: boolean) => void }
}

/** What an operator is built with. */
export interface Build<S extends ColumnSpec> {
  readonly args: readonly unknown[]
  readonly columns: Columns<S>
  /** To all children. */
  readonly out: Out
  /** To some of them. */
  outTo(children: readonly Stream[]): Out
  readonly children: readonly Stream[]
  readonly dimension: Dimension
  /** The dimension of the children: the operator's own, or the one it opens. */
  readonly inner: Dimension
  readonly runtime: Runtime
  /** Where the operator stands, for people. */
  readonly path: string
  /** The operators from the root to this one, as a fork of this one sees them: for provenance. */
  trail(fork: number): readonly Step[]
}

/** What an operator declares about itself: its columns, what it takes and gives, and its functions. */
export interface Operator<S extends ColumnSpec = ColumnSpec> {
  readonly name: string
  /** The operator at work, over taps: the laws of the engine are tried on it over generated records. */
  readonly sample?: () => Stream
  readonly takes: readonly Flow[]
  readonly gives: Flow | 'same' | 'nothing'
  readonly columns: S | ((args: readonly unknown[]) => S)
  /** For an operator that opens a dimension: how many symbols its key has; `top`: its children live in that of the whole tree. */
  readonly opens?: 'top' | ((args: readonly unknown[]) => number)
  /** Hears of what fails below all its children but the first. */
  readonly catches?: true
  /** The engine semantics that brought it, or what it was given; 1 unless told. */
  readonly since?: number | ((args: readonly unknown[]) => number)
  build(build: Build<S>): Behaviour<S>
}

const registry = new Map<string, Operator>()

/** Registers an operator by its name; tests and snapshots find it there. */
export function defineOperator<S extends ColumnSpec>(operator: Operator<S>): Operator<S> {
  registry.set(operator.name, operator as unknown as Operator)
  return operator
}

/** @throws EngineError `RULES_INVALID` for a name nobody defined. */
export function operatorNamed(name: string): Operator {
  const operator = registry.get(name)
  if (operator === undefined) throw new EngineError('RULES_INVALID', `there is no operator ${name} in this release`)
  return operator
}

/** The engine semantics that an operator takes with these arguments; 1 for a name nobody defined, which is refused for that. */
export function semanticsFor(name: string, args: readonly unknown[]): number {
  const since = registry.get(name)?.since ?? 1
  return typeof since === 'number' ? since : since(args)
}

/** Every operator there is, in the order of definition. */
export function operators(): readonly Operator[] {
  return [...registry.values()]
}

/** Makes an empty column of a kind. Timers get their callback when the operator is built. */
export function makeColumn(kind: ColumnKind, runtime: Runtime): Column {
  switch (kind) {
    case 'number':
      return new F64Column()
    case 'count':
      return new I32Column()
    case 'symbol':
      return new SymbolColumn()
    case 'flag':
      return new U8Column()
    case 'value':
      return new ValueColumn()
    case 'event':
      return new EventColumn()
    case 'list':
      return new ListColumn()
    case 'object':
      return new ObjectColumn()
    case 'ownedTimer':
      return new TimerColumn(runtime.clocks, runtime.clocks.owned, 0, false, noCallback)
    case 'gracedTimer':
      return new TimerColumn(runtime.clocks, runtime.clocks.owned, 0, true, noCallback)
    case 'calendarTimer':
      return new TimerColumn(runtime.clocks, runtime.clocks.calendar, 0, false, noCallback)
    case 'periodicTimer':
      return new TimerColumn(runtime.clocks, runtime.clocks.calendar, 0, false, noCallback, true)
  }
}

function noCallback(): void {}
