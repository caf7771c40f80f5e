import { Command } from 'commander'
import { ranges } from '../server/cluster-status.ts'
import type { InstanceOverview, Overview } from '../server/overview.ts'
import type { ServerStatus } from '../server/status.ts'
import { askJson, urlOption } from './api.ts'
import { withExamples } from './examples.ts'
import { duration, outputOption, printable, table, truncated, wrapped, type OutputFormat } from './output.ts'
import { whileWaiting } from './progress.ts'
import { untilStopped } from './signals.ts'
import { hereTable } from './status-here.ts'
import { CommandError, ExitCode, type Surroundings } from './surroundings.ts'
import type { Target } from './target.ts'
import { colorOption, columnsOf, painter, redrawn, type Color, type Paint } from './terminal.ts'

interface Options {
  readonly url: Target
  readonly output: OutputFormat
  readonly color: Color
  readonly watch?: true
  readonly here?: true
}

/** Slow enough to read, and four questions a minute less than a scrape of the metrics costs. */
const redrawMs = 2_000

export function statusCommand(surroundings: Surroundings): Command {
  const command = new Command('status')
    .description('say whether anybody is paged if something breaks now, and how the whole cluster is')
    .option('--watch', 'look again every two seconds, until Ctrl-C')
    .option('--here', 'the asked server alone, in detail')
    .addOption(outputOption())
    .addOption(colorOption())
    .addOption(urlOption())
    .action(async ({ url, output, color, watch, here }: Options) => {
      const paint = painter(color, surroundings)
      const look = async (signal?: AbortSignal): Promise<{ readonly paging: boolean; readonly text: string }> => {
        if (here === true) {
          const status = await askJson<ServerStatus>(url, '/api/v1/status', {}, signal)
          return { paging: true, text: output === 'json' ? `${JSON.stringify(status)}\n` : hereTable(status) }
        }
        const overview = await askJson<Overview>(url, '/api/v1/overview', {}, signal)
        const { paging } = overview
        if (output === 'json') return { paging, text: `${JSON.stringify(overview)}\n` }
        const rows = surroundings.interactive ? (surroundings.screen?.().rows ?? Infinity) : Infinity
        return { paging, text: screenOf(overview, { columns: columnsOf(surroundings), rows, paint }) }
      }
      if (watch === true) return keepLooking(look, output, surroundings)
      const { paging, text } = await whileWaiting(surroundings, 'waiting for all instances', look())
      surroundings.write(text)
      if (!paging) throw new CommandError(ExitCode.failed, 'nobody can rely on being paged; see above')
    })
  return withExamples(
    command,
    [
      'ricci status',
      'ricci status --watch',
      'ricci status -o json | jq -e .paging',
      'ricci status --here --url http://ricci-b.example:5556',
    ],
    `Any instance answers for the whole cluster; who does not answer is named.
Exit code 0: whatever the rules decide is told to whom it is for. 1: it is not, or nobody answers.`,
  )
}

async function keepLooking(
  look: (signal: AbortSignal) => Promise<{ readonly text: string }>,
  output: OutputFormat,
  surroundings: Surroundings,
): Promise<void> {
  const stopped = untilStopped(surroundings)
  const redraws = surroundings.interactive && output === 'table'
  try {
    for (let first = true; !stopped.signal.aborted; first = false) {
      const text = await look(stopped.signal).then(
        ({ text: found }) => found,
        (error: unknown) => {
          // one that restarts is looked at until it is back; what never was there is a mistake
          if (first || !(error instanceof CommandError)) throw error
          return `${error.message}\n`
        },
      )
      surroundings.write(redraws ? `${first ? clear : ''}${redrawn(text)}` : first ? text : `\n${text}`)
      await pause(redrawMs, stopped.promise)
    }
  } catch (error) {
    if (!stopped.signal.aborted) throw error
  } finally {
    stopped.dispose()
  }
}

const clear = '\u001b[2J'

async function pause(ms: number, until: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  await Promise.race([until, new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)))])
  clearTimeout(timer)
}

interface Screen {
  readonly columns: number
  readonly rows: number
  readonly paint: Paint
}

/** Before a line's text. */
const labelColumns = 12

/** All of it, the answer first. On a terminal lines are cut, but for reasons, and instances in want come first. */
export function screenOf(overview: Overview, { columns, rows, paint }: Screen): string {
  const { paging, reasons, warnings } = overview
  const clock = new Date(overview.wallMs).toISOString().slice(11, 19)
  const verdict = paging ? paint('ok', 'paging: yes') : paint('critical', 'paging: NO')
  const lines = [`${verdict}, as ${printable(overview.instance)} sees it at ${clock} UTC`]
  for (const reason of reasons) lines.push(...marked(paint('critical', '✗'), reason, columns))
  for (const warning of warnings) lines.push(...marked(paint('warning', '!'), warning, columns))
  const facts = factsOf(overview).map(([label, text]) => truncated(`${label.padEnd(labelColumns)}${text}`, columns))
  const left = Math.max(3, rows - lines.length - facts.length - 4)
  return [...lines, '', instancesTable(overview.instances, columns, left).trimEnd(), '', ...facts, ''].join('\n')
}

function marked(mark: string, text: string, columns: number): string[] {
  const lines = columns === Infinity ? [printable(text)] : wrapped(printable(text), columns - 4)
  return lines.map((line, n) => `  ${n === 0 ? mark : ' '} ${line}`)
}

