import { Option } from 'commander'
import stringWidth from 'string-width'

export type OutputFormat = 'table' | 'json'

/** `-o table|json`: tables for people, JSON for programs. */
export function outputOption(): Option {
  return new Option('-o, --output <format>', 'table for people, json for programs')
    .choices(['table', 'json'])
    .default('table')
}

/** Between two columns. */
const gap = '  '

/** Aligned columns without lines: they can be cut and grepped. Costs the same for each row, however many there are. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows.map((row) => row.map(printable))]
  const widths = head.map((_, column) => lines.reduce((most, line) => Math.max(most, width(line[column])), 0))
  const text = lines.map((line) => {
    const cells = line.map((cell, column) => cell + ' '.repeat(widths[column] - width(cell)))
    return `${cells.join(gap).trimEnd()}\n`
  })
  return text.join('')
}

const narrow = /^[\x20-\x7e]*$/

/** Columns of a terminal that a text takes: letters of some scripts take two. */
function width(text: string): number {
  return narrow.test(text) ? text.length : stringWidth(text)
}

/** Texts of events come from anywhere: no control character of theirs reaches the terminal. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, ' ')
}

/** A metric as a column shows it: six significant digits, integers whole. */
export function number(value: number | string | undefined): string {
  if (value === undefined || typeof value === 'string') return value ?? ''
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)))
}

/** A length of time in its largest sensible unit. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  const s = Math.round(ms / 1000)
  if (s < 120) return `${s} s`
  if (s < 7200) return `${Math.round(s / 60)} min`
  return s < 172_800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86_400)} d`
}

/** An amount of memory or disk. */
export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let unit = 0
  while (count >= 1000 && unit < units.length - 1) {
    count /= 1000
    unit++
  }
  return `${unit === 0 ? count : count.toPrecision(3)} ${units[unit]}`
}
