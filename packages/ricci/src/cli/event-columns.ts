/** Which columns events are shown in: some always, the others where the data has them and the line has room. */
import type { Event } from '@ricci/client'
import { Option } from 'commander'
import { number, printable, truncated, width } from './output.ts'
import { CommandError, ExitCode } from './surroundings.ts'

/** A column of events. */
export interface EventColumn {
  readonly name: string
  /** As people read it. */
  readonly text: (event: Event) => string
  /** As programs do: nothing rounded. */
  readonly raw: (event: Event) => string
  /** A number: ends at the same place in each line. */
  readonly right?: true
}

const plain = (name: string, of: (event: Event) => string | undefined): EventColumn => {
  const text = (event: Event): string => of(event) ?? ''
  return { name, text, raw: text }
}

type ColumnName = 'host' | 'service' | 'state' | 'metric' | 'time' | 'ttl' | 'tags' | 'description' | 'attributes'

const columns: Readonly<Record<ColumnName, EventColumn>> = {
  host: plain('host', ({ host }) => host),
  service: plain('service', ({ service }) => service),
  state: plain('state', ({ state }) => state),
  metric: {
    name: 'metric',
    text: ({ metric }) => number(metric as number | undefined),
    raw: ({ metric }) => (metric === undefined ? '' : String(metric)),
    right: true,
  },
  time: { name: 'time', text: (event) => timeOf(event), raw: (event) => isoOf(event) },
  ttl: { ...plain('ttl', ({ ttl }) => (ttl === undefined ? undefined : String(ttl))), right: true },
  tags: plain('tags', ({ tags = [] }) => tags.join(' ')),
  description: plain('description', ({ description }) => description),
  attributes: plain('attributes', ({ attributes = {} }) =>
    Object.entries(attributes)
      .map(([key, value]) => `${key}=${value}`)
      .join(' '),
  ),
}

const always: readonly EventColumn[] = [columns.host, columns.service, columns.state, columns.metric, columns.time]
/** In the order in which they are given up where the line has no room. */
const besides: readonly EventColumn[] = [columns.tags, columns.description, columns.attributes]

/** Between two columns. */
const gap = 2
/** One of those besides is left out where it would get less. */
const leastColumns = 16

/** `--columns a,b,c`. */
export function columnsOption(): Option {
  const names = Object.keys(columns).join(', ')
  return new Option('--columns <names>', `these alone, in this order: ${names}, or names of attributes`)
}

/**
 * The columns for some events.
 * @param names as `--columns` says; without it those that the events fill
 * @param room columns of the terminal
 * @throws CommandError for a name that neither a field nor an attribute of any event has
 */
export function columnsFor(events: readonly Event[], names: string | undefined, room: number): readonly EventColumn[] {
  if (names !== undefined) return names.split(',').map((name) => named(name.trim(), events))
  const filled = besides.filter(({ text }) => events.some((event) => text(event) !== ''))
  let left = room - always.reduce((sum, column) => sum + gap + widest(column, events), -gap)
  const fitting = filled.filter((column) => (left -= gap + Math.min(leastColumns, widest(column, events))) >= 0)
  return [...always, ...fitting]
}

function widest({ name, text }: EventColumn, events: readonly Event[]): number {
  return events.reduce((most, event) => Math.max(most, width(text(event))), name.length)
}

function named(name: string, events: readonly Event[]): EventColumn {
  if (Object.hasOwn(columns, name)) return columns[name as ColumnName]
  if (events.length === 0 || events.some(({ attributes = {} }) => Object.hasOwn(attributes, name))) {
    return plain(name, ({ attributes = {} }) => (Object.hasOwn(attributes, name) ? attributes[name] : undefined))
  }
  const has = new Set(events.flatMap(({ attributes = {} }) => Object.keys(attributes)))
  const known = [...Object.keys(columns), ...[...has].slice(0, 20)].join(', ')
  throw new CommandError(ExitCode.usage, `no event has a column "${name}"; --columns takes ${known}`)
}

/** Lines of events that come one by one: columns grow as wide as what came, up to a bound, and stay so. */
export class EventLines {
  private readonly widths = new Map<string, number>()

  /** @param room columns of the terminal */
  constructor(
    private readonly names: string | undefined,
    private readonly room: number,
    private readonly paint: (state: string | undefined, text: string) => string,
  ) {}

  /** One event on one line. */
  line(event: Event): string {
    const shown =
      this.names === undefined ? ([columns.time, ...watched] as const) : columnsFor([], this.names, Infinity)
    let left = this.room
    const cells: string[] = []
    for (const [n, column] of shown.entries()) {
      if (left <= 0) break
      const last = n === shown.length - 1
      const whole = printable(column.text(event))
      // a terminal is narrow, a file is not
      const text = left === Infinity ? whole : truncated(whole, last ? left : Math.min(left, mostWatched))
      const wide = Math.max(this.widths.get(column.name) ?? 0, Math.min(mostWatched, width(text)))
      this.widths.set(column.name, wide)
      const filler = last ? '' : ' '.repeat(Math.max(0, Math.min(left, wide) - width(text)))
      left -= width(text) + filler.length + gap
      const laid = column.right === true ? filler + text : text + filler
      cells.push(column.name === 'state' ? this.paint(event.state, laid) : laid)
    }
    return `${cells.join(' '.repeat(gap)).trimEnd()}\n`
  }
}

const watched = [columns.host, columns.service, columns.state, columns.metric, columns.description] as const
/** One long name does not push all that follows aside. */
const mostWatched = 40

/** Code unit order: the same on every machine. */
export function byHostAndService(a: Event, b: Event): number {
  return compare(a.host, b.host) || compare(a.service, b.service)
}

function compare(a = '', b = ''): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Seconds as they are where no calendar reaches: anybody can send any number. */
function timeOf(event: Event): string {
  return isoOf(event)
    .replace(/^(.*-\d\d)T/, '$1 ')
    .replace(/\.\d+Z$/, '')
}

function isoOf({ time }: Event): string {
  if (time === undefined) return ''
  const date = new Date(time * 1000)
  return Number.isNaN(date.getTime()) ? String(time) : date.toISOString()
}
