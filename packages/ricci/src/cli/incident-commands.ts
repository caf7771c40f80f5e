/** `ricci incidents ack|snooze|resolve|redrive`: by name, or those that a filter picks. */
import { randomUUID } from 'node:crypto'
import type { Command } from 'commander'
import type { Incident } from '@ricci/engine'
import { parseDuration } from '../config/units.ts'
import type { Commanded, CommandRequest, CommandsAnswer } from '../incidents/incident-commands.ts'
import { shortId } from '../incidents/incident-filter.ts'
import { tell } from './api.ts'
import { answersOf, filterParameters, withFilters, type FilterOptions } from './incident-list.ts'
import { ListTables, timeText } from './incident-tables.ts'
import { table, type OutputFormat } from './output.ts'
import { CommandError, ExitCode, type Surroundings } from './surroundings.ts'
import type { Target } from './target.ts'

interface Options extends FilterOptions {
  readonly url: Target
  readonly output: OutputFormat
  readonly word?: string[]
  readonly why?: string
  readonly for?: string
  readonly until?: string
  readonly yes?: true
}

/** Incidents of one request; a filter that picks more makes several. */
const atOnce = 500
/** How often it is asked again what became of a command that was taken and not applied yet. */
const asks = 5

interface Kind {
  readonly name: string
  readonly command: CommandRequest['command']
  readonly description: string
  readonly holds: boolean
  readonly needsWhy: boolean
  readonly example: string
}

const kinds: readonly Kind[] = [
  {
    name: 'ack',
    command: 'acknowledge',
    description: 'take it on: nobody else is told until the time is over',
    holds: true,
    needsWhy: false,
    example: 'ricci incidents ack 0.4711.0 --for 2h --why "looking at it"',
  },
  {
    name: 'snooze',
    command: 'snooze',
    description: 'let it be for a while: nobody else is told',
    holds: true,
    needsWhy: true,
    example: 'ricci incidents snooze 0.4711.0 --until 09:00 --why "disk is ordered"',
  },
  {
    name: 'resolve',
    command: 'resolve',
    description: 'end it; it opens again at the next event that is bad',
    holds: false,
    needsWhy: true,
    example: 'ricci incidents resolve --rule disk-full --why "test of the rule" --yes',
  },
  {
    name: 'redrive',
    command: 'redrive',
    description: 'send pages again that receivers refused, or could not take for a day',
    holds: false,
    needsWhy: false,
    example: 'ricci incidents redrive 0.4711.0',
  },
]

export function addIncidentCommands(
  sub: (name: string, description: string) => Command,
  surroundings: Surroundings,
): void {
  for (const kind of kinds) {
    const { name, description, holds, needsWhy, example } = kind
    const command = withFilters(sub(name, description))
      .argument('[incidents...]', 'ids as the list has them, or any id or key that stands in their messages')
      .option('--word <word...>', 'only those with these words in their name, key, host, service or summary')
      .option(
        '--why <why>',
        needsWhy ? 'why; whoever looks into it later is told' : 'why, for whoever looks into it later',
      )
      .option('--yes', 'do it to all that the filter picks, without showing them first')
      .addHelpText('after', `\nExample:\n  ${example}`)
    if (holds) {
      const usual = name === 'ack' ? '; without one as long as engine.acknowledged says' : ''
      command
        .option('--for <time>', `for so long, like 2h${usual}`)
        .option('--until <time>', 'until then: 17:30, or 2026-01-31T09:00')
    }
    command.action((refs: string[], options: Options) => run(kind, refs, options, surroundings))
  }
}

