import type { CheckpointRecord, ClaimRecord, Mutation, QueryOptions, QueryPage, SkipRecord } from '@ricci/engine'
import { noDeliveries } from './delivery/counters.ts'
import type { Delivery } from './delivery/delivery.ts'
import { SelfAlarms } from './delivery/self-alarms.ts'
import { AppliedWaiters } from './applied-waiters.ts'
import { Candidate } from './candidate.ts'
import { ReplicaError } from './errors.ts'
import type { EngineHost, HostFailure, Progress, Sighting, TickHashes } from './host.ts'
import * as limits from './limits.ts'
import { LogWriter } from './log-writer.ts'
import { PagesMirror } from './pages-mirror.ts'
import { transitions, type ReplicaOptions, type ReplicaState, type ReplicaStats } from './options.ts'
import type { Lease, Timer } from './ports.ts'
import { Ownership } from './ownership.ts'
import { restore } from './restore.ts'
import { SnapshotKeeper } from './snapshot-keeper.ts'

/** Own hashes kept until the owner's checkpoint for their tick comes; 64 checkpoints are more than ten minutes. */
const hashesKept = 64
/** The first skip may have been lost, or come too late for the next engine's look ahead: the third stall is the branch's fault. */
const stallsOfOneBranch = 2
/** How often trouble is looked for. */
const watchMs = 1_000
/** Stepping down: sends have ended within 10 s, their outcomes are read soon after; then it is over, read or not. */
const stepDownMs = 13_000
/** A clean stop waits no longer for its last snapshot to be cut and confirmed … */
const lastSnapshotMs = 3_000
/** … and to be stored: 100 MB on a slow disk. A store that hangs does not keep it from stopping. */
const storeMs = 10_000

/**
 * One partition's replica on one instance: follows the log behind a host, claims when it holds the lease, acts while the log
 * says that it is the owner.
 *
 * ```
 *             ┌──────────────────────────── host failed ───────────────────────────┐
 *             ▼                                                                     │
 * stopped ─▶ restoring ─▶ following ─▶ claiming ─▶ owning ─▶ stepping-down ─▶ following, restoring or stopped
 *                │            │            │
 *                └────────────┴────────────┴──▶ diverged ─▶ restoring
 * ```
 *
 * - **stopped** before `start` and after `stop`. Nothing runs, no timer is set.
 * - **restoring**: a host is being started from the newest usable snapshot, else from the log's first record. Tried again, 250 ms
 *   to 30 s apart, as long as it fails. Left when the host reads (`following`).
 * - **following**: records are applied and nothing is done about them; a standby. Entered with a host that reads. From the first
 *   time on it campaigns for the lease. Left for `claiming` when it holds the lease, has applied all that the log held then, and
 *   is trusted; for `diverged` when the owner's checkpoint has other hashes; for `restoring` when the host fails. Who was
 *   dethroned or lost a claim does not claim again with the same lease unless the other owner shows no tick for 3 s.
 * - **claiming**: a claim of the highest epoch + 1 has been appended. Left for `owning` when the own reader gives it back as the
 *   first of its epoch: whatever came before it is applied by then. Back to `following` when another claim came first, when the
 *   lease is gone, or after 2 s without it; should it still come while the lease is held, `owning` all the same: the log says so.
 * - **owning**: ticks, checkpoints, delivery. The lease does not matter any more: an owner goes on until it reads a higher claim.
 *   Left only for `stepping-down`.
 * - **stepping-down**: a higher claim was read, the host failed, somebody asked for the partition, or it stops. Nothing new is
 *   sent; requests under way end within 10 s, their outcomes are written: they are facts, of whatever epoch. Left when all are
 *   read, at the latest after 13 s; at once when the host failed (what is under way ends beside the restoring).
 * - **diverged**: this replica's state differs from the owner's at one offset, or the log holds what it cannot read. It gives up
 *   the lease and, unless it cannot read the log, restores from another snapshot; it may not claim before a whole state of its
 *   own has matched a checkpoint.
 */
export class Replica {
  readonly #options: ReplicaOptions
  readonly #writer: LogWriter
  readonly #mirror = new PagesMirror()
  readonly #keeper: SnapshotKeeper
  readonly #selfAlarms: SelfAlarms
  readonly #candidate: Candidate
  readonly #counters = noDeliveries()
  readonly #timers = new Set<Timer>()

