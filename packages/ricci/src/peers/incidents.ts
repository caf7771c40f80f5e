/**
 * Incidents and pages of all partitions, a bounded part at a time: all that are open, partition by partition, then those that are closed, then
 * the pages that wait. A cursor says kind, partition, and where in it.
 */
import { EngineError } from '@ricci/engine'
import type { IncidentsRequest } from '../http/backend.ts'
import { partitionsNamed, type IncidentFilter } from '../incidents/incident-filter.ts'
import { queryWaitMs } from '../intake/limits.ts'
import { candidatesOf, type AmongOptions } from './candidates.ts'
import { cover } from './coverage.ts'
import { marginMs, takeoverMs } from './limits.ts'
import { listedKinds, type ListedKind, type Missing, type PartitionListing, type PeerListed } from './protocol.ts'

/** So long at least one kind after the first is waited for: who answered for a partition before does so again at once, and only that is asked for. */
const nextKindMs = 1_500

/** Open incidents looked at in one go. */
const openAtOnce = 1_000

/** Where a part begins. */
interface Place {
  readonly kind: ListedKind
  readonly partition: number
  /** Of the partition's engine: behind it. */
  readonly cursor?: string
}

/** A part, and the partitions of which nothing is told. */
interface Listed {
  /** As JSON text. */
  readonly listing: string
  readonly missing: readonly Missing[]
}

/**
 * Lists a part. Ids say in which partition their incidents are: that one alone is asked, whatever the others are at, and all of
 * them only where none there goes by the names (keys of people's own may look like ids).
 * @throws EngineError `CURSOR_INVALID`
 */
export async function listIncidents(options: AmongOptions, request: IncidentsRequest): Promise<Listed> {
  const { cursor, filter: { refs = [] } = {} } = request
  const named = cursor === undefined ? partitionsNamed(refs, options.partitions) : undefined
  if (named !== undefined) {
    const { found, ...listed } = await listAmong(options, request, named)
    if (found > 0 || listed.missing.length > 0) return listed
    // it may be there, and of another kind than is asked for
    const { kinds } = request
    if (
      kinds !== undefined &&
      (await listAmong(options, { ...request, kinds: listedKinds, limit: 1 }, named)).found > 0
    )
      return listed
  }
  const { listing, missing } = await listAmong(options, request, everyOf(options))
  return { listing, missing }
}

/** @param among partitions that are asked */
async function listAmong(
  options: AmongOptions,
  { limit, cursor, filter, kinds = listedKinds }: IncidentsRequest,
  among: readonly number[],
): Promise<Listed & { readonly found: number }> {
  const { clock } = options
  const endMs = clock.monotonicMs() + queryWaitMs
  const values: Record<ListedKind, unknown[]> = { open: [], closed: [], page: [] }
  const missing = new Map<number, Missing>()
  let next: Place | undefined =
    cursor === undefined ? { kind: kinds[0], partition: 0 } : placeOf(cursor, options.partitions)
  for (let left = limit; next !== undefined && left > 0;) {
    const { kind }: Place = next
    const deadlineMs = Math.max(endMs, clock.monotonicMs() + nextKindMs)
    // whom nobody answered for is not waited for again, or one that hangs would leave no time for all the others
    const asked = among.filter((partition) => !missing.has(partition))
    const listed = await listKind(options, next, left, filter, deadlineMs, asked)
    for (const one of listed.missing) missing.set(one.partition, one)
    values[kind].push(...listed.values)
    left -= listed.values.length
    next = listed.next ?? placeAfter(kind, kinds)
    // what is too long for one part ends it as well
    if (listed.next !== undefined) break
  }
  const all = [...missing.values()].sort((a, b) => a.partition - b.partition)
  const listing = JSON.stringify({
    incidents: { open: values.open, closed: values.closed },
    pages: values.page,
    ...(all.length > 0 && { missing: all.map(({ partition }) => partition) }),
    ...(next !== undefined && { cursor: textOf(next) }),
  })
  return { listing, missing: all, found: values.open.length + values.closed.length + values.page.length }
}

