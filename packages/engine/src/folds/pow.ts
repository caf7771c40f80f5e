/**
 * Powers that are the same everywhere: V8's `Math.pow` and `**` give other last digits in other versions, and a page must not depend
 * on the version of Node. Only additions, multiplications, divisions and bits are used, whose results IEEE 754 fixes.
 *
 * The logarithm, its product with the exponent and the exponential are worked out with twice the digits (pairs of doubles, after
 * Dekker 1971), so that the result is the double nearest to the true one but in about one case of 2^40. Takes two to three
 * microseconds; squares, roots and inverses, which IEEE 754 fixes as they are, a few nanoseconds.
 */

const bits = new DataView(new ArrayBuffer(8))

/**
 * `base` to the power of `exponent`, with the special cases of ECMAScript's `Math.pow`.
 * @example pow(2, 10) // 1024
 */
export function pow(base: number, exponent: number): number {
  if (exponent === 0) return 1
  if (base !== base || exponent !== exponent) return NaN
  if (exponent === 2) return base * base
  if (exponent === 1) return base
  if (exponent === -1) return 1 / base
  const size = base < 0 ? -base : base
  if (exponent === Infinity || exponent === -Infinity) {
    // ECMAScript, against IEEE 754: 1 to the infinite is not a number
    if (size === 1) return NaN
    return size > 1 === exponent > 0 ? Infinity : 0
  }
  const odd = isOddInteger(exponent)
  const negative = odd && (base < 0 || (base === 0 && 1 / base < 0))
  if (base === 0 || size === Infinity) {
    const huge = (base === 0) === exponent < 0
    return negative ? (huge ? -Infinity : -0) : huge ? Infinity : 0
  }
  if (base < 0 && Math.floor(exponent) !== exponent) return NaN
  const result = size === 1 ? 1 : exponent === 0.5 ? Math.sqrt(size) : positivePow(size, exponent)
  return negative ? -result : result
}

function isOddInteger(value: number): boolean {
  // from 2^53 on every double is even
  return Math.abs(value) < 9_007_199_254_740_992 && Math.floor(value) === value && value % 2 !== 0
}

function positivePow(base: number, exponent: number): number {
  logarithm(base)
  // beyond these the result is infinite or 0 whatever the digits; it also keeps the products below from overflowing
  const rough = high * exponent
  if (rough > 710) return Infinity
  if (rough < -746) return 0
  multiplyBy(exponent)
  return exponential(high, low)
}

// The pair that the functions below work on: its value is high + low. Two numbers instead of an object: nothing is allocated.
let high = 0
let low = 0

/** high + low := a + b, exactly; |a| at least |b|. */
function renormalise(a: number, b: number): void {
  high = a + b
  low = b - (high - a)
}

/** high + low := a × b, exactly. */
function multiplyExactly(a: number, b: number): void {
  // 2^27 + 1 cuts a double into two halves of 26 bits
  const cutA = 134_217_729 * a
  const a1 = cutA - (cutA - a)
  const a2 = a - a1
  const cutB = 134_217_729 * b
  const b1 = cutB - (cutB - b)
  const b2 = b - b1
  high = a * b
  low = a1 * b1 - high + a1 * b2 + a2 * b1 + a2 * b2
}

/** The pair times a number. */
function multiplyBy(factor: number): void {
  const rest = low * factor
  multiplyExactly(high, factor)
  renormalise(high, low + rest)
}

/** The pair times another pair. */
function multiply(otherHigh: number, otherLow: number): void {
  const cross = high * otherLow + low * otherHigh
  multiplyExactly(high, otherHigh)
  renormalise(high, low + cross)
}

/** The pair plus another pair. */
function add(otherHigh: number, otherLow: number): void {
  const sum = high + otherHigh
  const back = sum - high
  const error = high - (sum - back) + (otherHigh - back)
  renormalise(sum, error + low + otherLow)
}

/** The pair divided by a number. */
function divideBy(divisor: number): void {
  const quotient = high / divisor
  const [numeratorHigh, numeratorLow] = [high, low]
  multiplyExactly(quotient, divisor)
  const rest = (numeratorHigh - high - low + numeratorLow) / divisor
  renormalise(quotient, rest)
}

// ln 2 as a pair
const ln2High = 0.6931471805599453
const ln2Low = 2.3190468138462996e-17

/** Terms of the series of atanh: its argument is below 0.172, and 0.172^(2 × 20) is below 2^-100. */
const logarithmTerms = 20

/** high + low := ln value; value above 0, finite, not 1. */
function logarithm(value: number): void {
  let scale = 0
  let mantissa = value
  // subnormal: brought among the normal numbers first
  if (mantissa < 2.2250738585072014e-308) {
    mantissa *= 18_014_398_509_481_984
    scale = -54
  }
  bits.setFloat64(0, mantissa)
  const top = bits.getUint32(0)
  scale += ((top >>> 20) & 0x7ff) - 1023
  bits.setUint32(0, (top & 0x000fffff) | 0x3ff00000)
  mantissa = bits.getFloat64(0)
  if (mantissa > 1.4142135623730951) {
    mantissa /= 2
    scale += 1
  }
  // ln m = 2 atanh s with s = (m - 1) / (m + 1); both differences are exact as pairs
  const below = mantissa - 1
  high = 1
  low = 0
  add(mantissa, 0)
  const [sumHigh, sumLow] = [high, low]
  const quotient = below / sumHigh
  multiplyExactly(quotient, sumHigh)
  renormalise(quotient, (below - high - low - quotient * sumLow) / sumHigh)
  const [sHigh, sLow] = [high, low]
  multiply(sHigh, sLow)
  const [squareHigh, squareLow] = [high, low]
  high = 0
  low = 0
  for (let term = logarithmTerms; term > 0; term--) {
    const [restHigh, restLow] = [high, low]
    high = 1
    low = 0
    divideBy(2 * term + 1)
    add(restHigh, restLow)
    multiply(squareHigh, squareLow)
  }
  add(1, 0)
  multiply(2 * sHigh, 2 * sLow)
  if (scale === 0) return
  const [lnHigh, lnLow] = [high, low]
  high = ln2High
  low = ln2Low
  multiplyBy(scale)
  add(lnHigh, lnLow)
}

/** Terms of the series of exp: its argument is below 0.022, and 0.022^15 / 15! is below 2^-120. */
const exponentialTerms = 15
/** The argument is halved so often before the series, the result squared as often after it. */
const halvings = 4

/** e to the power of a pair. */
function exponential(argumentHigh: number, argumentLow: number): number {
  const scale = Math.floor(argumentHigh / ln2High + 0.5)
  high = ln2High
  low = ln2Low
  multiplyBy(-scale)
  add(argumentHigh, argumentLow)
  const xHigh = high / 16
  const xLow = low / 16
  high = 1
  low = 0
  for (let term = exponentialTerms; term > 0; term--) {
    multiply(xHigh, xLow)
    divideBy(term)
    add(1, 0)
  }
  for (let i = 0; i < halvings; i++) multiply(high, low)
  return scaled(high + low, scale)
}

/** value × 2^scale, in two steps so that a result at either end of the range is rounded once. */
function scaled(value: number, scale: number): number {
  if (scale > 1023) return value * powerOfTwo(1023) * powerOfTwo(scale - 1023)
  if (scale < -1021) return value * powerOfTwo(scale + 969) * powerOfTwo(-969)
  return value * powerOfTwo(scale)
}

function powerOfTwo(scale: number): number {
  bits.setUint32(0, (scale + 1023) << 20)
  bits.setUint32(4, 0)
  return bits.getFloat64(0)
}
