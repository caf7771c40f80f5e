import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { engineSemantics, type RulesRecord } from '@ricci/engine'
import type { Clock } from '@ricci/replica'
import type { Config } from '../config/config.ts'
import { atPlace, type Place } from '../config/excerpt.ts'
import { RicciError } from '../errors.ts'
import { bundleRules, bundleTests, shownPath } from '../rules/bundle.ts'
import type { HiddenStateReport } from '../rules/hidden-state.ts'
import { missingReceivers, type ReceiversUsed } from '../rules/receivers-used.ts'
import type { TestsReport } from '../rules/run-tests.ts'
import { tryRules } from '../rules/try-rules.ts'
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
  /** Top-level streams. */
  readonly streams: number
  /** Tests that passed. */
  readonly tests: number
  readonly hiddenState?: HiddenStateReport
}

/** What a rules record is made from. */
export type RulesConfig = Pick<Config, 'rulesFolder' | 'engine' | 'fallback'> & Partial<Pick<Config, 'receivers'>>

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
 * @throws RicciError `RULES_…` with file, line and caret as far as there are any: the old rules run on
 */
export async function checkRules(
  { record, files }: FolderRules,
  config: RulesConfig,
  clock: Clock,
  types: TypeCheck = new TypeCheck({ file: builtFile('type-checker'), clock }),
): Promise<RulesChecks> {
  const folder = config.rulesFolder
  const tests = await bundleTests(folder)
  const workerFile = builtFile('rules-worker')
  const { bundle, settings } = record
  // both take a second of one core; what the type checker says is told first, being nearest to the mistake
  const [typesAnswer, triedAnswer] = await Promise.allSettled([
    types.check(folder, [...ownFiles(files), ...(tests?.files ?? [])]),
    tryRules(bundle, { workerFile, clock, settings, tests: tests?.bundle, laws: true }),
  ])
  const typesUnchecked = valueOf(typesAnswer)
  const tried = valueOf(triedAnswer)
  failWithReceivers(tried.receivers, config.receivers, folder, ownFiles(files))
  failWithTests(tried.tests)
  failWithHiddenState(tried.hiddenState, folder)
  return { typesUnchecked, streams: tried.streams, tests: tried.tests?.passed ?? 0, hiddenState: tried.hiddenState }
}

/** Files of the folder itself: a package that rules import has its own types, right or wrong. */
function ownFiles(files: readonly string[]): string[] {
  return files.filter((file) => /\.[jt]s$/.test(file) && !file.startsWith('..') && !file.includes('node_modules/'))
}

function valueOf<Value>(settled: PromiseSettledResult<Value>): Value {
  if (settled.status === 'rejected') throw settled.reason
  return settled.value
}

function failWithReceivers(
  used: ReceiversUsed,
  configured: RulesConfig['receivers'],
  folder: string,
  files: readonly string[],
): void {
  if (configured === undefined) return
  const missing = missingReceivers(used, configured, (name) => placeOfText(folder, files, name))
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
  const { operator, place } = report.guilty
  const message =
    `this function, in ${operator}, gives something else once its code is loaded anew: it keeps something between events ` +
    `outside of the engine, which a restart or a takeover loses; keep it in an operator (changed, counter, a window), or in the index`
  throw new RicciError(
    'RULES_HIDDEN_STATE',
    place === undefined ? message : atPlace({ ...place, file: shownPath(resolve(folder), place.file) }, message),
  )
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