  #state: ReplicaState = 'stopped'
  #why = 'not started'
  #starting: Promise<void> | undefined
  #stopping: Promise<void> | undefined
  #onFollowing: (() => void)[] = []

  #host: EngineHost | undefined
  #generation = 0
  #restoredFrom: string | undefined
  #restoreFailures = 0
  readonly #avoid = new Set<string>()
  #trusted = true
  /** Checkpoints of ticks before this offset cannot be helped: nothing better is left to restore from. */
  #history = 0
  #progress: Progress | undefined
  #highestEpoch = 0
  readonly #hashes = new Map<number, TickHashes>()
  readonly #waiters: AppliedWaiters

  /** The same for every claim: one that is read late is ours all the same, though another was written meanwhile. */
  readonly #life: string
  #claimedEpoch: number | undefined
  #claimTimer: Timer | undefined
  #ownerSeenMs = 0
  #stuckAt: SkipRecord | undefined
  /** Where the engine stalled last, and how often in a row. */
  #stuck: { readonly offset: number; readonly event: number; readonly times: number } | undefined

  #ownership: Ownership | undefined
  /** The last epoch that was ours. */
  #epoch = 0
  readonly #draining = new Set<Delivery>()
  #lastCut: { readonly ownership: Ownership; offset: number | undefined; readonly confirmed: () => void } | undefined
  #ownerships = 0

