import type { SendResult } from '../ports.ts'

/**
 * What an HTTP answer says of its request: 2xx took effect, 4xx will not ever (but for 408 and 429), all else is tried again. Where it
 * is, `failed` is left to answers that say themselves that nothing was done: 429, and redirects, which are not followed. After
 * any other nobody knows: a 5xx may come from a gateway whose upstream goes on working, or from a server that failed after it had
 * acted, a 408 from a proxy that lost patience, and a 303 tells where to see what came of the request.
 */
export function readAnswer(status: number, detail: string, retryAfterMs?: number): SendResult {
  if (status < 300) return { kind: 'delivered', detail }
  if (status >= 400 && status < 500 && status !== 408 && status !== 429) return { kind: 'refused', detail }
  const nothingDone = status === 429 || (status < 400 && status !== 303)
  const wait = retryAfterMs === undefined ? {} : { retryAfterMs }
  return { kind: nothingDone ? 'failed' : 'unknown', detail, ...wait }
}
