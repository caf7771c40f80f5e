/** Which segments are past retention, and whether what should go is still needed. */
import type { LogLimits } from './limits.ts'
import type { Segment } from './recovery.ts'

export interface RetentionPlan {
  /** Bytes there will be, those about to be appended among them. */
  readonly bytes: number
  /** How many segments go, from the oldest on. The last one never does. */
  readonly remove: number
  /**
   * What would have to go but is protected: `age`: it is kept beyond its age; `size`: no more may be appended. Age alone never
   * refuses an append: the room is there, and refusing would lose what keeping does not.
   */
  readonly held: 'age' | 'size' | undefined
}

/**
 * @param incoming bytes about to be appended
 * @param protectedOffset records from here on must stay
 * @param neededOffset what stands before is of no use to anybody, and goes whatever room there is
 */
export function planRetention(
  segments: readonly Segment[],
  nowMs: number,
  incoming: number,
  protectedOffset: number,
  neededOffset: number,
  limits: Pick<LogLimits, 'maxAgeMs' | 'maxBytes'>,
): RetentionPlan {
  let bytes = incoming
  for (const segment of segments) bytes += segment.bytes
  let remove = 0
  for (; remove < segments.length - 1; remove++) {
    // A segment's last record is older than the making of the next one.
    const next = segments[remove + 1]
    const tooBig = bytes > limits.maxBytes
    if (!tooBig && nowMs - next.createdAtMs <= limits.maxAgeMs && next.firstOffset > neededOffset) break
    if (next.firstOffset > protectedOffset) return { remove, bytes, held: tooBig ? 'size' : 'age' }
    bytes -= segments[remove].bytes
  }
  return { remove, bytes, held: undefined }
}
