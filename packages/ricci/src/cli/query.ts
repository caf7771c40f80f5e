import type { Event } from '@ricci/client'
import { Command, InvalidArgumentError } from 'commander'
import { ranges } from '../server/cluster-status.ts'
import { askJson, streamJson, urlOption } from './api.ts'
import { columnsOption } from './event-columns.ts'
import { passEvents } from './event-stream.ts'
import { eventCsv, eventTable } from './events.ts'
import { withExamples } from './examples.ts'
import { outputOption, type OutputFormat } from './output.ts'
import { whileWaiting } from './progress.ts'
import { CommandError, ExitCode, type Surroundings } from './surroundings.ts'
import type { Target } from './target.ts'
import { colorOption, columnsOf, painter, type Color } from './terminal.ts'

/** @see QueryAnswer */
interface Answer {
  readonly events: readonly Event[]
  readonly missing?: readonly { readonly partition: number }[]
  readonly cursor?: string
}

interface Options {
  readonly url: Target
  readonly output: OutputFormat | 'csv'
  readonly color: Color
  readonly columns?: string
  readonly sort?: string
  readonly limit?: string
  readonly cursor?: string
}

export function queryCommand(surroundings: Surroundings): Command {
  const command = new Command('query')
    .description('print the events in the index that match a query')
    .argument('<query>', `for example 'service = "cpu" and metric > 0.9'`)
    .option('-n, --limit <count>', 'at most so many events; where there are more, it says how to go on')
    .option('--cursor <cursor>', 'go on where the answer before ended')
    .option('--sort <fields>', 'in this order, like metric:desc or state,host', sortOf)
    .addOption(columnsOption())
    .addOption(outputOption('csv'))
    .addOption(colorOption())
    .addOption(urlOption())
    .action(async (predicate: string, options: Options) => {
      const { url, output, limit, cursor, sort, columns, color } = options
      const query = sort === undefined ? predicate : `${predicate} sort by ${sort}`
      if (limit !== undefined && !/^[1-9]\d{0,6}$/.test(limit)) {
        throw new CommandError(ExitCode.usage, `"${limit}" is no count; --limit takes a whole number from 1 on`)
      }
      const parameters: Record<string, string> = { query }
      if (limit !== undefined) Object.assign(parameters, { limit, cursor: '' })
      if (cursor !== undefined) parameters.cursor = cursor
      const asked = [url, '/api/v1/query', parameters] as const
      const {
        events,
        missing = [],
        cursor: next,
      } = await (output === 'json'
        ? streamJson<Answer>((body) => passEvents(body, surroundings.write), ...asked)
        : whileWaiting(surroundings, 'waiting for the answer', askJson<Answer>(...asked)))
      if (output === 'json') {
        // they are printed
      } else if (events.length === 0) surroundings.complain('No event in the index matches.\n')
      else {
        // an answer in parts comes in the order that its cursor goes on in
        const layout = { columns, sorted: /\bsort +by\b/.test(query) || limit !== undefined || cursor !== undefined }
        const on = { room: columnsOf(surroundings), paint: painter(color, surroundings) }
        surroundings.write(output === 'csv' ? eventCsv(events, layout) : eventTable(events, { ...layout, ...on }))
      }
      if (next !== undefined) surroundings.complain(`There are more; go on with --cursor ${next}\n`)
      if (missing.length === 0) return
      const which = ranges(missing.map(({ partition }) => partition))
      const text = `nobody answered for the partitions ${which}: their events are not in this answer; ask again, or see: ricci cluster status`
      throw new CommandError(ExitCode.failed, text)
    })
  return withExamples(command, [
    `ricci query 'service = "cpu" and metric > 0.9' --sort metric:desc`,
    `ricci query 'state != "ok"' --columns host,service,description`,
    `ricci query true -n 1000 -o csv > events.csv`,
  ])
}

/** `metric:desc,host` as the query language has it. */
function sortOf(text: string): string {
  return text
    .split(',')
    .map((part) => {
      const [, field, , order] = /^\s*([a-z_][\w-]*)(:(asc|desc))?\s*$/i.exec(part) ?? []
      if (field === undefined) throw new InvalidArgumentError(`write a field, or field:desc, like metric:desc.`)
      return order === undefined ? field : `${field} ${order}`
    })
    .join(', ')
}
