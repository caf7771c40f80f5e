/** From the bytes in a rules record to the description that the engine runs. */
import { compileFunction } from 'node:vm'
import { brotliDecompressSync } from 'node:zlib'
import * as vocabulary from '@ricci/engine/vocabulary'
import { RicciError } from '../errors.ts'
import { ruleGlobals } from './globals.ts'
import { withoutLocale } from './no-locale.ts'
import { bundleFile, splitSourceMap, type SourcePlaces } from './source-places.ts'

/** What a bundle may be when decompressed: twelve times the compressed limit is what text comes to; a bomb is refused here. */
const maxCodeBytes = 16 * 1_048_576

/**
 * Frames kept of an error while rules load. The user's line stands below those of the query's parser, five for each of at most
 * 250 levels; V8 keeps ten by itself.
 */
const stackFrames = 2_000

export interface EvaluatedRules {
  readonly description: vocabulary.RulesDescription
  /** Says what a rule threw, with the line of the user's own file. For people only: such text never enters the state. */
  explain(error: unknown): string
}

/** A bundle ready to be evaluated, as often as one likes: each time all that its code keeps begins anew. */
export interface CompiledRules {
  /**
   * @param nowMs the engine's calendar time; while rules are loaded nobody knows it, and asking throws
   * @throws RicciError `RULES_INVALID` with the user's file and line where there is one
   */
  evaluate(nowMs: () => number): vocabulary.RulesDescription
  readonly places: SourcePlaces
  /** The compiled code, without its source map. */
  readonly code: string
}

/** What rules may import by name, besides each other. */
export type RuleModules = Readonly<Record<string, unknown>>

/**
 * Compiles a bundle for this thread's own realm (another realm makes `Math` 50 times dearer and `instanceof` false), with the
 * engine's `Date` and `Math` standing before the real ones, and nothing left to the machine's locale.
 * @param remark at the end of the code: with another one, V8 takes nothing from what it compiled before
 * @throws RicciError `RULES_INVALID`
 */
export function compileRules(bundle: Uint8Array, modules: RuleModules = {}, remark = ''): CompiledRules {
  let text: string
  try {
    text = brotliDecompressSync(bundle, { maxOutputLength: maxCodeBytes }).toString()
  } catch (cause) {
    throw new RicciError('RULES_INVALID', 'the rules record holds no bundle that can be read; load the rules again', {
      cause,
    })
  }
  withoutLocale()
  const { code, places } = splitSourceMap(text)
  const names = [...ruleGlobals(unknownTime).keys()]
  const require = requireAmong(modules)
  let run: ReturnType<typeof compileFunction>
  try {
    run = compileFunction(`${code}//${remark}`, ['exports', 'require', 'module', ...names], { filename: bundleFile })
  } catch (cause) {
    throw new RicciError('RULES_INVALID', places.explain(cause), { cause })
  }
  return {
    places,
    code,
    evaluate: (nowMs) => {
      let loading = true
      const globals = ruleGlobals(() => {
        if (loading) {
          throw new Error(
            'the time is not known while rules are loaded: ask for it inside a function that gets an event',
          )
        }
        return nowMs()
      })
      const module: { exports: { default?: unknown } } = { exports: {} }
      const { stackTraceLimit } = Error
      Error.stackTraceLimit = stackFrames
      try {
        run(module.exports, require, module, ...globals.values())
      } catch (cause) {
        throw new RicciError('RULES_INVALID', places.explain(cause), { cause })
      } finally {
        Error.stackTraceLimit = stackTraceLimit
      }
      loading = false
      const description = module.exports.default
      if (!isDescription(description)) {
        const what = description instanceof vocabulary.Stream ? 'a stream by itself, not rules' : 'no rules'
        throw new RicciError(
          'RULES_INVALID',
          `index.ts exports ${what}: end it with \`export default rules(index(), …)\``,
        )
      }
      return description
    },
  }
}

/**
 * Evaluates a bundle once, for an engine.
 *
 * It runs the user's code: called with a bundle nobody has tried it may never return, see `tryRules`.
 * @param nowMs the engine's calendar time; while rules are loaded nobody knows it, and asking throws
 * @throws RicciError `RULES_INVALID` with the user's file and line where there is one
 */
export function evaluateRules(bundle: Uint8Array, nowMs: () => number): EvaluatedRules {
  const { evaluate, places } = compileRules(bundle)
  return { description: evaluate(nowMs), explain: (error) => places.explain(error) }
}

/**
 * As {@link evaluateRules}, the description alone: what `loadRules` of an engine needs.
 * @throws RicciError `RULES_INVALID`
 */
export function evaluateBundle(bundle: Uint8Array, nowMs: () => number = unknownTime): vocabulary.RulesDescription {
  return evaluateRules(bundle, nowMs).description
}

function unknownTime(): never {
  throw new Error('these rules were loaded without a clock')
}

function requireAmong(modules: RuleModules): (name: string) => unknown {
  return (name) => {
    if (name === 'ricci') return vocabulary
    if (Object.hasOwn(modules, name)) return modules[name]
    throw new Error(`rules cannot load "${name}" at run time; import it at the top of the file`)
  }
}

function isDescription(value: unknown): value is vocabulary.RulesDescription {
  return typeof value === 'object' && value !== null && Array.isArray((value as { streams?: unknown }).streams)
}
