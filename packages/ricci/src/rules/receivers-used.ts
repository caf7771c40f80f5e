import type { RulesDescription, Stream } from '@ricci/engine/vocabulary'
import { atPlace, type Place } from '../config/excerpt.ts'
import { didYouMean } from '../config/nearest.ts'

/** Names of the receivers that rules page, each with the incidents and notices that do. */
export type ReceiversUsed = ReadonlyMap<string, ReadonlySet<string>>

interface Told {
  readonly to: readonly string[]
  readonly escalate?: readonly { readonly to: string }[]
}

/** What the rules of a description page. */
export function receiversUsed(description: RulesDescription): ReceiversUsed {
  const used = new Map<string, Set<string>>()
  const visit = ({ operator, args, children }: Stream): void => {
    if (operator === 'incident' || operator === 'notify') {
      const [rule, { to, escalate = [] }] = args as [string, Told]
      for (const name of [...to, ...escalate.map((step) => step.to)])
        used.set(name, (used.get(name) ?? new Set()).add(rule))
    }
    children.forEach(visit)
  }
  description.streams.forEach(visit)
  return used
}

/**
 * What rules page and the configuration lacks, in sentences, a line each; undefined where nothing. A page to a name that nobody
 * has would wait for a day and then be given up.
 * @param placeOf where a name is written
 */
export function missingReceivers(
  used: ReceiversUsed,
  configured: ReadonlyMap<string, unknown>,
  placeOf: (name: string) => Place | undefined = () => undefined,
): string | undefined {
  const problems = [...used]
    .filter(([name]) => !configured.has(name))
    .map(([name, rules]) => {
      const message = `${[...rules].join(', ')}: there is no receiver "${name}"; add it to the configuration${didYouMean(name, configured.keys())}`
      const place = placeOf(name)
      return place === undefined ? message : atPlace(place, message)
    })
  return problems.length > 0 ? problems.join('\n') : undefined
}