async function run(kind: Kind, refs: readonly string[], options: Options, surroundings: Surroundings): Promise<void> {
  const { url, why = '', output } = options
  const filter = filterParameters(options, options.word ?? [])
  const isPicked = Object.keys(filter).length > 0
  if (isPicked === refs.length > 0) {
    const both = isPicked
      ? 'give ids or a filter, not both'
      : 'name an incident, or pick some by --rule, --host, --severity or --word'
    throw new CommandError(ExitCode.usage, `${both}; ricci incidents lists what is open`)
  }
  if (kind.needsWhy && why.trim() === '') {
    throw new CommandError(ExitCode.usage, `say why, by --why: whoever looks into it later is told`)
  }
  const holds = endOf(kind, options)
  const names = isPicked ? await picked(kind, url, filter, options.yes === true, surroundings) : refs
  const results: Commanded[] = []
  const id = randomUUID()
  for (let at = 0; at < names.length; at += atOnce) {
    const incidents = names.slice(at, at + atOnce)
    results.push(...(await send(url, { command: kind.command, id: `${id}.${at}`, incidents, why, ...holds })))
  }
  if (output === 'json') surroundings.write(`${JSON.stringify({ id, results })}\n`)
  else surroundings.write(table(['ID', 'INCIDENT', 'DID', 'SUMMARY'], results.map(resultRow)))
  const wrong = results.filter(({ error }) => error !== undefined)
  const open = results.filter(({ did }) => did === 'pending')
  if (wrong.length > 0) throw new CommandError(ExitCode.failed, wrong.map(({ error }) => error).join('\n'))
  if (open.length > 0) {
    const what = `${open.length} commands are in the log and not applied yet: nobody owns their partition, or its engine lags`
    throw new CommandError(ExitCode.failed, `${what}; they will be; see: ricci status`)
  }
}

/** One that was taken and not applied yet is asked about again: by the same id it does nothing more. */
async function send(url: Target, request: CommandRequest): Promise<readonly Commanded[]> {
  for (let asked = 1; ; asked++) {
    const { results } = await tell<CommandsAnswer>(url, '/api/v1/incidents/commands', request)
    if (asked === asks || results.every(({ did }) => did !== 'pending')) return results
  }
}

/** Ids of those that a filter picks: shown, and taken when they were agreed to. */
async function picked(
  { name }: Kind,
  url: Target,
  filter: Readonly<Record<string, string>>,
  agreed: boolean,
  { complain }: Surroundings,
): Promise<readonly string[]> {
  const ids: string[] = []
  const tables = new ListTables({ closed: false, all: false })
  for await (const answer of answersOf(url, { ...filter, kind: 'open', brief: 'true' })) {
    tables.take(answer)
    ids.push(...answer.incidents.open.map(({ id }: Pick<Incident, 'id'>) => id))
  }
  if (ids.length === 0)
    throw new CommandError(ExitCode.failed, 'no open incident is like that; ricci incidents lists them')
  if (agreed) return ids
  complain(tables.text())
  throw new CommandError(
    ExitCode.usage,
    `${ids.length} open incidents are like that; with --yes, ${name} is done to all of them`,
  )
}

function endOf({ holds, name }: Kind, options: Options): { forMs?: number; untilMs?: number } {
  if (!holds) return {}
  const { for: span, until } = options
  if (span !== undefined && until !== undefined)
    throw new CommandError(ExitCode.usage, 'give --for or --until, not both')
  if (span !== undefined) {
    const forMs = parseDuration(span)
    if (forMs !== undefined && forMs > 0) return { forMs }
    throw new CommandError(ExitCode.usage, `"${span}" is no length of time; --for takes one like 30m, 2h or 1d`)
  }
  if (until !== undefined) return { untilMs: untilMs(until, new Date()) }
  if (name === 'ack') return {}
  throw new CommandError(ExitCode.usage, 'say how long, by --for or --until')
}

/** The next such time of day, or a date with its time; of this machine's own place. @throws CommandError */
export function untilMs(text: string, now: Date): number {
  const [, hours, minutes] = /^([01]?\d|2[0-3]):([0-5]\d)$/.exec(text) ?? []
  if (hours !== undefined) {
    const time = new Date(now)
    time.setHours(Number(hours), Number(minutes), 0, 0)
    if (time <= now) time.setDate(time.getDate() + 1)
    return time.getTime()
  }
  const at = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d/.test(text) ? new Date(text.replace(' ', 'T')).getTime() : NaN
  if (Number.isNaN(at)) {
    throw new CommandError(ExitCode.usage, `"${text}" is no time; --until takes one like 17:30 or 2026-01-31T09:00`)
  }
  if (at > now.getTime()) return at
  throw new CommandError(ExitCode.usage, `${timeText(at)} has passed; --until takes a time to come`)
}

function resultRow({ ref, did, incident }: Commanded): string[] {
  return [incident === undefined ? ref : shortId(incident.id), incident?.rule ?? '', did, incident?.summary ?? '']
}
