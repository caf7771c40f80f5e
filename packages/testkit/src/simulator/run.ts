import { createEngine } from '@ricci/engine'
import type { Mutation } from '@ricci/replica'
import { crc32 } from 'node:zlib'
import { Cluster } from './cluster.ts'
import { Nemesis } from './nemesis.ts'
import { Desk } from './desk.ts'
import { decoded } from './oracle/decoded.ts'
import { Ledger, offsetOf, type WrittenLog } from './oracle/ledger.ts'
import { OwnedTime } from './oracle/owned-time.ts'
import { judgePages } from './oracle/pages.ts'
import { Referee } from './oracle/referee.ts'
import { judgeTruth } from './oracle/truth.ts'
import type { Verdict } from './oracle/verdict.ts'
import { drawPlan, type Plan } from './plan.ts'
import type { Arrival } from './receivers.ts'
import { loadVariant } from './rules.ts'
import { Watch } from './watch.ts'
import { World, type ExerciseKind, type FaultKind } from './world.ts'

export interface RunOptions {
  readonly mutation?: Mutation
  readonly keepTrace?: boolean
}

/** What one seed came to. */
export interface RunResult {
  readonly seed: number
  readonly plan: Plan
  readonly verdicts: readonly Verdict[]
  readonly traceHash: string
  /** Empty unless it was to be kept. */
  readonly trace: readonly string[]
  readonly faults: ReadonlyMap<FaultKind, number>
  readonly exercised: ReadonlyMap<ExerciseKind, number>
  readonly virtualMs: number
}

/** After the trouble ends all pages must be settled and all hosts heard within this: retries back off for a minute or so. */
const settleWithinMs = 400_000
/** Peace lasts at least this long: TTL, grace and `stable` run out, late pages arrive. */
const leastPeaceMs = 60_000
/** A fresh event's page must arrive within this once there is peace. */
const liveWithinMs = 30_000

/** So many claims within so long are more than leases that move and processes that start explain. */
const claimsAtOnce = 6
const claimsWithinMs = 3_000

/** Runs one seed from its first event to its verdicts. */
export async function runSeed(seed: number, options: RunOptions = {}): Promise<RunResult> {
  const world = new World(seed, { keepTrace: options.keepTrace ?? false })
  const plan = drawPlan(world)
  const watch = new Watch(world)
  const mutations = new Set<Mutation>(options.mutation === undefined ? [] : [options.mutation])
  world.trace.add('plan', JSON.stringify(plan))
  const cluster = new Cluster(world, plan, mutations, watch)
  const referees = refereesOf(cluster, watch, mutations)
  const unhandled = (reason: unknown): void => {
    watch.say('replica failed', `unhandled rejection: ${reason instanceof Error ? reason.stack : String(reason)}`)
  }
  process.on('unhandledRejection', unhandled)
  try {
    new Nemesis(world, cluster, plan).start()
    new Desk(world, cluster, plan).start()
    cluster.start()
    await world.clock.advance(plan.calmAtMs)
    await findPeace(cluster, referees, watch)
    await silence(cluster, referees)
    await probe(cluster, referees, watch)
    await waitFor(world, () => referees.every((referee) => referee.pending === 0))
    await stopAll(cluster)
  } finally {
    process.off('unhandledRejection', unhandled)
  }
  const decided = referees.flatMap((referee) => referee.decisions).map(({ page }) => page.rule)
  const timers = decided.filter((rule) => rule === 'host-down').length
  const pages = [...cluster.receivers.values()].reduce((sum, receiver) => sum + receiver.arrivals.length, 0)
  judge(cluster, referees, watch)
  world.exercise('takeover', Math.max(0, watch.owners - plan.partitions))
  world.exercise('page sent', pages)
  world.exercise('page decided by a timer', timers)
  world.exercise('rule quarantined', decided.filter((rule) => rule === 'rule-quarantined').length)
  world.exercise('snapshot stored', cluster.snapshots.stored)
  countRecords(cluster)
  if (world.faults.size === 0) watch.say('nothing exercised', 'no fault was injected')
  if (pages === 0) watch.say('nothing exercised', 'no page was sent')
  if (timers === 0) watch.say('nothing exercised', 'no timer decided anything')
  return {
    seed,
    plan,
    verdicts: watch.verdicts,
    traceHash: world.trace.hash,
    trace: world.trace.lines,
    faults: world.faults,
    exercised: world.exercised,
    virtualMs: world.nowMs,
  }
}

