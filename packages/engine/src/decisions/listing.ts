import { EngineError } from '../errors.ts'
import type { Incident } from './incident.ts'
import type { PendingPage } from './page.ts'

/** What was decided and still counts, one at a time: open incidents, then the latest closed ones, then the pages that are not settled. */
export type Listed = (
  | { readonly kind: 'open' | 'closed'; readonly incident: Incident }
  | { readonly kind: 'page'; readonly page: Readonly<PendingPage> }
) & {
  /** Goes on behind it, in this engine or in another on the same log. */
  readonly cursor: string
}

type Kind = Listed['kind']

/** Where in the log something was decided: offset of the record, place among the record's decisions. */
type Place = readonly [offset: number, ordinal: number]

/** What is kept in the order of its decision: all of it from the first on of which something holds, found without a look at all before it. */
export interface InOrder<T> {
  from(isBehind: (value: T) => boolean): Iterable<T>
}

/**
 * Lists from a cursor on. What is open or waits comes in the order of its decision, what is closed in that of its end; what is decided meanwhile comes
 * when its turn does. A kind alone, as a cursor, begins with the first of it. An incident that closes while its turn is still to come is among the closed ones.
 * @throws EngineError `CURSOR_INVALID`
 */
export function* listed(
  open: InOrder<Incident>,
  closed: readonly Incident[],
  pages: InOrder<Readonly<PendingPage>>,
  cursor?: string,
): Generator<Listed, void, undefined> {
  const [from, after] = cursor === undefined ? (['open', never] as const) : read(cursor)
  if (from === 'open') {
    for (const incident of open.from(({ id }) => isBehind(placeOf(id), after))) {
      yield { kind: 'open', incident, cursor: written('open', placeOf(incident.id)) }
    }
  }
  if (from !== 'page') {
    // not found: it was forgotten meanwhile, and so was all before it
    const at = from === 'closed' ? closed.findIndex(({ id }) => isSame(placeOf(id), after)) : -1
    for (const incident of closed.slice(at + 1)) {
      yield { kind: 'closed', incident, cursor: written('closed', placeOf(incident.id)) }
    }
  }
  const afterPage = from === 'page' ? after : never
  for (const page of pages.from(({ id }) => isBehind(placeOf(id), afterPage))) {
    yield { kind: 'page', page, cursor: written('page', placeOf(page.id)) }
  }
}

const never: Place = [-1, -1]

function isBehind([offset, ordinal]: Place, [afterOffset, afterOrdinal]: Place): boolean {
  return offset > afterOffset || (offset === afterOffset && ordinal > afterOrdinal)
}

function isSame(a: Place, b: Place): boolean {
  return a[0] === b[0] && a[1] === b[1]
}

/** Of a decision's id, which ends in offset, ordinal and checksum. */
function placeOf(id: string): Place {
  const checksumAt = id.lastIndexOf('.')
  const ordinalAt = id.lastIndexOf('.', checksumAt - 1)
  const offsetAt = id.lastIndexOf('.', ordinalAt - 1)
  return [Number(id.slice(offsetAt + 1, ordinalAt)), Number(id.slice(ordinalAt + 1, checksumAt))]
}

function written(kind: Kind, [offset, ordinal]: Place): string {
  return `${kind}.${offset}.${ordinal}`
}

function read(cursor: string): readonly [Kind, Place] {
  if (cursor === 'open' || cursor === 'closed' || cursor === 'page') return [cursor, never]
  const found = /^(open|closed|page)\.(\d{1,15})\.(\d{1,15})$/.exec(cursor)
  if (found === null) {
    throw new EngineError(
      'CURSOR_INVALID',
      `${JSON.stringify(cursor.slice(0, 80))} is no cursor of ours; begin without one`,
    )
  }
  return [found[1] as Kind, [Number(found[2]), Number(found[3])]]
}
