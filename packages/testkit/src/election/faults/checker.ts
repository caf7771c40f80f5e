/** The judgement of what real candidates did: invariants over everything they told. */
import type { Told } from './fleet.ts'

/** A promise that was not kept. */
export interface Breach {
  readonly invariant: 'I1' | 'I2' | 'I3' | 'I4' | 'I5' | 'I6'
  readonly text: string
}

/** Something that was done, and what must come of it. Moments on the machine's monotonic clock, in ms. */
export interface Fault {
  /** What and where, for the text of a breach. */
  readonly what: string
  /** When it was done. */
  readonly fromMs: number
  /** When all of it was undone. */
  readonly undoneMs: number
  /** Until when it is judged. */
  readonly untilMs: number
  /** For how long nobody may lead because of it, and after how long exactly one must. */
  readonly boundMs: number
  /** Whom another must follow. */
  readonly replaces?: string
}

/** What a history showed. */
export interface Judgement {
  readonly breaches: readonly Breach[]
  readonly acts: number
  /** Acts by somebody who did not lead, or no more. */
  readonly stale: number
  /** Acts that were frozen between look and effect. */
  readonly slips: number
  /** Slips that a sink which checks tokens would have refused. */
  readonly refused: number
}

/**
 * Judges by acts in the order of the machine's clock, not by events: those are told a moment later.
 *
 * - I1: a token has one holder, and each later one is higher.
 * - I2: acts have tokens that never fall.
 * - I3: nobody acts under a term after it was told that the term has ended.
 * - I4: whoever is elected was granted the name before, and has waited since it saw the name free for as long as its predecessor may have
 *   gone on.
 * - I5: nobody leads for no longer than a fault's bound, another leads within it where one must, and exactly one does within it once all is undone.
 * - I6: what a sink that checks tokens accepts never goes back; only acts that were frozen on their way may be refused. The sink sees what
 *   is told of acts, of the frozen ones the moment after.
 */
export function judge(history: readonly Told[], faults: readonly Fault[] = []): Judgement {
  const sorted = history.toSorted((a, b) => a.atMs - b.atMs)
  const { breaches, ...counts } = judgeTerms(sorted)
  const acts = sorted.filter(({ event }) => event === 'act')
  return { ...counts, breaches: [...breaches, ...faults.flatMap((fault) => judgeFault(acts, fault))] }
}

/** I1 to I4 and I6, of a history in the clock's order. */
function judgeTerms(history: readonly Told[]): Judgement & { breaches: Breach[] } {
  const breaches: Breach[] = []
  const holders = new Map<bigint, string>()
  const granted = new Map<string, Told>()
  const ended = new Set<string>()
  let highest = 0n
  let accepted = 0n
  let elected = 0n
  let acts = 0
  let stale = 0
  let slips = 0
  let refused = 0
  const breach = (invariant: Breach['invariant'], text: string): void => void breaches.push({ invariant, text })
  for (const told of history) {
    const { id, event, token, atMs } = told
    const at = `${id} under ${token} at ${atMs.toFixed(1)} ms`
    const term = `${id} ${token}`
    const found = breaches.length
    if (event === 'acquired') granted.set(term, told)
    if (event === 'elected') {
      if (token <= elected) breach('I1', `${at}: elected after ${elected} was`)
      elected = token
      holders.set(token, id)
      const { seenFreeMs, waitMs } = granted.get(term)?.grant ?? {}
      if (seenFreeMs === undefined || waitMs === undefined) breach('I4', `${at}: elected, and was not granted the name`)
      else if (atMs < seenFreeMs + waitMs)
        breach('I4', `${at}: elected ${(atMs - seenFreeMs).toFixed(1)} ms after it saw the name free, not ${waitMs}`)
    }
    if (event === 'resumed') ended.delete(term)
    if (event === 'suspended' || event === 'deposed' || event === 'resigned') ended.add(term)
    if (event === 'act') {
      acts++
      if (holders.get(token) !== id) breach('I1', `${at}: acts, and ${holders.get(token) ?? 'nobody'} was elected`)
      if (ended.has(term)) breach('I3', `${at}: acts after its term had ended`)
      if (token < highest) breach('I2', `${at}: acts after ${highest} did`)
      else highest = token
    }
    if (event === 'slip') slips++
    if (event === 'act' || event === 'slip') {
      if (token >= accepted) accepted = token
      else if (event === 'slip') refused++
      else breach('I6', `${at}: a sink that has accepted ${accepted} refuses it, and it was not frozen`)
    }
    if (event === 'act' && breaches.length > found) stale++
  }
  return { breaches, acts, stale, slips, refused }
}

/** I5, of acts in the clock's order. */
function judgeFault(acts: readonly Told[], fault: Fault): Breach[] {
  const { what, fromMs, undoneMs, untilMs, boundMs, replaces } = fault
  const texts: string[] = []
  const gapMs = longestGapMs(acts, fromMs, untilMs)
  if (gapMs > boundMs) texts.push(`nobody led for ${Math.round(gapMs)} ms`)
  const between = acts.filter(({ atMs }) => atMs > fromMs && atMs <= untilMs)
  if (replaces !== undefined) {
    const next = between.find(({ id }) => id !== replaces)
    const tookMs = next === undefined ? undefined : next.atMs - fromMs
    if (tookMs === undefined) texts.push(`nobody followed ${replaces}`)
    else if (tookMs > boundMs) texts.push(`another led after ${Math.round(tookMs)} ms`)
  }
  const last = between.at(-1)
  if (last === undefined) texts.push('nobody leads after it')
  else {
    const other = between.findLast(({ id, token }) => id !== last.id || token !== last.token)
    if (other !== undefined && other.atMs > undoneMs + boundMs)
      texts.push(`${other.id} led ${Math.round(other.atMs - undoneMs)} ms after it was undone, before ${last.id} did`)
  }
  return texts.map((text) => ({ invariant: 'I5', text: `${what}: ${text}; ${Math.round(boundMs)} ms are allowed` }))
}

/** The longest time without an act that reaches into a stretch; the stretch's end counts as an act. `acts` in the clock's order. */
export function longestGapMs(acts: readonly Told[], fromMs: number, untilMs: number): number {
  let longest = 0
  let before: number | undefined
  for (const { atMs } of acts) {
    if (atMs > untilMs) break
    if (atMs > fromMs) longest = Math.max(longest, atMs - (before ?? fromMs))
    before = atMs
  }
  return Math.max(longest, untilMs - (before ?? fromMs))
}
