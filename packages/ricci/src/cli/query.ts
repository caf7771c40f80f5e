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
}

interface Options {
  readonly url: string
  readonly output: OutputFormat
  readonly limit?: string
}

export function queryCommand(surroundings: Surroundings): Command {
  return new Command('query')
    .description('print the events in the index that match a query')
    .argument('<query>', `for example 'service = "cpu" and metric > 0.9'`)
    .option('-n, --limit <count>', 'at most so many events')
    .addOption(outputOption())
    .addOption(urlOption(surroundings))
    .action(async (query: string, { url, output, limit }: Options) => {
      if (limit !== undefined && !/^[1-9]\d{0,6}$/.test(limit)) {
        throw new CommandError(ExitCode.usage, `"${limit}" is no count; --limit takes a whole number from 1 on`)
      }
      const parameters = { query, ...(limit === undefined ? {} : { limit }) }
      const { events, missing = [] } = await askJson<Answer>(url, '/api/v1/query', parameters)
      if (output === 'json') surroundings.write(`${JSON.stringify(events)}\n`)
      else if (events.length === 0) surroundings.complain('No event in the index matches.\n')
      else surroundings.write(eventTable(events))
      if (missing.length === 0) return
      const which = ranges(missing.map(({ partition }) => partition))
      const text = `nobody answered for the partitions ${which}: their events are not in this answer; ask again, or see: ricci cluster status`
      throw new CommandError(ExitCode.failed, text)
    })
}
