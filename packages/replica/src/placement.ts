import type { Mutation } from '@ricci/engine'
import { Askings } from './askings.ts'
import { endAfterMs, handOnMs, moveMs, restoringPatienceMs, staggerMs } from './limits.ts'
import type { ReplicaState } from './life.ts'
import { explained, type PlacementView } from './placement-view.ts'
import type { Clock, CoordinationPort, Member, MemberData, Standing, Timer } from './ports.ts'
import { hasCaughtUp, Seats, type Seat, type Seated } from './seats.ts'

/** What an instance's placement is made from. */
export interface PlacementOptions {
  readonly instance: string
  readonly zone?: string
  /** Where other instances reach this one: `host:port`. */
  readonly peers?: string
  readonly version: string
  readonly partitions: number
  /** Replicas that are restored at once; 1 unless told: each takes a core. */
  readonly restoringAtOnce?: number
  readonly coordination: CoordinationPort
  readonly clock: Clock
  /** Starts a replica of the partition, which reports through {@link Placement.observe}. */
  readonly run: (partition: number) => void
  /** Stops it; one that owns hands over. Resolves once it has ended. May be called again meanwhile. */
  readonly end: (partition: number) => Promise<void>
  /** What is run, or whether it is drained, has changed. */
  readonly onChange?: () => void
  /** Tests only. */
  readonly mutations?: ReadonlySet<Mutation>
}

/** A replica that this instance runs. */
interface Running {
  standing: Standing
  /** Until when it counts among those that restore, in monotonic ms. */
  restoringUntilMs: number
  /** Since when it is not wanted here. */
  unwantedSinceMs: number | undefined
  ending: boolean
}

/**
 * Which partitions this instance keeps (DESIGN section 7, Placement). Nobody coordinates it: every instance ranks the live members for each
 * partition in the same way, and does its own part.
 *
 * - **Who runs a replica**: the first two of the ranking. Besides: who owns, and who runs one already as long as those two have not both
 *   caught up. So nothing is ended before what replaces it is there.
 * - **Who claims**: a free lease is left to others for as many steps as have caught up and come before. The list of members and the leases
 *   are of one view, so when an owner dies the next in order waits for nobody.
 * - **A live owner is left alone**, except that the first of the ranking asks for a planned hand-over ({@link Askings}).
 * - **Draining** takes an instance out of everybody's ranking. It owns until somebody else does, and runs what the others have not caught
 *   up with. First what it owns is moved to those who stand by, then they begin what they lack: reading a log at full speed beside a hand-over
 *   would make pages wait.
 * - **The store being away changes nothing**: the list of members stays as it was.
 */
export class Placement {
  readonly #options: PlacementOptions
  readonly #running = new Map<number, Running>()
  readonly #seats: Seats
  readonly #askings: Askings
  #members: readonly Member[] = []
  #draining = false
  #started = false
  #stopping: Promise<void> | undefined
  #handingOn: Promise<void> | undefined
  #onHandedOn: () => void = () => undefined
  #ended = false
  #unsubscribe: () => void = () => undefined
  #timer: Timer | undefined
  #looking = false
  #again = false
  /** Since when something is to be moved away from who drains, in monotonic ms. */
  #movingSinceMs: number | undefined
  #told = ''
  #published = ''

  constructor(options: PlacementOptions) {
    this.#options = options
    this.#seats = new Seats(options.partitions)
    this.#askings = new Askings(options, () => this.#look())
  }

