/**
 * Events as people and programs write them in JSON: Riemann's keys, everything else an attribute. Shapes as Riemann's HTTP and WebSocket intake take them,
 * which check nothing; here what no event can hold is refused with a reason.
 */
import type { Event } from '@ricci/client'
import { RicciError } from '../../errors.ts'
import { isoSeconds } from './iso-time.ts'

const texts = ['host', 'service', 'state', 'description'] as const

/**
 * One event of an object that was read from JSON.
 * @param nowSeconds the time of an event that names none
 * @throws RicciError `EVENT_MALFORMED`, with the key that is wrong
 */
export function eventOfJson(value: unknown, nowSeconds: number): Event {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw malformed(`an event is an object, like {"host": "web1", "service": "load", "metric": 1.5}`)
  const event: { -readonly [K in keyof Event]: Event[K] } = { time: nowSeconds }
  const attributes: [string, string][] = []
  for (const [key, given] of Object.entries(value)) {
    if (given === null) continue
    if ((texts as readonly string[]).includes(key)) event[key as (typeof texts)[number]] = textOf(key, given)
    else if (key === 'metric') event.metric = metricOf(given)
    else if (key === 'ttl') event.ttl = numberOf(key, given)
    else if (key === 'time') event.time = timeOf(given)
    else if (key === 'tags') event.tags = tagsOf(given)
    // as text: an event's attributes are
    else attributes.push([key, typeof given === 'string' ? given : jsonTextOf(key, given)])
  }
  return attributes.length === 0 ? event : { ...event, attributes: Object.fromEntries(attributes) }
}

function textOf(key: string, given: unknown): string {
  if (typeof given === 'string') return given
  if (typeof given === 'number' || typeof given === 'boolean') return String(given)
  throw malformed(`"${key}" is a text, not ${shown(given)}`)
}

/** What an event cannot hold as it is: it would be too deep to be written. */
function jsonTextOf(key: string, given: unknown): string {
  try {
    return JSON.stringify(given)
  } catch {
    throw malformed(`"${key}" is too deep to be an attribute`)
  }
}

const int64 = { least: -(2n ** 63n), most: 2n ** 63n - 1n }

/** Integers beyond 2^53 come as texts, as they are told: a JSON number would have been rounded. */
function metricOf(given: unknown): number | bigint {
  if (typeof given !== 'string' || !/^-?\d{1,19}$/.test(given)) return numberOf('metric', given)
  const exact = BigInt(given)
  if (Number.isSafeInteger(Number(given))) return Number(given)
  if (exact < int64.least || exact > int64.most) throw malformed(`"metric" is beyond 64 bits: ${given}`)
  return exact
}

function numberOf(key: string, given: unknown): number {
  if (typeof given === 'number') return given
  throw malformed(`"${key}" is a number, not ${shown(given)}`)
}

/** Riemann takes texts of ISO 8601 only; seconds since 1970, as everywhere else, are taken too. */
function timeOf(given: unknown): number {
  const seconds = typeof given === 'string' ? isoSeconds(given) : given
  if (typeof seconds === 'number') return seconds
  throw malformed(`"time" is like "2014-06-18T17:39:43.281Z", or seconds since 1970, not ${shown(given)}`)
}

function tagsOf(given: unknown): readonly string[] {
  if (Array.isArray(given) && given.every((tag) => typeof tag === 'string')) return given
  throw malformed(`"tags" is a list of texts, not ${shown(given)}`)
}

function shown(given: unknown): string {
  const text =
    typeof given === 'object' && given !== null
      ? Array.isArray(given)
        ? 'a list'
        : 'an object'
      : JSON.stringify(given)
  return text.length > 60 ? `${text.slice(0, 59)}…` : text
}

function malformed(why: string): RicciError {
  return new RicciError('EVENT_MALFORMED', why)
}
