import type { Event } from '@ricci/client'
import { Command } from 'commander'
import { askPart, urlOption } from './api.ts'
import { eventTable } from './events.ts'
import { outputOption, type OutputFormat } from './output.ts'
import { CommandError, ExitCode, type Surroundings } from './surroundings.ts'

interface Options {
  readonly url: string
  readonly output: OutputFormat
  readonly limit?: string
}

interface Answer {
  readonly events: readonly Event[]
  readonly error?: string
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
      const { events, error } = await askPart<Answer>(url, '/api/v1/query', parameters)
      if (output === 'json') surroundings.write(`${JSON.stringify(events)}\n`)
      else if (events.length === 0) surroundings.complain('No event in the index matches.\n')
      else surroundings.write(eventTable(events))
      // of a part of the cluster: what was printed is not all there is
      if (error !== undefined) throw new CommandError(ExitCode.failed, error)
    })
}
