import type { Event } from '@ricci/client'
import { number, printable, table } from './output.ts'

/** Events as rows, ordered by host and service. */
export function eventTable(events: readonly Event[]): string {
  const rows = [...events]
    .sort((a, b) => compare(a.host, b.host) || compare(a.service, b.service))
    .map((event) => [
      event.host ?? '',
      event.service ?? '',
      event.state ?? '',
      number(event.metric as number | undefined),
      timeOf(event),
      (event.tags ?? []).join(' '),
      short(event.description ?? ''),
    ])
  return table(['HOST', 'SERVICE', 'STATE', 'METRIC', 'TIME', 'TAGS', 'DESCRIPTION'], rows)
}

/** One event on one line. */
export function eventLine(event: Event): string {
  const parts = [timeOf(event), event.host ?? '-', event.service ?? '-', event.state ?? '-']
  if (event.metric !== undefined) parts.push(number(event.metric as number))
  if (event.description !== undefined) parts.push(short(event.description))
  return `${parts.map(printable).join('  ')}\n`
}

/** Code unit order: the same on every machine. */
function compare(a = '', b = ''): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Seconds as they are where no calendar reaches: anybody can send any number. */
function timeOf({ time }: Event): string {
  if (time === undefined) return ''
  const date = new Date(time * 1000)
  return Number.isNaN(date.getTime())
    ? String(time)
    : date
        .toISOString()
        .replace('T', ' ')
        .replace(/\.\d+Z$/, '')
}

/** A description is a hint here; `-o json` has all of it. */
function short(text: string): string {
  return text.length > 60 ? `${text.slice(0, 59)}…` : text
}
