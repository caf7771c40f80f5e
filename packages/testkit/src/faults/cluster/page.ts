/** What was measured, as text: lines for the console, and the page. */
import { inFlightOf, leastInFlight, measured, shortfalls, spreadOf, type RowResult } from './figures.ts'
import { rows } from './rows.ts'
import type { StormResult } from './storm.ts'

/** Numbers as people read them. */
export const whole = new Intl.NumberFormat('en')

const columns = ['least', 'median', '99 %', 'most'] as const

/** A row in a few lines. */
export function rowLines(result: RowResult): string[] {
  const { row, trials, counts, skipped } = result
  if (skipped !== undefined) return [`not run    ${row.name}: ${skipped}`]
  const short = shortfalls(result)
  const times = of(measured(result))
  return [
    `${short.length === 0 ? 'reached' : 'MISSED'.padEnd(7)}    ${row.name}: ${times.map((time, at) => `${columns[at]} ${time}`).join(', ')} ms of ${trials.length} trials; asked: ${row.askedWords}`,
    `           another owner after ${of(result.claimsMs).join(' / ')} ms, in ${result.claimsMs.length} trials`,
    `           ${inFlightOf(trials)} pages in flight at the faults`,
    ...findingLines({ counts, wrong: short }),
  ]
}

/** What was counted, and what is wrong. */
export function findingLines({ counts, wrong }: Pick<StormResult, 'counts' | 'wrong'>): string[] {
  return [
    ...Object.entries(counts).map(([name, value]) => `  ${String(value).padStart(9)} ${name}`),
    ...wrong.slice(0, 20).map((text) => `  WRONG ${text}`),
    ...(wrong.length > 20 ? [`  and ${wrong.length - 20} more`] : []),
  ]
}

/**
 * The whole table as a page.
 * @param about where and when it was run: what all the rows share
 * @param before the page as it is: rows that were not run this time are kept
 */
export function page(results: readonly RowResult[], about: RunAbout, before = ''): string {
  const kept = before.split('\n')
  const run = new Map(results.map((result) => [result.row.name, result]))
  /** The lines of one table or list, in the rows' order. */
  const linesOf = (place: number, make: (result: RowResult) => string[]): string[] =>
    rows.flatMap((row) => {
      const result = run.get(row.name)
      return result === undefined ? keptLines(kept, row.fault, place) : make(result)
    })
  const missed = linesOf(2, missedLines)
  return `${[
    '# Failover under faults',
    '',
    'Three instances over three brokers of RabbitMQ and three servers of Consul (an agent beside each instance), all real processes; a load from one producer',
    'process with marks, hosts that fall silent, jobs that fail and recover and notes at a keyed and at a blind receiver, throughout. Each fault is done at a random',
    'moment to a cluster in which all is calm, and which has run for a while. `npm run faults -- cluster --write docs/failover.md` makes this page and judges it: its exit code is not 0 when the oracle finds anything',
    'or a figure below is missed. With `--row NAME` it runs that row alone, and keeps the others.',
    '',
    '**Flow** is from the fault to the arrival at its receiver of the first page whose event was sent after the fault (of the partition that took longest); **latest** the longest that',
    'any page took, from its event to its arrival, of those whose event was sent from the fault on until all was well again. Times in ms.',
    '',
    about.text,
    '',
    '| fault | measured | least | median | 99 % | most | trials | asked | reached | run |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
    ...linesOf(0, (result) => [figuresLine(result, about)]),
    '',
    '## What was checked',
    '',
    `After each row the log is read from its beginning through every broker and applied by a fresh engine; its decisions are compared with what the receivers were asked and what took`,
    `effect there, with the producers' acknowledgements and with the script. A row with fewer than ${leastInFlight} pages in flight at its faults fails. Also the longest that a page took, whatever is judged.`,
    '',
    '| fault | pages decided | in flight at a fault | delivered | overtaken | acknowledged records checked | sent again | claims | another owner after (median, most) | latest page | lost, doubled, false watchdogs |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
    ...linesOf(1, checkedLines),
    ...(missed.length > 0 ? ['', '## Missed', '', ...missed] : []),
  ].join('\n')}\n`
}

/** Where and when rows were run. */
export interface RunAbout {
  readonly text: string
  /** The same in a few words. */
  readonly short: string
}

/** What a page says of a row: in its first table (0), its second (1), or among what was missed (2). */
function keptLines(lines: readonly string[], fault: string, place: number): string[] {
  if (place === 2) return lines.filter((line) => line.startsWith(`- ${fault}: `))
  const inTables = lines.filter((line) => line.startsWith('|') && line.split('|')[1].trim() === fault)
  return inTables.slice(place, place + 1)
}

function figuresLine(result: RowResult, { short }: RunAbout): string {
  const { row, trials, skipped } = result
  if (skipped !== undefined) return `| ${row.fault} | not run: ${skipped} | | | | | 0 | ${row.askedWords} | | |`
  const reached = shortfalls(result).length === 0 ? 'yes' : 'no'
  const times = of(measured(result)).join(' | ')
  return `| ${row.fault} | ${row.measure} | ${times} | ${trials.length} | ${row.askedWords} | ${reached} | ${short} |`
}

function checkedLines({ row, trials, counts, claimsMs, wrong, skipped }: RowResult): string[] {
  if (skipped !== undefined) return []
  const counted = (name: string): string => (name in counts ? whole.format(counts[name]) : '–')
  const [, median, , most] = of(claimsMs)
  const cells = [
    counted('pages decided'),
    inFlightOf(trials),
    counted('pages delivered'),
    counted('pages overtaken'),
    counted('acknowledged records checked'),
    counted('messages sent again'),
    counted('claims'),
    `${median}, ${most}`,
    of(trials.flatMap(({ latestMs }) => latestMs ?? []))[3],
    wrong.length === 0 ? 'none' : `${wrong.length} findings`,
  ]
  return [`| ${row.fault} | ${cells.join(' | ')} |`]
}

function missedLines(result: RowResult): string[] {
  if (result.skipped !== undefined) return []
  return shortfalls(result)
    .slice(0, 5)
    .map((text) => `- ${result.row.fault}: ${text.split('\n')[0]}`)
}

/** The least, the median, the 99th percentile and the most, as text. */
function of(times: readonly number[]): string[] {
  const spread = spreadOf(times)
  return spread === undefined
    ? ['–', '–', '–', '–']
    : [spread.minMs, spread.medianMs, spread.p99Ms, spread.maxMs].map((ms) => whole.format(ms))
}
