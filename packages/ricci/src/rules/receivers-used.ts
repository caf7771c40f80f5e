import type { RulesDescription, Stream } from '@ricci/engine/vocabulary'
import { didYouMean } from '../config/nearest.ts'
import { RicciError } from '../errors.ts'

/** Names of the receivers that rules page, by the name of the incident or notice that pages them. */
export function receiversUsed(description: RulesDescription): ReadonlyMap<string, ReadonlySet<string>> {
  const used = new Map<string, Set<string>>()
  const visit = ({ operator, args, children }: Stream): void => {
    if (operator === 'incident' || operator === 'notify') {
      const [rule, { to }] = args as [string, { to: readonly string[] }]
      for (const name of to) used.set(name, (used.get(name) ?? new Set()).add(rule))
    }
    children.forEach(visit)
  }
  description.streams.forEach(visit)
  return used
}

/**
 * Holds rules to the configured receivers: a page to a name that nobody has would wait for a day and then be given up.
 * @throws RicciError `RULES_INVALID`
 */
export function checkReceivers(
  used: ReadonlyMap<string, ReadonlySet<string>>,
  configured: ReadonlyMap<string, unknown>,
): void {
  const problems = [...used]
    .filter(([name]) => !configured.has(name))
    .map(
      ([name, rules]) =>
        `${[...rules].join(', ')}: there is no receiver "${name}"; add it to the configuration${didYouMean(name, configured.keys())}`,
    )
  if (problems.length > 0) throw new RicciError('RULES_INVALID', problems.join('\n'))
}
