/** All that stands before a switch of rules, without a server: `ricci check`, `ricci test` and `ricci rules check`. */
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { defaultConfig, loadConfig } from '../config/config.ts'
import type { Place } from '../config/excerpt.ts'
import type { SettledChecks } from '../server/server-rules.ts'
import { nodeClock } from '../server/node-clock.ts'
import { checkRules, readRules, type RulesConfig } from '../server/rules-source.ts'
import { bytes } from './output.ts'
import { whileWaiting } from './progress.ts'
import type { Surroundings } from './surroundings.ts'

/** What `ricci init` calls a configuration, and the commands look for. */
export const configFile = 'ricci.yaml'

/** The rules that an argument names, and the configuration that holds for them, if there is any. */
export interface GivenRules {
  readonly config: RulesConfig
  /** Of the configuration. */
  readonly file?: string
}

/**
 * @param given a configuration, a folder with one in it, or a folder of rules; without it the `ricci.yaml` of the working directory, else
 * its folder `rules`
 * @throws RicciError `CONFIG_…`
 */
export function givenRules(given: string | undefined): GivenRules {
  const path = given ?? '.'
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
  const file = !isFolder ? path : existsSync(join(path, configFile)) ? join(path, configFile) : undefined
  if (file !== undefined) return { config: loadConfig(file), file }
  // nobody said which receivers there are
  const { rulesFolder, engine, fallback } = defaultConfig(process.cwd())
  return { config: { rulesFolder: given ?? rulesFolder, engine, fallback } }
}

/** Checks rules as before a switch, and changes nothing; gives lines that say what they are. @throws RicciError `RULES_…` */
export async function describeRules(config: RulesConfig, surroundings: Surroundings): Promise<string> {
  const checked = async (): Promise<string> => {
    const folder = await readRules(config)
    const checks = await checkRules(folder, config, nodeClock)
    const { hash, bundle } = folder.record
    return `${config.rulesFolder}: ok (${hash.slice(0, 12)}, ${bytes(bundle.length)})\n${describeChecks(checks)}`
  }
  return whileWaiting(surroundings, 'the rules are checked', checked())
}

/** What the checks came to, a line each. */
export function describeChecks({ typesUnchecked, tests, hiddenState }: SettledChecks): string {
  const lines = [
    `types: ${typesUnchecked === undefined ? 'right' : `not checked, ${typesUnchecked}`}`,
    `tests: ${tests === 0 ? 'none; write one in a file named ….test.ts beside the rules' : `${tests} passed`}`,
  ]
  if (hiddenState !== undefined && hiddenState.functions > 0) {
    const { functions, called, events, kept, threw } = hiddenState
    lines.push(`hidden state: none found in ${events} events, which reached ${called} of ${functions} functions`)
    for (const { name, place } of kept) {
      lines.push(`  "${name}"${placeText(place)} changes from event to event: right in a cache, wrong in anything else`)
    }
    for (const { operator, place, times, calls, text } of threw) {
      lines.push(`  a function in ${operator}${placeText(place)} threw at ${times} of ${calls} events: ${text}`)
    }
  }
  return lines.map((line) => `  ${line}\n`).join('')
}

function placeText(place: Place | undefined): string {
  return place === undefined ? '' : ` (${place.file}:${place.line})`
}
