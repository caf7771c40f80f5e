/**
 * Finds rules that keep something outside of what the engine holds (a counter in a closure, the last value in a variable, a regular
 * expression with the flag `g`), that change an event, or that ask the machine's clock. After a restart or a takeover such a rule would
 * decide otherwise than its twin, which a checkpoint notices too late.
 *
 * Generated events go through the rules three times: once with the code evaluated once, once with it evaluated anew every 37
 * events, once at each event. The engine is deterministic, so the first call of a user's function that gives something else than in
 * the first run is the function's own doing. In the first run the events tell of writes, the machine's clocks of who asks them, and
 * the variables around the functions are compared before and after it. A check, no proof: what these events do not reach passes, and what
 * acts first at its hundred-thousandth call is named only as a variable that changes. A cache that changes no result is no fault, and is
 * named so too. Hashes in checkpoints remain the judge.
 */
import type { Place } from '../config/excerpt.ts'
import type { CompiledRules } from './evaluate.ts'
import { guardedEvent } from './guarded-event.ts'
import { changedVariables, type KeptVariable, variablesOf } from './kept-variables.ts'
import { watchSources } from './outside-sources.ts'
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
  /** Variables that changed from event to event. */
  readonly kept: readonly KeptVariable[]
  /** Functions that threw, though not whether they should. */
  readonly threw: readonly ThrowingFunction[]
  /** The first function with a fault that makes rules unfit. */
  readonly guilty?: Guilt
}

export interface ThrowingFunction {
  readonly operator: string
  readonly place?: Place
  readonly times: number
  readonly calls: number
  /** What it threw first. */
  readonly text: string
}

/** A fault of one function. */
export interface Guilt {
  /**
   * `state`: it gives something else with its code evaluated anew; `event`: it changes the event it is given; `clock`: it asks the machine's clock
   * or chance; `later`: it gives a promise, or is a generator.
   */
  readonly kind: 'state' | 'event' | 'clock' | 'later'
  readonly operator: string
  readonly place?: Place
  /** What it changes or asks. */
  readonly detail?: string
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
  const watch: Watch = { onUse: () => undefined }
  const unwatch = watchSources((name) => watch.onUse(name))
  try {
    return search(rules, settings, budgetMs, nowMs, onRun, watch)
  } finally {
    unwatch()
  }
}

/** Told of each use of the machine's clocks and chance. */
interface Watch {
  onUse: (name: string) => void
}

function search(
  rules: CompiledRules,
  settings: Readonly<Record<string, unknown>>,
  budgetMs: number,
  nowMs: () => number,
  onRun: (run: RulesRun) => void,
  watch: Watch,
): HiddenStateReport {
  let calendar = (): number => 0
  const evaluated = (): ReturnType<CompiledRules['evaluate']> => rules.evaluate(() => calendar())
  let loading: Guilt | undefined
  watch.onUse = (detail) => {
    loading ??= { kind: 'clock', operator: '', detail, place: rules.places.placeOf(new Error(detail)) }
  }
  const description = evaluated()
  const originals = functionsOf(description)
  const nothing = { functions: originals.length, called: 0, events: 0, kept: [], threw: [] }
  if (loading !== undefined) return { ...nothing, guilty: loading }
  if (originals.length === 0) return nothing

  const operators: string[] = []
  const threw = new Map<number, { times: number; text: string }>()
  const calls: number[] = []
  const counts: number[] = []
  let current: readonly UserFunction[] = originals
  let told = (_number: number, _hash: number): void => undefined
  /** The functions being called, the innermost last. */
  const active: number[] = []
  let guilt: (Pick<Guilt, 'kind' | 'detail'> & { readonly number: number; readonly place?: Place }) | undefined
  const blame = (kind: Guilt['kind'], detail?: string, place?: Place): void => {
    const number = active.at(-1)
    if (number !== undefined) guilt ??= { number, kind, detail, place }
  }
  let next = 0
  const watched = replaced(description, (_original, { operator }) => {
    const number = next++
    operators[number] = operator
    counts[number] = 0
    return function (...given) {
      let result: unknown
      counts[number]++
      active.push(number)
      try {
        const event = guardedEvent(given[0], (name) => blame('event', name))
        result = current[number].call(this, event, ...given.slice(1))
        if (result === event) result = given[0]
        else if (isLater(result)) blame('later')
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error)
        const { times, text } = threw.get(number) ?? { times: 0, text: message }
        threw.set(number, { times: times + 1, text })
        told(number, thrownHash)
        throw error
      } finally {
        active.pop()
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
        if (every !== Infinity && fed % every === 0) current = functionsOf(evaluated())
        run.send(event())
        if (fed % eventsBetweenPauses === 0) run.pass(pauses[(fed / eventsBetweenPauses) % pauses.length])
      } while (++fed % sliceEvents !== 0 && fed < limit && !differs())
    }
    while (fed < limit && (fed < minEvents || nowMs() < untilMs) && !differs()) limited(sliceLimitMs, slice)
    return fed
  }

  const startMs = nowMs()
  const reached = new Set<number>()
  told = (number, result) => {
    calls.push(number, result)
    reached.add(number)
  }
  watch.onUse = (name) => {
    if (active.length > 0) blame('clock', name, rules.places.placeOf(new Error(name)))
  }
  const before = variablesOf(originals)
  let events = feed(maxEvents, Infinity, startMs + budgetMs / 3, () => guilt !== undefined)
  const kept = changedVariables(before, variablesOf(originals), rules)
  const throwing = [...threw].map(([number, each]) => ({
    ...each,
    calls: counts[number],
    operator: operators[number],
    place: placeOfFunction(originals[number], rules.places),
  }))
  for (const [i, every] of freshEvery.entries()) {
    if (guilt !== undefined) break
    let at = 0
    told = (number, result) => {
      if (at < calls.length && (calls[at] !== number || calls[at + 1] !== result)) {
        guilt ??= { number: calls[at], kind: 'state', detail: kept.map(({ name }) => name).join(', ') }
      }
      at += 2
    }
    const untilMs = startMs + (budgetMs * (i + 2)) / (freshEvery.length + 1)
    events = Math.min(
      events,
      feed(events, every, untilMs, () => guilt !== undefined),
    )
  }
  const report = { functions: originals.length, called: reached.size, events, kept, threw: throwing }
  if (guilt === undefined) return report
  const { number, kind, detail, place = placeOfFunction(originals[number], rules.places) } = guilt
  return { ...report, guilty: { kind, operator: operators[number], place, detail } }
}

/** Promises, and what generators give. */
function isLater(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { then, next } = value as { then?: unknown; next?: unknown }
  return typeof then === 'function' || (typeof next === 'function' && Symbol.iterator in value)
}

/** What stands for a function that threw, and for one that gave back what it was given. */
const thrownHash = -1
const sameHash = -2
