/** Folds that look at the metrics as a sample: mean, deviation, extremes, order, frequency, number. Definitions: `riemann.folds`. */
import { EventCursor, Kind } from '@ricci/client'
import { EngineError } from '../errors.ts'
import { compareNums, divide, metricAt, setMetric, subtract, type Num } from './arithmetic.ts'
import { eventFold, listFold, loadFirst, type EventFold, type ListFold } from './fold.ts'
import type { EventList } from './list.ts'
import { total } from './reductions.ts'
import { madeText } from '../state/made-texts.ts'

/** Mean of the metrics that are there; nothing when none is. An integer when integers divide evenly, else a double. */
export const mean = eventFold('mean', (list, out) => {
  const known = list.doubleSum?.()
  if (known !== undefined) {
    loadFirst(list, out)
    out.metricKind = Kind.double
    out.metric = known / list.length
    out.metricBig = 0n
    return true
  }
  const { sum, count } = total(list)
  if (count === 0 || !loadFirst(list, out)) return false
  setMetric(out, divide(sum, { value: count, double: false }))
  return true
})

/** Standard deviation of the whole population of metrics that are there, a double; nothing when none is. */
export const stdDev = eventFold('stdDev', (list, out) => {
  const { sum, count } = total(list)
  if (count === 0 || !loadFirst(list, out)) return false
  const average = divide(sum, { value: count, double: false })
  let squares = 0
  for (let i = 0; i < list.length; i++) {
    const metric = metricAt(list, i)
    if (metric === undefined) continue
    const distance = Number(subtract(metric, average).value)
    squares += distance * distance
  }
  setMetric(out, { value: Math.sqrt(squares / count), double: true })
  return true
})

/** The event with the smallest metric, of equal ones the last; nothing when no metric is there. */
export const minimum = extreme('minimum', (a, b) => a.value <= b.value)
/** The event with the greatest metric, of equal ones the last; nothing when no metric is there. */
export const maximum = extreme('maximum', (a, b) => a.value >= b.value)

/**
 * The event that beats all before it.
 * @param beats whether the metric of a later event beats the best so far
 */
export function extremum(beats: (metric: number | bigint, best: number | bigint) => boolean): EventFold {
  return extreme('extremum', (a, b) => beats(a.value, b.value), beats)
}

function extreme(name: string, beats: (a: Num, b: Num) => boolean, ...parameters: unknown[]): EventFold {
  const apply: EventFold['apply'] = (list, out) => {
    let best: Num | undefined
    let at = -1
    for (let i = 0; i < list.length; i++) {
      const metric = metricAt(list, i)
      if (metric === undefined || (best !== undefined && !beats(metric, best))) continue
      best = metric
      at = i
    }
    return at !== -1 && list.load(at, out)
  }
  return eventFold(name, apply, ...parameters)
}

/** The event in the middle by metric, of an even number the later one; nothing when no metric is there. */
export const median = eventFold('median', (list, out) => {
  const order = sortedByMetric(list)
  return order.length > 0 && list.load(order[sampleIndex(order.length, 0.5)], out)
})

/** One of {@link modes}: the one whose metric came first. */
export const mode = eventFold('mode', (list, out) => {
  const [last] = mostFrequent(list)
  return last !== undefined && list.load(last, out)
})

/** For each of the most frequent metrics (by value; absent counts as one) the last event that has it. */
export const modes = listFold('modes', (list, emit) => {
  const event = new EventCursor()
  for (const i of mostFrequent(list)) emit(list.load(i, event) ? event : undefined)
})

/** How many events there are, null elements left out. Of none: an event with metric 0 and the time now. */
export const count = eventFold('count', (list, out, context) => {
  let events = 0
  for (let i = list.length; i-- > 0;) if (list.load(i, out)) events++
  if (events === 0) {
    out.clear()
    out.timeKind = Kind.int
    out.time = Math.round(context.nowSeconds)
  }
  setMetric(out, { value: events, double: false })
  return true
})

/** Points from 0 (smallest metric) to 1 (greatest): a list, or a map from point to what the service is followed by. */
export type SamplePoints = readonly number[] | Readonly<Record<string, string>>

/**
 * The events found at points of the list ordered by metric, each with the point in its service: `cpu 0.95`.
 * Given a map from point to suffix, the suffix follows the service as it is. Nothing when no metric is there.
 */
