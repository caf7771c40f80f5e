import type { EventCursor, Kind } from '@ricci/client'

/** A list of events as it flows between operators: rows somewhere else, read one by one. Valid during the call only. */
export interface EventList {
  readonly length: number
  /** Loads an element; false where the element is null. */
  load(i: number, into: EventCursor): boolean
  /** The kind of an element's metric, without loading the rest; none for null. */
  metricKind(i: number): Kind
  /** An int or double metric. */
  metric(i: number): number
  /** A metric of kind big. */
  metricBig(i: number): bigint
  /** The sum of the metrics in their order, where it is known that each is a double: a window that keeps its numbers together. */
  doubleSum?(): number | undefined
  /** Whether an element was late when it arrived; true for null, which speaks for nothing. */
  late(i: number): boolean
}

/** Whether a list rests on late events alone: what is made of it is late then, too. */
export function restsOnLate(list: EventList): 0 | 1 {
  for (let i = 0; i < list.length; i++) if (!list.late(i)) return 0
  return list.length > 0 ? 1 : 0
}