/** One fresh engine per partition, fed with the truth. It has what the product has, mutations included: a bug is in both. */
function refereesOf(cluster: Cluster, watch: Watch, mutations: ReadonlySet<Mutation>): Referee[] {
  return Array.from({ length: cluster.log.partitions }, (_, partition) => {
    const referee = new Referee((observer, skips) =>
      watch.overhear(
        createEngine({
          logId: cluster.log.id,
          partition,
          loadRules: (rules) => loadVariant(rules),
          observer,
          skips,
          mutations,
        }),
        partition,
        'a fresh engine',
        skips,
      ),
    )
    cluster.log.partition(partition).onWritten.push((record) => {
      watch.written(partition, record)
      referee.apply(record)
    })
    return referee
  })
}

/** Waits until everything has had its chance. What has not settled by then the oracle finds. */
async function findPeace(cluster: Cluster, referees: readonly Referee[], watch: Watch): Promise<void> {
  const { world } = cluster
  const fromMs = world.nowMs
  const inboxes = cluster.brokers?.inboxes ?? []
  const unsettled = new Set([...cluster.hosts, ...inboxes].map(({ name }) => name))
  // since when somebody owns everything, and whatever waited for the end of the trouble has been taken
  let takenMs: number | undefined = fromMs
  for (;;) {
    await world.clock.advance(1_000)
    const elapsedMs = world.nowMs - fromMs
    const idle = [
      ...cluster.hosts.filter(({ producer }) => producer.settled),
      ...inboxes.filter(({ kept }) => kept.length === 0),
    ]
    for (const { name } of idle) unsettled.delete(name)
    const settled =
      referees.every((referee) => referee.pending === 0) && idle.length === cluster.hosts.length + inboxes.length
    const owned = referees.every((_, partition) => cluster.instances.some((i) => i.ownsPartition(partition)))
    takenMs = owned && unsettled.size === 0 ? (takenMs ?? world.nowMs) : undefined
    if (settled && takenMs !== undefined && world.nowMs - takenMs >= leastPeaceMs) return
    if (elapsedMs < settleWithinMs) continue
    if (!owned) watch.say('not live', 'a partition has no owner although all is well again')
    for (const name of unsettled) watch.say('not live', `what ${name} has is not taken although all is well again`)
    return
  }
}

/** A host that fell silent while nobody owned was silent in nobody's time: then once more, for somebody to notice. */
async function silence({ world, hosts }: Cluster, referees: readonly Referee[]): Promise<void> {
  if (referees.some(({ decisions }) => decisions.some(({ page }) => page.rule === 'host-down'))) return
  await world.clock.advance(hosts[0].fallSilent() + leastPeaceMs)
}

/**
 * A fresh event on every partition: its page must arrive; where its minute has too many already, in a digest once the minute
 * is over, which may take long after a clock that was ahead.
 */
async function probe(cluster: Cluster, referees: readonly Referee[], watch: Watch): Promise<void> {
  const { world } = cluster
  const { arrivals } = cluster.receivers.get('chat')!
  const random = world.random.fork('probe')
  for (const [partition, referee] of referees.entries()) {
    const host = cluster.hosts.find((candidate) => candidate.partition === partition)!
    const text = `probe ${partition}`
    const { length: offset } = cluster.log.records(partition)
    // One lost append of an attempt is nothing that anybody waits for long for.
    cluster.log.partition(partition).refusesAttempt = random.chance(0.5)
    const holdsIt = (id: string): boolean => id.split('.')[1] === String(partition) && offsetOf(id) >= offset
    host.deploy(text)
    let seen = arrivals.length
    const tells = ({ request }: Arrival): boolean =>
      JSON.stringify(request).includes(text) || request.members?.some(holdsIt) === true
    let arrived = false
    const hasArrived = (): boolean => {
      while (!arrived && seen < arrivals.length) arrived = tells(arrivals[seen++])
      return arrived
    }
    await world.clock.advanceUntil(hasArrived, liveWithinMs)
    const inDigest = referee.decisions.some(({ page }) => page.receiver === 'chat' && page.members?.some(holdsIt))
    if (!hasArrived() && inDigest) await world.clock.advanceUntil(hasArrived, settleWithinMs)
    cluster.log.partition(partition).refusesAttempt = false
    if (!hasArrived())
      watch.say('not live', `p${partition}: a fresh event's page did not arrive in ${liveWithinMs} ms of peace`)
  }
}

async function waitFor(world: World, condition: () => boolean): Promise<void> {
  for (let waitedMs = 0; waitedMs < liveWithinMs && !condition(); waitedMs += 100) await world.clock.advance(100)
}

