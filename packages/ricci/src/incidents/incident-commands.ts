/**
 * What people do to incidents, at whichever instance they ask: each becomes a command record in the incident's partition (the log takes it from
 * anybody), and the answer says what that came to, as an engine that applied it knows. A command goes by an id: who asks again with
 * the same one hears what became of it, and nothing is done twice.
 */
import { encodeRecord, type CommandRecord, type CommandStatus, type Incident } from '@ricci/engine'
import type { AppendRank } from '@ricci/replica'
import { RicciError, type RicciErrorCode } from '../errors.ts'
import { queryWaitMs } from '../intake/limits.ts'
import { candidatesOf, type AmongOptions } from '../peers/candidates.ts'
import { cover } from '../peers/coverage.ts'
import { listIncidents } from '../peers/incidents.ts'
import { marginMs, takeoverMs } from '../peers/limits.ts'
import type { PeerCommanded } from '../peers/protocol.ts'
import { namesOf, partitionOfId, partitionsNamed, shortId } from './incident-filter.ts'

/** Incidents that one request may name: those of one answer of the list. */
export const maxCommanded = 1_000

/** Who asks, as it stands in the record. */
export interface Asker {
  readonly who: string
  readonly from: string
}

export interface CommandRequest {
  readonly command: Exclude<CommandRecord['name'], 'drill'>
  /** Chosen by who asks: one that comes again does nothing more. */
  readonly id: string
  /** Names of incidents: id, short id, key at receivers, or the id of a page. */
  readonly incidents: readonly string[]
  readonly why: string
  readonly forMs?: number
  readonly untilMs?: number
  /** The receiver at which it was said: it need not be told. */
  readonly via?: string
}

/** What came of it for one of the names. */
export interface Commanded {
  /** As it was named. */
  readonly ref: string
  /** As `CommandResult` of the engine; or why there was none; `pending`: taken, and to be asked about again; `away`: nobody answers for its partition. */
  readonly did: CommandStatus['did'] | 'closed' | 'ambiguous' | 'pending' | 'away'
  /** Where nothing was done: why, and what to do. */
  readonly error?: string
  readonly incident?: Pick<
    Incident,
    'id' | 'rule' | 'key' | 'host' | 'service' | 'severity' | 'summary' | 'openedAtMs'
  > & {
    readonly shortId: string
  }
}

export interface CommandsAnswer {
  readonly id: string
  readonly results: readonly Commanded[]
}

/** The log as commands are appended to it. */
export interface CommandLog {
  append(partition: number, records: readonly Uint8Array[], rank?: AppendRank): Promise<readonly number[]>
}

/** Answers of the list that are read for one request: the names were of more incidents than people look at. */
const maxAnswers = 50
/** Incidents named where a name is of several. */
const maxNamed = 5

export class IncidentCommands {
  constructor(
    private readonly among: AmongOptions,
    private readonly log: CommandLog,
  ) {}

