import type { Incidents, PendingPage } from '@ricci/engine'
import { Command } from 'commander'
import { ask, urlOption } from './api.ts'
import { duration, outputOption, table, type OutputFormat } from './output.ts'
import type { Surroundings } from './surroundings.ts'

interface Answer {
  readonly incidents: Incidents
  readonly pages: readonly PendingPage[]
}

export function incidentsCommand(surroundings: Surroundings): Command {
  return new Command('incidents')
    .description('print what is wrong now, and the pages that wait to be told')
    .addOption(outputOption())
    .addOption(urlOption(surroundings))
    .action(async ({ url, output }: { url: string; output: OutputFormat }) => {
      const answer = (await (await ask(url, '/api/v1/incidents', {})).json()) as Answer
      if (output === 'json') return surroundings.write(`${JSON.stringify(answer)}\n`)
      const { open } = answer.incidents
      if (open.length === 0) surroundings.complain('Nothing is wrong.\n')
      else surroundings.write(openTable(open))
      if (answer.pages.length > 0) surroundings.write(`\n${pageTable(answer.pages)}`)
    })
}

function openTable(open: Incidents['open']): string {
  const rows = open.map(({ rule, host, service, severity, openedAtMs, summary }) => [
    rule,
    host,
    service,
    severity,
    age(openedAtMs),
    summary,
  ])
  return table(['INCIDENT', 'HOST', 'SERVICE', 'SEVERITY', 'SINCE', 'SUMMARY'], rows)
}

function pageTable(pages: readonly PendingPage[]): string {
  const rows = pages.map(({ rule, action, receiver, decidedAtMs, attempts, summary }) => [
    rule,
    action,
    receiver,
    age(decidedAtMs),
    String(attempts.length),
    summary,
  ])
  return table(['PAGE WAITING', 'ACTION', 'TO', 'AGE', 'TRIES', 'SUMMARY'], rows)
}

function age(sinceMs: number): string {
  return duration(Math.max(0, Date.now() - sinceMs))
}
