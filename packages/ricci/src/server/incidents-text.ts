/** Incidents and pages as the API gives them: made into text where they are, a bounded page at a time. */
import type { Engine } from '@ricci/engine'
import type { IncidentsRequest } from '../http/backend.ts'
import type { ListingRequest } from './worker-protocol.ts'

/** Characters of an answer, after which it ends: a few milliseconds of work. One more incident has 20,000 at most. */
const textLimit = 1 << 19

/** The JSON text `{"incidents": {"open": […], "closed": […]}, "pages": […], "cursor": …}`; without a cursor nothing follows. */
export function incidentsText(engine: Pick<Engine, 'listed'>, { limit, cursor }: IncidentsRequest): string {
  const texts: Record<'open' | 'closed' | 'page', string[]> = { open: [], closed: [], page: [] }
  let left = limit
  let length = 0
  let last: string | undefined
  let next: string | undefined
  for (const listed of engine.listed(cursor)) {
    if (left-- === 0 || length > textLimit) {
      next = last
      break
    }
    const text = JSON.stringify(listed.kind === 'page' ? listed.page : listed.incident)
    texts[listed.kind].push(text)
    length += text.length
    last = listed.cursor
  }
  const more = next === undefined ? '' : `,"cursor":${JSON.stringify(next)}`
  return `{"incidents":{"open":[${texts.open.join()}],"closed":[${texts.closed.join()}]},"pages":[${texts.page.join()}]${more}}`
}

/** The JSON text `{"items": [{"cursor": …, "value": …}, …], "more": …}` of one kind: for who puts several engines' together. */
export function listedText(engine: Pick<Engine, 'listed'>, { kind, cursor, limit }: ListingRequest): string {
  const texts: string[] = []
  let length = 0
  let more = false
  for (const listed of engine.listed(cursor)) {
    if (listed.kind !== kind) {
      if (texts.length > 0) break
      continue
    }
    if (texts.length === limit || length > textLimit) {
      more = true
      break
    }
    const value = JSON.stringify(listed.kind === 'page' ? listed.page : listed.incident)
    texts.push(`{"cursor":${JSON.stringify(listed.cursor)},"value":${value}}`)
    length += value.length
  }
  return `{"items":[${texts.join()}],"more":${more}}`
}
