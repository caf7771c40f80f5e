import type { Config } from '../config/config.ts'
import { nodeClock } from '../server/node-clock.ts'
import { loadRulesRecord } from '../server/rules-source.ts'
import { bytes } from './output.ts'

/** Loads the rules of a configuration without using them; gives a line that says what they are. */
export async function checkRules(config: Config): Promise<string> {
  const { hash, bundle } = await loadRulesRecord(config, nodeClock)
  return `${config.rulesFolder}: ok (${hash.slice(0, 12)}, ${bytes(bundle.length)})\n`
}
