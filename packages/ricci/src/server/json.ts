import type { Event } from '@ricci/client'

/** An event as JSON text. Integers beyond 2^53 and numbers that JSON lacks become texts. */
export function jsonOfEvent(event: Event): string {
  return JSON.stringify(event, exact)
}

function exact(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value))) return String(value)
  return value
}
