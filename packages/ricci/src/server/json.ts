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
  const { metric, time, ttl } = event
  // asking for each value costs three times as much as writing it
  return isPlain(metric) && isPlain(time) && isPlain(ttl) ? JSON.stringify(event) : JSON.stringify(event, exact)
}

/** Whether JSON has it as it is. */
function isPlain(value: number | bigint | undefined): boolean {
  return value === undefined || Number.isFinite(value)
}

function exact(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value))) return String(value)
  return value
}
