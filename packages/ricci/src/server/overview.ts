/**
 * A whole cluster in one answer, from what each of its instances says of itself: first of all whether it pages. Whoever is asked answers for
 * all; who did not answer is named. What the log says of an owner comes from whoever reads that partition, so that an instance that is
 * silent to us is not taken for dead while its ticks are read.
 */
import type { Skew } from '@ricci/engine'
import { ranges, type MemberStatus } from './cluster-status.ts'
import { howLong } from './how-long.ts'
import type { PartitionStatus, ServerStatus } from './status.ts'

/** How a cluster is, for people. */
export interface Overview {
  /** Who was asked, and its wall clock then. */
  readonly instance: string
  readonly wallMs: number
  /** Whether whatever the rules decide now is told to whom it is for. */
  readonly paging: boolean
  /** Why not. Empty where it pages. */
  readonly reasons: readonly string[]
  /** What should be looked at besides. */
  readonly warnings: readonly string[]
  readonly instances: readonly InstanceOverview[]
  readonly partitions: {
    readonly count: number
    /** Nobody was seen to own them, though somebody who reads them was asked. */
    readonly unowned: readonly number[]
    /** Nobody who reads them answered. */
    readonly unknown: readonly number[]
    /** Should their owner die, nobody could take over at once. Always empty where one server works alone. */
    readonly withoutStandby: readonly number[]
  }
  readonly pages: {
    readonly pending: number
    readonly oldestMs?: number
    readonly delivered: number
    readonly refused: number
    readonly possibleRepeats: number
  }
  /** The worst that any instance says of each. */
  readonly receivers: ServerStatus['receivers']
  readonly alarms: readonly (ServerStatus['alarms'][number] & { readonly instance: string })[]
  /** Hosts whose entries in the index have all expired. */
  readonly silent: {
    readonly count: number
    readonly latest: readonly { readonly host: string; readonly forMs: number }[]
  }
  /** By reason, of all instances since their start. */
  readonly dropped: Readonly<Record<string, number>>
  /** Messages that producers sent again and that were taken once. */
  readonly repeats: number
  /** Hosts whose clocks are away, the furthest first. */
  readonly clocks: readonly Skew[]
  readonly rules: {
    /** Hashes in force, with the partitions that run each. One where all is well. */
    readonly inForce: Readonly<Record<string, readonly number[]>>
    /** What of folders and configurations takes effect with a reload only, by instance. */
    readonly differs: Readonly<Record<string, readonly string[]>>
  }
}

/** An instance as it says itself; of one that did not answer, why, and what it is known to keep. */
export interface InstanceOverview {
  readonly instance: string
  readonly version: string
  readonly zone?: string
  readonly draining: boolean
  readonly owning: number
  readonly following: number
  readonly behind: number
  /** Why it did not answer. What follows is absent then. */
  readonly silent?: string
  readonly upMs?: number
  readonly lagMs?: number
  readonly lagBytes?: number
  readonly connections?: number
  /** Events taken in since its start. */
  readonly events?: number
}

/** What an overview is made of. */
export interface OverviewInput {
  /** Who was asked. */
  readonly instance: string
  readonly wallMs: number
  /** How many the log has. */
  readonly partitions: number
  /** Works alone: there is nobody to stand by. */
  readonly alone: boolean
  /** Who is there, as coordination says. */
  readonly members: readonly MemberStatus[]
  /** What each said of itself, or why it did not. */
  readonly statuses: ReadonlyMap<string, ServerStatus | Error>
}

/** A request that fails now and then is in the nature of networks. */
const failingMs = 30_000
/** Retries are closer together; who has not asked for so long has no page for it any more. */
const askedLatelyMs = 900_000
/** Pages are sent within a second or two. Those that wait for a doubtful one wait half a minute. */
const waitingMs = 60_000
const stuckMs = 300_000
/** Acks are held back from here on: what is decided is decided late. */
const lateMs = 5_000
const tooLateMs = 60_000
/** A slow network and a busy machine together rarely make more. */
const shownSkewMs = 2_000
/** The engine's limit, DESIGN 4: who is further off neither owns nor stamps. */
const mostOffMs = 5_000
const mostClocks = 20

/** Puts the statuses together. */
export function overviewOf(input: OverviewInput): Overview {
  const { instance, wallMs, members } = input
  const statuses = [...input.statuses.values()].flatMap((status) => (status instanceof Error ? [] : [status]))
  const all = statuses.flatMap(({ partitions }) => partitions)
  const places = partitionsOf(input, statuses)
  const owners = all.filter(({ replica }) => replica.state === 'owning')
  const pages = pagesOf(all, owners)
  const receivers = receiversOf(statuses)
  const rules = rulesOf(statuses)
  const judged = { ...input, answered: statuses, places, pages, receivers, rules }
  const reasons = reasonsOf(judged)
  return {
    instance,
    wallMs,
    paging: reasons.length === 0,
    reasons,
    warnings: warningsOf(judged),
    instances: membersOf(members, statuses).map((member) => instanceOf(member, input)),
    partitions: places,
    pages,
    receivers,
    alarms: statuses.flatMap(({ instance: of, alarms }) => alarms.map((alarm) => ({ ...alarm, instance: of }))),
    silent: silentOf(owners, wallMs),
    dropped: droppedOf(statuses, owners),
    repeats: sum(owners, ({ engine }) => engine.repeats),
    clocks: clocksOf(owners),
    rules,
  }
}

