import type { StoredRecord } from '@ricci/replica'
import { crc32 } from 'node:zlib'
import type { SentMsg } from '../producer.ts'
import { decisionLimits, noiseLimit } from '../rules.ts'
import { decoded } from './decoded.ts'
import { offsetOf } from './ledger.ts'
import type { Decision } from './truth.ts'
import type { Verdict } from './verdict.ts'

/** A branch is taken out at its third skip: DESIGN section 8. */
const skipsToQuarantine = 3

/** Limits that rules and settings set: more than they allow was not decided. What they let through the truth asks for. */
export function judgeLimits(partition: number, decisions: readonly Decision[]): Verdict[] {
  const verdicts: Verdict[] = []
  const perMinute = new Map<string, number>()
  for (const { page } of decisions) {
    if (page.action === 'resolve' || page.members !== undefined || page.rule === 'delivery-failed') continue
    const key = `${page.rule} in minute ${Math.floor(page.decidedAtMs / 60_000)}`
    perMinute.set(key, (perMinute.get(key) ?? 0) + (page.rule === 'rule-quarantined' ? 0 : 1))
  }
  for (const [key, count] of perMinute) {
    // A calendar that is set back may count a minute twice.
    if (count <= 2 * decisionLimits.pagesPerMinute) continue
    verdicts.push({ kind: 'limit exceeded', text: `p${partition}: ${count} pages of ${key}` })
  }
  return verdicts
}

/** The throttle of one host's noise, whose state outlives a switch of the rules: told of each event, it says whether a page is due, is allowed, and how many were dropped. */
export class ThrottleTruth {
  dropped = 0
  /** Calendar times of the latest pages. */
  readonly #pages: number[] = []

  /** @param paged whether the event was found to have paged; @returns what is wrong, if anything */
  event(calendarMs: number, calendarSetBack: boolean, paged: boolean): string | undefined {
    const windowMs = noiseLimit.seconds * 1_000
    const recent = this.#pages.filter((at) => at > calendarMs - windowMs)
    if (paged) this.#pages.push(calendarMs)
    else this.dropped++
    if (calendarSetBack) return undefined
    // No page within a window's length: whichever window this is, its first is let through.
    if (!paged && recent.length === 0) return 'was dropped, though no page went out for a whole window'
    // Any stretch of a window's length touches two windows at most.
    if (paged && recent.length >= 2 * noiseLimit.pages) return 'was let through, although two windows are full'
    return undefined
  }
}

/** Skips: each names an event at which engines stall, and the third of one branch takes it out and says so. */
export function judgeSkips(
  partition: number,
  records: readonly StoredRecord[],
  messages: ReadonlyMap<number, SentMsg>,
  decisions: readonly Decision[],
): Verdict[] {
  const verdicts: Verdict[] = []
  let rulesOffset = -1
  let rules: Uint8Array | undefined
  let skipped = new Map<string, Set<string>>()
  for (const { offset, bytes } of records) {
    const record = decoded(bytes)
    // The same rules once more are no switch, and forgive nothing.
    if (record.kind === 'rules' && (rules === undefined || Buffer.compare(rules, bytes) !== 0)) {
      rules = bytes
      rulesOffset = offset
      skipped = new Map()
    }
    if (record.kind !== 'skip') continue
    const stalled = decoded(records[record.offset].bytes)
    const events = stalled.kind === 'events' ? messages.get(crc32(stalled.msg))?.events : undefined
    if (events?.[record.event]?.service !== 'grind') {
      const what = `event ${record.event} of record ${record.offset}, at which nothing stalls`
      verdicts.push({ kind: 'skip invented', text: `p${partition}: offset ${offset} skips ${what}` })
    }
    if (record.branch === '' || record.offset < rulesOffset) continue
    const branch = skipped.get(record.branch) ?? new Set()
    const before = branch.size
    skipped.set(record.branch, branch.add(`${record.offset}.${record.event}`))
    if (branch.size === before || branch.size !== skipsToQuarantine) continue
    const isTold = decisions.some(({ page, offset: at }) => {
      // Where too many pages wait for its receiver it is a member of a digest.
      const isMember = page.members?.some((id) => offsetOf(id) === offset) === true
      return isMember || (page.rule === 'rule-quarantined' && at === offset)
    })
    if (isTold) continue
    const text = `p${partition}: ${record.branch} was skipped ${skipsToQuarantine} times by offset ${offset}, nobody is told`
    verdicts.push({ kind: 'page never decided', text })
  }
  return verdicts
}
