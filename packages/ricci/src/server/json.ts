import type { Event } from '@ricci/client'
import { riemannJsonOf } from './riemann-json.ts'
import type { JsonShape } from './worker-protocol.ts'

/** How events of a shape are written. */
export const jsonWriters: Readonly<Record<JsonShape, (event: Event) => string>> = {
  json: jsonOfEvent,
  'riemann-json': riemannJsonOf,
}

/** An event as JSON text. Integers beyond 2^53 and numbers that JSON lacks become texts. */
function jsonOfEvent(event: Event): string {
  return JSON.stringify(event, exact)
}

function exact(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value))) return String(value)
  return value
}
