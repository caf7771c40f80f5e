/** Incidents and pages, made into text where they are, a bounded part at a time. */
import type { CommandStatus, Engine, Incident, PendingPage } from '@ricci/engine'
import { filtered } from '../incidents/incident-filter.ts'
import type { ListingRequest } from './worker-protocol.ts'

/** Characters of an answer, after which it ends: a few milliseconds of work. One more incident has 20,000 at most, one of a group with the longest keys two million. */
const textLimit = 1 << 19
/** Looked at for one answer, for who asks for few of many: some ten milliseconds of work, during which no record is applied. */
const lookLimit = 10_000

/**
 * The JSON text `{"items": [{"cursor": …, "value": …}, …], "more": …}` of one kind: for who puts several engines' together. Where there are more it goes on
 * behind the last item; where fewer pass the filter, behind the cursor `behind`.
 */
export function listedText(engine: Pick<Engine, 'listed'>, { kind, cursor, limit, filter }: ListingRequest): string {
  const passes = filtered(filter)
  const texts: string[] = []
  let length = 0
  let more = false
  let behind: string | undefined
  let looked = 0
  for (const listed of engine.listed(cursor ?? kind)) {
    if (listed.kind !== kind) break
    if (texts.length === limit || length > textLimit || looked === lookLimit) {
      more = true
      break
    }
    looked++
    behind = listed.cursor
    const one = listed.kind === 'page' ? listed.page : listed.incident
    if (!passes(one)) continue
    const value = JSON.stringify(filter?.brief === true ? briefly(one) : one)
    texts.push(`{"cursor":${JSON.stringify(listed.cursor)},"value":${value}}`)
    length += value.length
  }
  return `{"items":[${texts.join()}],"more":${more}${more ? `,"behind":${JSON.stringify(behind)}` : ''}}`
}

/** The JSON text of what commands came to, by their ids; those that are not known are left out. */
export function commandsText(engine: Pick<Engine, 'command'>, ids: readonly string[]): string {
  const known: Record<string, CommandStatus> = {}
  for (const id of ids) {
    const status = engine.command(id)
    if (status !== undefined) known[id] = status
  }
  return JSON.stringify(known)
}

/** Without what may be long: of the members of a group, how many are bad. */
function briefly(one: Readonly<Incident> | Readonly<PendingPage>): unknown {
  const isOfGroup = 'deliveries' in one && one.members !== undefined
  const counted = isOfGroup ? { membersBad: one.members!.filter(({ bad }) => bad).length } : {}
  return { ...one, provenance: undefined, members: undefined, ...counted }
}
