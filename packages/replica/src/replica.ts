import type { CheckpointRecord, ClaimRecord, Hashes, QueryOptions, QueryPage } from '@ricci/engine'
import { noDeliveries } from './delivery/counters.ts'
import { AppliedWaiters } from './applied-waiters.ts'
import { Candidate } from './candidate.ts'
import { Claims } from './claims.ts'
import { Checkpoints } from './checkpoints.ts'
import { ReplicaError } from './errors.ts'
import { Generations } from './generations.ts'
import { handOver } from './hand-over.ts'
import type { HostFailure, Progress, Sighting, StateTaken } from './host.ts'
import { LeaseElsewhere } from './lease-elsewhere.ts'
import { Life, type ReplicaState } from './life.ts'
import * as limits from './limits.ts'
import { LogWriter } from './log-writer.ts'
import type { ReplicaOptions, ReplicaStats } from './options.ts'
import { OwnerSeen } from './owner-seen.ts'
import { Ownerships } from './ownerships.ts'
import { PagesMirror } from './pages-mirror.ts'
import type { Lease } from './ports.ts'
import { SnapshotKeeper } from './snapshot-keeper.ts'
import { Stalls } from './stalls.ts'
import { StandingWatch } from './standing.ts'
import { Timers } from './timers.ts'
import { TroubleWatch } from './trouble-watch.ts'

/**
 * One partition's replica on one instance: follows the log behind a host, claims when it holds the lease, acts while the log
 * says that it is the owner. Its states stand above {@link Life}.
 */
export class Replica {
  readonly #options: ReplicaOptions
  readonly #alarm: (name: string, detail: string) => void
  readonly #life: Life
  readonly #timers: Timers
  readonly #writer: LogWriter
  readonly #mirror = new PagesMirror()
  readonly #generations: Generations
  readonly #checkpoints = new Checkpoints()
  readonly #keeper: SnapshotKeeper
  readonly #stalls: Stalls
  readonly #trouble: TroubleWatch
  readonly #candidate: Candidate
  readonly #elsewhere: LeaseElsewhere
  readonly #claims: Claims
  readonly #waiters: AppliedWaiters
  readonly #owner: OwnerSeen
  readonly #standing: StandingWatch
  readonly #ownerships: Ownerships
  readonly #counters = noDeliveries()
  #starting: Promise<void> | undefined
  #stopping: Promise<void> | undefined
  #onFollowing: (() => void)[] = []
  #progress: Progress | undefined
  #highestEpoch = 0

