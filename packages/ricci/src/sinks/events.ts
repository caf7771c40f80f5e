import { decodeMsg, type Event } from '@ricci/client'
import type { FlowBatch } from '@ricci/replica'

/** An event that is a point of a metric. */
export interface Point {
  readonly event: Event
  readonly service: string
  readonly metric: number
  /** Whole seconds since 1970. */
  readonly seconds: number
}

/** The events of batches that say a number of something: what has no metric, service or time, or no finite metric, is for no metrics store. */
export function pointsOf(batches: readonly FlowBatch[]): Point[] {
  const points: Point[] = []
  for (const { msg } of batches) {
    for (const event of decodeMsg(msg).events ?? []) {
      const { service, time } = event
      const metric = Number(event.metric ?? NaN)
      if (typeof service !== 'string' || service === '' || !Number.isFinite(metric) || !Number.isFinite(time ?? NaN))
        continue
      points.push({ event, service, metric, seconds: Math.floor(time!) })
    }
  }
  return points
}