function everyOf({ partitions }: AmongOptions): number[] {
  return Array.from({ length: partitions }, (_, partition) => partition)
}

/** Some of the open incidents, and partitions of which nothing is told. */
export interface OpenIncidents {
  readonly incidents: readonly unknown[]
  readonly missing: readonly Missing[]
}

/** All open incidents, without what they rest on, a bounded part at a time. */
export async function* openIncidents(options: AmongOptions): AsyncGenerator<OpenIncidents, void, undefined> {
  for (let next: Place | undefined = { kind: 'open', partition: 0 }; next !== undefined;) {
    const deadlineMs: number = options.clock.monotonicMs() + queryWaitMs
    const part = await listKind(options, next, openAtOnce, { brief: true }, deadlineMs, everyOf(options))
    const { values, missing, next: behind }: Awaited<ReturnType<typeof listKind>> = part
    yield { incidents: values, missing }
    next = behind
  }
}

/** At most so many of one kind from a place on, and where to go on if there are more of that kind. */
async function listKind(
  options: AmongOptions,
  { kind, partition: first, cursor }: Place,
  limit: number,
  filter: IncidentFilter | undefined,
  deadlineMs: number,
  among: readonly number[],
): Promise<{ values: unknown[]; missing: readonly Missing[]; next?: Place }> {
  const { clock } = options
  const partitions = among.filter((partition) => partition >= first)
  const { answers, missing } = await cover<PeerListed>({
    partitions,
    candidates: (partition) =>
      candidatesOf(options, partition, (backend, asked, signal) => {
        const waitMs = deadlineMs - clock.monotonicMs() - marginMs
        const ascending = [...asked].sort((a, b) => a - b)
        const from = ascending[0] === first ? cursor : undefined
        return backend.incidents({ kind, partitions: ascending, cursor: from, limit, filter, waitMs }, signal)
      }),
    clock,
    deadlineMs,
    ownedByMs: Math.min(deadlineMs, clock.monotonicMs() + (options.takeoverMs ?? takeoverMs)),
    signal: new AbortController().signal,
  })
  const without = new Set(missing.map(({ partition }) => partition))
  const byPartition = new Map<number, PartitionListing>()
  for (const { listed } of answers) for (const one of listed) byPartition.set(one.partition, one)
  const values: unknown[] = []
  for (const partition of partitions) {
    if (without.has(partition)) continue
    let last = partition === first ? cursor : undefined
    const listing = byPartition.get(partition)
    // not looked at: another partition of the same instance had more than was wanted
    if (listing === undefined) return { values, missing, next: { kind, partition, cursor: last } }
    for (const item of listing.items) {
      if (values.length === limit) return { values, missing, next: { kind, partition, cursor: last } }
      values.push(item.value)
      last = item.cursor
    }
    if (listing.more) return { values, missing, next: { kind, partition, cursor: listing.behind ?? last } }
  }
  return { values, missing }
}

function placeAfter(kind: ListedKind, kinds: readonly ListedKind[]): Place | undefined {
  const next = kinds[kinds.indexOf(kind) + 1]
  return next === undefined ? undefined : { kind: next, partition: 0 }
}

function textOf({ kind, partition, cursor = '' }: Place): string {
  return `${kind}/${partition}/${cursor}`
}

function placeOf(text: string, partitions: number): Place {
  const [, kind, partition, cursor] = /^(open|closed|page)\/(\d{1,4})\/([a-z.\d]*)$/.exec(text) ?? []
  if (kind === undefined || Number(partition) >= partitions) {
    throw new EngineError(
      'CURSOR_INVALID',
      `${JSON.stringify(text.slice(0, 80))} is no cursor of ours; begin without one`,
    )
  }
  return { kind: kind as ListedKind, partition: Number(partition), cursor: cursor === '' ? undefined : cursor }
}
