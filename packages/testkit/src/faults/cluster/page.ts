/** What was measured, as text: lines for the console, and the page. */
import { inFlightOf, leastInFlight, measured, shortfalls, spreadOf, type RowResult } from './figures.ts'
import type { StormResult } from './storm.ts'

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

/** The whole table as a page. */
export function page(results: readonly RowResult[], about: string): string {
  const lines = [
    '# Failover under faults',
    '',
    'Three instances over three brokers of RabbitMQ and three servers of Consul (an agent beside each instance), all real processes; a load from one producer',
    'process with marks, hosts that fall silent, jobs that fail and recover and notes at a keyed and at a blind receiver, throughout. Each fault is done at a random',
    'moment to a cluster in which all is calm. `npm run faults -- cluster --write docs/failover.md` makes this page and judges it: its exit code is not 0 when the oracle finds anything',
    'or a figure below is missed.',
    '',
    '**Flow** is from the fault to the arrival at its receiver of the first page whose event was sent after the fault (of the partition that took longest); **latest** the longest that',
    'any page took, from its event to its arrival, of those whose event was sent from the fault on until all was well again. Times in ms.',
    '',
    about,
    '',
    '| fault | measured | least | median | 99 % | most | trials | asked | reached |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- |',
  ]
  for (const result of results) {
    const { row, trials, skipped } = result
    if (skipped !== undefined) lines.push(`| ${row.fault} | not run: ${skipped} | | | | | 0 | ${row.askedWords} | |`)
    else {
      const reached = shortfalls(result).length === 0 ? 'yes' : 'no'
      lines.push(
        `| ${row.fault} | ${row.measure} | ${of(measured(result)).join(' | ')} | ${trials.length} | ${row.askedWords} | ${reached} |`,
      )
    }
  }
  lines.push(
    '',
    '## What was checked',
    '',
    `After each row the log is read from its beginning through every broker and applied by a fresh engine; its decisions are compared with what the receivers were asked and what took`,
    `effect there, with the producers' acknowledgements and with the script. A row with fewer than ${leastInFlight} pages in flight at its faults fails. Also the longest that a page took, whatever is judged.`,
    '',
    '| fault | pages decided | in flight at a fault | delivered | overtaken | acknowledged records checked | sent again | claims | another owner after (median, most) | latest page | lost, doubled, false watchdogs |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
  )
  for (const { row, trials, counts, claimsMs, wrong, skipped } of results) {
    if (skipped !== undefined) continue
    const cells = [
      'pages decided',
      '',
      'pages delivered',
      'pages overtaken',
      'acknowledged records checked',
      'messages sent again',
      'claims',
    ]
    const values = cells.map((name) => (name === '' ? inFlightOf(trials) : (counts[name] ?? '–')))
    const latest = spreadOf(trials.flatMap(({ latestMs }) => latestMs ?? []))?.maxMs ?? '–'
    const [, median, , most] = of(claimsMs)
    lines.push(
      `| ${row.fault} | ${values.join(' | ')} | ${median}, ${most} | ${latest} | ${wrong.length === 0 ? 'none' : `${wrong.length} findings`} |`,
    )
  }
  const missed = results
    .filter(({ skipped }) => skipped === undefined)
    .flatMap((result) =>
      shortfalls(result)
        .slice(0, 5)
        .map((text) => `- ${result.row.fault}: ${text.split('\n')[0]}`),
    )
  if (missed.length > 0) lines.push('', '## Missed', '', ...missed)
  return `${lines.join('\n')}\n`
}

/** The least, the median, the 99th percentile and the most, as text. */
function of(times: readonly number[]): string[] {
  const spread = spreadOf(times)
  return spread === undefined
    ? ['–', '–', '–', '–']
    : [spread.minMs, spread.medianMs, spread.p99Ms, spread.maxMs].map((ms) => ms.toLocaleString('en'))
}
