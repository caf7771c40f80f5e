import { Command } from 'commander'
import type { ExplainStep } from '../explain/explainer.ts'
import type { IncidentTold } from '../explain/history.ts'
import { incidentText } from '../explain/incident-text.ts'
import type { Silence } from '../explain/silence.ts'
import { silenceText } from '../explain/silence-text.ts'
import { ask, urlOption } from './api.ts'
import { atOf, lengthOf } from './moments.ts'
import { linesOf, parsedLine } from './lines.ts'
import { outputOption, type OutputFormat } from './output.ts'
import { CommandError, ExitCode, type Surroundings } from './surroundings.ts'
import type { Target } from './target.ts'

interface ExplainOptions {
  readonly host?: string
  readonly rule?: string
  readonly service?: string
  readonly at?: string
  readonly within?: string
  readonly partition?: string
  readonly output: OutputFormat
  readonly url: Target
}

/** Whoever waits longer than this is told how far it is. */
const patienceMs = 2_000

const examples = `
Examples:
  ricci explain 0.4211.0                                  by the id that \`ricci incidents\` and pages show, or its short form
  ricci explain --host web-7 --rule cpu-high              why was nobody paged in the last ten minutes
  ricci explain --host web-7 --rule cpu-high --at 03:05   nor up to 03:05 UTC, the last time that was`

export function explainCommand(surroundings: Surroundings): Command {
  return new Command('explain')
    .description('say why somebody was paged, or why nobody was')
    .argument('[incident]', 'its id or short id, its key at receivers, the id of one of its pages, or its rule')
    .option('--host <host>', 'why not: the host that nobody was paged about')
    .option('--rule <rule>', 'why not: the name of the incident or notification')
    .option('--service <service>', 'why not: only this service of the host')
    .option('--at <time>', 'why not: up to when, as 03:05, 2026-11-30T03:05 (UTC), or 20m ago (default: now)')
    .option('--within <time>', 'why not: how long before that is looked at, as 30m (default: 10m)')
    .option('--partition <number>', 'why not: where the events lie, if not under the name or cluster of the host')
    .addOption(outputOption())
    .addOption(urlOption())
    .addHelpText('after', examples)
    .action(async (incident: string | undefined, options: ExplainOptions) => {
      const { url, output } = options
      const [path, parameters] = questionOf(incident, options)
      const answer = await answered(url, path, parameters, surroundings)
      if (output === 'json') surroundings.write(`${JSON.stringify(answer)}\n`)
      else surroundings.write('incident' in answer ? incidentText(answer) : silenceText(answer))
    })
}

function questionOf(incident: string | undefined, options: ExplainOptions): [string, Record<string, string>] {
  const { host, rule, service, at, within, partition } = options
  const whyNot = [host, rule, service, at, within, partition].some((option) => option !== undefined)
  if (incident !== undefined) {
    if (!whyNot) return ['/api/v1/explain/incident', { incident }]
    throw usage('name an incident to hear why it paged, or --host and --rule to hear why nobody was; not both')
  }
  if (host === undefined || rule === undefined) {
    throw usage(
      whyNot
        ? `to hear why nobody was paged, ${host === undefined ? '--host' : '--rule'} is needed as well`
        : 'name an incident (`ricci incidents` lists them), or --host and --rule to hear why nobody was paged',
    )
  }
  const nowMs = Date.now()
  return [
    '/api/v1/explain/silence',
    {
      host,
      rule,
      ...(service !== undefined && { service }),
      ...(at !== undefined && { atMs: String(atOf(at, nowMs)) }),
      ...(within !== undefined && { withinMs: String(lengthOf(within)) }),
      ...(partition !== undefined && { partition }),
    },
  ]
}

function usage(message: string): CommandError {
  return new CommandError(ExitCode.usage, message)
}

/** Reads how far it is, and at last the answer. @throws CommandError */
async function answered(
  url: Target,
  path: string,
  parameters: Record<string, string>,
  { complain }: Surroundings,
): Promise<IncidentTold | Silence> {
  const beganMs = performance.now()
  const response = await ask(url, path, parameters)
  let told = 0
  for await (const line of linesOf(
    response,
    `the answer of ${url.urls.join(', ')} broke off; is the server still running? Ask again`,
  )) {
    const step = parsedLine<Line>(line, response)
    if ('error' in step) throw new CommandError(ExitCode.failed, step.error)
    if ('answer' in step) return step.answer
    const percent = Math.min(99, Math.floor((100 * step.progress.read) / Math.max(1, step.progress.of)))
    if (performance.now() - beganMs < patienceMs || percent < told) continue
    complain(`reading the log: ${percent} %\n`)
    told = percent + 10
  }
  throw new CommandError(
    ExitCode.failed,
    `the answer of ${url.urls.join(', ')} broke off; is the server still running? Ask again`,
  )
}

type Line = ExplainStep<IncidentTold | Silence> | { readonly error: string }
