/** Incidents as the API lists them, a part at a time. */
import type { Incidents, PendingPage } from '@ricci/engine'
import type { Command } from 'commander'
import { askJson } from './api.ts'
import type { Target } from './target.ts'

/** A part of an answer. All that is open comes first, over however many of them, then what is closed, then what waits. */
export interface Answer {
  readonly incidents: Incidents
  readonly pages: readonly PendingPage[]
  readonly cursor?: string
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

export async function* answersOf(
  url: Target,
  parameters: Readonly<Record<string, string>>,
): AsyncGenerator<Answer, void, undefined> {
  for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
    const all = { ...parameters, limit, ...(cursor !== undefined && { cursor }) }
    const answer = await askJson<Answer>(url, '/api/v1/incidents', all)
    yield answer
    cursor = answer.cursor
  }
}
