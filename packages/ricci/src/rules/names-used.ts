import type { RulesDescription, Stream } from '@ricci/engine/vocabulary'
import { atPlace, type Place } from '../config/excerpt.ts'
import { didYouMean } from '../config/nearest.ts'

/** Names of the receivers that rules page, each with the incidents and notices that do. */
export type ReceiversUsed = ReadonlyMap<string, ReadonlySet<string>>

interface Told {
  readonly to: readonly string[]
  readonly escalate?: readonly { readonly to: string }[]
}

/** What rules name: whom they page, and where they send events. */
export interface NamesUsed {
  readonly receivers: ReceiversUsed
  readonly sinks: ReadonlySet<string>
}

/** What the rules of a description name. */
export function namesUsed(description: RulesDescription): NamesUsed {
  const receivers = new Map<string, Set<string>>()
  const sinks = new Set<string>()
  const visit = ({ operator, args, children }: Stream): void => {
    if (operator === 'incident' || operator === 'notify') {
      const [rule, { to, escalate = [] }] = args as [string, Told]
      for (const name of [...to, ...escalate.map((step) => step.to)])
        receivers.set(name, (receivers.get(name) ?? new Set()).add(rule))
    } else if (operator === 'forward') sinks.add(args[0] as string)
    children.forEach(visit)
  }
  description.streams.forEach(visit)
  return { receivers, sinks }
}

/** What the configuration has of these. */
export interface NamesConfigured {
  readonly receivers: ReadonlyMap<string, unknown>
  readonly sinks: ReadonlyMap<string, unknown>
}

/**
 * What rules name and the configuration lacks, in sentences, a line each; undefined where nothing. A page to a name that nobody
 * has would wait for a day and then be given up; events would wait until they are too many.
 * @param placeOf where a name is written
 */
export function missingNames(
  used: NamesUsed,
  configured: NamesConfigured,
  placeOf: (name: string) => Place | undefined = () => undefined,
): string | undefined {
  const problems: string[] = []
  const missing = (name: string, message: string, others: ReadonlyMap<string, unknown>): void => {
    const text = `${message}; add it to the configuration${didYouMean(name, others.keys())}`
    const place = placeOf(name)
    problems.push(place === undefined ? text : atPlace(place, text))
  }
  for (const [name, rules] of used.receivers) {
    if (configured.receivers.has(name)) continue
    missing(name, `${[...rules].join(', ')}: there is no receiver "${name}"`, configured.receivers)
  }
  for (const name of used.sinks) {
    if (!configured.sinks.has(name)) missing(name, `forward: there is no sink "${name}"`, configured.sinks)
  }
  return problems.length > 0 ? problems.join('\n') : undefined
}
