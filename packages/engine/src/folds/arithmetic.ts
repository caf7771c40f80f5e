/**
 * Arithmetic over metrics as Riemann does it: integers stay integers and exact, a double makes everything doubles. An integer
 * result beyond 64 bits cannot travel on the wire and is an error, as in Clojure. Where integers do not divide evenly Riemann
 * keeps a ratio; here it is a double.
 */
import { Kind, type EventCursor } from '@ricci/client'
import { EngineError } from '../errors.ts'
import type { EventList } from './list.ts'

/** A number with its kind: integers beyond 2^53 are bigints. `double` tells 2.0 from 2. */
export interface Num {
  readonly value: number | bigint
  readonly double: boolean
}

/** The metric of an element; undefined where the element is null or has none. */
export function metricAt(list: EventList, i: number): Num | undefined {
  switch (list.metricKind(i)) {
    case Kind.none:
      return undefined
    case Kind.big:
      return { value: list.metricBig(i), double: false }
    case Kind.int:
      return { value: list.metric(i), double: false }
    case Kind.double:
      return { value: list.metric(i), double: true }
  }
}

/** Sets a cursor's metric. */
export function setMetric(out: EventCursor, num: Num | undefined): void {
  out.metric = 0
  out.metricBig = 0n
  if (num === undefined) out.metricKind = Kind.none
  else if (typeof num.value === 'bigint') {
    out.metricKind = Kind.big
    out.metricBig = num.value
  } else {
    out.metricKind = num.double ? Kind.double : Kind.int
    out.metric = num.value
  }
}

export type Arithmetic = (a: Num, b: Num) => Num

export const add: Arithmetic = (a, b) =>
  integers(a, b) ? exact(a, b, plainSum, (x, y) => x + y) : inexact(Number(a.value) + Number(b.value))
export const subtract: Arithmetic = (a, b) =>
  integers(a, b) ? exact(a, b, plainDifference, (x, y) => x - y) : inexact(Number(a.value) - Number(b.value))
export const multiply: Arithmetic = (a, b) =>
  integers(a, b) ? exact(a, b, plainProduct, (x, y) => x * y) : inexact(Number(a.value) * Number(b.value))

/** @throws EngineError `FOLD_FAILED` for division by zero, by 0.0 as well */
export const divide: Arithmetic = (a, b) => {
  if (isZero(b)) throw new DivisionByZero()
  if (integers(a, b)) {
    const [x, y] = [BigInt(a.value), BigInt(b.value)]
    if (x % y === 0n) return shorten(x / y)
  }
  return inexact(Number(a.value) / Number(b.value))
}

export function isZero(num: Num): boolean {
  return num.value == 0
}

/** Orders numbers by value; NaN behind all others. */
export function compareNums(a: Num, b: Num): number {
  if (a.value < b.value) return -1
  if (a.value > b.value) return 1
  return Number(Number.isNaN(a.value)) - Number(Number.isNaN(b.value))
}

export class DivisionByZero extends EngineError {
  constructor() {
    super('FOLD_FAILED', 'division by zero; use fold.quotientSloppy, or filter the zeros out before')
  }
}

const plainSum = (x: number, y: number): number => x + y
const plainDifference = (x: number, y: number): number => x - y
const plainProduct = (x: number, y: number): number => x * y

const integers = (a: Num, b: Num): boolean => !a.double && !b.double
const inexact = (value: number): Num => ({ value, double: true })

/** Integer arithmetic in doubles while these are exact, which a safe result proves, else in bigints. */
function exact(a: Num, b: Num, plain: (x: number, y: number) => number, big: (x: bigint, y: bigint) => bigint): Num {
  if (typeof a.value === 'number' && typeof b.value === 'number') {
    const value = plain(a.value, b.value)
    // -0 is no integer: 0 × -5.
    if (Number.isSafeInteger(value)) return { value: value === 0 ? 0 : value, double: false }
  }
  return shorten(big(BigInt(a.value), BigInt(b.value)))
}

function shorten(value: bigint): Num {
  if (value !== BigInt.asIntN(64, value)) {
    throw new EngineError('FOLD_FAILED', 'an integer result beyond 64 bits; scale the metrics by 1.0 to fold doubles')
  }
  const asNumber = Number(value)
  return { value: Number.isSafeInteger(asNumber) ? asNumber : value, double: false }
}
