/** What was measured, as text. */
import { figuresOf, spread, type Figure } from './figures.ts'
import type { CellResult, MatrixResult } from './matrix.ts'

const soakHeading = '## A soak'

/** One cell in one line. */
export function rowOf({ store, cell, trials }: CellResult): string {
  const { minMs, medianMs, maxMs } = spread(trials)
  const stayed = cell.stays ? `, the same leader and token in ${trials.filter((trial) => trial.stayed).length}` : ''
  return `${store.padEnd(15)} ${cell.fault.padEnd(56)} ${cell.measure} ${minMs} / ${medianMs} / ${maxMs} ms of ${trials.length}${stayed}`
}

/** One figure in one line. */
export function figureLine({ what, asked, measured, reached }: Figure): string {
  return `${mark(reached).padEnd(10)} ${what}: ${measured}; asked: ${asked}`
}

function mark(reached: boolean | undefined): string {
  return reached === undefined ? 'not judged' : reached ? 'reached' : 'MISSED'
}

/**
 * The whole matrix as a page.
 * @param about where and when it was run
 * @param before the page as it is: the soak's section is kept
 */
export function page(result: MatrixResult, about: string, before = ''): string {
  const { cells: results, judgements } = result
  const lines = [
    '# Elections under faults',
    '',
    'Three candidates, each a process of its own, elect in a real store; faults are done to the leader, to the store, to the way between them, at a random moment between two',
    'signs of life. `npm run faults -- election --write docs/election-faults.md` makes this page and judges it: its exit code is not 0 when an invariant is broken or a figure below is missed. A',
    'candidate acts every 5 ms while it may. **Failover** is from the fault to the first act of another candidate, **gap** how long nobody',
    'acted where the same one goes on: least / median / most, in ms.',
    '',
    about,
    '',
  ]
  for (const store of new Set(results.map((each) => each.store))) {
    const own = results.filter((each) => each.store === store)
    const { acts, stale, slips, refused } = judgements.get(store)!
    lines.push(`## ${store}`, '', `${own[0].settings}.`, '')
    lines.push('| fault | measured | least | median | most | trials | same leader, same token |')
    lines.push('| --- | --- | --- | --- | --- | --- | --- |')
    for (const { cell, trials } of own) {
      const { minMs, medianMs, maxMs } = spread(trials)
      const stayed = cell.stays ? `${trials.filter((trial) => trial.stayed).length} of ${trials.length}` : ''
      lines.push(
        `| ${cell.fault} | ${cell.measure} | ${minMs} | ${medianMs} | ${maxMs} | ${trials.length} | ${stayed} |`,
      )
    }
    lines.push(
      '',
      `${acts} acts; ${stale} by a leader that was none any more. ${slips} were frozen between look and effect, ${refused} of them a sink that checks tokens would have refused.`,
      '',
    )
  }
  lines.push('## What is asked', '', '| figure | asked | measured | reached |', '| --- | --- | --- | --- |')
  for (const { what, asked, measured, reached } of figuresOf(result))
    lines.push(
      `| ${what} | ${asked} | ${measured} | ${reached === undefined ? 'not judged' : reached ? 'yes' : 'no'} |`,
    )
  lines.push('')
  const soak = before.indexOf(soakHeading)
  return `${lines.join('\n')}${soak < 0 ? '' : `\n${before.slice(soak)}`}`
}

/** The page with a soak's section at its end, instead of the one that was there. */
export function withSoak(before: string, lines: readonly string[], about: string): string {
  const at = before.indexOf(soakHeading)
  const rest = at < 0 ? before : before.slice(0, at)
  return `${rest.trimEnd()}\n\n${soakHeading}\n\n${[about, '', ...lines.map((line) => `- ${line}`)].join('\n')}\n`
}

/** What a soak showed, store by store, in sentences. */
export function soakLines({ cells, judgements }: MatrixResult): string[] {
  return Array.from(judgements, ([store, { acts, breaches, slips, refused }]) => {
    const own = cells.filter((each) => each.store === store)
    const faults = own.reduce((sum, { trials }) => sum + trials.length, 0)
    const failovers = own
      .filter(({ cell }) => cell.measure === 'failover')
      .reduce((n, { trials }) => n + trials.length, 0)
    return `${store}: ${faults} faults of ${own.length} kinds, ${failovers} failovers, ${acts} acts; ${breaches.length} breaches of the invariants. ${slips} acts were frozen between look and effect, of which a sink that checks tokens would have refused ${refused}.`
  })
}