/** A clean stop of everything; one that never ends is a failure of its own. */
async function stopAll(cluster: Cluster): Promise<void> {
  for (const host of cluster.hosts) host.end()
  const stopping = cluster.instances.filter(({ alive }) => alive).map((instance) => instance.stopCleanly())
  let stopped = false
  void Promise.all(stopping).then(() => {
    stopped = true
  })
  if (!(await cluster.world.clock.advanceUntil(() => stopped, 60_000))) {
    cluster.watch.say('replica failed', 'an instance did not stop within a minute')
  }
}

function judge(cluster: Cluster, referees: readonly Referee[], watch: Watch): void {
  const { receivers, disturbances, suspensions, world, plan, log } = cluster
  for (const [partition, referee] of referees.entries()) {
    const records = cluster.log.records(partition)
    const messages = cluster.messages[partition]
    const refusals = cluster.refusals[partition]
    const found = judgeTruth(partition, records, messages, refusals, referee.decisions, (kind, times) =>
      world.exercise(kind, times),
    )
    for (const { kind, text } of found) watch.say(kind, text)
    const time = new OwnedTime()
    for (const { bytes } of records) time.apply(decoded(bytes))
    if (Math.abs(referee.ownedMs - time.ownedMs) > 1) {
      const ends = `the ticks come to ${Math.round(time.ownedMs)} ms, a fresh engine to ${Math.round(referee.ownedMs)} ms`
      watch.say('owned time differs', `p${partition}: ${ends}`)
    }
    judgeClaims(partition, log.partition(partition), watch)
    // What came in last may still wait for an instance to run again.
    const waiting = cluster.brokers?.inboxes.flatMap(({ kept }) => kept) ?? []
    const held = new Set(waiting.map(({ body }) => crc32(body)))
    for (const { bytes } of records) {
      const record = decoded(bytes)
      if (record.kind === 'events') held.add(crc32(record.msg))
    }
    for (const msg of messages.values()) {
      if (msg.ackedAtMs === undefined || held.has(msg.checksum)) continue
      watch.say(
        'ack lost',
        `p${partition}: ${msg.producer} has an ack for ${msg.incarnation}/${msg.sequence}, the log does not hold it`,
      )
    }
  }
  const decisions = referees.flatMap((referee) => referee.decisions)
  const settled = new Map(referees.flatMap((referee) => [...referee.settled]))
  const ledgers = referees.map((_, partition) => new Ledger(log.partition(partition)))
  const { clocksWrongMs } = world
  const driftMs = (2 * plan.driftPerMillion * world.nowMs) / 1_000_000
  const clockSpreadMs = 2 * plan.wallErrorMs + driftMs + 100
  const evidence = { decisions, settled, receivers, disturbances, suspensions, ledgers, clocksWrongMs, clockSpreadMs }
  for (const { kind, text } of judgePages(evidence)) watch.say(kind, text)
}

/** Who was dethroned does not claim again with the same lease while the other owner lives: else two holders displace each other. */
function judgeClaims(partition: number, { records, writtenMs }: WrittenLog, watch: Watch): void {
  const claimedMs: number[] = []
  let epoch = 0
  for (const { offset, bytes } of records) {
    const record = decoded(bytes)
    if (record.kind !== 'claim' || record.epoch <= epoch) continue
    epoch = record.epoch
    claimedMs.push(writtenMs[offset])
    const sinceMs = writtenMs[offset] - (claimedMs.at(-claimsAtOnce) ?? -Infinity)
    if (sinceMs > claimsWithinMs) continue
    const text = `p${partition}: ${claimsAtOnce} claims within ${Math.round(sinceMs)} ms, up to epoch ${epoch}`
    return watch.say('two owners', text)
  }
}

/** Counts what the log's records tell of the work that was done. */
function countRecords({ world, log }: Cluster): void {
  for (let partition = 0; partition < log.partitions; partition++) {
    for (const { bytes } of log.records(partition)) {
      const record = decoded(bytes)
      if (record.kind === 'attempt') {
        // A later epoch had to repeat it, not knowing what became of the first.
        if (record.repeats !== undefined) world.exercise('attempt in doubt')
        if (record.digest === 'overflow') world.exercise('overflow digest')
        if (record.digest === 'waited') world.exercise('digest of what waited')
      } else if (record.kind === 'checkpoint' && record.state !== undefined) {
        world.exercise('checkpoint with a state hash')
      }
    }
  }
}
