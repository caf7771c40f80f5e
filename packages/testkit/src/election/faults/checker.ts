/** The judgement of what real candidates did: invariants over everything they told. */
import type { Told } from './fleet.ts'

/** A promise that was not kept. */
export interface Breach {
  readonly invariant: 'I1' | 'I2' | 'I3' | 'I6'
  readonly text: string
}

/** What a history showed. */
export interface Judgement {
  readonly breaches: readonly Breach[]
  readonly acts: number
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
 * - I6: what a sink that checks tokens accepts never goes back; only acts that were frozen on their way may be refused.
 *
 * I4, who waits for whom, is judged by the simulator, which knows when the store freed a name; I5, how long nobody leads, is what
 * each trial measures and bounds.
 */
export function judge(history: readonly Told[]): Judgement {
  const breaches: Breach[] = []
  const holders = new Map<bigint, string>()
  const ended = new Set<string>()
  let highest = 0n
  let elected = 0n
  let acts = 0
  let slips = 0
  let refused = 0
  const breach = (invariant: Breach['invariant'], text: string): void => void breaches.push({ invariant, text })
  for (const { id, event, token, atMs } of history.toSorted((a, b) => a.atMs - b.atMs)) {
    const at = `${id} under ${token} at ${atMs.toFixed(1)} ms`
    const term = `${id} ${token}`
    if (event === 'elected') {
      if (token <= elected) breach('I1', `${at}: elected after ${elected} was`)
      elected = token
      holders.set(token, id)
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
    if (event === 'slip') {
      slips++
      if (token < highest) refused++
      else highest = token
    }
  }
  return { breaches, acts, slips, refused }
}