  /** Joins the others, and keeps what falls to this instance. Idempotent. */
  start(): void {
    if (this.#started) return
    this.#started = true
    const { coordination } = this.#options
    this.#unsubscribe = coordination.onMembers(() => this.#look())
    this.#publish()
    coordination.join()
    this.#look()
  }

  /** What a replica of this instance's is to others, at each change. */
  observe(partition: number, state: ReplicaState): void {
    const running = this.#running.get(partition)
    if (running === undefined || state === 'stopped' || running.standing === state) return
    running.standing = state
    if (state !== 'restoring') running.restoringUntilMs = -Infinity
    if (this.#ended) this.#publish()
    this.#look()
  }

  /** Takes this instance out of the ranking, or back into it. What it owns it keeps until another owns it. */
  drain(on: boolean): void {
    if (this.#draining === on) return
    this.#draining = on
    this.#look()
  }

  get draining(): boolean {
    return this.#draining
  }

  /** It was to be drained, and runs no partition any more. */
  get drained(): boolean {
    return this.#draining && this.#running.size === 0
  }

  /** The partitions that it runs. */
  get runs(): readonly number[] {
    return [...this.#running.keys()].sort((a, b) => a - b)
  }

  /** Who has which place for a partition, and why this instance runs it or not. */
  explain(partition: number): PlacementView {
    const { instance } = this.#options
    return explained(partition, instance, this.#seat(partition), {
      standing: this.#running.get(partition)?.standing,
      draining: this.#draining,
      known: this.#members.length > 0,
    })
  }

  /**
   * Ends every replica: as one that is drained, so that others have caught up with each before, as long as there are any who could and for
   * {@link handOnMs} at most. Idempotent.
   */
  stop(): Promise<void> {
    return (this.#stopping ??= this.#stop())
  }

  /**
   * Drains, and resolves when others keep everything, when nobody is there who could, or after {@link handOnMs}: nobody may count on this
   * instance any more, others make their replicas meanwhile. May be called again.
   */
  async handOn(): Promise<void> {
    this.drain(true)
    if (this.#started && !this.#ended) await (this.#handingOn ??= this.#handedOn())
  }

  async #stop(): Promise<void> {
    await this.handOn()
    this.#ended = true
    this.#unsubscribe()
    this.#timer?.cancel()
    this.#askings.stop()
    await Promise.all(Array.from(this.#running.keys(), (partition) => this.#options.end(partition)))
    this.#running.clear()
  }

  async #handedOn(): Promise<void> {
    if (this.#isHandedOn()) return
    await new Promise<void>((resolve) => {
      const timer = this.#options.clock.setTimer(handOnMs, resolve)
      this.#onHandedOn = () => {
        timer.cancel()
        resolve()
      }
    })
    this.#onHandedOn = () => undefined
  }

  #isHandedOn(): boolean {
    const { instance } = this.#options
    const couldTake = this.#members.some((member) => member.instance !== instance && !member.data.draining)
    return this.#running.size === 0 || !couldTake
  }

  /** Does what is to be done now, and sets the timer for what is to be done later. */
  #look(): void {
    if (!this.#started || this.#ended) return
    this.#again = true
    // What is done here may tell of a change at once.
    if (this.#looking) return
    this.#looking = true
    while (this.#again) {
      this.#again = false
      this.#lookOnce()
    }
    this.#looking = false
  }

  #lookOnce(): void {
    this.#publish()
    const members = this.#options.coordination.members()
    // Whoever has not been shown anything, not even itself, knows nothing.
    if (members.length > 0) this.#members = this.#stale(members) ?? members
    if (this.#members.length === 0) return
    const seats = this.#seats.of(this.#listed())
    const nowMs = this.#options.clock.monotonicMs()
    let nextMs = Infinity
    this.#prefer(seats)
    for (const [partition, running] of this.#running) {
      nextMs = Math.min(nextMs, this.#endUnwanted(partition, running, seats[partition], nowMs))
    }
    nextMs = Math.min(nextMs, this.#startMissing(seats, nowMs))
    nextMs = Math.min(nextMs, this.#askings.look(seats, nowMs))
    this.#publish()
    this.#wakeAt(nextMs, nowMs)
    this.#tell()
    if (this.#isHandedOn()) this.#onHandedOn()
  }

  /** The members, and of this instance what it knows better than they. */
  #listed(): readonly Member[] {
    const { instance } = this.#options
    return [...this.#members.filter((member) => member.instance !== instance), { instance, data: this.#data() }]
  }

  /** With those who have gone, where that is to be forgotten. */
  #stale(members: readonly Member[]): readonly Member[] | undefined {
    if (this.#options.mutations?.has('member-list') !== true) return undefined
    const gone = this.#members.filter((one) => !members.some(({ instance }) => instance === one.instance))
    return [...members, ...gone]
  }

  #seat(partition: number): Seat {
    return this.#seats.of(this.#listed())[partition]
  }

  /** How long a free lease is left to others: to those first who have caught up, among them to who owns, though its lease was taken. */
  #prefer(seats: readonly Seat[]): void {
    const { coordination, instance } = this.#options
    for (const partition of this.#running.keys()) {
      const before = seats[partition].contenders.findIndex((member) => member.instance === instance)
      coordination.prefer(partition, Math.max(0, before) * staggerMs)
    }
  }

  /** Ends a replica that has not been wanted for a while. Gives when to look again. */
  #endUnwanted(partition: number, running: Running, seat: Seat, nowMs: number): number {
    if (running.ending) return Infinity
    if (this.#isWanted(running, seat)) {
      running.unwantedSinceMs = undefined
      return Infinity
    }
    running.unwantedSinceMs ??= nowMs
    // Who is to be rid of everything does not expect to be asked back.
    const endMs = running.unwantedSinceMs + (this.#draining ? 0 : endAfterMs)
    if (nowMs < endMs) return endMs
    running.ending = true
    void this.#options.end(partition).then(() => {
      this.#running.delete(partition)
      this.#look()
    })
    return Infinity
  }

  #isWanted({ standing }: Running, { first }: Seat): boolean {
    const { instance } = this.#options
    if (first.some((member) => member.instance === instance)) return true
    if (standing === 'owning' || standing === 'claiming' || standing === 'stepping-down') return true
    return first.length === 0 || !first.every((member) => hasCaughtUp(member.standing))
  }

  /** Until when second replicas wait for partitions that are moved; past where none is. */
  #movedByMs(seats: readonly Seat[], nowMs: number): number {
    const isMoving = seats.some(
      ({ owner, first }) => owner?.draining === true && first.some(({ standing }) => standing === 'following'),
    )
    if (isMoving) this.#movingSinceMs ??= nowMs
    else this.#movingSinceMs = undefined
    return (this.#movingSinceMs ?? -Infinity) + moveMs
  }

  /** Starts what falls to this instance, some at a time: first what nobody has, then what it is to own. Gives when to look again. */
  #startMissing(seats: readonly Seat[], nowMs: number): number {
    const { instance, run, restoringAtOnce = 1 } = this.#options
    const movedByMs = this.#movedByMs(seats, nowMs)
    const restoring = [...this.#running.values()]
      .map(({ restoringUntilMs }) => restoringUntilMs)
      .filter((untilMs) => untilMs > nowMs)
    const missing = seats
      .filter(
        ({ partition, first }) => !this.#running.has(partition) && first.some((member) => member.instance === instance),
      )
      .sort((a, b) => urgency(a, instance) - urgency(b, instance))
    for (const { partition, members } of missing) {
      if (nowMs < movedByMs && members.some(stays)) return movedByMs
      if (restoring.length >= restoringAtOnce) return Math.min(...restoring)
      const restoringUntilMs = nowMs + restoringPatienceMs
      this.#running.set(partition, {
        standing: 'restoring',
        restoringUntilMs,
        unwantedSinceMs: undefined,
        ending: false,
      })
      restoring.push(restoringUntilMs)
      run(partition)
    }
    return Infinity
  }

  #data(): MemberData {
    const { zone, peers, version } = this.#options
    const partitions: Record<string, Standing> = {}
    for (const [partition, { standing }] of this.#running) partitions[partition] = standing
    return {
      ...(zone !== undefined && { zone }),
      draining: this.#draining,
      ...(peers !== undefined && { peers }),
      version,
      partitions,
    }
  }

  #publish(): void {
    const data = this.#data()
    const said = JSON.stringify(data)
    if (said === this.#published) return
    this.#published = said
    this.#options.coordination.publish(data)
  }

  #tell(): void {
    const now = `${this.drained} ${this.runs.join()}`
    if (now === this.#told) return
    this.#told = now
    this.#options.onChange?.()
  }

  #wakeAt(atMs: number, nowMs: number): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (atMs < Infinity) this.#timer = this.#options.clock.setTimer(Math.max(1, atMs - nowMs), () => this.#look())
  }
}

/** Whether others may go on to count on it. */
function stays({ draining, standing }: Seated): boolean {
  return !draining && hasCaughtUp(standing)
}

/** What is started first: least. */
function urgency({ members, first }: Seat, instance: string): number {
  if (!members.some(stays)) return first[0].instance === instance ? 0 : 1
  return first[0].instance === instance ? 2 : 3
}
