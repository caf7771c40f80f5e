/** Bodies that hold events as JSON: one event, a list of them, or an event a line. */
import type { Event } from '@ricci/client'
import { RicciError } from '../../errors.ts'
import { eventOfJson } from './json-events.ts'

/**
 * Events of one body: what of it is no event is answered one by one, some microseconds each, for which nobody else is served. A body of usual
 * events, of a hundred bytes each, is full before.
 */
const maxEvents = 10_000

/** What one of the events came to. */
export type Parsed = { readonly event: Event } | { readonly error: string }

/**
 * The events of a body, in their order. A line, or an element of a list, that is no event does not keep the others out.
 * @param nowSeconds the time of events that name none
 * @throws RicciError `EVENT_MALFORMED` where it is no text, or holds too many
 */
export function eventsOfBody(body: Uint8Array, nowSeconds: number): Parsed[] {
  const text = textOf(body).trim()
  if (text === '') return []
  const whole = jsonOf(text)
  if (Array.isArray(whole.value)) return notTooMany(whole.value).map((value: unknown) => parsed(value, nowSeconds))
  // one object, over as many lines as it likes
  if ('value' in whole || !text.includes('\n')) return [eventOf(whole, nowSeconds)]
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return notTooMany(lines).map((line) => eventOf(jsonOf(line), nowSeconds))
}

function notTooMany<T>(all: readonly T[]): readonly T[] {
  if (all.length <= maxEvents) return all
  throw new RicciError('EVENT_MALFORMED', `the body holds ${all.length} events, at most ${maxEvents} are taken at once`)
}

/** One event of a text. */
export function eventOfText(text: string, nowSeconds: number): Parsed {
  return eventOf(jsonOf(text), nowSeconds)
}

type Json = { readonly value: unknown } | { readonly value?: undefined; readonly error: string }

function jsonOf(text: string): Json {
  try {
    return { value: JSON.parse(text) as unknown }
  } catch (error) {
    return { error: `not JSON: ${(error as Error).message}` }
  }
}

function eventOf(json: Json, nowSeconds: number): Parsed {
  return 'error' in json ? { error: json.error } : parsed(json.value, nowSeconds)
}

function parsed(value: unknown, nowSeconds: number): Parsed {
  try {
    return { event: eventOfJson(value, nowSeconds) }
  } catch (error) {
    if (error instanceof RicciError) return { error: error.message }
    throw error
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function textOf(body: Uint8Array): string {
  try {
    return utf8.decode(body)
  } catch {
    throw new RicciError('EVENT_MALFORMED', 'the body is no UTF-8; send JSON')
  }
}
