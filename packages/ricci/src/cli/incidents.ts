import type { PendingPage } from '@ricci/engine'
import { Command } from 'commander'
import { ask, urlOption } from './api.ts'
import { duration, outputOption, table, type OutputFormat } from './output.ts'
import type { Surroundings } from './surroundings.ts'

export function incidentsCommand(surroundings: Surroundings): Command {
  return new Command('incidents')
    .description('print the pages that wait to be told to their receivers')
    .addOption(outputOption())
    .addOption(urlOption(surroundings))
    .action(async ({ url, output }: { url: string; output: OutputFormat }) => {
      const answer = (await (await ask(url, '/api/v1/incidents', {})).json()) as { pages: PendingPage[] }
      if (output === 'json') return surroundings.write(`${JSON.stringify(answer)}\n`)
      if (answer.pages.length === 0) return surroundings.complain('No page waits.\n')
      const rows = answer.pages.map((page) => [
        page.rule,
        page.action,
        page.receiver,
        duration(Date.now() - page.decidedAtMs),
        String(page.attempts.length),
        page.summary,
      ])
      surroundings.write(table(['RULE', 'ACTION', 'TO', 'AGE', 'TRIES', 'SUMMARY'], rows))
    })
}
