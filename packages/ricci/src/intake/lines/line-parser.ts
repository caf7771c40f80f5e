/** What parsers of text lines (Graphite, OpenTSDB) have in common. */
import type { Event } from '@ricci/client'

/** A line that cannot be taken. Its message says why, for who sent it. */
export class LineError extends Error {}

/** What a name=value pair on a line is to an event. */
export interface Tag {
  readonly name: string
  readonly value: string
}

/** White space as Java's `\s` knows it, which is what Riemann splits at. */
const space = /[ \t\n\v\f\r]+/

/** The fields of a line; one that begins with white space has an empty first, at its end none is. */
export function fieldsOf(line: string): string[] {
  const fields = line.split(space)
  while (fields.at(-1) === '') fields.pop()
  return fields
}

/** A decimal as Java's `Double.parseDouble` reads it, whose suffixes f and d some senders leave in. */
const decimal = /^[+-]?(?:Infinity|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[fFdD]?)$/
const integer = /^[+-]?\d+$/

/** @throws LineError */
export function metricOf(text: string): number {
  if (/^[+-]?nan$/i.test(text)) throw new LineError('its metric is NaN, which says nothing: leave such lines out')
  if (!decimal.test(text)) throw new LineError(`its metric is no number: ${quoted(text)}`)
  return Number(text.endsWith('y') ? text : text.replace(/[fFdD]$/, ''))
}

/** Seconds since 1970. @throws LineError */
export function timeOf(text: string): number {
  if (!integer.test(text)) throw new LineError(`its time is no whole number of seconds since 1970: ${quoted(text)}`)
  const time = Number(text)
  if (!Number.isSafeInteger(time)) throw new LineError(`its time is beyond any: ${quoted(text)}`)
  return time
}

/**
 * The event with what its tags say of it. Some name a field (`host`, `state`, `ttl`, `tags`), the rest become attributes; one that is called like a
 * field that the line itself fills becomes `NAMEtag`, as Riemann's OpenTSDB server does with `service`. (Riemann's others replace the field with text.)
 * @throws LineError
 */
export function tagged(event: Event, tags: readonly Tag[], filled: readonly string[]): Event {
  const fields: { host?: string; state?: string; description?: string; ttl?: number; tags?: string[] } = {}
  const attributes: Record<string, string> = {}
  for (const { name, value } of tags) {
    if (filled.includes(name)) attributes[`${name}tag`] = value
    else if (name === 'host' || name === 'state' || name === 'description') fields[name] = value
    else if (name === 'ttl') fields.ttl = ttlOf(value)
    else if (name === 'tags') fields.tags = [value]
    else attributes[name] = value
  }
  return { ...event, ...fields, ...(Object.keys(attributes).length > 0 && { attributes }) }
}

function ttlOf(text: string): number {
  if (!decimal.test(text)) throw new LineError(`its ttl is no number of seconds: ${quoted(text)}`)
  return Number(text)
}

/** What was sent, at bearable length. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 59)}…` : text)
}
