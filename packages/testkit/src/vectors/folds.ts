/** Cases of the folds: a fold over a list of events gives an event, a list, nothing, or throws. */
import { cursorToEvent, EventCursor, eventToCursor, Kind, SymbolTable, type Event } from '@ricci/client'
import { EngineError, fold, nonNilMetrics, type EventList, type Fold, type SamplePoints } from '@ricci/engine'
import { difference, failed, NotThereYet, passed, type Case, type Outcome } from './case.ts'
import { eventOf, numberOf, plain, same, show, type RawEvent } from './values.ts'

export interface FoldCase extends Case {
  readonly fold: string
  readonly points?: unknown
  readonly events: readonly (RawEvent | null)[]
  readonly result?: unknown
  readonly throws?: string
}

/** Where the clock stood when the folds were recorded. */
const recordedAtSeconds = 1000

export function runFold(c: FoldCase): Outcome {
  const expected = 'ricci' in c ? c.ricci : 'throws' in c ? throwing : c.result
  const actual = apply(c)
  if (expected === throwing || actual === throwing) {
    return expected === actual ? passed : failed(difference(call(c), showResult(expected), showResult(actual)))
  }
  return same(plain(expected), plain(actual))
    ? passed
    : failed(difference(call(c), showResult(expected), showResult(actual)))
}

const throwing = Symbol('throws')
const showResult = (result: unknown): string => (result === throwing ? 'an error' : show(plain(result)))
const call = (c: FoldCase): string => `${c.fold} of ${show(plain(c.events))}`

function apply(c: FoldCase): unknown {
  const table = new SymbolTable()
  const list = listOf(c.events, table)
  if (c.fold === 'nonNilMetrics') return nonNilMetrics(list)
  const chosen = foldNamed(c.fold, c.points)
  const context = { table, nowSeconds: recordedAtSeconds }
  try {
    if (chosen.gives === 'event') {
      const out = new EventCursor()
      return chosen.apply(list, out, context) ? cursorToEvent(out, table) : null
    }
    const events: (Event | null)[] = []
    chosen.apply(list, (event) => events.push(event === undefined ? null : cursorToEvent(event, table)), context)
    return events
  } catch (error) {
    if (error instanceof EngineError && error.code === 'FOLD_FAILED') return throwing
    throw error
  }
}

/** A fold by its name in the vectors: Riemann's in camel case, the strict ones with `*`. */
export function foldNamed(name: string, points?: unknown): Fold {
  if (name === 'sortedSample') return fold.sortedSample(pointsOf(points))
  if (name === 'sortedSampleExtract') return fold.sortedSampleExtract((points as unknown[]).map(point))
  const found = (fold as Readonly<Record<string, unknown>>)[name.replace('*', 'Strict')]
  if (found === undefined || typeof found === 'function') throw new NotThereYet(`fold ${name}`)
  return found as Fold
}

/** Points as our folds take them. A whole double is `1.0` in a service's name, so it needs its suffix spelt out. */
export function pointsOf(points: unknown): SamplePoints {
  if (!Array.isArray(points)) return points as Record<string, string>
  return points.map(point)
}

const point = (value: unknown): number => Number(numberOf(value))

function listOf(events: readonly (RawEvent | null)[], table: SymbolTable): EventList {
  const cursors = events.map((event) => {
    if (event === null) return undefined
    const cursor = new EventCursor()
    eventToCursor(eventOf(event), table, cursor)
    return cursor
  })
  return {
    length: cursors.length,
    load(i, into) {
      const cursor = cursors[i]
      if (cursor !== undefined) into.copyFrom(cursor)
      return cursor !== undefined
    },
    metricKind: (i) => cursors[i]?.metricKind ?? Kind.none,
    metric: (i) => cursors[i]!.metric,
    metricBig: (i) => cursors[i]!.metricBig,
    late: () => false,
  }
}
