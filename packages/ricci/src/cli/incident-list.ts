/** Incidents as the API lists them, a part at a time. */
import type { Incident, Incidents, PendingPage } from '@ricci/engine'
import type { Command } from 'commander'
import { ranges } from '../server/cluster-status.ts'
import { askJson } from './api.ts'
import { CommandError, ExitCode } from './surroundings.ts'
import type { Target } from './target.ts'

/** In brief answers it says of a group how many are bad, not who. */
export type ListedIncident = Incident & { readonly membersBad?: number }

/** A part of an answer. All that is open comes first, over however many of them, then what is closed, then what waits. */
export interface Answer {
  readonly incidents: Readonly<Record<keyof Incidents, readonly ListedIncident[]>>
  readonly pages: readonly PendingPage[]
  readonly cursor?: string
  /** Partitions of which nobody could tell anything. */
  readonly missing?: readonly number[]
}

export interface FilterOptions {
  readonly rule?: string
  readonly host?: string
  readonly severity?: string
}

/** Options by which incidents are picked. */
export function withFilters(command: Command): Command {
  return command
    .option('--rule <name>', 'only those of this name')
    .option('--host <host>', 'only those of this host')
    .option('--severity <severity>', 'only those of this severity')
}

/** Incidents and pages asked for at a time; the server gives fewer where they are long. */
const limit = '1000'

/** As the API takes them. */
export function filterParameters(
  { rule, host, severity }: FilterOptions,
  words: readonly string[],
): Readonly<Record<string, string>> {
  return {
    ...(rule !== undefined && { rule }),
    ...(host !== undefined && { host }),
    ...(severity !== undefined && { severity }),
    ...(words.length > 0 && { words: words.join(' ') }),
  }
}

/** @throws CommandError behind the last of them, where some of the partitions are missing */
export async function* answersOf(
  url: Target,
  parameters: Readonly<Record<string, string>>,
): AsyncGenerator<Answer, void, undefined> {
  const missing = new Set<number>()
  for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
    const all = { ...parameters, limit, ...(cursor !== undefined && { cursor }) }
    const answer = await askJson<Answer>(url, '/api/v1/incidents', all)
    yield answer
    for (const partition of answer.missing ?? []) missing.add(partition)
    cursor = answer.cursor
  }
  if (missing.size === 0) return
  const which = ranges([...missing].sort((a, b) => a - b))
  const text = `nobody answered for the partitions ${which}: their incidents are not among these; ask again, or see: ricci cluster status`
  throw new CommandError(ExitCode.failed, text)
}