  /**
   * Does what can be done: what is in a partition for which nobody answers keeps nothing else waiting.
   * @throws RicciError `NO_INCIDENT`, `INCIDENT_CLOSED`, `INCIDENT_AMBIGUOUS` where one incident is named and nothing can be done;
   * `ENGINE_AWAY` where nobody answers for any of them; ReplicaError: why the log does not take it
   */
  async run(request: CommandRequest, asker: Asker): Promise<CommandsAnswer> {
    const refs = [...new Set(request.incidents)]
    const { found, missing } = await this.find(refs, 'open')
    const unknown = refs.filter((ref) => !found.has(ref))
    const { found: closed, missing: closedMissing } = await this.find(unknown, 'closed')
    for (const partition of closedMissing) missing.add(partition)
    const records = new Map<number, CommandRecord[]>()
    const ids = new Map<string, string>()
    const results: Commanded[] = []
    for (const ref of refs) {
      if (missing.size > 0 && this.mayBeOf(missing, ref, found.has(ref) || closed.has(ref))) {
        results.push({ ref, did: 'away', error: awayText(missing, ref) })
        continue
      }
      const open = found.get(ref) ?? []
      const wrong = open.length === 1 ? undefined : wrongName(ref, open, closed.get(ref)?.at(-1))
      if (wrong === undefined) {
        const record = recordOf(request, asker, open[0])
        ids.set(ref, record.id)
        const partition = partitionOfId(open[0].id)
        records.set(partition, [...(records.get(partition) ?? []), record])
        continue
      }
      // it may have been resolved by this very command, whose answer was lost
      const before = closed.get(ref)?.at(-1)
      if (before !== undefined) ids.set(ref, commandId(request, before))
      if (before === undefined || request.command !== 'resolve') results.push(wrong)
    }
    for (const [partition, some] of records) await this.log.append(partition, some.map(encodeRecord), 'act')
    const incidentOf = (ref: string): Incident => (found.get(ref) ?? closed.get(ref))!.at(-1)!
    const asked = [...ids].filter(([ref]) => !results.some((result) => result.ref === ref))
    const known = await this.status(asked.map(([ref, id]) => ({ id, partition: partitionOfId(incidentOf(ref).id) })))
    for (const [ref, id] of asked) {
      const incident = incidentOf(ref)
      const status = known.commands[id]
      if (status !== undefined)
        results.push({ ref, did: status.did, ...errorOf(status, incident), incident: told(incident) })
      else if (found.has(ref)) results.push({ ref, did: 'pending', incident: told(incident) })
      else results.push(wrongName(ref, [], incident)!)
    }
    const [first] = results
    const isNoneAnswered = results.length > 0 && results.every(({ did }) => did === 'away')
    if (isNoneAnswered || (refs.length === 1 && first.error !== undefined)) throw errorFor(first)
    const order = new Map(refs.map((ref, i) => [ref, i]))
    return { id: request.id, results: results.sort((a, b) => order.get(a.ref)! - order.get(b.ref)!) }
  }

  /**
   * What commands came to, once the log is applied where they are.
   * @returns `missing` is true where some of the partitions did not answer in time
   */
  async status(
    asked: readonly { readonly id: string; readonly partition: number }[],
    waitMs = queryWaitMs,
  ): Promise<{ commands: Readonly<Record<string, CommandStatus>>; missing: boolean }> {
    if (asked.length === 0) return { commands: {}, missing: false }
    const { clock } = this.among
    const deadlineMs = clock.monotonicMs() + waitMs
    const { answers, missing } = await cover<PeerCommanded>({
      partitions: [...new Set(asked.map(({ partition }) => partition))],
      candidates: (partition) =>
        candidatesOf(this.among, partition, (backend, partitions, signal) => {
          const ids = asked.filter((one) => partitions.includes(one.partition)).map(({ id }) => id)
          return backend.commands({ partitions, ids, waitMs: deadlineMs - clock.monotonicMs() - marginMs }, signal)
        }),
      clock,
      deadlineMs,
      ownedByMs: Math.min(deadlineMs, clock.monotonicMs() + (this.among.takeoverMs ?? takeoverMs)),
      signal: new AbortController().signal,
    })
    const commands: Record<string, CommandStatus> = {}
    for (const answer of answers) Object.assign(commands, answer.commands)
    return { commands, missing: missing.length > 0 }
  }

  /** Whether a name may be of an incident in one of these partitions. @param isFound elsewhere: an id is of its own partition then */
  private mayBeOf(partitions: ReadonlySet<number>, ref: string, isFound: boolean): boolean {
    const named = isFound ? partitionsNamed([ref], this.among.partitions) : undefined
    return named === undefined || named.some((partition) => partitions.has(partition))
  }

