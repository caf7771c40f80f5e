/** Folds that reduce the metrics with one operation: sum, product, difference, quotient. Definitions: `riemann.folds`. */
import { type EventCursor, Kind } from '@ricci/client'
import { EngineError } from '../errors.ts'
import {
  add,
  divide,
  DivisionByZero,
  isZero,
  metricAt,
  multiply,
  setMetric,
  subtract,
  type Arithmetic,
  type Num,
} from './arithmetic.ts'
import { eventFold, loadFirst, type EventFold } from './fold.ts'
import type { EventList } from './list.ts'

/** Sum of the metrics that are there; 0 when none is. Nothing for an empty list. */
export const sum = friendly('sum', add, 0)
/** Product of the metrics that are there; 1 when none is. Nothing for an empty list. */
export const product = friendly('product', multiply, 1)
/** The first metric less all others; without a metric, and described as such, when one is absent. */
export const difference = complete('difference', subtract)
/** The first metric divided by all others; without a metric, and described as such, when one is absent or a divisor is 0. */
export const quotient = complete('quotient', divide)
/** As `quotient`, but 0 when any metric is 0: for relative rates, where 0/0 should be 0. */
export const quotientSloppy: EventFold = eventFold('quotientSloppy', (list, out, context) => {
  if (list.length === 0 || !list.load(0, out)) return false
  for (let i = 0; i < list.length; i++) {
    const metric = metricAt(list, i)
    if (metric === undefined) break
    if (!isZero(metric)) continue
    setMetric(out, { value: 0, double: false })
    return true
  }
  return quotient.apply(list, out, context)
})
/** Sum; throws on a null element or absent metric. `{metric: 0}` for an empty list. */
export const sumStrict = strict('sumStrict', add, 0)
/** Product; throws on a null element or absent metric. `{metric: 1}` for an empty list. */
export const productStrict = strict('productStrict', multiply, 1)
/** Difference; throws on a null element, an absent metric, an empty list. */
export const differenceStrict = strict('differenceStrict', subtract)
/** Quotient; throws on a null element, an absent metric, a zero divisor, an empty list. */
export const quotientStrict = strict('quotientStrict', divide)

/** Sum and number of the metrics that are there. */
export function total(list: EventList): { readonly sum: Num; readonly count: number } {
  // plain numbers first: windows are folded at each event, and an object per number was a tenth of the production rules' time
  let count = 0
  let sum = 0
  let double = false
  for (let i = 0; i < list.length; i++) {
    const kind = list.metricKind(i)
    if (kind === Kind.none) continue
    if (kind === Kind.big) return exactTotal(list)
    const metric = list.metric(i)
    if (kind === Kind.double) double = true
    // integers that have outgrown what a double holds exactly, before or without a double among them
    else if (!Number.isSafeInteger(sum + metric) && !double) return exactTotal(list)
    sum = count === 0 ? metric : sum + metric
    count++
  }
  return { sum: { value: sum, double }, count }
}

function exactTotal(list: EventList): { readonly sum: Num; readonly count: number } {
  let count = 0
  let sumSoFar: Num = { value: 0, double: false }
  for (let i = 0; i < list.length; i++) {
    const metric = metricAt(list, i)
    if (metric === undefined) continue
    sumSoFar = count === 0 ? metric : add(sumSoFar, metric)
    count++
  }
  return { sum: sumSoFar, count }
}

function friendly(name: string, operation: Arithmetic, ofNothing: number): EventFold {
  return eventFold(name, (list, out) => {
    if (!loadFirst(list, out)) return false
    let result: Num | undefined
    for (let i = 0; i < list.length; i++) {
      const metric = metricAt(list, i)
      if (metric !== undefined) result = result === undefined ? metric : operation(result, metric)
    }
    setMetric(out, result ?? { value: ofNothing, double: false })
    return true
  })
}

/** Reduces all metrics; undefined when one of several is absent. */
function reduceAll(list: EventList, operation: Arithmetic): Num | undefined {
  let result = metricAt(list, 0)
  for (let i = 1; i < list.length && result !== undefined; i++) {
    const metric = metricAt(list, i)
    result = metric === undefined ? undefined : operation(result, metric)
  }
  return result
}

function complete(name: string, operation: Arithmetic): EventFold {
  return eventFold(name, (list, out) => {
    if (list.length === 0 || !list.load(0, out)) return false
    try {
      const result = reduceAll(list, operation)
      setMetric(out, result)
      if (result === undefined && list.length > 1) describe(out, absentText)
    } catch (error) {
      if (!(error instanceof DivisionByZero)) throw error
      setMetric(out, undefined)
      describe(out, zeroText)
    }
    return true
  })
}

function strict(name: string, operation: Arithmetic, ofNothing?: number): EventFold {
  return eventFold(name, (list, out) => {
    if (list.length === 0) {
      if (ofNothing === undefined) throw new EngineError('FOLD_FAILED', `fold.${name} of an empty list`)
      out.clear()
      setMetric(out, { value: ofNothing, double: false })
      return true
    }
    const result = reduceAll(list, operation)
    if (result === undefined && list.length > 1) {
      throw new EngineError(
        'FOLD_FAILED',
        `fold.${name} met an absent event or metric; use fold.${name.replace('Strict', '')}, which leaves them out`,
      )
    }
    if (!list.load(0, out)) out.clear()
    setMetric(out, result)
    return true
  })
}

const utf8 = new TextEncoder()
const absentText = utf8.encode('An event or metric was nil.')
const zeroText = utf8.encode("Can't divide by zero")

function describe(out: EventCursor, text: Uint8Array): void {
  out.descriptionBytes = text
  out.descriptionStart = 0
  out.descriptionLength = text.length
}
