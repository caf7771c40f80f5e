/** Rules tried in an engine that is thrown away: no log, no state. */
import { Machine } from './machine.ts'
import { differenceOf, type RulesDifference } from './streams/compare.ts'
import { engineSemantics, type RulesInForce } from './streams/rules-in-force.ts'
import type { RulesDescription } from './streams/stream.ts'
import type { OnMatch } from './streams/tree.ts'

type Settings = Readonly<Record<string, unknown>>

/**
 * Builds rules as a rules record would.
 * @throws EngineError `RULES_INVALID`, `SETTING_INVALID`: what the record would be refused with
 */
export function checkRules(description: RulesDescription, settings: Settings = {}): void {
  loaded([description], settings)
}

/**
 * What a switch from one set of rules to another would do.
 * @throws as {@link checkRules}, for either
 */
export function compareRules(
  before: RulesDescription,
  after: RulesDescription,
  settings: Settings = {},
): RulesDifference {
  return differenceOf(before, after, (onMatch) => loaded([before, after], settings, onMatch).tree!.report)
}

/** Puts rules in force one after the other; `onMatch` is told of the last of them. */
function loaded(descriptions: readonly RulesDescription[], settings: Settings, onMatch?: OnMatch): RulesInForce {
  const bundle = new Uint8Array(0)
  const { rules } = new Machine({ logId: 'trial', partition: 0, loadRules: ({ hash }) => descriptions[Number(hash)] })
  for (const at of descriptions.keys()) {
    const record = { kind: 'rules', hash: String(at), settings, semantics: engineSemantics, bundle } as const
    rules.load(record, bundle, at === descriptions.length - 1 ? onMatch : undefined)
  }
  return rules
}