function instancesTable(instances: Overview['instances'], columns: number, most: number): string {
  const ordered = [...instances].sort((a, b) => Number(b.silent !== undefined) - Number(a.silent !== undefined))
  const shown = ordered.length > most ? ordered.slice(0, most - 1) : ordered
  const text =
    columns < roomForCounts
      ? table(
          ['INSTANCE', 'OWNS', 'STANDS BY', 'BEHIND', 'LAG', 'UP', ''],
          shown.map((one) => [...placesOf(one), upOf(one), noteOf(one)]),
          { right: new Set([1, 2, 3, 4, 5]), columns },
        )
      : table(
          ['INSTANCE', 'OWNS', 'STANDS BY', 'BEHIND', 'LAG', 'CLIENTS', 'EVENTS', 'UP', ''],
          shown.map((one) => [...placesOf(one), count(one.connections), count(one.events), upOf(one), noteOf(one)]),
          { right: new Set([1, 2, 3, 4, 5, 6, 7]), columns },
        )
  const more = ordered.length - shown.length
  return more > 0 ? `${text}and ${more} more\n` : text
}

/** A line of counts takes 25 columns more than what is asked first. */
const roomForCounts = 100

function placesOf({ instance, owning, following, behind, lagMs, lagBytes }: InstanceOverview): string[] {
  const lag = lagMs === undefined ? '' : lagBytes === 0 ? '0' : duration(lagMs)
  return [instance, String(owning), String(following), String(behind), lag]
}

function count(number: number | undefined): string {
  return number === undefined ? '' : String(number)
}

function upOf({ upMs }: InstanceOverview): string {
  return upMs === undefined ? '' : duration(upMs)
}

function noteOf({ silent, draining }: InstanceOverview): string {
  return silent !== undefined ? 'does not answer' : draining ? 'draining' : ''
}

/** A fact a line, in the order in which they are asked for in the night. What there is nothing of is left out. */
function factsOf(overview: Overview): [label: string, text: string][] {
  const { partitions, pages, receivers, alarms, silent, dropped, repeats, clocks, rules, wallMs } = overview
  const listed = <T>(label: string, all: readonly T[], of: (one: T) => string): [string, string][] =>
    all.length === 0 ? [] : [[label, printable(all.map(of).join(', '))]]
  const waiting = pages.oldestMs === undefined ? '' : ` (the oldest ${duration(Math.max(0, wallMs - pages.oldestMs))})`
  const { unowned, unknown } = partitions
  const owned = partitions.count - unowned.length - unknown.length
  const hosts = silent.latest.map(({ host, forMs }) => `${host} ${duration(forMs)}`).join(', ')
  const drops = Object.entries(dropped).filter(([, number]) => number > 0)
  return [
    [
      'partitions',
      partitions.count === 1
        ? owned === 1
          ? '1, owned'
          : '1, without an owner'
        : `${owned} of ${partitions.count} owned`,
    ],
    [
      'pages',
      `${pages.pending} waiting${waiting}, ${pages.delivered} delivered, ${pages.refused} refused${pages.possibleRepeats > 0 ? `, ${pages.possibleRepeats} perhaps twice` : ''}`,
    ],
    ...listed('receivers', receivers, receiver),
    [
      'silent',
      silent.count === 0 ? 'no host' : `${silent.count} ${silent.count === 1 ? 'host' : 'hosts'}: ${printable(hosts)}`,
    ],
    ['dropped', drops.length === 0 ? 'nothing' : drops.map(([reason, number]) => `${number} ${reason}`).join(', ')],
    ...(repeats > 0 ? [['repeats', `${repeats} messages came twice and were taken once`] as [string, string]] : []),
    [
      'clocks',
      clocks.length === 0
        ? 'no host is off by 2 s or more'
        : printable(clocks.map(({ host, aheadMs }) => `${host} ${skew(aheadMs)}`).join(', ')),
    ],
    ['rules', rulesText(rules)],
    ...listed(
      '',
      Object.entries(rules.differs),
      ([instance, what]) => `${instance} holds others until a reload: ${what.join(', ')}`,
    ),
    ...alarms.slice(0, mostAlarms).map((alarm, n): [string, string] => [n === 0 ? 'alarms' : '', alarmText(alarm)]),
    ...listed('', alarms.slice(mostAlarms), ({ name }) => name),
  ]
}

/** One screen is to do. */
const mostAlarms = 3

function skew(aheadMs: number): string {
  return `${aheadMs > 0 ? 'ahead' : 'behind'} by ${duration(Math.abs(aheadMs))}`
}

function receiver({ name, deliveredMsAgo, failing }: Overview['receivers'][number]): string {
  if (failing !== undefined) return `${name} FAILS since ${duration(failing.forMs)}`
  return deliveredMsAgo === undefined ? `${name} not asked yet` : `${name} ok ${duration(deliveredMsAgo)} ago`
}

function rulesText({ inForce }: Overview['rules']): string {
  const hashes = Object.entries(inForce)
  if (hashes.length === 0) return 'none in force'
  if (hashes.length === 1) return hashes[0][0].slice(0, 12)
  return hashes.map(([hash, numbers]) => `${hash.slice(0, 12)} (${ranges(numbers)})`).join(', ')
}

function alarmText({ name, instance, detail, count, msAgo }: Overview['alarms'][number]): string {
  return printable(`${name} at ${instance} ${duration(msAgo)} ago${count > 1 ? `, ${count} times` : ''}: ${detail}`)
}
