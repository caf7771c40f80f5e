import { Command } from 'commander'
import { textOf, type DrillReport } from '../incidents/drills.ts'
import { tell, urlOption } from './api.ts'
import { outputOption, table, type OutputFormat } from './output.ts'
import { CommandError, ExitCode, type Surroundings } from './surroundings.ts'
import type { Target } from './target.ts'

interface Options {
  readonly url: Target
  readonly to?: string
  readonly why: string
  readonly output: OutputFormat
}

/** `ricci drill`: a marked page goes the whole way, and each part of it is timed. */
export function drillCommand(surroundings: Surroundings): Command {
  return new Command('drill')
    .description('send a page that is marked as a drill the whole way of a page, and time each part of it')
    .option('--to <receiver>', 'whom to page; by default drill.to of the configuration')
    .option('--why <why>', 'what its message says', 'paging is tried out')
    .addOption(outputOption())
    .addOption(urlOption())
    .addHelpText(
      'after',
      '\nExample:\n  ricci drill --to oncall\n\nUnlike ricci receivers test it goes through the log, the engine and the owner, as pages do.',
    )
    .action(async ({ url, to, why, output }: Options) => {
      if (surroundings.interactive && output === 'table') surroundings.complain('It takes 30 s at most.\n')
      const report = await tell<DrillReport>(url, '/api/v1/drill', { to, why })
      if (output === 'json') surroundings.write(`${JSON.stringify(report)}\n`)
      else surroundings.write(hopsTable(report))
      if (report.result === 'delivered') return
      throw new CommandError(ExitCode.failed, `${textOf(report)}; see: ricci status, ricci receivers test ${report.to}`)
    })
}

/** Each part with the time that it took. */
function hopsTable({ hops, result, detail = '' }: DrillReport): string {
  const rows = hops.map(({ hop, atMs }, i) => [hop, `${atMs - (hops[i - 1]?.atMs ?? 0)} ms`, `${atMs} ms`, ''])
  const last = rows.at(-1)
  if (last !== undefined && result !== undefined) last[3] = detail === '' ? result : `${result}: ${detail}`
  return table(['REACHED', 'TOOK', 'AFTER', ''], rows)
}
