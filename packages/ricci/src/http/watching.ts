/** Pages of a watch on their way to who watches, over whatever carries them: who does not read is waited for, and costs one page of memory. */
import type { Event } from '@ricci/client'
import { jsonWriters } from '../server/json.ts'
import { betweenTexts, type JsonShape } from '../server/worker-protocol.ts'
import type { HttpBackend, PagePlaces, WatchPage } from './backend.ts'
import type { Places } from './places.ts'

/** What carries the pages. */
export interface Outlet {
  /** Takes JSON texts, a newline after each, and where who watches goes on. False: what was written waits to be read. */
  write(lines: Uint8Array, at?: PagePlaces): boolean
  /** Resolves when what was written is read. @throws when the peer is gone, or the signal aborts */
  drained(signal: AbortSignal): Promise<void>
}

/** What who reads too slowly is told, before the watch ends. */
export const tooSlow = 'the watch ends here, watch again with a narrower query or read faster'

/**
 * Hands pages on until the signal aborts, the peer goes, or changes are lost for one who was waited for.
 * @returns whether that was it: it read too slowly, and was told
 */
export async function tell(
  pages: AsyncIterable<WatchPage>,
  outlet: Outlet,
  shape: JsonShape,
  signal: AbortSignal,
): Promise<boolean> {
  let waited = false
  for await (const { gap, lines, at } of pages) {
    if (gap !== undefined && waited) {
      outlet.write(notice(`${gap}; ${tooSlow}`, shape))
      return true
    }
    if (gap !== undefined) outlet.write(notice(gap, shape))
    waited = !outlet.write(lines, at)
    if (waited) await outlet.drained(signal)
  }
  return false
}

/**
 * What matches a query now, then what changes, in Riemann's shape: nothing between the two is left out, as the changes are kept from before the index is looked
 * at. Where what was told may no longer hold, what matches is told again.
 * @param places where it goes on: who watched before knows what matched
 * @throws QueryError; RicciError `NOT_EVALUATED`, `TOO_MANY_WATCHES`
 */
export async function statesAndChanges(
  backend: Pick<HttpBackend, 'query' | 'watch'>,
  query: string,
  signal: AbortSignal,
  { from, gap }: Places,
): Promise<AsyncIterable<WatchPage>> {
  const changes = await backend.watch(query, 'riemann-json', signal, from)
  return behind(gap, followed(backend, query, changes, from.length > 0))
}

/**
 * What changes from a place on; where the place says nothing here, that is told first.
 * @throws QueryError; RicciError `NOT_EVALUATED`, `TOO_MANY_WATCHES`
 */
export async function watchFrom(
  backend: Pick<HttpBackend, 'watch'>,
  query: string,
  shape: JsonShape,
  signal: AbortSignal,
  { from, gap }: Places,
): Promise<AsyncIterable<WatchPage>> {
  return behind(gap, await backend.watch(query, shape, signal, from))
}

async function* behind(gap: string | undefined, pages: AsyncIterable<WatchPage>): AsyncGenerator<WatchPage> {
  if (gap !== undefined) yield { gap, lines: nothing }
  yield* pages
}

async function* followed(
  backend: Pick<HttpBackend, 'query'>,
  query: string,
  changes: AsyncIterable<WatchPage>,
  goesOn: boolean,
): AsyncGenerator<WatchPage> {
  if (!goesOn) yield* states(backend, query)
  for await (const { at, ...page } of changes) {
    if (page.stale !== true) {
      yield { ...page, at }
      continue
    }
    yield page
    yield* states(backend, query)
    // not before: who leaves in between comes again to be told all of it
    if (at !== undefined) yield { lines: nothing, at: { ...at, after: at.after.slice(-2) } }
  }
}

const nothing = new Uint8Array()

/** What matches a query now, in Riemann's shape. */
export async function* states(backend: Pick<HttpBackend, 'query'>, query: string): AsyncGenerator<WatchPage> {
  const { pages } = await backend.query({ query, shape: 'riemann-json' })
  for await (const page of pages) yield { lines: linesOf(page) }
}

/** JSON texts with a newline after each, of those with a comma between. */
function linesOf(page: Uint8Array): Uint8Array {
  return Buffer.from(`${Buffer.from(page).toString().replaceAll(betweenTexts, '\n')}\n`)
}

/** The line of an event that tells a watcher something. */
function notice(description: string, shape: JsonShape): Buffer {
  const event: Event = { service: 'ricci watch', state: 'warning', description }
  return Buffer.from(`${jsonWriters[shape](event)}\n`)
}
