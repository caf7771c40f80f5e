import type { Incident, Incidents, PendingPage } from '@ricci/engine'
import { Command } from 'commander'
import { askJson, urlOption } from './api.ts'
import { duration, outputOption, table, type OutputFormat } from './output.ts'
import { withExamples } from './examples.ts'
import type { Surroundings } from './surroundings.ts'
import type { Target } from './target.ts'

/** A page of an answer. All that is open comes first, over however many of them, then what is closed, then what waits. */
interface Answer {
  readonly incidents: Incidents
  readonly pages: readonly PendingPage[]
  readonly cursor?: string
}

/** Incidents and pages asked for at a time; the server gives fewer where they are long. */
const limit = '1000'

export function incidentsCommand(surroundings: Surroundings): Command {
  const command = new Command('incidents')
    .description('print what is wrong now, and the pages that wait to be told')
    .addOption(outputOption())
    .addOption(urlOption())
    .action(async ({ url, output }: { url: Target; output: OutputFormat }) => {
      const answers = answersOf(url)
      await (output === 'json' ? writeJson(answers, surroundings) : writeTables(answers, surroundings))
    })
  return withExamples(command, ['ricci incidents', 'ricci incidents -o json'])
}

async function* answersOf(url: Target): AsyncGenerator<Answer, void, undefined> {
  for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
    const parameters: Record<string, string> = cursor === undefined ? { limit } : { limit, cursor }
    const answer = await askJson<Answer>(url, '/api/v1/incidents', parameters)
    yield answer
    cursor = answer.cursor
  }
}

/** One JSON text, written as it comes: what a hundred thousand incidents rest on is more than memory need hold. */
async function writeJson(answers: AsyncIterable<Answer>, { write }: Surroundings): Promise<void> {
  const parts = [
    { begin: '{"incidents":{"open":[', of: ({ incidents }: Answer) => incidents.open },
    { begin: '],"closed":[', of: ({ incidents }: Answer) => incidents.closed },
    { begin: ']},"pages":[', of: ({ pages }: Answer) => pages },
  ]
  let at = -1
  let between = ''
  for await (const answer of answers) {
    let text = ''
    for (const [i, { of }] of parts.entries()) {
      for (const member of of(answer)) {
        for (; at < i; between = '') text += parts[++at].begin
        text += between + JSON.stringify(member)
        between = ','
      }
    }
    write(text)
  }
  let end = ''
  while (at < parts.length - 1) end += parts[++at].begin
  write(`${end}]}\n`)
}

async function writeTables(answers: AsyncIterable<Answer>, { write, complain }: Surroundings): Promise<void> {
  const open: string[][] = []
  const pages: string[][] = []
  for await (const answer of answers) {
    open.push(...answer.incidents.open.map(incidentRow))
    pages.push(...answer.pages.map(pageRow))
  }
  if (open.length === 0) complain('Nothing is wrong.\n')
  else write(table(['INCIDENT', 'HOST', 'SERVICE', 'SEVERITY', 'SINCE', 'SUMMARY'], open))
  if (pages.length === 0) return
  write(`\n${table(['PAGE WAITING', 'ACTION', 'TO', 'AGE', 'TRIES', 'SUMMARY'], pages)}`)
}

function incidentRow({ rule, host, service, severity, openedAtMs, summary }: Incident): string[] {
  return [rule, host, service, severity, age(openedAtMs), summary]
}

function pageRow({ rule, action, receiver, decidedAtMs, attempts, summary }: PendingPage): string[] {
  return [rule, action, receiver, age(decidedAtMs), String(attempts.length), summary]
}

function age(sinceMs: number): string {
  return duration(Math.max(0, Date.now() - sinceMs))
}