export function sortedSample(points: SamplePoints): ListFold {
  const sampled = samplePoints(points)
  const apply: ListFold['apply'] = (list, emit, { table }) => {
    const order = sortedByMetric(list)
    if (order.length === 0) return
    const event = new EventCursor()
    for (const { point, suffix } of sampled) {
      list.load(order[sampleIndex(order.length, point)], event)
      event.service = madeText(table, (event.service === 0 ? '' : table.text(event.service)) + suffix)
      emit(event)
    }
  }
  return listFold('sortedSample', apply, points)
}

/** As {@link sortedSample}, the events as they are. */
export function sortedSampleExtract(points: readonly number[]): ListFold {
  const apply: ListFold['apply'] = (list, emit) => {
    const order = sortedByMetric(list)
    if (order.length === 0) return
    const event = new EventCursor()
    for (const point of points) {
      list.load(order[sampleIndex(order.length, point)], event)
      emit(event)
    }
  }
  return listFold('sortedSampleExtract', apply, points)
}

/** The metrics that are there, in order. */
export function nonNilMetrics(list: EventList): (number | bigint)[] {
  const metrics: (number | bigint)[] = []
  for (let i = 0; i < list.length; i++) {
    const metric = metricAt(list, i)
    if (metric !== undefined) metrics.push(metric.value)
  }
  return metrics
}

/**
 * Points in the order in which they are sampled, with what follows the service; those of a map from small to great.
 * @throws EngineError `RULES_INVALID` for what is no share: `95` or `p95` for `0.95` would give the same event for every point
 */
export function samplePoints(points: SamplePoints): readonly { readonly point: number; readonly suffix: string }[] {
  if (isList(points)) return points.map((point) => ({ point: share(point, point), suffix: ` ${point}` }))
  const entries = Object.entries(points).map(([point, suffix]) => ({ point: share(Number(point), point), suffix }))
  const odd = entries.find(({ suffix }) => typeof suffix !== 'string')
  if (odd !== undefined) {
    throw new EngineError(
      'RULES_INVALID',
      `what follows the service at the point ${odd.point} is a text, as in { 0.95: ' p95' }`,
    )
  }
  return entries.sort((a, b) => a.point - b.point)
}

function share(point: number, given: unknown): number {
  if (typeof point === 'number' && point >= 0 && point <= 1) return point
  throw new EngineError('RULES_INVALID', `points of a sample are numbers from 0 to 1, as 0.95; got ${String(given)}`)
}

const isList = (points: SamplePoints): points is readonly number[] => Array.isArray(points)

/** Where in `length` sorted elements a point lies: no interpolation. */
export function sampleIndex(length: number, point: number): number {
  return Math.max(0, Math.min(length - 1, Math.floor(length * point)))
}

/** Places of the elements that have a metric, by metric, equal ones in their order. */
function sortedByMetric(list: EventList): number[] {
  const metrics = Array.from({ length: list.length }, (_, i) => metricAt(list, i))
  const order: number[] = []
  metrics.forEach((metric, i) => metric !== undefined && order.push(i))
  return order.sort((a, b) => compareNums(metrics[a]!, metrics[b]!))
}

/** For each of the most frequent metrics the place of the last element that has it, in the order in which the metrics first came. */
function mostFrequent(list: EventList): number[] {
  const groups = new Map<number | string, { count: number; last: number }>()
  for (let i = 0; i < list.length; i++) {
    const metric = metricAt(list, i)?.value
    const key = metric === undefined ? 'absent' : groupKey(metric)
    const group = groups.get(key)
    groups.set(key, { count: (group?.count ?? 0) + 1, last: i })
  }
  const all = [...groups.values()]
  const most = all.reduce((soFar, group) => Math.max(soFar, group.count), 0)
  return all.filter((group) => group.count === most).map((group) => group.last)
}

/** Numbers equal by value have one key: a Map takes -0 for 0 and NaN for itself, but knows nothing of bigints. */
function groupKey(metric: number | bigint): number | string {
  if (typeof metric === 'bigint') return String(metric)
  return Number.isInteger(metric) && !Number.isSafeInteger(metric) ? String(BigInt(metric)) : metric
}
