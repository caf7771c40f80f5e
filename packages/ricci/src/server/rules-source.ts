import { isDeepStrictEqual } from 'node:util'
import { engineSemantics, type RulesRecord } from '@ricci/engine'
import type { Clock } from '@ricci/replica'
import type { Config } from '../config/config.ts'
import { bundleRules } from '../rules/bundle.ts'
import { checkReceivers } from '../rules/receivers-used.ts'
import { tryRules } from '../rules/try-rules.ts'
import { builtFile } from './built-file.ts'

/** What a rules record is made from. */
export type RulesConfig = Pick<Config, 'rulesFolder' | 'engine' | 'fallback' | 'receivers'>

/**
 * Bundles the rules of the configured folder, tries them in a thread that is thrown away, and makes their record, with the settings
 * that decide.
 * @throws RicciError `RULES_…` with file, line and caret, or with the name of a receiver that nobody has
 */
export async function loadRulesRecord(config: RulesConfig, clock: Clock): Promise<RulesRecord> {
  const { bundle, hash } = await bundleRules(config.rulesFolder)
  const { receivers } = await tryRules(bundle, { workerFile: builtFile('rules-worker'), clock })
  checkReceivers(receivers, config.receivers)
  return {
    kind: 'rules',
    hash,
    // as a log would give them back: what is absent is not there
    settings: JSON.parse(
      JSON.stringify({ ...config.engine, fallbackReceiver: config.fallback }),
    ) as RulesRecord['settings'],
    semantics: engineSemantics,
    bundle,
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
