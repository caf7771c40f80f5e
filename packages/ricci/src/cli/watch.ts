import type { Event } from '@ricci/client'
import { Command } from 'commander'
import { ask, urlOption } from './api.ts'
import { csvLine } from './csv.ts'
import { columnsFor, columnsOption, EventLines } from './event-columns.ts'
import { withExamples } from './examples.ts'
import { linesOf, parsedLine } from './lines.ts'
import { outputOption, type OutputFormat } from './output.ts'
import { untilStopped } from './signals.ts'
import { CommandError, ExitCode, type Surroundings } from './surroundings.ts'
import type { Target } from './target.ts'
import { colorOption, columnsOf, painter, type Color } from './terminal.ts'

interface Options {
  readonly url: Target
  readonly output: OutputFormat | 'csv'
  readonly columns?: string
  readonly color: Color
}

const ended = 'the server ended the watch; is it still running?'

/** For programs that read a table as it grows. */
const csvColumns = 'time,host,service,state,metric,ttl,tags,description,attributes'

export function watchCommand(surroundings: Surroundings): Command {
  const command = new Command('watch')
    .description('print changes of the index that match a query, as they come, until Ctrl-C')
    .argument('<query>', `for example 'state != "ok"'`)
    .addOption(columnsOption())
    .addOption(outputOption('csv'))
    .addOption(colorOption())
    .addOption(urlOption())
    .action(async (query: string, { url, output, columns, color }: Options) => {
      const stopped = untilStopped(surroundings)
      const shown = new EventLines(columns, columnsOf(surroundings), painter(color, surroundings))
      const csv = columnsFor([], columns ?? csvColumns, Infinity)
      try {
        const response = await ask(url, '/api/v1/watch', { query }, stopped.signal)
        if (output === 'csv') surroundings.write(csvLine(csv.map(({ name }) => name)))
        for await (const line of linesOf(response, ended)) {
          const event = parsedLine<Event>(line, response)
          const text = { json: () => `${line}\n`, csv: () => csvLine(csv.map(({ raw }) => raw(event))) }
          surroundings.write(output === 'table' ? shown.line(event) : text[output]())
        }
        throw new CommandError(ExitCode.failed, ended)
      } catch (error) {
        if (!stopped.signal.aborted) throw error
      } finally {
        stopped.dispose()
      }
    })
  return withExamples(command, [
    `ricci watch 'state != "ok"'`,
    `ricci watch 'service =~ "disk%"' --columns time,host,service,metric`,
    `ricci watch true -o json | jq .host`,
  ])
}
