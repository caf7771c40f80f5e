/** Incidents and pages, made into text where they are, a bounded part at a time. */
import type { Engine } from '@ricci/engine'
import type { ListingRequest } from './worker-protocol.ts'

/** Characters of an answer, after which it ends: a few milliseconds of work. One more incident has 20,000 at most. */
const textLimit = 1 << 19

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
