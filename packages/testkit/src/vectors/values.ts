/** The notation of values in vectors (`packages/testkit/vectors/README.md`, "Values"), and when two of them are the same. */
import type { Event } from '@ricci/client'

export type RawEvent = Readonly<Record<string, unknown>>

/** Doubles differ by the order of additions, which is not part of the contract. */
export const relativeTolerance = 1e-9

/**
 * A value without its notation: numbers are numbers or bigints (ratios are doubles), absent and null fields are left out, an empty
 * list of tags is no tags, `ttl` is the float32 that it is on the wire.
 */
export function plain(value: unknown): unknown {
  if (value === undefined || value === null) return null
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object') return value
  const number = taggedNumber(value)
  if (number !== undefined) return number
  const fields: Record<string, unknown> = {}
  for (const [name, raw] of Object.entries(value)) {
    const field = plain(raw)
    if (field === null || (name === 'tags' && Array.isArray(field) && field.length === 0)) continue
    if (name === 'metricType' || (name === 'attributes' && Object.keys(field as object).length === 0)) continue
    fields[name] = name === 'ttl' && typeof field === 'number' ? Math.fround(field) : field
  }
  return fields
}

/** A number of the notation; undefined for what is none. */
export function numberOf(value: unknown): number | bigint | undefined {
  if (typeof value === 'number') return value
  return typeof value === 'object' && value !== null ? taggedNumber(value) : undefined
}

function taggedNumber(value: object): number | bigint | undefined {
  const keys = Object.keys(value)
  if (keys.length !== 1) return undefined
  const tagged = value as { d?: number | string; n?: string; long?: string; ratio?: [unknown, unknown] }
  switch (keys[0]) {
    case 'd':
      return Number(tagged.d)
    case 'ratio':
      return Number(numberOf(tagged.ratio![0])) / Number(numberOf(tagged.ratio![1]))
    case 'long':
    case 'n': {
      const integer = BigInt(tagged.long ?? tagged.n!)
      return Number.isSafeInteger(Number(integer)) ? Number(integer) : integer
    }
  }
  return undefined
}

/** An event of the notation as the client takes it. */
export function eventOf(raw: RawEvent): Event {
  const { metric, time, ttl, tags, attributes } = raw
  const number = numberOf(metric)
  const whole = typeof number === 'number' && Number.isInteger(number)
  const double = whole && (typeof metric === 'object' || !Number.isSafeInteger(number)) && !isInteger(metric)
  const text = (name: string): string | undefined => (raw[name] ?? undefined) as string | undefined
  return {
    host: text('host'),
    service: text('service'),
    state: text('state'),
    description: text('description'),
    tags: (tags ?? undefined) as string[] | undefined,
    metric: number,
    metricType: double ? 'double' : undefined,
    time: optional(time),
    ttl: optional(ttl),
    attributes: (attributes ?? undefined) as Record<string, string> | undefined,
  }
}

function optional(value: unknown): number | undefined {
  const number = numberOf(value)
  return number === undefined ? undefined : Number(number)
}

function isInteger(value: unknown): boolean {
  return typeof value === 'object' && value !== null && ('long' in value || 'n' in value)
}

/** Whether two plain values are the same: integers exactly, doubles within {@link relativeTolerance}, fields in any order. */
export function same(a: unknown, b: unknown): boolean {
  if (isNumeric(a) && isNumeric(b)) return sameNumber(a, b)
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((part, i) => same(part, b[i]))
  if (isObject(a) && isObject(b)) {
    const keys = Object.keys(a)
    return keys.length === Object.keys(b).length && keys.every((key) => key in b && same(a[key], b[key]))
  }
  return a === b
}

function sameNumber(a: number | bigint, b: number | bigint): boolean {
  if (a == b || (Number.isNaN(a) && Number.isNaN(b))) return true
  if (isWhole(a) && isWhole(b)) return false
  const [x, y] = [Number(a), Number(b)]
  return Math.abs(x - y) <= relativeTolerance * Math.max(Math.abs(x), Math.abs(y))
}

const isNumeric = (value: unknown): value is number | bigint => typeof value === 'number' || typeof value === 'bigint'
const isWhole = (value: number | bigint): boolean =>
  typeof value === 'bigint' || (Number.isInteger(value) && Math.abs(value) <= 2 ** 53)
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A plain value for people, on one line. Fields in a fixed order, so that it also sorts. */
export function show(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'number') return String(value)
  if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`
  if (isObject(value)) {
    const fields = Object.keys(value).sort()
    return `{${fields.map((field) => `${field}: ${show(value[field])}`).join(', ')}}`
  }
  return value === undefined ? 'nothing' : JSON.stringify(value)
}
