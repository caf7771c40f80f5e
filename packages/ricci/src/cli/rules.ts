import type { Config } from '../config/config.ts'
import { nodeClock } from '../server/node-clock.ts'
import { checkRules, readRules, type RulesChecks } from '../server/rules-source.ts'
import { bytes } from './output.ts'

/** Checks the rules of a configuration as before a switch, and changes nothing; gives lines that say what they are. */
export async function describeRules(config: Config): Promise<string> {
  const folder = await readRules(config)
  const checks = await checkRules(folder, config, nodeClock)
  const { hash, bundle } = folder.record
  return `${config.rulesFolder}: ok (${hash.slice(0, 12)}, ${bytes(bundle.length)})\n${describeChecks(checks)}`
}

/** What the checks came to, a line each. */
export function describeChecks({ typesUnchecked, tests, hiddenState }: RulesChecks): string {
  const lines = [
    `types: ${typesUnchecked === undefined ? 'right' : `not checked, ${typesUnchecked}`}`,
    `tests: ${tests === 0 ? 'none; write one in a file named ….test.ts beside the rules' : `${tests} passed`}`,
  ]
  if (hiddenState !== undefined && hiddenState.functions > 0) {
    const { functions, called, events } = hiddenState
    lines.push(`hidden state: none found in ${events} events, which reached ${called} of ${functions} functions`)
  }
  return lines.map((line) => `  ${line}\n`).join('')
}
