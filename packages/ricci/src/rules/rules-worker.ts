/** The throw-away thread of `tryRules`: loads rules, runs their tests, looks for hidden state, and says how it went. */
import { parentPort, workerData } from 'node:worker_threads'
import {
  checkRules,
  compareRules,
  makingOf,
  semanticsOf,
  type RulesDescription,
  type RulesDifference,
  type Stream,
} from '@ricci/engine'
import { atPlace } from '../config/excerpt.ts'
import { RicciError } from '../errors.ts'
import { type CompiledRules, compileRules, type RuleModules } from './evaluate.ts'
import { findHiddenState, type HiddenStateReport } from './hidden-state.ts'
import { namesUsed } from './names-used.ts'
import type { SourcePlaces } from './source-places.ts'
import { runTests, testModule, type TestsReport } from './run-tests.ts'
import type { RulesRun } from './test-run.ts'
import { limited, TimeUp, whereItStands } from './time-limit.ts'
import type { TriedRules, TryAnswer, TrySetup } from './try-rules.ts'

type Compile = (remark?: string) => CompiledRules

/** Watched that long, a rule that never returns has been reached in tests and laws as well. */
const watchMs = 2_000

function tried({ bundle, settings, tests, before, limits }: TrySetup): TriedRules {
  const compile = (remark?: string): CompiledRules => compileRules(bundle, {}, remark)
  const load = (rules: CompiledRules): RulesDescription => rules.evaluate(unknownTime)
  const late = `the rules did not finish loading within ${limits.loadMs / 1000} s; is there an endless loop outside of a function?`
  const description = inTime(compile, load, limits.loadMs, () => late)
  try {
    checkRules(description, settings)
  } catch (error) {
    // what does not fit together is told at the line of the stream that does not
    const place = error instanceof Error ? compile().places.placeOf(error.cause) : undefined
    if (place === undefined) throw error
    throw new RicciError('RULES_INVALID', atPlace(place, (error as Error).message), { cause: error })
  }
  failWithTwins(description, compile().places)
  return {
    streams: description.streams.length,
    semantics: semanticsOf(description),
    ...namesUsed(description),
    ...(before === undefined ? {} : { difference: differenceFrom(before, description, settings, limits.loadMs) }),
    ...(tests === undefined ? {} : { tests: testsOf(tests, settings, limits.testsMs) }),
    ...(limits.lawsMs === 0 ? {} : { hiddenState: hiddenStateOf(compile, settings, limits.lawsMs) }),
  }
}

/**
 * An incident is known by its name and key, wherever it stands: of two that are called alike, one would resolve what the other opened. One
 * stream that stands at several places is one incident.
 */
function failWithTwins(description: RulesDescription, places: SourcePlaces): void {
  const byName = new Map<unknown, Stream>()
  const visit = (stream: Stream): void => {
    stream.children.forEach(visit)
    if (stream.operator !== 'incident') return
    const [name] = stream.args as [string]
    const twin = byName.get(name) ?? stream
    byName.set(name, twin)
    if (twin === stream) return
    const [first, second] = [twin, stream].map((each) => places.placeOf(makingOf(each)))
    const message =
      `there is another incident "${name}"${first === undefined ? '' : `, in line ${first.line} of ${first.file}`}: where their keys are alike one resolves ` +
      `what the other opens; give each a name of its own, or have one stream at both places (const page = incident(…))`
    throw new RicciError('RULES_INVALID', second === undefined ? message : atPlace(second, message))
  }
  description.streams.forEach(visit)
}

/** Rules of another release may load no more: they run on where they were loaded, and there is nothing to compare with. */
function differenceFrom(
  before: Uint8Array,
  after: RulesDescription,
  settings: TrySetup['settings'],
  limitMs: number,
): RulesDifference | undefined {
  try {
    return limited(limitMs, () => compareRules(compileRules(before).evaluate(unknownTime), after, settings))
  } catch {
    return undefined
  }
}

function testsOf(bundle: Uint8Array, settings: TrySetup['settings'], limitMs: number): TestsReport {
  let now: { name: string; run: RulesRun } | undefined
  const words: { current: Readonly<Record<string, unknown>> } = { current: {} }
  const modules: RuleModules = {
    get 'ricci/test'() {
      return words.current
    },
  }
  const work = (rules: CompiledRules): TestsReport => {
    const module = testModule()
    words.current = module.words
    const description = rules.evaluate(() => now?.run.engine.calendarMs ?? unknownTime())
    return runTests(
      module,
      description,
      settings,
      (error) => rules.places.explain(error),
      (name, run) => (now = { name, run }),
    )
  }
  const compile = (remark?: string): CompiledRules => compileRules(bundle, modules, remark)
  return inTime(compile, work, limitMs, () => {
    const where = now === undefined ? '' : `, in "${now.name}"`
    return `the tests of the rules did not end within ${limitMs / 1000} s${where}`
  })
}

function hiddenStateOf(compile: Compile, settings: TrySetup['settings'], budgetMs: number): HiddenStateReport {
  let run: RulesRun | undefined
  const work = (rules: CompiledRules): HiddenStateReport =>
    findHiddenState(
      rules,
      settings,
      budgetMs,
      () => performance.now(),
      (begun) => (run = begun),
    )
  // it limits itself, slice by slice
  return inTime(compile, work, undefined, () => {
    const where = run?.operatorAtWork ?? 'the rules'
    return `a function did not return for seconds on a generated event, in ${where}; is there an endless loop?`
  })
}

/** Does work of the users' code in its time; or says what did not end, and at which line. */
function inTime<Result>(
  compile: Compile,
  work: (rules: CompiledRules) => Result,
  limitMs: number | undefined,
  ending: () => string,
): Result {
  const rules = compile()
  try {
    return limitMs === undefined ? work(rules) : limited(limitMs, () => work(rules))
  } catch (error) {
    if (!(error instanceof TimeUp)) throw error
    const what = ending()
    const place = whereItStands(() => compile('counted'), work, watchMs)
    throw new RicciError('RULES_TIMEOUT', place === undefined ? what : atPlace(place, what))
  }
}

function unknownTime(): never {
  throw new Error('the time is known inside a function that gets an event')
}

function answer(setup: TrySetup): TryAnswer {
  try {
    return { ok: true, rules: tried(setup) }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return { ok: false, code: error instanceof RicciError ? error.code : 'RULES_INVALID', message }
  }
}

parentPort!.postMessage(answer(workerData as TrySetup))
