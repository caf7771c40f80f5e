/** What the terminal shows, as text. */
import type { Tally } from './jobs.ts'
import type { Change } from './owners.ts'

/** A process in the table. */
export interface Row {
  readonly name: string
  /** Absent where it died and is not started again yet. */
  readonly pid: number | undefined
  readonly http: string
  /** What it does at the moment. */
  readonly role: string
}

/** Between two columns. */
const gap = '  '

/** Every process, and how to do something to it. */
export function processTable(rows: readonly Row[]): string {
  const cells = [
    ['process', 'kill it', 'freeze it', 'HTTP', ''],
    ...rows.map(({ name, pid, http, role }) => {
      const [kill, freeze] = pid === undefined ? ['', ''] : [`kill -9 ${pid}`, `kill -STOP ${pid}`]
      return [name, kill, freeze, http, role]
    }),
  ]
  const widths = cells[0].map((_, column) => Math.max(...cells.map((row) => row[column].length)))
  return cells
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at]))
        .join(gap)
        .trimEnd(),
    )
    .join('\n')
}

/** Commands by which to look into the cluster. */
export function commands(http: string): string {
  const run = 'npm run -s ricci --'
  return [
    `${run} cluster partitions --url ${http}`,
    `${run} cluster members --url ${http}`,
    `${run} incidents --url ${http}`,
    `${run} cluster drain b --url ${http}`,
  ].join('\n')
}

/** A line that something happened. */
export function line(at: Date, kind: string, text: string): string {
  return `${at.toTimeString().slice(0, 8)}  ${kind.padEnd(8)}  ${text}`
}

export function took(ms: number, late: boolean): string {
  return `${(ms / 1_000).toFixed(2)} s after its event${late ? ' (late)' : ''}`
}

export function changed({ partitions, from, to }: Change): string {
  const which = `partition${partitions.length === 1 ? '' : 's'} ${partitions.join(', ')}`
  return from === undefined ? `${which}: ${to}` : `${which}: ${from} → ${to}`
}

/** What it all came to. */
export function summary({ begun, ended, delivered, doubled, missing }: Tally, repeats: number): string {
  const due = begun + ended
  return [
    `${begun} incidents begun, ${ended} resolved: ${due} pages to be told, ${delivered} delivered, ${doubled} doubled, ${missing.length} missing.`,
    ...(missing.length === 0 ? [] : [`Missing: ${missing.join(', ')}.`]),
    ...(repeats === 0
      ? []
      : [`${repeats} came once more under the key of one that was told, and nobody was told again.`]),
  ].join('\n')
}
