import { type EventCursor, Kind } from '@ricci/client'
import type { Num } from '../folds/arithmetic.ts'

/** An event's metric as a number with its kind; undefined when absent. */
export function metricOf(event: EventCursor): Num | undefined {
  if (event.metricKind === Kind.none) return undefined
  if (event.metricKind === Kind.big) return { value: event.metricBig, double: false }
  return { value: event.metric, double: event.metricKind === Kind.double }
}

/** An event's metric to be compared with numbers, exactly: JavaScript compares integers of any size with doubles by value. NaN when absent. */
export function comparableMetric(event: EventCursor): number | bigint {
  if (event.metricKind === Kind.none) return NaN
  return event.metricKind === Kind.big ? event.metricBig : event.metric
}

/** An event's metric as a double, for sums of doubles; NaN when absent. */
export function metricNumber(event: EventCursor): number {
  if (event.metricKind === Kind.none) return NaN
  return event.metricKind === Kind.big ? Number(event.metricBig) : event.metric
}

/** A number given in rules as a metric: whole numbers are integers. */
export function numberOf(value: number | bigint): Num {
  return { value, double: typeof value === 'number' && !Number.isInteger(value) }
}
