import { Command } from 'commander'
import type { AuditEntry } from '../access/audit.ts'
import { askJson, urlOption } from './api.ts'
import { withExamples } from './examples.ts'
import { outputOption, table, type OutputFormat } from './output.ts'
import { CommandError, ExitCode, type Surroundings } from './surroundings.ts'
import type { Target } from './target.ts'

interface Options {
  readonly url: Target
  readonly output: OutputFormat
  readonly limit: string
}

export function auditCommand(surroundings: Surroundings): Command {
  const command = new Command('audit')
    .description('print who changed something over HTTP, from where, why and what came of it; the newest last')
    .option('-n, --limit <count>', 'the latest so many, at most 1000', '100')
    .addOption(outputOption())
    .addOption(urlOption())
    .action(async ({ url, output, limit }: Options) => {
      if (!/^[1-9]\d{0,3}$/.test(limit) || Number(limit) > 1_000)
        throw new CommandError(ExitCode.usage, `"${limit}" is no count; --limit takes a whole number from 1 to 1000`)
      const answer = await askJson<{ entries: AuditEntry[]; unreached: string[] }>(url, '/api/v1/audit', { limit })
      const entries = answer.entries.reverse()
      if (output === 'json') surroundings.write(`${JSON.stringify(entries)}\n`)
      else if (entries.length === 0) surroundings.complain('Nothing was changed over HTTP yet.\n')
      else surroundings.write(auditTable(entries))
      if (answer.unreached.length === 0) return
      const text = `${answer.unreached.join(', ')} could not be asked: what they were asked is not in this answer`
      throw new CommandError(ExitCode.failed, text)
    })
  return withExamples(command, ['ricci audit', 'ricci audit -n 1000 -o json'])
}

function auditTable(entries: readonly AuditEntry[]): string {
  return table(
    ['WHEN (UTC)', 'WHO', 'FROM', 'AT', 'WHAT', 'WITH', 'RESULT', 'WHY'],
    entries.map(({ atMs, who, from, instance, what, arguments: given, status, code, why }) => [
      new Date(atMs).toISOString().slice(0, 19).replace('T', ' '),
      ...[who, from, instance, what.replace('/api/v1/', '')],
      given === undefined ? '' : typeof given === 'string' ? given : JSON.stringify(given),
      code === undefined ? String(status) : `${status} ${code}`,
      why ?? '',
    ]),
  )
}
