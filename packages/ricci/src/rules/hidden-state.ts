/**
 * Finds rules that keep something outside of what the engine holds: a counter in a closure, the last value in a variable, a regular
 * expression with the flag `g`. After a restart or a takeover such a rule would decide otherwise than its twin, which a checkpoint
 * notices too late.
 *
 * Generated events go through the rules three times: once with the code evaluated once, once with it evaluated anew every 37
 * events, once at each event. The engine is deterministic, so the first call of a user's function that gives something else than in
 * the first run is the function's own doing. A check, no proof: what acts first at its hundred-thousandth call passes, and so does
 * what these events do not reach. A cache that changes no result passes, rightly. Hashes in checkpoints remain the judge.
 */
import type { Place } from '../config/excerpt.ts'
import type { CompiledRules } from './evaluate.ts'
import { hashOfResult } from './result-hash.ts'
import { sampleEvents } from './sample-events.ts'
import { RulesRun } from './test-run.ts'
import { limited } from './time-limit.ts'
import { functionsOf, placeOfFunction, replaced, type UserFunction } from './user-functions.ts'

/** What the check came to. */
export interface HiddenStateReport {
  /** Functions that the rules were given. */
  readonly functions: number
  /** Of these, those that the events reached. */
  readonly called: number
  /** Events of the shortest of the three runs. */
  readonly events: number
  /** The first function that gave something else with its code evaluated anew. */
  readonly guilty?: { readonly operator: string; readonly place?: Place }
}

/** As measured: counters, last values and /g are found within a few events; this many take half a second with 59 rules. */
const maxEvents = 2_000
/** As many are tried whatever the time: a busy machine finds the common mistakes too. */
const minEvents = 300
/** The code is evaluated anew after so many events: prime, so that it falls in with no period of the rules'. */
const freshEvery = [37, 1]
/** So many events come, then seconds pass: now and then so many that entries expire. */
const eventsBetweenPauses = 4
const pauses = [0.5, 0.5, 1, 0.5, 3, 0.5, 0.5, 1, 0.5, 70]
/** So many events take milliseconds; who takes this long for them never returns. */
const sliceEvents = 50
const sliceLimitMs = 5_000

/**
 * @param budgetMs for all runs together; what has not been reached by then is left out
 * @param nowMs of a clock that never goes back; only the budget looks at it
 * @param onRun told of each run as it begins
 * @throws TimeUp when a function never returns
 */
export function findHiddenState(
  rules: CompiledRules,
  settings: Readonly<Record<string, unknown>>,
  budgetMs: number,
  nowMs: () => number,
  onRun: (run: RulesRun) => void,
): HiddenStateReport {
  let calendar = (): number => 0
  const evaluated = (): ReturnType<CompiledRules['evaluate']> => rules.evaluate(() => calendar())
  const description = evaluated()
  const originals = functionsOf(description)
  if (originals.length === 0) return { functions: 0, called: 0, events: 0 }

  const operators: string[] = []
  let current: readonly UserFunction[] = originals
  let told = (_number: number, _hash: number): void => undefined
  let next = 0
  const watched = replaced(description, (_original, { operator }) => {
    const number = next++
    operators[number] = operator
    return function (...given) {
      let result: unknown
      try {
        result = current[number].apply(this, given)
      } catch (error) {
        told(number, thrownHash)
        throw error
      }
      told(number, result === given[0] ? sameHash : hashOfResult(result))
      return result
    }
  })

  /** Feeds events until their end, that of the time, or the first difference; gives how many it were. */
  const feed = (limit: number, every: number, untilMs: number, differs: () => boolean): number => {
    const event = sampleEvents(description, rules.code)
    const run = new RulesRun(watched, settings)
    calendar = () => run.engine.calendarMs
    onRun(run)
    let fed = 0
    const slice = (): void => {
      do {
        if (fed % every === 0) current = functionsOf(evaluated())
        run.send(event())
        if (fed % eventsBetweenPauses === 0) run.pass(pauses[(fed / eventsBetweenPauses) % pauses.length])
      } while (++fed % sliceEvents !== 0 && fed < limit && !differs())
    }
    while (fed < limit && (fed < minEvents || nowMs() < untilMs) && !differs()) limited(sliceLimitMs, slice)
    return fed
  }

  const startMs = nowMs()
  const calls: number[] = []
  const reached = new Set<number>()
  told = (number, result) => {
    calls.push(number, result)
    reached.add(number)
  }
  let events = feed(maxEvents, Infinity, startMs + budgetMs / 3, () => false)
  let guilty: number | undefined
  for (const [i, every] of freshEvery.entries()) {
    let at = 0
    told = (number, result) => {
      if (guilty === undefined && at < calls.length && (calls[at] !== number || calls[at + 1] !== result)) {
        guilty = calls[at]
      }
      at += 2
    }
    const untilMs = startMs + (budgetMs * (i + 2)) / (freshEvery.length + 1)
    events = Math.min(
      events,
      feed(events, every, untilMs, () => guilty !== undefined),
    )
    if (guilty !== undefined) break
  }
  const report = { functions: originals.length, called: reached.size, events }
  if (guilty === undefined) return report
  const place = placeOfFunction(originals[guilty], rules.places)
  return { ...report, guilty: { operator: operators[guilty], place } }
}

/** What stands for a function that threw, and for one that gave back what it was given. */
const thrownHash = -1
const sameHash = -2
