/**
 * A fold is a description: immutable, with a name and parameters to tell two folds apart, and its implementation. Rules hand it to
 * operators that take lists: `movingEventWindow(10, smap(fold.mean, …))`.
 *
 * Friendly folds leave null elements and absent metrics out where they can; those with `Strict` in their name (Riemann's `sum*`)
 * throw on them. The event that is given is the first non-null one with the result as its metric, unless said otherwise.
 * None leaves expired events out.
 */
import type { EventCursor, InternTable } from '@ricci/client'
import type { EventList } from './list.ts'

/** What a fold may need besides the list. */
export interface FoldContext {
  /** Where new texts go (services of samples). */
  readonly table: InternTable
  /** The time of an event that is made of nothing: calendar time, seconds. */
  readonly nowSeconds: number
}

interface FoldDescription {
  readonly kind: 'fold'
  readonly name: string
  /** What was given to make it, for telling descriptions apart. */
  readonly parameters: readonly unknown[]
}

/** A fold of a list to one event. */
export interface EventFold extends FoldDescription {
  readonly gives: 'event'
  /**
   * Fills `out`; false when there is no event to give.
   * @throws EngineError `FOLD_FAILED` for what cannot be computed: the branch ends here for this list
   */
  readonly apply: (list: EventList, out: EventCursor, context: FoldContext) => boolean
}

/** A fold of a list to a list of events. */
export interface ListFold extends FoldDescription {
  readonly gives: 'list'
  /** Tells the events of the result in order, in a cursor that is valid during the call; null elements as undefined. */
  readonly apply: (list: EventList, emit: (event: EventCursor | undefined) => void, context: FoldContext) => void
}

/** A fold: events in, one event or a list of them out. */
export type Fold = EventFold | ListFold

/** Whether a value is a fold, as rules hand it to an operator. */
export function isFold(value: unknown): value is Fold {
  return typeof value === 'object' && value !== null && (value as { kind?: unknown }).kind === 'fold'
}

export function eventFold(name: string, apply: EventFold['apply'], ...parameters: unknown[]): EventFold {
  return Object.freeze({ kind: 'fold', name, parameters: Object.freeze(parameters), gives: 'event', apply })
}

export function listFold(name: string, apply: ListFold['apply'], ...parameters: unknown[]): ListFold {
  return Object.freeze({ kind: 'fold', name, parameters: Object.freeze(parameters), gives: 'list', apply })
}

/** Loads the first element that is not null; false where there is none. */
export function loadFirst(list: EventList, out: EventCursor): boolean {
  for (let i = 0; i < list.length; i++) if (list.load(i, out)) return true
  return false
}
