import type { Incident, PendingPage } from '@ricci/engine'
import { Command } from 'commander'
import { urlOption } from './api.ts'
import { addIncidentCommands } from './incident-commands.ts'
import { incidentText, ListTables } from './incident-tables.ts'
import { answersOf, filterParameters, withFilters, type Answer, type FilterOptions } from './incident-list.ts'
import { withExamples } from './examples.ts'
import { outputOption, type OutputFormat } from './output.ts'
import { CommandError, ExitCode, type Surroundings } from './surroundings.ts'
import type { Target } from './target.ts'

interface ListOptions extends FilterOptions {
  readonly url: Target
  readonly output: OutputFormat
  readonly closed?: true
  readonly all?: true
}

/** `ricci incidents …`: what is open, and what is done about it. Without more it lists. */
export function incidentsCommand(surroundings: Surroundings): Command {
  const command = new Command('incidents').description('say what is wrong now, and act on it')
  const sub = (name: string, description: string): Command =>
    command.command(name).description(description).addOption(outputOption()).addOption(urlOption())

  withFilters(command.command('list', { isDefault: true }).description('list what is open, and the pages that wait'))
    .argument('[words...]', 'only those with these words in their name, key, host, service or summary')
    .option('--closed', 'those that closed last, instead of those that are open')
    .option('--all', 'every one of them, however many')
    .addOption(outputOption())
    .addOption(urlOption())
    .addHelpText('after', '\nExamples:\n  ricci incidents --rule disk-full\n  ricci incidents web-7 --closed')
    .action(async (words: string[], { url, output, closed, all, ...filter }: ListOptions) => {
      const parameters = { ...filterParameters(filter, words), ...(closed && { kind: 'closed' }) }
      if (output === 'json') return writeJson(answersOf(url, parameters), surroundings)
      const tables = new ListTables({ closed: closed === true, all: all === true })
      for await (const answer of answersOf(url, { ...parameters, brief: 'true' })) tables.take(answer)
      if (tables.isEmpty)
        surroundings.complain(
          Object.keys(parameters).length > 0 ? 'No incident is like that.\n' : 'Nothing is wrong.\n',
        )
      surroundings.write(tables.text())
    })
  sub('show', 'say all that is known of one: who was told, who looks after it, what it rests on')
    .argument('<incident>', 'its id as the list has it, or any id or key that stands in its messages')
    .addHelpText('after', '\nExample:\n  ricci incidents show 0.4711.0')
    .action(async (ref: string, { url, output }: { url: Target; output: OutputFormat }) => {
      const open: Incident[] = []
      const pages: PendingPage[] = []
      let missing: unknown
      try {
        for await (const { incidents, pages: waiting } of answersOf(url, { incident: ref })) {
          open.push(...incidents.open, ...incidents.closed)
          pages.push(...waiting)
        }
      } catch (error) {
        // others of that name may be where nobody answers: what was found is told first
        if (open.length === 0) throw error
        missing = error
      }
      if (open.length === 0) {
        const what = `no incident goes by ${ref}, open or among the last that closed`
        throw new CommandError(ExitCode.failed, `${what}; ricci incidents lists what is open`)
      }
      if (output === 'json') surroundings.write(`${JSON.stringify({ incidents: open, pages })}\n`)
      else surroundings.write(open.map((one) => incidentText(one, pages)).join('\n'))
      if (missing !== undefined) throw missing
    })
  addIncidentCommands(sub, surroundings)
  return withExamples(command, [
    'ricci incidents',
    'ricci incidents show 0.4711.0',
    'ricci incidents ack 0.4711.0 --for 2h',
  ])
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
