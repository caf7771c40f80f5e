import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { engineSemantics, type RulesDifference, type RulesRecord } from '@ricci/engine'
import type { Clock } from '@ricci/replica'
import type { Config } from '../config/config.ts'
import { atPlace, type Place } from '../config/excerpt.ts'
import { RicciError } from '../errors.ts'
import { bundleRules, bundleTests, shownPath } from '../rules/bundle.ts'
import type { Guilt, HiddenStateReport } from '../rules/hidden-state.ts'
import { missingNames, type NamesConfigured, type NamesUsed } from '../rules/names-used.ts'
import type { TestsReport } from '../rules/run-tests.ts'
import { tryRules, type TriedRules } from '../rules/try-rules.ts'
import { TypeCheck } from '../rules/type-check.ts'
import { builtFile } from './built-file.ts'

/** The rules of a folder as they are, and as their record would carry them. */
export interface FolderRules {
  readonly record: RulesRecord
  /** What was bundled, relative to the folder. */
  readonly files: readonly string[]
}

/** What the checks before a switch came to, when all is well. */
export interface RulesChecks {
  /** Why types were not checked; absent where they were. */
  readonly typesUnchecked?: string
  /** Engine semantics that their record is to ask for: the lowest that have all that they use, so that others can follow. */
  readonly semantics: number
  /** Top-level streams. */
  readonly streams: number
  /** Tests that passed. */
  readonly tests: number
  readonly hiddenState?: HiddenStateReport
  readonly compared: ComparedRules
}

/** Rules that load, beside those that they are to follow. */
export interface ComparedRules {
  /** Of their incidents and notices. */
  readonly names: ReadonlySet<string>
  /** What a switch would do to the state of operators; absent where nothing is known of the rules in force. */
  readonly difference?: RulesDifference
}

/** What a rules record is made from. */
export type RulesConfig = Pick<Config, 'rulesFolder' | 'engine' | 'fallback'> &
  Partial<Pick<Config, 'receivers' | 'sinks'>>

/**
 * Bundles the rules of the configured folder and makes their record, with the settings that decide. Nothing of them has run yet.
 * @throws RicciError `RULES_…` with file, line and caret
 */
export async function readRules(config: RulesConfig): Promise<FolderRules> {
  const { bundle, hash, files } = await bundleRules(config.rulesFolder)
  const record: RulesRecord = {
    kind: 'rules',
    hash,
    // as a log would give them back: what is absent is not there
    settings: JSON.parse(
      JSON.stringify({ ...config.engine, fallbackReceiver: config.fallback }),
    ) as RulesRecord['settings'],
    semantics: engineSemantics,
    bundle,
  }
  return { record, files }
}

/**
 * All that stands before a switch: types, the rules' own tests, the search for state that they keep outside of the engine.
 * @param types stays with who checks again and again; without one, a process checks once
 * @param before bundle of the rules in force, to compare with
 * @throws RicciError `RULES_…` with file, line and caret as far as there are any: the old rules run on
 */
export async function checkRules(
  { record, files }: FolderRules,
  config: RulesConfig,
  clock: Clock,
  types: TypeCheck = new TypeCheck({ file: builtFile('type-checker'), clock }),
  before?: Uint8Array,
): Promise<RulesChecks> {
  const folder = config.rulesFolder
  const tests = await bundleTests(folder)
  const workerFile = builtFile('rules-worker')
  const { bundle, settings } = record
  // both take a second of one core; what the type checker says is told first, being nearest to the mistake
  const [typesAnswer, triedAnswer] = await Promise.allSettled([
    types.check(folder, [...ownFiles(files), ...(tests?.files ?? [])]),
    tryRules(bundle, { workerFile, clock, settings, before, tests: tests?.bundle, laws: true }),
  ])
  const typesUnchecked = valueOf(typesAnswer)
  const tried = valueOf(triedAnswer, folder, files)
  failWithNames(tried, config, folder, ownFiles(files))
  failWithTests(tried.tests)
  failWithHiddenState(tried.hiddenState, folder)
  const { semantics, streams, hiddenState } = tried
  const compared = comparedOf(tried)
  return { typesUnchecked, semantics, streams, tests: tried.tests?.passed ?? 0, hiddenState, compared }
}

/**
 * Loads rules beside those in force, in a thread that is thrown away; what they name is held against the configuration, and that is all.
 * @throws RicciError `RULES_INVALID`, `RULES_TIMEOUT`
 */
export async function compareRules(
  { bundle, settings }: Pick<RulesRecord, 'bundle' | 'settings'>,
  configured: NamesConfigured | undefined,
  clock: Clock,
  before?: Uint8Array,
): Promise<ComparedRules> {
  const tried = await tryRules(bundle, { workerFile: builtFile('rules-worker'), clock, settings, before })
  const missing = configured && missingNames(tried, configured)
  if (missing !== undefined) throw new RicciError('RULES_INVALID', missing)
  return comparedOf(tried)
}

