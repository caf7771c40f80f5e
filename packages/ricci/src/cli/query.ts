import type { Event } from '@ricci/client'
import { Command } from 'commander'
import { ranges } from '../server/cluster-status.ts'
import { askJson, urlOption } from './api.ts'
import { eventTable } from './events.ts'
import { outputOption, type OutputFormat } from './output.ts'
import { CommandError, ExitCode, type Surroundings } from './surroundings.ts'

/** @see QueryAnswer */
interface Answer {
  readonly events: readonly Event[]
  readonly missing?: readonly { readonly partition: number }[]
  readonly cursor?: string
}

interface Options {
  readonly url: string
  readonly output: OutputFormat
  readonly limit?: string
  readonly cursor?: string
}

export function queryCommand(surroundings: Surroundings): Command {
  return new Command('query')
    .description('print the events in the index that match a query')
    .argument('<query>', `for example 'service = "cpu" and metric > 0.9'`)
    .option('-n, --limit <count>', 'at most so many events; where there are more, it says how to go on')
    .option('--cursor <cursor>', 'go on where the answer before ended')
    .addOption(outputOption())
    .addOption(urlOption(surroundings))
    .action(async (query: string, { url, output, limit, cursor }: Options) => {
      if (limit !== undefined && !/^[1-9]\d{0,6}$/.test(limit)) {
        throw new CommandError(ExitCode.usage, `"${limit}" is no count; --limit takes a whole number from 1 on`)
      }
      const parameters: Record<string, string> = { query }
      if (limit !== undefined) Object.assign(parameters, { limit, cursor: '' })
      if (cursor !== undefined) parameters.cursor = cursor
      const { events, missing = [], cursor: next } = await askJson<Answer>(url, '/api/v1/query', parameters)
      if (output === 'json') surroundings.write(`${JSON.stringify(events)}\n`)
      else if (events.length === 0) surroundings.complain('No event in the index matches.\n')
      else surroundings.write(eventTable(events))
      if (next !== undefined) surroundings.complain(`There are more; go on with --cursor ${next}\n`)
      if (missing.length === 0) return
      const which = ranges(missing.map(({ partition }) => partition))
      const text = `nobody answered for the partitions ${which}: their events are not in this answer; ask again, or see: ricci cluster status`
      throw new CommandError(ExitCode.failed, text)
    })
}
