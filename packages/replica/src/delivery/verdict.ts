import type { Attempt, PendingPage } from '@ricci/engine'
import { doubtMs } from '../limits.ts'
import type { ReceiverClass } from '../ports.ts'

/** What an owner knows when it looks at a page. Times are monotonic milliseconds. */
export interface Circumstances {
  readonly epoch: number
  readonly nowMs: number
  readonly claimedAtMs: number
  readonly class: ReceiverClass
  readonly blindPolicy: 'repeat' | 'miss'
  /** Whether a page still waits. */
  isPending(id: string): boolean
  /** When the last request that a page's attempts may have left under way must have ended. */
  quietAtMs(page: string): number
  /** Not to be tried earlier, as its last failure (or its digest's minute) says. */
  readonly notBeforeMs: number
}

export type Verdict =
  | { readonly do: 'attempt'; readonly possibleRepeat: boolean }
  | { readonly do: 'wait'; readonly untilMs: number }
  /** Something else must happen first; whoever makes it happen asks again. */
  | { readonly do: 'hold'; readonly for: string }
  /** The attempt is in doubt, and this receiver rather misses a page than see it twice. */
  | { readonly do: 'give-up'; readonly attempt: Attempt }
  /** An attempt of ours came into the log after we had stopped waiting for it. Nothing was sent: say so. */
  | { readonly do: 'disown'; readonly attempt: Attempt }

/**
 * What is to be done about a page for which nothing of ours is under way. The rules of attempts in doubt (DESIGN, Delivery):
 * an attempt of an older epoch without outcome is in doubt; class A triggers are repeated at once, all else when no outcome
 * came within 11 s of the claim. A resolve or acknowledgement waits for its trigger, a resolve for an acknowledgement too, and at a keyed receiver also until no request of its trigger
 * can still be under way: one that arrives after the resolve would open again what nobody would ever close. At one that can be
 * looked up all in doubt waits for that, too: what arrives after the look would be there twice.
 */
export function verdictOn(page: Readonly<PendingPage>, at: Circumstances): Verdict {
  for (const before of [page.trigger, page.after]) {
    if (before === undefined) continue
    if (at.isPending(before)) return { do: 'hold', for: before }
    const quietAtMs = at.class === 'C' ? 0 : at.quietAtMs(before)
    if (at.nowMs < quietAtMs) return { do: 'wait', untilMs: quietAtMs }
  }
  const open = page.attempts.filter((attempt) => attempt.result === undefined)
  const own = open.find((attempt) => attempt.epoch === at.epoch)
  if (own !== undefined) return { do: 'disown', attempt: own }
  if (open.length > 0 && !(at.class === 'A' && page.action === 'trigger')) {
    const untilMs = at.claimedAtMs + doubtMs
    if (at.nowMs < untilMs) return { do: 'wait', untilMs }
  }
  const doubtful = open[0] ?? page.attempts.find((attempt) => attempt.result === 'unknown')
  if (doubtful !== undefined && at.class === 'C' && at.blindPolicy === 'miss')
    return { do: 'give-up', attempt: doubtful }
  if (doubtful !== undefined && at.class === 'B') {
    const quietAtMs = at.quietAtMs(page.id)
    if (at.nowMs < quietAtMs) return { do: 'wait', untilMs: quietAtMs }
  }
  if (at.nowMs < at.notBeforeMs) return { do: 'wait', untilMs: at.notBeforeMs }
  return { do: 'attempt', possibleRepeat: at.class !== 'A' && doubtful !== undefined }
}
