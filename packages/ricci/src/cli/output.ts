import stringWidth from 'string-width'

export { howLong as duration } from '../server/how-long.ts'

export { outputOption, type OutputFormat } from './output-option.ts'

/** Between two columns. */
const gap = '  '

/** How a table is laid out; without any of it as wide as its texts, and all to the left. */
export interface TableLayout {
  /** Columns whose texts end at the same place: numbers. */
  readonly right?: ReadonlySet<number>
  /** Columns of the terminal; the widest texts are cut until a line fits. */
  readonly columns?: number
  /** Colours a cell that has been laid out. */
  readonly paint?: (text: string, row: number, column: number) => string
}

/** Aligned columns without lines: they can be cut and grepped. Costs the same for each row, however many there are. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  { right = new Set(), columns = Infinity, paint = (text) => text }: TableLayout = {},
): string {
  const lines = [head, ...rows.map((row) => row.map(printable))]
  const wanted = head.map((_, column) => lines.reduce((most, line) => Math.max(most, width(line[column])), 0))
  const widths = fitting(wanted, columns)
  const text = lines.map((line, row) => {
    const cells = line.map((cell, column) => {
      const cut = truncated(cell, widths[column])
      const rest = ' '.repeat(widths[column] - width(cut))
      // what ends a line is not filled up: spaces would only wrap
      if (column === line.length - 1 && !right.has(column)) return row === 0 ? cut : paint(cut, row - 1, column)
      const laid = right.has(column) ? rest + cut : cut + rest
      return row === 0 ? laid : paint(laid, row - 1, column)
    })
    return `${cells.join(gap).trimEnd()}\n`
  })
  return text.join('')
}

/** Less than this says nothing. */
const narrowest = 8

/** The widths of columns, the widest made smaller until all fit; they may not where there are many. */
function fitting(wanted: readonly number[], columns: number): readonly number[] {
  const widths = [...wanted]
  let over = widths.reduce((sum, one) => sum + one, 0) + gap.length * (widths.length - 1) - columns
  while (over > 0) {
    const widest = Math.max(...widths)
    if (widest <= narrowest) break
    const at = widths.indexOf(widest)
    // down to the next widest at a time
    const next = Math.max(narrowest, ...widths.filter((one) => one < widest))
    const less = Math.min(over, Math.max(1, widest - next))
    widths[at] -= less
    over -= less
  }
  return widths
}

const narrow = /^[\x20-\x7e]*$/

/** Columns of a terminal that a text takes: letters of some scripts take two. */
export function width(text: string): number {
  return narrow.test(text) ? text.length : stringWidth(text)
}

/** A text in so many columns; where it does not fit, its end is left out and `…` says so. */
export function truncated(text: string, columns: number): string {
  if (width(text) <= columns) return text
  if (narrow.test(text)) return `${text.slice(0, Math.max(0, columns - 1))}…`
  let kept = ''
  let left = columns - 1
  for (const letter of text) {
    left -= stringWidth(letter)
    if (left < 0) break
    kept += letter
  }
  return `${kept}…`
}

/** A text in lines of so many columns, broken between words. */
export function wrapped(text: string, columns: number): readonly string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && width(line) + 1 + width(word) > columns) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
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
