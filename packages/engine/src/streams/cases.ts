/**
 * Tables of cases: what each operator does, as data beside its definition. One test runs them all (`cases.test.ts`): an operator
 * without a table fails it.
 *
 * `casesOf` is called with `@__PURE__`: bundles of the product leave the tables out, bundles of tests keep them.
 */
import type { Event } from '@ricci/client'
import type { PendingPage } from '../decisions/page.ts'
import type { Stream } from './stream.ts'

/** What comes in: an event, several in one Msg, nothing but time, or time that passed while nobody owned the log. */
export type Arriving = Event | readonly Event[] | 'time' | 'gap'

/**
 * What came out since the row before. An event or list at the tap `out`: fields not named must be absent, but for `time` and
 * `metricType`, which are compared where they are named. Or something at another tap, an event on its way to a sink, a page (fields named are compared), a
 * function that threw, or all that the index holds now.
 */
export type Shown =
  | ShownEvent
  | readonly (ShownEvent | null)[]
  | { readonly tap: string; readonly shows: ShownEvent | readonly (ShownEvent | null)[] }
  | { readonly flow: string; readonly shows: ShownEvent }
  | { readonly page: Partial<PendingPage> }
  | { readonly throws: string }
  | { readonly index: readonly ShownEvent[] }
type ShownEvent = Event

/**
 * At which second what comes in, and what has come out by then. What a timer does shows in the first row at or after its deadline;
 * a row just before it shows that it was not earlier.
 */
export type Row = readonly [second: number, arriving: Arriving, ...shown: Shown[]]

/** One thing that an operator does, shown. Calendar and owned time begin at 0; an event without a time has that of its row. */
export interface Case {
  /** What is shown, as the end of a sentence that begins with the operator's name. */
  readonly name: string
  readonly stream: Stream
  readonly rows: readonly Row[]
  /** Engine settings that differ from the defaults. */
  readonly settings?: Readonly<Record<string, unknown>>
}

const tables = new Map<string, () => readonly Case[]>()

/** The table of an operator's cases; made when a test asks for it. */
export function casesOf(operator: string, table: () => readonly Case[]): void {
  tables.set(operator, table)
}

/** The table of an operator, or undefined for one without. */
export function tableOf(operator: string): readonly Case[] | undefined {
  return tables.get(operator)?.()
}
