/** A switch of rules before it is done: what would be other, and which incidents would be over because nobody declares their rule any more. */
import {
  deliveryFailedRule,
  ruleQuarantinedRule,
  type Incident,
  type RulesDifference,
  type RulesRecord,
} from '@ricci/engine'
import { isDeepStrictEqual } from 'node:util'
import { RicciError } from '../errors.ts'
import type { OpenIncidents } from '../peers/incidents.ts'
import type { ComparedRules } from './rules-source.ts'

/** What the folder's rules are beside those in force. */
export interface RulesPreview {
  /** Hash of the rules in force, where an engine runs here; of the folder's. */
  readonly inForce?: string
  readonly onDisk: string
  /** Partitions that do not run what the folder and the configuration say. */
  readonly partitions: readonly number[]
  /** Engine settings that differ; what is absent is at its default. */
  readonly settings: readonly SettingChange[]
  /** Absent where no engine here says what is in force. */
  readonly rules?: RulesDifference
  readonly resolves: Resolves
}

export interface SettingChange {
  readonly name: string
  readonly inForce?: unknown
  readonly onDisk?: unknown
}

/** Open incidents that a switch would end. */
export interface Resolves {
  readonly rules: readonly ResolvedRule[]
  /** Partitions that did not say which incidents are open there. */
  readonly unknown: readonly number[]
}

export interface ResolvedRule {
  readonly rule: string
  readonly count: number
  /** Keys of the first of them. */
  readonly keys: readonly string[]
}

/** Without being told to, a switch ends no more open incidents than this (DESIGN 11.11). */
const maxResolved = 10

/** Keys that are named of one rule. */
const shownKeys = 5

/** Which open incidents a switch to rules of these names ends. Those of Ricci itself are not the rules' business. */
export async function resolvedBy(names: ReadonlySet<string>, open: AsyncIterable<OpenIncidents>): Promise<Resolves> {
  const found = new Map<string, { count: number; keys: string[] }>()
  const unknown = new Set<number>()
  for await (const { incidents, missing } of open) {
    for (const { partition } of missing) unknown.add(partition)
    for (const { rule, key } of incidents as readonly Incident[]) {
      if (names.has(rule) || ownRules.has(rule)) continue
      const of = found.get(rule) ?? { count: 0, keys: [] }
      found.set(rule, of)
      of.count++
      if (of.keys.length < shownKeys) of.keys.push(key)
    }
  }
  const rules = [...found].map(([rule, of]) => ({ rule, ...of })).sort((a, b) => b.count - a.count)
  return { rules, unknown: [...unknown].sort((a, b) => a - b) }
}

const ownRules: ReadonlySet<string> = new Set([deliveryFailedRule, ruleQuarantinedRule])

/** @throws RicciError `RULES_RESOLVE` where a switch would end more than somebody may expect of it */
export function assertFewResolve({ rules, unknown }: Resolves, { difference }: ComparedRules): void {
  const count = rules.reduce((sum, each) => sum + each.count, 0)
  if (count > maxResolved) {
    throw new RicciError(
      'RULES_RESOLVE',
      `the switch would resolve ${count} open incidents, because their rules are declared nowhere any more: ${resolvesText(rules)}. ` +
        `Nothing was switched. If that is what you want: ricci rules reload --yes`,
    )
  }
  // as far as is known, every incident that can be open has its rule still
  if (unknown.length === 0 || difference?.incidents.dropped.length === 0) return
  throw new RicciError(
    'RULES_RESOLVE',
    `${unknown.length === 1 ? 'partition' : 'partitions'} ${unknown.join(', ')} did not say which incidents are open there, and the switch ` +
      `resolves those whose rule is declared nowhere any more${dropped(difference)}. Nothing was switched. Try again in a moment; or, ` +
      `if they may resolve however many they are: ricci rules reload --yes`,
  )
}

function dropped(difference: RulesDifference | undefined): string {
  return difference === undefined ? '' : ` (${difference.incidents.dropped.join(', ')})`
}

/** @example "disk-full (12: web-1 disk, web-2 disk, …), cpu-high (web-7 cpu)" */
export function resolvesText(rules: readonly ResolvedRule[]): string {
  return rules
    .map(({ rule, count, keys }) => {
      const more = count > keys.length ? ', …' : ''
      return `${rule} (${count > 1 ? `${count}: ` : ''}${keys.join(', ')}${more})`
    })
    .join(', ')
}

/** Settings that ride with rules and are not those in force. */
export function settingChanges(
  inForce: RulesRecord['settings'] | undefined,
  onDisk: RulesRecord['settings'],
): SettingChange[] {
  if (inForce === undefined) return []
  const names = [...new Set([...Object.keys(inForce), ...Object.keys(onDisk)])].sort()
  return names.flatMap((name) => {
    const [before, after] = [inForce[name], onDisk[name]]
    return isDeepStrictEqual(before, after) ? [] : [{ name, inForce: before, onDisk: after }]
  })
}
