/** A receiver that asks for longer is asked again all the same after an hour: pages are retried for a day in all. */
export const maxRetryAfterMs = 3_600_000

/**
 * Milliseconds to wait according to a `Retry-After` header (RFC 9110, section 10.2.3): seconds, or a date to be compared with
 * the wall clock. Undefined for what is neither; a date gone by is 0; at most {@link maxRetryAfterMs}.
 */
export function retryAfterMs(header: string, wallMs: number): number | undefined {
  const text = header.trim()
  const waitMs = /^\d+$/.test(text) ? Number(text) * 1000 : parseHttpDate(text) - wallMs
  return Number.isNaN(waitMs) ? undefined : Math.min(Math.max(0, waitMs), maxRetryAfterMs)
}

/** The one form of date that may be sent, as in `Sun, 06 Nov 1994 08:49:37 GMT`; NaN for all else. */
function parseHttpDate(text: string): number {
  return /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(text) ? Date.parse(text) : NaN
}
