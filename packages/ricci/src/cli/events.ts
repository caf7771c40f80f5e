import type { Event } from '@ricci/client'
import { csvLine } from './csv.ts'
import { byHostAndService, columnsFor } from './event-columns.ts'
import { table } from './output.ts'
import type { Paint } from './terminal.ts'

/** How events are laid out; without any of it all of each is shown, ordered by host and service. */
export interface EventLayout {
  /** As `--columns` says. */
  readonly columns?: string
  /** They are in the order that was asked for. */
  readonly sorted?: boolean
  /** Columns of the terminal. */
  readonly room?: number
  readonly paint?: Paint
}

/** Events as rows. */
export function eventTable(events: readonly Event[], layout: EventLayout = {}): string {
  const { columns: names, sorted = false, room = Infinity, paint } = layout
  const ordered = sorted ? events : [...events].sort(byHostAndService)
  const columns = columnsFor(ordered, names, room)
  const states = columns.findIndex(({ name }) => name === 'state')
  return table(
    columns.map(({ name }) => name.toUpperCase()),
    ordered.map((event) => columns.map(({ text }) => text(event))),
    {
      right: new Set(columns.flatMap(({ right }, n) => (right === true ? [n] : []))),
      columns: room,
      paint: (text, row, column) => (column === states && paint ? paint(ordered[row].state, text) : text),
    },
  )
}

/** Events as RFC 4180 has it, the names of the columns first. */
export function eventCsv(events: readonly Event[], { columns: names, sorted = false }: EventLayout = {}): string {
  const ordered = sorted ? events : [...events].sort(byHostAndService)
  const columns = columnsFor(ordered, names, Infinity)
  const lines = ordered.map((event) => csvLine(columns.map(({ raw }) => raw(event))))
  return csvLine(columns.map(({ name }) => name)) + lines.join('')
}
