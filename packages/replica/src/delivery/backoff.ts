import { retryAfterLimitMs, retryFirstMs, retryLongestMs } from '../limits.ts'
import type { Random } from '../ports.ts'

/**
 * How long to wait after the `failures`th failure in a row (from 1): doubled each time, spread by half either way so that many
 * pages (and many instances) do not come back at once, and never sooner than the receiver asked for.
 */
export function retryDelayMs(failures: number, random: Random, retryAfterMs = 0): number {
  // Beyond 2^16 the longest pause is reached anyway.
  const plainMs = Math.min(retryLongestMs, retryFirstMs * 2 ** Math.min(failures - 1, 16))
  return Math.max(plainMs * (0.5 + random.next()), Math.min(retryAfterMs, retryAfterLimitMs))
}