function comparedOf({ receivers, difference }: TriedRules): ComparedRules {
  return { names: new Set([...receivers.values()].flatMap((names) => [...names])), difference }
}

/** Files of the folder itself: a package that rules import has its own types, right or wrong. */
function ownFiles(files: readonly string[]): string[] {
  return files.filter((file) => /\.[jt]s$/.test(file) && !file.startsWith('..') && !file.includes('node_modules/'))
}

/** @param folder where an error that names one of the files by its path within is to be looked for */
function valueOf<Value>(settled: PromiseSettledResult<Value>, folder = '', files: readonly string[] = []): Value {
  if (settled.status === 'fulfilled') return settled.value
  const error: unknown = settled.reason
  const file =
    error instanceof RicciError &&
    files.find((name) => error.message.startsWith(`${name}:`) || error.message.startsWith(`${name} `))
  if (!(error instanceof RicciError) || typeof file !== 'string') throw error
  const message = error.message.replace(file, shownPath(resolve(folder), file))
  throw new RicciError(error.code, message, { cause: error })
}

function failWithNames(
  used: NamesUsed,
  { receivers, sinks }: RulesConfig,
  folder: string,
  files: readonly string[],
): void {
  if (receivers === undefined || sinks === undefined) return
  const missing = missingNames(used, { receivers, sinks }, (name) => placeOfText(folder, files, name))
  if (missing !== undefined) throw new RicciError('RULES_INVALID', missing)
}

/** The first place at which a text stands in quotes: streams do not know who wrote them where. */
function placeOfText(folder: string, files: readonly string[], text: string): Place | undefined {
  for (const file of files) {
    const lines = readFileSync(resolve(folder, file), 'utf8').split('\n')
    for (const [i, lineText] of lines.entries()) {
      const at = ["'", '"', '`'].map((quote) => lineText.indexOf(`${quote}${text}${quote}`)).find((found) => found >= 0)
      if (at === undefined) continue
      return { file: shownPath(resolve(folder), file), line: i + 1, column: at + 1, length: text.length + 2, lineText }
    }
  }
  return undefined
}

function failWithTests(report: TestsReport | undefined): void {
  if (report === undefined || report.failures.length === 0) return
  const { passed, failures } = report
  const texts = failures.map(({ name, text }) => `"${name}": ${text}`)
  const count = `${failures.length} of the ${passed + failures.length} tests of the rules failed`
  throw new RicciError('RULES_TESTS', [`${count}:`, ...texts].join('\n'))
}

function failWithHiddenState(report: HiddenStateReport | undefined, folder: string): void {
  if (report?.guilty === undefined) return
  const { place } = report.guilty
  const message = guiltText(report.guilty)
  throw new RicciError(
    'RULES_HIDDEN_STATE',
    place === undefined ? message : atPlace({ ...place, file: shownPath(resolve(folder), place.file) }, message),
  )
}

function guiltText({ kind, operator, detail = '' }: Guilt): string {
  switch (kind) {
    case 'state': {
      const where = detail === '' ? '' : ` (in ${detail})`
      return (
        `this function, in ${operator}, gives something else once its code is loaded anew: it keeps something between events ` +
        `outside of the engine${where}, which a restart or a takeover loses; keep it in an operator (changed, counter, a window), or in the index`
      )
    }
    case 'event':
      return `this function, in ${operator}, changes ${detail} of the event it is given, which others see as well; make one of your own: smap((e) => ({ ...e.copy(), … }))`
    case 'clock':
      return `${operator === '' ? 'the rules ask the machine while they load' : `this function, in ${operator}, asks the machine`} (${detail}): every replica, and every replay, would be told something else; take the time of the event, or Date as rules have it, which is the log's`
    case 'later':
      return `this function, in ${operator}, gives a promise or is a generator: rules cannot wait, nor give several values; take async, await, then and * out`
  }
}

/** What differs between the rules in force and others: `rules` for their text, and the names of settings. */
export function differences(
  inForce: Pick<RulesRecord, 'hash' | 'settings'> | undefined,
  other: Pick<RulesRecord, 'hash' | 'settings'>,
): string[] {
  if (inForce === undefined) return ['rules']
  const names = new Set([...Object.keys(inForce.settings), ...Object.keys(other.settings)])
  return [
    ...(inForce.hash === other.hash ? [] : ['rules']),
    ...[...names].filter((name) => !isDeepStrictEqual(inForce.settings[name], other.settings[name])).sort(),
  ]
}

/** Rules and the settings that ride with them in one word: two that are alike have the same. */
export function fingerprintOf({ hash, settings }: Pick<RulesRecord, 'hash' | 'settings'>): string {
  const names = Object.keys(settings).sort()
  const text = JSON.stringify([hash, names.map((name) => [name, settings[name as keyof typeof settings]])])
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}