  constructor(options: ReplicaOptions) {
    const { log, partition, clock, random, snapshots, instance, transports } = options
    this.#options = options
    this.#life = Math.floor(random.next() * 2 ** 48).toString(36)
    this.#writer = new LogWriter(log, partition, clock)
    this.#waiters = new AppliedWaiters(clock)
    this.#keeper = new SnapshotKeeper({ snapshots, partition, clock, onAlarm: (n, d) => this.#alarm(n, d) })
    this.#selfAlarms = new SelfAlarms({
      logId: log.id,
      instance,
      partition,
      clock,
      random,
      receiver: () => transports.get('self'),
      waiting: () => this.#mirror.values(),
      onAlarm: (n, d) => this.#alarm(n, d),
    })
    this.#candidate = new Candidate({
      partition,
      coordination: options.coordination,
      log,
      clock,
      mayClaim: () => this.#mayClaim(),
      appliedOffset: () => this.#progress?.appliedOffset ?? -2,
      claim: (lease) => this.#appendClaim(lease),
      onLease: (lease) => this.#leaseChanged(lease),
    })
  }

  get state(): ReplicaState {
    return this.#state
  }

  /** Resolves when it follows for the first time, or was stopped meanwhile. Idempotent. */
  start(): Promise<void> {
    this.#starting ??= this.#start()
    return this.#starting
  }

  /**
   * Steps down if it owns (requests under way end first, at most 13 s), leaves a snapshot, releases the lease. Idempotent;
   * a replica that was stopped is not started again.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  /**
   * Gives the partition to whoever campaigns next: steps down, releases the lease, and campaigns again after a while.
   * Does nothing unless it owns.
   */
  async handOver(why: string): Promise<void> {
    if (this.#state !== 'owning') return
    await this.#stepDown(`hand-over: ${why}`, () => this.#candidate.end())
    this.#later(limits.handOverPauseMs, () => {
      if (this.#state === 'following') this.#candidate.begin()
    })
  }

  /**
   * Answers from everything the log held when the question came.
   * @throws ReplicaError `NOT_EVALUATED` when that takes longer than 5 s; EngineError `QUERY_SYNTAX`, `QUERY_REGEX`
   */
  async query(query: string, options?: QueryOptions): Promise<QueryPage> {
    const { end } = await this.#options.log.range(this.#options.partition)
    await this.#waiters.until(end - 1)
    if (this.#host === undefined)
      throw new ReplicaError('NOT_EVALUATED', 'the engine is being restored; ask again', true)
    return this.#host.query(query, options)
  }

  stats(): ReplicaStats {
    const progress = this.#progress
    return {
      ...this.#counters,
      state: this.#state,
      why: this.#why,
      epoch: this.#highestEpoch,
      owner: progress?.ownership?.instance,
      appliedOffset: progress?.appliedOffset ?? -1,
      readOffset: progress?.readOffset ?? -1,
      lastTick: progress?.lastTick ?? 0,
      rulesHash: progress?.rulesHash,
      pendingPages: this.#mirror.size,
      ownerships: this.#ownerships,
      generations: this.#generation,
    }
  }

  // ---- Life

  async #start(): Promise<void> {
    if (this.#stopping !== undefined) throw new ReplicaError('STATE', 'a stopped replica is not started again', false)
    const following = new Promise<void>((resolve) => this.#onFollowing.push(resolve))
    this.#become('restoring', 'started')
    this.#watch()
    void this.#restore()
    await following
  }

  async #stop(): Promise<void> {
    const ownership = this.#ownership
    if (ownership !== undefined) this.#leaveOwning('stopping')
    await Promise.all([...this.#draining].map((delivery) => this.#drained(delivery)))
    if (ownership !== undefined) await this.#cutLast(ownership)
    this.#candidate.end()
    await this.#atMost(storeMs, this.#keeper.idle())
    this.#generation++
    this.#keeper.stop()
    this.#selfAlarms.stop()
    this.#claimTimer?.cancel()
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
    const host = this.#host
    this.#host = undefined
    await host?.stop()
    if (this.#state !== 'stopped') this.#become('stopped', 'stopped')
    for (const resolve of this.#onFollowing.splice(0)) resolve()
    this.#waiters.stop()
  }

  /** The one place where the state changes. */
  #become(state: ReplicaState, why: string): void {
    const before = this.#state
    if (!transitions[before].includes(state)) {
      throw new ReplicaError('STATE', `a replica that is ${before} cannot become ${state} (${why})`, false)
    }
    this.#state = state
    this.#why = why
    this.#options.onStateChange?.(state, before, why)
  }

  // ---- Restoring

  async #restore(): Promise<void> {
    const generation = ++this.#generation
    const { log, snapshots, partition, hostFactory } = this.#options
    this.#letGo()
    this.#mirror.clear()
    this.#hashes.clear()
    this.#progress = undefined
    this.#waiters.reset()
    this.#claimedEpoch = undefined
    this.#candidate.reset()
    try {
      const { host, from, lastResort, end } = await restore({
        log,
        snapshots,
        partition,
        hostFactory,
        avoid: this.#avoid,
        onAlarm: (name, detail) => this.#alarm(name, detail),
        events: {
          onProgress: (progress) => {
            if (generation === this.#generation) this.#onProgress(progress)
          },
          onFailure: (failure) => {
            if (generation === this.#generation) this.#onFailure(failure)
          },
        },
      })
      if (generation !== this.#generation) return void host.stop().catch(() => undefined)
      this.#host = host
      this.#restoredFrom = from
      this.#history = lastResort ? end : 0
      this.#keeper.attach(host)
      // It may have failed between its start and now.
      if (this.#state !== 'restoring') return
      this.#follow(from === undefined ? 'reading the log from its start' : `restored from ${from}`)
    } catch (error) {
      if (generation !== this.#generation) return
      this.#alarm('restore-failed', error instanceof Error ? error.message : String(error))
      this.#restoreLater()
    }
  }

  /** Nothing is asked of a host any more. Not awaited: an engine that is stuck ends when it can. */
  #letGo(): void {
    this.#host?.stop().catch(() => undefined)
    this.#host = undefined
  }

  #restoreLater(): void {
    const delayMs = Math.min(
      limits.restoreRetryLongestMs,
      limits.restoreRetryMs * 2 ** Math.min(this.#restoreFailures++, 10),
    )
    this.#later(delayMs, () => {
      if (this.#state === 'diverged') this.#become('restoring', 'another try')
      if (this.#state === 'restoring') void this.#restore()
    })
  }

  #follow(why: string): void {
    this.#become('following', why)
    for (const resolve of this.#onFollowing.splice(0)) resolve()
    this.#ownerSeenMs = this.#options.clock.monotonicMs()
    if (this.#trusted) this.#candidate.begin()
    void this.#candidate.consider()
  }

  #onFailure(failure: HostFailure): void {
    this.#alarm('host-failed', `${failure.code}: ${failure.message}`)
    this.#letGo()
    // What is under way ends beside the restoring; the next host's reports tell of its outcomes.
    if (this.#state === 'owning') void this.#drained(this.#leaveOwning(`its host failed: ${failure.message}`))
    if (failure.code === 'ENGINE_STUCK') this.#skip(failure)
    // Whoever stands by is there at once; only what is stuck must be got out of the way by one who holds the lease.
    else this.#candidate.end()
    if (failure.code === 'RECORD_UNKNOWN') {
      this.#become('diverged', failure.message)
      return
    }
    if (this.#state !== 'restoring') this.#become('restoring', failure.message)
    this.#generation++
    this.#restoreLater()
  }

  /** The event at which the engine stalled is to be left out: said by the owner, or by whoever may claim. */
  #skip(failure: HostFailure): void {
    const { offset, event = -1 } = failure
    if (offset === undefined) return
    const again = this.#stuck?.offset === offset && this.#stuck.event === event
    const times = again ? this.#stuck!.times + 1 : 1
    this.#stuck = { offset, event, times }
    // The operator named is the one called last; where leaving that out does not help, it was one above it.
    const branch = times > stallsOfOneBranch ? '' : (failure.branch ?? '')
    this.#stuckAt = { kind: 'skip', offset, event, branch }
    const owned = this.#epoch !== 0 && this.#epoch === this.#highestEpoch
    if (owned || this.#candidate.lease !== undefined) this.#writer.write([this.#stuckAt])
  }

  #diverge(why: string): void {
    this.#alarm('diverged', why)
    if (this.#state === 'owning') void this.#drained(this.#leaveOwning(why))
    this.#candidate.end()
    this.#trusted = false
    if (this.#restoredFrom !== undefined) this.#avoid.add(this.#restoredFrom)
    this.#become('diverged', why)
    this.#generation++
    this.#restoreLater()
  }

  // ---- The log, as read

  #onProgress(progress: Progress): void {
    const { clock } = this.#options
    if (this.#progress === undefined && progress.sightings.length === 0) {
      this.#highestEpoch = progress.ownership?.epoch ?? 0
    }
    const applied = progress.appliedOffset - (this.#progress?.appliedOffset ?? progress.appliedOffset)
    const generation = this.#generation
    this.#progress = progress
    this.#mirror.apply(progress.pages)
    for (const { name, detail } of progress.alarms) this.#alarm(name, detail)
    if (progress.cut !== undefined) this.#onCut(progress.cut)
    let own = 0
    for (const sighting of progress.sightings) {
      const { record } = sighting
      if (record.kind === 'claim') this.#claimRead(record)
      else if (record.kind === 'tick' && record.epoch === this.#highestEpoch) {
        this.#ownerSeenMs = clock.monotonicMs()
        if (record.epoch === this.#ownership?.epoch) this.#ownership.tickRead()
        if (sighting.hashes !== undefined) this.#hashed(sighting, sighting.hashes)
        own++
      } else if (record.kind === 'checkpoint') {
        own++
        if (record.epoch === this.#highestEpoch) this.#checkpointRead(record)
      } else if (record.kind === 'skip' && this.#stuckAt?.offset === record.offset) this.#stuckAt = undefined
      // Diverged or failed while looking: what follows is not ours to judge any more.
      if (this.#generation !== generation) return
    }
    if (applied > own) this.#ownership?.busy()
    this.#ownership?.delivery.progress(progress.pages, progress.sightings)
    for (const delivery of this.#draining) delivery.progress(progress.pages, progress.sightings)
    if (this.#state === 'following') {
      this.#restoreFailures = 0
      this.#candidate.applied(progress.appliedOffset)
    }
    this.#waiters.applied(progress.appliedOffset)
    this.#options.onProgress?.(progress)
  }

  #claimRead(record: ClaimRecord): void {
    if (record.epoch <= this.#highestEpoch) return
    this.#highestEpoch = record.epoch
    this.#ownerSeenMs = this.#options.clock.monotonicMs()
    const ours = record.life === this.#life && record.epoch === this.#claimedEpoch
    if (this.#state === 'owning') {
      if (this.#without('epoch-check')) return
      this.#candidate.use()
      void this.#stepDown(`${record.instance} claimed with epoch ${record.epoch}`)
    } else if (
      ours &&
      this.#candidate.lease !== undefined &&
      (this.#state === 'claiming' || this.#state === 'following')
    ) {
      this.#own(record.epoch)
    } else if (this.#state === 'claiming') {
      this.#candidate.use()
      this.#backToFollowing(`${record.instance} claimed first with epoch ${record.epoch}`)
    }
  }

  /** A tick was applied at which every replica takes hashes: the owner writes them down, the others wait for its word. */
  #hashed(sighting: Sighting, hashes: TickHashes): void {
    this.#hashes.set(sighting.offset, hashes)
    if (this.#hashes.size > hashesKept) this.#hashes.delete(this.#hashes.keys().next().value!)
    const { record } = sighting
    if (record.kind !== 'tick' || record.epoch !== this.#ownership?.epoch) return
    this.#ownership.writeCheckpoint(sighting.offset, record.number, hashes)
    if (hashes.state !== undefined) this.#keeper.hashed(sighting)
  }

  #checkpointRead(record: CheckpointRecord): void {
    const own = this.#hashes.get(record.offset)
    const differs = own === undefined ? undefined : differenceOf(own, record)
    if (differs !== undefined && record.offset < this.#history) return this.#doubt(record, differs)
    if (differs !== undefined) {
      return this.#diverge(`at offset ${record.offset} the ${differs} hash differs from the one the owner wrote`)
    }
    if (!this.#keeper.checkpoint(record))
      return this.#diverge(`a snapshot cut at ${record.offset} is unlike the owner's`)
    if (own?.state !== undefined && record.state !== undefined && !this.#trusted) {
      this.#trusted = true
      if (this.#state === 'following') this.#candidate.begin()
    }
    if (this.#lastCut?.offset === record.offset) this.#lastCut.confirmed()
  }

  /** Who wrote it may be gone for good: whoever owns is believed, but a log without an owner pages nobody. */
  #doubt(record: CheckpointRecord, differs: string): void {
    if (this.#trusted) {
      this.#alarm(
        'diverged',
        `the ${differs} hash at offset ${record.offset} differs, and nothing is left to restore from`,
      )
    }
    this.#trusted = false
    this.#candidate.end()
  }

  #onCut(cut: NonNullable<Progress['cut']>): void {
    this.#keeper.cut(cut)
    // At a clean stop no tick comes any more: the checkpoint says where the state was hashed.
    if (this.#lastCut === undefined) return
    this.#lastCut.offset = cut.offset
    this.#lastCut.ownership.writeCheckpoint(cut.offset, cut.tick, cut.hashes)
  }

  // ---- Claiming

  #leaseChanged(lease: Lease | undefined): void {
    if (lease === undefined) {
      if (this.#state === 'claiming') this.#backToFollowing('the lease is gone')
    } else if (this.#stuckAt !== undefined) this.#writer.write([this.#stuckAt])
  }

  #mayClaim(): boolean {
    if (this.#state !== 'following' || this.#stopping !== undefined) return false
    if (!this.#trusted && !this.#isOrphaned()) return false
    return !this.#candidate.leaseUsed || this.#options.clock.monotonicMs() - this.#ownerSeenMs > limits.silentOwnerMs
  }

  #appendClaim(lease: Lease): void {
    const { clock, random, instance, semantics = 1 } = this.#options
    const epoch = this.#highestEpoch + 1
    this.#claimedEpoch = epoch
    this.#become('claiming', `holds the lease; claims epoch ${epoch}`)
    this.#writer.write([{ kind: 'claim', epoch, instance, semantics, leaseToken: lease.token, life: this.#life }])
    this.#claimTimer = clock.setTimer(limits.claimMs, () => {
      if (this.#state !== 'claiming') return
      this.#backToFollowing('its claim was not read back in time')
      this.#later(limits.tickMs * (0.5 + random.next()), () => void this.#candidate.consider())
    })
  }

  #backToFollowing(why: string): void {
    this.#claimTimer?.cancel()
    this.#become('following', why)
  }

  // ---- Owning

  #own(epoch: number): void {
    this.#claimTimer?.cancel()
    const { clock, random, transports, mutations, rules } = this.#options
    this.#epoch = epoch
    this.#ownerships++
    this.#become('owning', `epoch ${epoch} is ours`)
    this.#keeper.owns(true)
    this.#ownership = new Ownership({
      epoch,
      writer: this.#writer,
      progress: () => this.#progress!,
      rules,
      mirror: this.#mirror,
      receivers: transports,
      clock,
      random,
      counters: this.#counters,
      onAlarm: (name, detail) => this.#alarm(name, detail),
      mutations,
    })
  }

  /** Resolves when nothing is under way any more; the state is `following` then, unless something else happened meanwhile. */
  async #stepDown(why: string, before: () => void = () => undefined): Promise<void> {
    await this.#drained(this.#leaveOwning(why))
    if (this.#state !== 'stepping-down' || this.#stopping !== undefined) return
    before()
    this.#become('following', 'stepped down')
    void this.#candidate.consider()
  }

  /** Requests under way end, their outcomes are written and read: at most 13 s. */
  async #drained(delivery: Delivery): Promise<void> {
    await this.#atMost(stepDownMs, delivery.drained())
    delivery.abandon()
    this.#draining.delete(delivery)
  }

  #leaveOwning(why: string): Delivery {
    this.#become('stepping-down', why)
    this.#keeper.owns(false)
    const delivery = this.#ownership!.end()
    this.#draining.add(delivery)
    this.#ownership = undefined
    return delivery
  }

  /** A snapshot at the end of a clean stop, so that the next start has little to read. */
  async #cutLast(ownership: Ownership): Promise<void> {
    const host = this.#host
    if (host === undefined) return
    const confirmed = new Promise<void>((resolve) => {
      this.#lastCut = { ownership, offset: undefined, confirmed: resolve }
    })
    host.cutNow()
    await this.#atMost(lastSnapshotMs, confirmed)
    this.#lastCut = undefined
  }

  // ---- Watching

  /** Looks once a second for what no event would tell. */
  #watch(): void {
    this.#later(watchMs, () => {
      this.#lookForTrouble()
      this.#watch()
    })
  }

  #lookForTrouble(): void {
    const nowMs = this.#options.clock.monotonicMs()
    const owning = this.#state === 'owning'
    const trouble = this.#writer.trouble()
    this.#selfAlarms.is('log-unavailable', owning && trouble !== undefined, trouble ?? 'the log takes records again')
    const silentMs = owning ? this.#ownership!.silentMs : 0
    const unread = owning && trouble === undefined && silentMs > watchMs + limits.readBackMs
    this.#selfAlarms.is(
      'event-path',
      unread,
      `the log confirms ticks that its reader was not given for ${Math.round(silentMs / 1_000)} s`,
    )
    const untrusted = !this.#trusted && this.#state === 'following'
    const cannotOwn = !owning && (untrusted || this.#candidate.lease !== undefined) && !this.#hasLiveOwner(nowMs)
    this.#selfAlarms.is('cannot-own', cannotOwn, `nobody owns, and this replica is ${this.#state}: ${this.#why}`)
    if (untrusted && this.#isOrphaned()) this.#candidate.begin()
    void this.#candidate.consider()
  }

  /** No owner has shown a tick for so long that its word is not to be had any more. */
  #isOrphaned(): boolean {
    return this.#options.clock.monotonicMs() - this.#ownerSeenMs > limits.orphanedMs
  }

  #hasLiveOwner(nowMs: number): boolean {
    return this.#progress?.ownership !== undefined && nowMs - this.#ownerSeenMs <= limits.silentOwnerMs
  }

  // ---- Helpers

  /** A timer that ends with the replica; none is set once it has stopped. */
  #later(delayMs: number, callback: () => void): void {
    if (this.#state === 'stopped') return
    const timer = this.#options.clock.setTimer(delayMs, () => {
      this.#timers.delete(timer)
      callback()
    })
    this.#timers.add(timer)
  }

  /** Waits for something, but no longer than this. */
  async #atMost(ms: number, something: Promise<void>): Promise<void> {
    let timer: Timer | undefined
    const late = new Promise<void>((resolve) => {
      timer = this.#options.clock.setTimer(ms, resolve)
    })
    await Promise.race([something, late])
    timer?.cancel()
  }

  #alarm(name: string, detail: string): void {
    this.#options.onAlarm?.(name, detail)
  }

  #without(mutation: Mutation): boolean {
    return this.#options.mutations?.has(mutation) === true
  }
}

function differenceOf(own: TickHashes, record: CheckpointRecord): string | undefined {
  if (own.input !== record.input) return 'input'
  if (own.decisions !== record.decisions) return 'decisions'
  if (own.state !== undefined && record.state !== undefined && own.state !== record.state) return 'state'
  return undefined
}