  constructor(options: ReplicaOptions) {
    const { log, partition, clock } = options
    const onAlarm = (this.#alarm = (name: string, detail: string): void => options.onAlarm?.(name, detail))
    this.#options = options
    this.#life = new Life((...change) => {
      options.onStateChange?.(...change)
      this.#standing.look()
    })
    this.#timers = new Timers(clock)
    this.#writer = new LogWriter(log, partition, clock, options.mutations)
    this.#elsewhere = new LeaseElsewhere(options.coordination, partition, this.#timers)
    this.#stalls = new Stalls(this.#writer)
    this.#waiters = new AppliedWaiters(clock)
    this.#owner = new OwnerSeen(clock)
    this.#standing = new StandingWatch({
      ...options,
      clock: this.#timers,
      state: () => this.state,
      trusted: () => this.#checkpoints.trusted,
      appliedOffset: () => this.#progress?.appliedOffset ?? -2,
    })
    this.#claims = new Claims({ ...options, writer: this.#writer })
    this.#keeper = new SnapshotKeeper({ ...options, clock: this.#timers, onAlarm })
    this.#generations = new Generations({
      ...options,
      clock: this.#timers,
      onProgress: (progress) => this.#onProgress(progress),
      onFailure: (failure) => this.#onFailure(failure),
      onAlarm,
    })
    this.#ownerships = new Ownerships({
      ...options,
      writer: this.#writer,
      progress: () => this.#progress,
      mirror: this.#mirror,
      receivers: options.transports,
      counters: this.#counters,
      page: async (...place) => this.#generations.running().flowPage(...place),
      onAlarm,
    })
    this.#trouble = new TroubleWatch(this.#writer, {
      ...options,
      logId: log.id,
      receiver: () => options.transports.get('self'),
      waiting: () => this.#mirror.values(),
      onAlarm,
    })
    this.#candidate = new Candidate({
      ...options,
      mayClaim: () => this.#mayClaim(),
      appliedOffset: () => this.#progress?.appliedOffset ?? -2,
      claim: (lease) => this.#appendClaim(lease),
      onLease: (lease) => this.#leaseChanged(lease),
    })
  }

  get state(): ReplicaState {
    return this.#life.state
  }

  /** Resolves when it follows for the first time, or was stopped meanwhile. Idempotent. */
  start(): Promise<void> {
    return (this.#starting ??= this.#start())
  }

  /**
   * If it owns: hands the partition over to another, where there is one (5 s at most), then steps down (requests under way end first, at
   * most 13 s). Owner to the end, it leaves a snapshot. Releases the lease. Idempotent; what was stopped is not started again.
   */
  stop(): Promise<void> {
    return (this.#stopping ??= this.#stop())
  }

  /**
   * Answers from everything the log held when the question came.
   * @throws ReplicaError `NOT_EVALUATED` when that takes longer than 5 s; EngineError `QUERY_SYNTAX`, `QUERY_REGEX`
   */
  async query(query: string, options?: QueryOptions): Promise<QueryPage> {
    await this.#waiters.untilEnd(this.#options.log, this.#options.partition)
    return this.#generations.running().query(query, options)
  }

  stats(): ReplicaStats {
    const progress = this.#progress
    return {
      ...this.#counters,
      state: this.state,
      why: this.#generations.doing ?? this.#life.why,
      epoch: this.#highestEpoch,
      owner: progress?.ownership?.instance,
      ownerMissingMs: this.#owner.missingMs,
      appliedOffset: progress?.appliedOffset ?? -1,
      readOffset: progress?.readOffset ?? -1,
      lastTick: progress?.lastTick ?? 0,
      rulesHash: progress?.rulesHash,
      pendingPages: this.#mirror.size,
      flows: this.#ownerships.flowStats(),
      ownerships: this.#ownerships.begun,
      generations: this.#generations.begun,
    }
  }

  // ---- Life

  async #start(): Promise<void> {
    if (this.#stopping !== undefined) throw new ReplicaError('STATE', 'a stopped replica is not started again', false)
    const following = new Promise<void>((resolve) => this.#onFollowing.push(resolve))
    this.#life.become('restoring', 'started')
    this.#owner.begin()
    this.#watch()
    void this.#restore()
    await following
  }

  async #stop(): Promise<void> {
    if (this.state === 'owning') await handOver({ ...this.#options, clock: this.#timers }, this.#life.left())
    const ownership = this.#ownerships.current
    if (ownership !== undefined) void this.#leaveOwning('stopping')
    await this.#ownerships.ended()
    if (ownership !== undefined) {
      await this.#keeper.cutLast((taken) => ownership.stateTaken(taken))
    }
    this.#candidate.end()
    await this.#keeper.idle()
    this.#keeper.stop()
    this.#trouble.stop()
    this.#claims.settle()
    this.#timers.end()
    await this.#generations.letGo()
    if (this.state !== 'stopped') this.#life.become('stopped', 'stopped')
    for (const resolve of this.#onFollowing.splice(0)) resolve()
    this.#waiters.stop()
  }

  // ---- Restoring

  async #restore(): Promise<void> {
    this.#mirror.clear(this.#options.clock.monotonicMs())
    this.#checkpoints.clear()
    this.#progress = undefined
    this.#waiters.reset()
    this.#claims.forget()
    this.#candidate.reset()
    this.#standing.reset()
    try {
      const from = await this.#generations.begin()
      if (from === undefined) return
      this.#keeper.attach(this.#generations.running())
      this.#life.become('following', from)
    } catch (error) {
      this.#alarm('restore-failed', error instanceof Error ? error.message : String(error))
      return this.#restoreLater()
    }
    for (const resolve of this.#onFollowing.splice(0)) resolve()
    this.#owner.expect()
    if (this.#checkpoints.trusted) this.#candidate.begin()
    void this.#candidate.consider()
  }

  #restoreLater(): void {
    this.#generations.later(() => {
      if (this.state === 'diverged') this.#life.become('restoring', 'another try')
      if (this.state === 'restoring') void this.#restore()
    })
  }

  #onFailure(failure: HostFailure): void {
    this.#alarm('host-failed', `${failure.code}: ${failure.message}`)
    this.#letGo()
    // What is under way ends beside the restoring; the next host's reports tell of its outcomes.
    if (this.state === 'owning') void this.#leaveOwning(`its host failed: ${failure.message}`)
    if (this.#stalls.blame(failure)) {
      const { lastEpoch } = this.#ownerships
      const owned = lastEpoch !== 0 && lastEpoch === this.#highestEpoch
      if ((owned || this.#candidate.lease !== undefined) && this.#stalls.write()) this.#generations.sooner()
    }
    // Whoever stands by is there at once; only an event that none survives must be got out of the way by one who holds the lease.
    else this.#candidate.end()
    if (failure.code === 'RECORD_UNKNOWN') return this.#life.become('diverged', failure.message)
    if (this.state !== 'restoring') this.#life.become('restoring', failure.message)
    this.#restoreLater()
  }

  #diverge(why: string): void {
    this.#alarm('diverged', why)
    if (this.#options.mutations?.has('diverged-claim') === true) return
    if (this.state === 'owning') void this.#leaveOwning(why)
    this.#candidate.end()
    this.#checkpoints.distrust()
    this.#generations.avoidOrigin()
    this.#letGo()
    this.#life.become('diverged', why)
    this.#restoreLater()
  }

  /** Nothing is asked of the host or heard from it any more. Not awaited: an engine that is stuck ends when it can. */
  #letGo(): void {
    this.#keeper.detach()
    void this.#generations.letGo()
  }

  // ---- The log, as read

  #onProgress(progress: Progress): void {
    if (this.#progress === undefined && progress.sightings.length === 0) {
      this.#highestEpoch = progress.ownership?.epoch ?? 0
    }
    const applied = progress.appliedOffset - (this.#progress?.appliedOffset ?? progress.appliedOffset)
    const generation = this.#generations.current
    this.#progress = progress
    this.#mirror.apply(progress.pages, this.#options.clock.monotonicMs())
    for (const { name, detail } of progress.alarms) this.#alarm(name, detail)
    let own = 0
    for (const sighting of progress.sightings) {
      const { record } = sighting
      const history = sighting.offset < this.#generations.end
      if (record.kind === 'claim') this.#claimRead(record)
      else if (record.kind === 'tick' && record.epoch === this.#highestEpoch) {
        this.#owner.now(history)
        this.#ownerships.current?.tickRead(record.epoch)
        if (sighting.hashes !== undefined) this.#hashed(sighting, sighting.hashes)
        own++
      } else if (record.kind === 'checkpoint') {
        own++
        if (record.epoch === this.#highestEpoch) this.#checkpointRead(record)
      } else if (record.kind === 'skip') this.#stalls.read(record)
      // Diverged or failed while looking: what follows is not ours to judge any more.
      if (this.#generations.current !== generation) return
    }
    if (progress.cut !== undefined) {
      this.#stateTaken(progress.cut)
      if (this.#generations.current !== generation) return
    }
    if (applied > own) this.#ownerships.current?.busy()
    this.#ownerships.progress(progress)
    if (this.state === 'following') {
      this.#generations.works()
      this.#candidate.applied(progress.appliedOffset)
      this.#standing.applied(progress.appliedOffset)
    }
    this.#waiters.applied(progress.appliedOffset)
    this.#options.onProgress?.(progress)
  }

  #claimRead(record: ClaimRecord): void {
    if (record.epoch <= this.#highestEpoch) return
    this.#highestEpoch = record.epoch
    this.#owner.expect()
    const mayOwn = this.#candidate.lease !== undefined && (this.state === 'claiming' || this.state === 'following')
    if (this.state === 'owning') {
      if (this.#options.mutations?.has('epoch-check') === true) return
      this.#candidate.use()
      void this.#stepDown(`${record.instance} claimed with epoch ${record.epoch}`)
    } else if (mayOwn && this.#claims.isOurs(record)) {
      this.#own(record.epoch)
    } else if (this.state === 'claiming') {
      this.#candidate.use()
      this.#backToFollowing(`${record.instance} claimed first with epoch ${record.epoch}`)
    }
  }

  /** A tick was applied at which every replica takes hashes: the owner writes them down, the others wait for its word. */
  #hashed(sighting: Sighting, hashes: Hashes): void {
    this.#checkpoints.taken(sighting.offset, hashes)
    this.#ownerships.current?.tickHashed(sighting, hashes)
  }

  /** The state's hash comes later than the tick it was cut at, and perhaps later than the owner's word for it. */
  #stateTaken(taken: StateTaken): void {
    const awaited = this.#checkpoints.stateTaken(taken)
    this.#keeper.taken(taken)
    this.#ownerships.current?.stateTaken(taken)
    if (awaited !== undefined) this.#checkpointRead(awaited)
  }

  #checkpointRead(record: CheckpointRecord): void {
    const { trusted } = this.#checkpoints
    const { state, why } = this.#checkpoints.judge(record, this.#generations.history)
    if (state === 'differs') return this.#diverge(why)
    if (state === 'doubted') {
      if (trusted) this.#alarm('diverged', why)
      return this.#candidate.end()
    }
    if (state === 'unknown') return
    this.#keeper.confirmed(record)
    if (!trusted && this.state === 'following') this.#candidate.begin()
  }

  // ---- Claiming

  #leaseChanged(lease: Lease | undefined): void {
    if (lease !== undefined && this.#stalls.write()) this.#generations.sooner()
    if (lease === undefined && this.state === 'claiming') this.#backToFollowing('the lease is gone')
  }

  #mayClaim(): boolean {
    if (this.state !== 'following' || this.#stopping !== undefined) return false
    const isTrusted = this.#checkpoints.trusted || this.#options.mutations?.has('diverged-claim') === true
    if (!isTrusted && !this.#owner.isLost) return false
    return !this.#candidate.leaseUsed || this.#owner.isSilent
  }

  #appendClaim(lease: Lease): void {
    const epoch = this.#highestEpoch + 1
    this.#life.become('claiming', `holds the lease; claims epoch ${epoch}`)
    this.#claims.append(epoch, lease, () => {
      if (this.state !== 'claiming') return
      this.#backToFollowing('its claim was not read back in time')
      const delayMs = limits.tickMs * (0.5 + this.#options.random.next())
      this.#timers.setTimer(delayMs, () => void this.#candidate.consider())
    })
    if (this.#options.mutations?.has('claim-read-back') === true) this.#own((this.#highestEpoch = epoch))
  }

  #backToFollowing(why: string): void {
    this.#claims.settle()
    this.#life.become('following', why)
  }

  // ---- Owning

  #own(epoch: number): void {
    this.#claims.settle()
    this.#life.become('owning', `epoch ${epoch} is ours`)
    this.#keeper.owns(true)
    this.#ownerships.begin(epoch)
  }

  /** Follows again when nothing is under way any more, unless something else happened meanwhile. */
  async #stepDown(why: string): Promise<void> {
    await this.#leaveOwning(why)
    if (this.state !== 'stepping-down' || this.#stopping !== undefined) return
    this.#life.become('following', 'stepped down')
    void this.#candidate.consider()
  }

  /** Resolves when requests under way have ended, and their outcomes were written and read. */
  #leaveOwning(why: string): Promise<void> {
    this.#life.become('stepping-down', why)
    this.#keeper.owns(false)
    return this.#ownerships.end()
  }

  // ---- Watching

  /** Looks at least once a second for what no event would tell. */
  #watch(): void {
    if (this.state === 'following' && !this.#checkpoints.trusted && this.#owner.isLost) this.#candidate.begin()
    void this.#candidate.consider()
    this.#standing.look()
    const { log, partition } = this.#options
    if (this.state === 'owning' && log.wantsSnapshot?.(partition) === true) this.#keeper.wanted()
    const busy = this.state === 'owning' || this.state === 'stepping-down' || this.#stopping !== undefined
    const ownerlessSinceMs = busy ? undefined : this.#owner.missingSinceMs
    const mayBeElsewhere = ownerlessSinceMs !== undefined && this.#candidate.lease === undefined
    const delayMs = this.#trouble.look({
      ownership: this.#ownerships.current,
      ownerlessSinceMs,
      duty: mayBeElsewhere ? this.#elsewhere.ask() : this.#elsewhere.forget(),
      doing: `it is ${this.state}: ${this.#generations.doing ?? this.#life.why}`,
    })
    this.#timers.setTimer(delayMs, () => this.#watch())
  }
}