interface Judged extends OverviewInput {
  readonly answered: readonly ServerStatus[]
  readonly places: Overview['partitions']
  readonly pages: Overview['pages']
  readonly receivers: Overview['receivers']
  readonly rules: Overview['rules']
}

function partitionsOf(
  { partitions: count, alone, members, statuses }: OverviewInput,
  answered: readonly ServerStatus[],
): Overview['partitions'] {
  const unowned: number[] = []
  const unknown: number[] = []
  const withoutStandby: number[] = []
  for (let partition = 0; partition < count; partition++) {
    const replicas = answered.flatMap((status) => status.partitions.filter((each) => each.partition === partition))
    if (replicas.some(isOwned)) {
      const stoodBy = replicas.some(({ standing }) => standing === 'following')
      if (!alone && !stoodBy) withoutStandby.push(partition)
    } else if (replicas.length > 0 || members.every((member) => !(statuses.get(member.instance) instanceof Error))) {
      unowned.push(partition)
    } else unknown.push(partition)
  }
  return { count, unowned, unknown, withoutStandby }
}

/** Somebody's ticks are read. */
function isOwned({ replica }: PartitionStatus): boolean {
  return replica.owner !== undefined && replica.ownerMissingMs === undefined && !unread.has(replica.state)
}

/** It does not read the log, or its state is in doubt: what it saw of an owner is old. */
const unread: ReadonlySet<string> = new Set(['restoring', 'stopped'])

function pagesOf(all: readonly PartitionStatus[], owners: readonly PartitionStatus[]): Overview['pages'] {
  const oldest = owners.flatMap(({ engine }) => engine.oldestPageMs ?? [])
  return {
    pending: sum(owners, ({ replica }) => replica.pendingPages),
    ...(oldest.length > 0 && { oldestMs: Math.min(...oldest) }),
    // also of those who owned before
    delivered: sum(all, ({ replica }) => replica.delivered),
    refused: sum(all, ({ replica }) => replica.refused),
    possibleRepeats: sum(all, ({ replica }) => replica.possibleRepeats),
  }
}

/** Of what instances say of a receiver: it fails where any that asked it of late failed, for its own partitions need it. */
function receiversOf(statuses: readonly ServerStatus[]): Overview['receivers'] {
  const byName = new Map<string, ServerStatus['receivers'][number]>()
  for (const { name, deliveredMsAgo = Infinity, failing } of statuses.flatMap(({ receivers }) => receivers)) {
    const before = byName.get(name)
    const latest = Math.min(deliveredMsAgo, before?.deliveredMsAgo ?? Infinity)
    const ofLate = failing !== undefined && failing.lastMsAgo <= askedLatelyMs ? failing : undefined
    const longest = (before?.failing?.forMs ?? -1) >= (ofLate?.forMs ?? -1) ? before?.failing : ofLate
    byName.set(name, {
      name,
      ...(latest < Infinity && { deliveredMsAgo: latest }),
      ...(longest !== undefined && { failing: longest }),
    })
  }
  return [...byName.values()]
}

function rulesOf(statuses: readonly ServerStatus[]): Overview['rules'] {
  const inForce: Record<string, number[]> = {}
  const differs: Record<string, readonly string[]> = {}
  for (const { instance, partitions, rules } of statuses) {
    for (const { partition, replica } of partitions) {
      if (replica.state !== 'owning' || replica.rulesHash === undefined) continue
      ;(inForce[replica.rulesHash] ??= []).push(partition)
    }
    if (rules.differs.length > 0) differs[instance] = rules.differs
  }
  return { inForce, differs }
}

function reasonsOf({ places, answered, pages, receivers, wallMs, partitions }: Judged): string[] {
  const reasons: string[] = []
  const which = (numbers: readonly number[]): string =>
    partitions === 1 ? 'the log' : `partition${numbers.length > 1 ? 's' : ''} ${ranges(numbers)}`
  const { unowned, unknown } = places
  if (unowned.length > 0) {
    const doing = answered.flatMap(({ partitions: all, instance }) =>
      all.filter(({ partition }) => partition === unowned[0]).map(({ replica }) => `${instance}: ${replica.why}`),
    )
    reasons.push(
      `nobody owns ${which(unowned)}: nothing of it is decided or sent${doing.length > 0 ? ` (${doing.join('; ')})` : ''}`,
    )
  }
  if (unknown.length > 0) reasons.push(`nobody who answers reads ${which(unknown)}: whether anybody owns is not known`)
  for (const { instance, degraded } of answered) {
    for (const { part, detail } of degraded)
      if (part === 'log' || part === 'event-path') reasons.push(`${instance}: ${part}: ${detail}`)
  }
  for (const { name, failing } of receivers) {
    if (failing === undefined || failing.forMs < failingMs) continue
    reasons.push(`receiver ${name} has taken nothing for ${howLong(failing.forMs)}: ${failing.detail}`)
  }
  const waitedMs = pages.oldestMs === undefined ? 0 : wallMs - pages.oldestMs
  if (waitedMs >= stuckMs) reasons.push(`pages wait, the oldest for ${howLong(waitedMs)}`)
  for (const { instance, intake } of answered) {
    if (intake.lagMs >= tooLateMs) reasons.push(`${instance}: the engine is ${howLong(intake.lagMs)} behind its events`)
  }
  return reasons
}

