/**
 * An event as JSON in the shape that Riemann's WebSocket and SSE servers write, byte for byte what dashboards were made for: the eight standard keys in their
 * order, null where there is nothing, then the attributes; the time as ISO 8601 in UTC to the millisecond; a whole double with its `.0`, integers of any size as
 * digits, numbers that JSON lacks as texts. Definition: `riemann.common/event-to-json`, recorded in the project's vectors.
 */
import type { Event } from '@ricci/client'

/** What stands before each value. */
const keys = [
  '{"host":',
  ',"service":',
  ',"state":',
  ',"description":',
  ',"metric":',
  ',"tags":',
  ',"time":',
  ',"ttl":',
]
const standard = new Set(['host', 'service', 'state', 'description', 'metric', 'tags', 'time', 'ttl'])

/** @param event as decoded or read from the index */
export function riemannJsonOf(event: Event): string {
  const { host, service, state, description, metric, tags, time, ttl, attributes } = event
  let text =
    keys[0] + textOf(host) + keys[1] + textOf(service) + keys[2] + textOf(state) + keys[3] + textOf(description)
  text += keys[4] + (metric === undefined ? 'null' : metricOf(metric, event.metricType === 'double'))
  text += keys[5] + (tags === undefined || tags.length === 0 ? 'null' : JSON.stringify(tags))
  text += keys[6] + (time === undefined ? 'null' : `"${isoOf(time)}"`)
  text += keys[7] + (ttl === undefined ? 'null' : metricOf(asWritten(ttl), true))
  for (const name in attributes) {
    // a key twice in an object is read in as many ways as there are readers
    if (!standard.has(name)) text += `,${JSON.stringify(name)}:${JSON.stringify(attributes[name])}`
  }
  return `${text}}`
}

function textOf(value: string | undefined): string {
  return value === undefined ? 'null' : JSON.stringify(value)
}

function metricOf(metric: number | bigint, isDouble: boolean): string {
  if (typeof metric === 'bigint') return String(metric)
  if (!Number.isFinite(metric)) return `"${metric}"`
  const digits = String(metric)
  return isDouble && Number.isInteger(metric) && !digits.includes('e') ? `${digits}.0` : digits
}

/** Moments beyond what a date can name are its first and last. */
const lastMs = 8.64e15

function isoOf(seconds: number): string {
  // microseconds are what travels; the sum of both would be off by one where a double is just below
  const ms = Math.floor(Math.round(seconds * 1e6) / 1e3)
  return new Date(Number.isNaN(ms) ? 0 : Math.max(-lastMs, Math.min(lastMs, ms))).toISOString()
}

/** A float32 as the shortest text that means it: 20.1, not 20.100000381469727, which is what 20.1 came to on the wire. */
function asWritten(ttl: number): number {
  if (Number.isInteger(ttl) || Math.fround(ttl) !== ttl) return ttl
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(ttl.toPrecision(digits))
    if (Math.fround(short) === ttl) return short
  }
  return ttl
}
