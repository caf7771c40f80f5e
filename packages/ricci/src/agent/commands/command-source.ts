import type { Event } from '@ricci/client'
import {
  attributeName,
  type EventSource,
  isFitting,
  periodic,
  type SourceSurroundings,
  ttlSeconds,
} from '../sources.ts'
import { type Figure, readOutput, stateOfFigure } from './plugin-output.ts'
import { type Outcome, runCommand } from './run.ts'
import type { Slots } from './slots.ts'

export interface CommandOptions {
  /** The service of its event, and the first word of those of its figures. */
  readonly name: string
  /** A line for /bin/sh. */
  readonly command: string
  readonly intervalMs: number
  readonly timeoutMs: number
  /** All that it is given. */
  readonly env: Readonly<Record<string, string>>
  /** Shared by all commands. */
  readonly slots: Slots
  /** Where in the interval it is run first, from 0 to 1. */
  readonly phase?: number
}

/** By exit code, as Nagios has them; any other says as little as the last. */
const states = ['ok', 'warning', 'critical', 'unknown']

/** An error's first line; the rest is a stack trace. */
const maxComplaintCharacters = 300

/**
 * Runs a command at an interval. Each run gives an event with the service `NAME`, the exit code as its state and the first line as its description; a service
 * `NAME LABEL` of each figure; and the events that it printed. One that hangs is killed and `critical`: what it looks after does not answer.
 */
export function commandSource(options: CommandOptions, surroundings: SourceSurroundings): EventSource {
  const { name, command, intervalMs, timeoutMs, env, slots } = options
  const { clock, onProblem } = surroundings
  const ttl = ttlSeconds(intervalMs)
  let isOdd = false

  async function ask(signal: AbortSignal): Promise<readonly Event[]> {
    const outcome = await slots.use(() =>
      runCommand({ file: '/bin/sh', args: ['-c', command], env, timeoutMs }, clock, signal),
    )
    const { text, metric, figures, events } = readOutput(outcome.stdout, clock.wallMs() / 1000)
    const told = [
      {
        service: name,
        ...judge(outcome, text, timeoutMs),
        ...(metric !== undefined && { metric, metricType: 'double' as const }),
        ttl,
      },
      // of what was cut off in the middle only the end is known
      ...(outcome.end === 'exited'
        ? [...figures.map((one) => ofFigure(name, one, ttl)), ...events.map((one) => ofEvent(one, ttl))]
        : []),
    ]
    const fitting = told.filter(isFitting)
    if (fitting.length < told.length && !isOdd)
      onProblem(`the command ${name} printed events beyond the limits of an event; they are left out`)
    isOdd = fitting.length < told.length
    return fitting
  }

  return periodic({ name: `the command ${name}`, intervalMs, ask }, options.phase ?? 0, surroundings)
}

function judge(
  { end, exitCode, signal, stderr, error }: Outcome,
  text: string,
  timeoutMs: number,
): Pick<Event, 'state' | 'description'> {
  if (end === 'timeout') return { state: 'critical', description: `no end after ${timeoutMs / 1000} s: it was killed` }
  if (end === 'overflow') return { state: 'unknown', description: 'it wrote without end, and was killed' }
  if (end === 'not-started') return { state: 'unknown', description: `it cannot be started: ${error?.message}` }
  const complaint = (stderr.trim().split('\n', 1)[0] ?? '').slice(0, maxComplaintCharacters)
  const known = exitCode === undefined ? undefined : states[exitCode]
  if (known !== undefined) return { state: known, description: text !== '' ? text : complaint }
  const what = exitCode === undefined ? `a signal ended it (${signal})` : `exit code ${exitCode}`
  const said = complaint !== '' ? complaint : text
  return { state: 'unknown', description: said === '' ? what : `${what}: ${said}` }
}

function ofFigure(name: string, figure: Figure, ttl: number): Event {
  const { label, value, unit, warning, critical, least, most } = figure
  const state = stateOfFigure(figure)
  const said = Object.entries({ unit, warning, critical, least, most }).filter(([, text]) => text !== '')
  return {
    service: `${name} ${label}`,
    metric: value,
    metricType: 'double',
    ttl,
    ...(state !== undefined && { state }),
    ...(said.length > 0 && { attributes: Object.fromEntries(said) }),
  }
}

/** An event that a command printed is of this machine. */
function ofEvent({ host, attributes = {}, ...event }: Event, ttl: number): Event {
  const named = Object.entries({ ...attributes, ...(host !== undefined && { host }) })
  return {
    ttl,
    ...event,
    ...(named.length > 0 && {
      attributes: Object.fromEntries(named.map(([key, value]) => [attributeName(key), value])),
    }),
  }
}
