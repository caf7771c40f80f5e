import type { Figure, Report, Table } from './measure.ts'

/** A benchmark's report as text for a terminal. */
export function printed({ figures, tables = [], notes = [] }: Report): string {
  const parts = [figures.length > 0 ? figureTable(figures) : [], ...tables.map(otherTable), notes]
  return parts.flatMap((lines) => lines.map((line) => `  ${line}`)).join('\n')
}

function figureTable(figures: readonly Figure[]): readonly string[] {
  const columns = ['CPU time per event', 'ns', '(min to max)', 'M/CPU-s', '× yardstick', 'asked']
  const rows = figures.map(({ name, medianNs, minNs, maxNs, millionPerSecond, ratio, target }) => [
    name,
    medianNs.toFixed(0),
    `(${minNs.toFixed(0)} to ${maxNs.toFixed(0)})`,
    millionPerSecond.toFixed(2),
    ratio.toFixed(2),
    target === undefined ? '' : `${target.toFixed(2)} ${ratio >= target ? 'met' : 'not met'}`,
  ])
  return aligned(columns, rows)
}

function otherTable({ title, columns, rows }: Table): readonly string[] {
  return ['', title, ...aligned(columns, rows)]
}

/** The first column to the left, the others to the right. */
function aligned(columns: readonly string[], rows: readonly (readonly (string | number)[])[]): readonly string[] {
  const lines = [columns, ...rows].map((row) => row.map(String))
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => line[i].length)))
  return lines.map((line) =>
    line
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join('  ')
      .trimEnd(),
  )
}
