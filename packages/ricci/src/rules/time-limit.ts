/**
 * Runs users' code that may never return, in a thread that is thrown away, and finds the line it was at. Ends any JavaScript; one
 * long native call is not interrupted: whoever started the thread has a limit of its own.
 */
import { type Profiler, Session } from 'node:inspector'
import { Script } from 'node:vm'
import type { Place } from '../config/excerpt.ts'
import type { CompiledRules } from './evaluate.ts'
import { bundleFile } from './source-places.ts'

/** The work did not end in its time. */
export class TimeUp extends Error {
  override readonly name = 'TimeUp'
}

const hook = Symbol.for('ricci.limited')
/** V8 ends what a script calls; the work is handed to it by a name. */
const call = new Script(`globalThis[Symbol.for('ricci.limited')]()`)

/**
 * Runs work for so long at most. What it changed stays half done.
 * @throws TimeUp, and what the work throws
 */
export function limited<Result>(limitMs: number, work: () => Result): Result {
  const world = globalThis as Record<symbol, unknown>
  world[hook] = work
  try {
    return call.runInThisContext({ timeout: Math.max(1, Math.ceil(limitMs)) }) as Result
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw new TimeUp('its time was up')
    throw error
  } finally {
    delete world[hook]
  }
}

/** A block that ran so often while it was watched is what it never left; rules that are well run through theirs far more rarely. */
const oftenEnough = 1_000

/**
 * Where in the users' files work that does not end spends its time: it is done once more, with V8 counting how often each block
 * runs (twice as slow, and exact: a profiler's samples name lines of what the compiler inlined).
 * @param compile gives the rules compiled anew: what was compiled before is not counted
 * @returns undefined where it is in no loop of the users', as in one long native call
 */
export function whereItStands(
  compile: () => CompiledRules,
  work: (rules: CompiledRules) => unknown,
  watchMs: number,
): Place | undefined {
  const session = new Session()
  session.connect()
  try {
    session.post('Profiler.enable')
    session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
    const rules = compile()
    try {
      limited(watchMs, () => work(rules))
    } catch {
      // as expected; what counts is where it was
    }
    let blocks: Profiler.CoverageRange[] = []
    session.post('Profiler.takePreciseCoverage', (error, { result }) => {
      if (error !== null) return
      const ours = result.filter(({ url }) => url === bundleFile)
      blocks = ours.flatMap(({ functions }) => functions.flatMap(({ ranges }) => ranges))
    })
    const [busiest] = blocks.sort((a, b) => b.count - a.count)
    if (busiest === undefined || busiest.count < oftenEnough) return undefined
    // a block begins where the text before it ends
    const offset = busiest.startOffset + /^\s*/.exec(rules.code.slice(busiest.startOffset))![0].length
    const before = rules.code.slice(0, offset).split('\n')
    return rules.places.placeAt(before.length, before.at(-1)!.length + 1)
  } finally {
    session.disconnect()
  }
}