function warningsOf({ places, answered, statuses, pages, receivers, rules, wallMs, instance }: Judged): string[] {
  const warnings: string[] = []
  for (const [name, status] of statuses)
    if (status instanceof Error) warnings.push(`${name} does not answer: ${status.message}`)
  if (places.withoutStandby.length > 0)
    warnings.push(`nobody stands by for ${ranges(places.withoutStandby)}: should the owner die, nobody takes over`)
  for (const { instance: of, degraded } of answered) {
    for (const { part, detail } of degraded)
      if (part !== 'log' && part !== 'event-path') warnings.push(`${of}: ${part}: ${detail}`)
  }
  for (const { name, failing } of receivers) {
    if (failing === undefined || failing.forMs >= failingMs) continue
    warnings.push(`receiver ${name} did not take a page ${howLong(failing.forMs)} ago: ${failing.detail}`)
  }
  const waitedMs = pages.oldestMs === undefined ? 0 : wallMs - pages.oldestMs
  if (waitedMs >= waitingMs && waitedMs < stuckMs) warnings.push(`pages wait, the oldest for ${howLong(waitedMs)}`)
  for (const { instance: of, intake, wallMs: theirs } of answered) {
    if (intake.lagMs >= lateMs && intake.lagMs < tooLateMs)
      warnings.push(`${of}: the engine is ${howLong(intake.lagMs)} behind its events: acknowledgements are held back`)
    const offMs = theirs - wallMs
    if (of !== instance && Math.abs(offMs) >= mostOffMs)
      warnings.push(
        `${of}: its clock is ${howLong(Math.abs(offMs))} ${offMs > 0 ? 'ahead of' : 'behind'} ${instance}'s`,
      )
  }
  if (Object.keys(rules.inForce).length > 1)
    warnings.push('partitions run different rules: a reload has not reached all of them')
  if (receivers.length === 0) warnings.push('no receiver is configured: whom rules page is told to nobody')
  return warnings
}

/** Who is there: whoever is asked is, also where the store has not told of it, or there is none. */
function membersOf(members: readonly MemberStatus[], answered: readonly ServerStatus[]): readonly MemberStatus[] {
  const known = new Set(members.map(({ instance }) => instance))
  const more = answered.filter(({ instance }) => !known.has(instance))
  return [
    ...members,
    ...more.map(({ instance, version, partitions }) => {
      const owning = partitions.filter(({ replica }) => replica.state === 'owning').length
      return { instance, version, draining: false, owning, following: 0, behind: partitions.length - owning }
    }),
  ]
}

function instanceOf(member: MemberStatus, { statuses }: OverviewInput): InstanceOverview {
  const { instance, version, zone, draining, owning, following, behind } = member
  const known = { instance, version, ...(zone !== undefined && { zone }), draining, owning, following, behind }
  const status = statuses.get(instance)
  if (status === undefined) return { ...known, silent: 'it was not asked' }
  if (status instanceof Error) return { ...known, silent: status.message }
  const { upMs, intake } = status
  const { lagMs, lagBytes, connections, events } = intake
  return { ...known, upMs, lagMs, lagBytes, connections, events }
}

function silentOf(owners: readonly PartitionStatus[], wallMs: number): Overview['silent'] {
  const silent = owners.map(({ engine }) => engine.silent)
  const latest = silent
    .flatMap((each) => each.latest)
    .sort((a, b) => b.sinceMs - a.sinceMs)
    .slice(0, mostClocks)
  return {
    count: sum(silent, ({ count }) => count),
    latest: latest.map(({ host, sinceMs }) => ({ host, forMs: Math.max(0, wallMs - sinceMs) })),
  }
}

function droppedOf(statuses: readonly ServerStatus[], owners: readonly PartitionStatus[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { dropped } of statuses)
    for (const [reason, count] of Object.entries(dropped)) counts[reason] = (counts[reason] ?? 0) + count
  const refused = sum(owners, ({ engine }) => engine.refused)
  return refused > 0 ? { ...counts, 'no-room': refused } : counts
}

/** Clocks that are further away than messages travel: a TTL or a window of event time may not mean what its author thought. */
function clocksOf(owners: readonly PartitionStatus[]): Skew[] {
  return owners
    .flatMap(({ engine }) => engine.skews)
    .filter(({ aheadMs }) => Math.abs(aheadMs) >= shownSkewMs)
    .sort((a, b) => Math.abs(b.aheadMs) - Math.abs(a.aheadMs))
    .slice(0, mostClocks)
}

function sum<T>(all: readonly T[], of: (one: T) => number): number {
  return all.reduce((total, one) => total + of(one), 0)
}