  /** The incidents that go by each of the names, and partitions that may have more of them and for which nobody answers. */
  private async find(
    refs: readonly string[],
    kind: 'open' | 'closed',
  ): Promise<{ readonly found: Map<string, Incident[]>; readonly missing: Set<number> }> {
    const found = new Map<string, Incident[]>()
    const missing = new Set<number>()
    if (refs.length === 0) return { found, missing }
    const wanted = new Set(refs)
    let cursor: string | undefined
    for (let answers = 0; answers < maxAnswers; answers++) {
      const request = { limit: maxCommanded, cursor, filter: { refs }, kinds: [kind] } as const
      const { listing, missing: away } = await listIncidents(this.among, request)
      for (const { partition } of away) missing.add(partition)
      const { incidents, cursor: next } = JSON.parse(listing) as {
        incidents: Record<'open' | 'closed', Incident[]>
        cursor?: string
      }
      for (const incident of incidents[kind]) {
        for (const name of namesOf(incident)) {
          const known = found.get(name) ?? []
          if (wanted.has(name) && !known.includes(incident)) found.set(name, [...known, incident])
        }
      }
      if (next === undefined) return { found, missing }
      cursor = next
    }
    throw new RicciError('INCIDENT_AMBIGUOUS', 'too many incidents go by these names; name them by their ids')
  }
}

function awayText(partitions: ReadonlySet<number>, ref: string): string {
  const which = [...partitions].sort((a, b) => a - b).join(', ')
  const what = `nobody answers for partition ${which} right now, and nothing was done about ${ref}`
  return `${what}; ask again in a moment, or see: ricci cluster status`
}

function recordOf(request: CommandRequest, { who, from }: Asker, incident: Incident): CommandRecord {
  const { command: name, why, forMs, untilMs, via } = request
  return {
    kind: 'command',
    id: commandId(request, incident),
    name,
    who,
    from,
    why,
    arguments: {
      rule: incident.rule,
      key: incident.key,
      incident: incident.id,
      ...(forMs !== undefined && { forMs }),
      ...(untilMs !== undefined && { untilMs }),
      ...(via !== undefined && { via }),
    },
  }
}

/** One request may be about many incidents, each with a record of its own. */
function commandId({ id }: CommandRequest, incident: Incident): string {
  return `${id}/${shortId(incident.id)}`
}

function told(incident: Incident): Commanded['incident'] {
  const { id, rule, key, host, service, severity, summary, openedAtMs } = incident
  return { id, shortId: shortId(id), rule, key, host, service, severity, summary, openedAtMs }
}

/** What is wrong with a name that is not of exactly one open incident. */
function wrongName(ref: string, open: readonly Incident[], closed: Incident | undefined): Commanded | undefined {
  if (open.length > 1) {
    const named = open.slice(0, maxNamed).map(({ id, summary }) => `${shortId(id)} (${summary})`)
    const more = open.length > maxNamed ? ` and ${open.length - maxNamed} more` : ''
    return {
      ref,
      did: 'ambiguous',
      error: `${open.length} open incidents go by ${ref}: ${named.join(', ')}${more}; name one`,
    }
  }
  if (closed?.closed !== undefined) {
    const { atMs, reason } = closed.closed
    const at = new Date(atMs).toISOString()
    return {
      ref,
      did: 'closed',
      error: `${ref} is over since ${at}: ${reason}; nothing is left to be done`,
      incident: told(closed),
    }
  }
  const hint = 'ricci incidents lists what is open'
  return { ref, did: 'no-incident', error: `no incident goes by ${ref}, open or among the last that closed; ${hint}` }
}

function errorOf({ did }: CommandStatus, { id, summary }: Incident): { error?: string } {
  switch (did) {
    case 'no-incident':
      return { error: `${shortId(id)} (${summary}) ended at this moment; nothing is left to be done` }
    case 'malformed':
      return { error: 'the time until which it is to hold has passed already; name one to come' }
    case 'nothing-to-redrive':
      return { error: `of ${shortId(id)} no page was refused or given up; there is nothing to send again` }
    default:
      return {}
  }
}

const codes: Partial<Record<Commanded['did'], RicciErrorCode>> = {
  away: 'ENGINE_AWAY',
  closed: 'INCIDENT_CLOSED',
  ambiguous: 'INCIDENT_AMBIGUOUS',
  malformed: 'COMMAND_REFUSED',
  'nothing-to-redrive': 'COMMAND_REFUSED',
}

function errorFor({ did, error }: Commanded): RicciError {
  return new RicciError(codes[did] ?? 'NO_INCIDENT', error!)
}
