import type { CoordinationPort, Lease, Member, MemberData } from '@ricci/replica'
import { machineOf, SimNetwork, storeName } from './network.ts'
import { PartitionLease, type Campaigner } from './partition-lease.ts'
import type { Process } from './process.ts'
import type { World } from './world.ts'

/** A question to the store and its answer. */
const questionMs = 10

/** Who asks waits two seconds for an answer, on a clock of its own: one that takes as long as that may come in time or not. */
const waitedMs = { least: 1_950, most: 2_050 }

/** How long after something was written members see it. */
const viewMs = { least: 1, most: 30 }

/** How often it is looked whether a session still shows signs of life. */
const lookMs = 250

/** How long after a member's death its session lapses. */
const sessionTtlMs = { least: 500, most: 2_500 }

/** A member, under the session of one process. */
interface Session {
  readonly process: Process
  readonly instance: string
  readonly campaigners: Campaigner[]
  readonly listeners: Set<(members: readonly Member[]) => void>
  readonly holdBackMs: Map<number, number>
  joined: boolean
  data: MemberData | undefined
  /** As it was shown last, and the how manieth that was. */
  view: readonly Member[]
  shown: number
}

/**
 * The coordination store: one lease per partition, given to one campaigner at a time, moved on when the holder's process dies; and the list of
 * members. Its faults: it is away (nobody hears of a change, nothing is given), it takes a lease away, and it gives a lease to another
 * while the old holder has not heard of its loss yet.
 */
export class SimCoordination {
  readonly #partitions: PartitionLease[]
  readonly #sessions: Session[] = []
  #away = false
  #changes = 0
  /** Told when nobody holds a lease any more, be it for a moment. */
  onFree: (partition: number) => void = () => undefined

  constructor(
    readonly world: World,
    partitions: number,
    private readonly links = new SimNetwork(world),
  ) {
    const way = {
      isHeard: (process: Process) => process.running && links.reaches(machineOf(process), storeName),
      tell: (process: Process, delayMs: number, what: () => void) => this.#tell(process, delayMs, what),
    }
    this.#partitions = Array.from(
      { length: partitions },
      (_, i) => new PartitionLease(world, i, () => this.onFree(i), way),
    )
  }

  connect(process: Process, instance = process.name): CoordinationPort {
    const session: Session = {
      process,
      instance,
      campaigners: [],
      listeners: new Set(),
      holdBackMs: new Map(),
      joined: false,
      data: undefined,
      view: [],
      shown: 0,
    }
    return {
      join: () => this.#ask(process, () => this.#join(session)),
      publish: (data) =>
        this.#ask(process, () => {
          session.data = data
          if (session.joined) this.#changed()
        }),
      members: () => session.view,
      onMembers: (listener) => {
        session.listeners.add(listener)
        return () => session.listeners.delete(listener)
      },
      campaign: (partition, onChange, signal) =>
        this.#ask(process, () => this.#campaign(session, partition, onChange, signal)),
      prefer: (partition, holdBackMs) =>
        this.#ask(process, () => {
          session.holdBackMs.set(partition, holdBackMs)
          this.#partitions[partition].preferred()
        }),
      isHeld: (partition) =>
        new Promise((resolve) => {
          const lease = this.#partitions[partition]
          this.#ask(process, () => {
            if (lease.isAway) return
            this.#tell(process, questionMs, () => resolve(lease.holderName !== undefined))
          })
        }),
      requestHandOver: (partition) =>
        new Promise((resolve) => {
          const lease = this.#partitions[partition]
          this.#ask(process, () => {
            if (lease.isAway) return
            const { holder } = lease
            this.#tell(process, questionMs, () => resolve(holder !== undefined))
            if (holder === undefined) return
            this.#tell(holder.process, questionMs, () => {
              if (!this.#follows(holder.process, instance, partition)) return
              this.#ask(holder.process, () => lease.handOver(holder, instance))
            })
          })
        }),
      handOver: (partition, to) =>
        this.#ask(process, () => {
          const lease = this.#partitions[partition]
          const own = session.campaigners.find((campaigner) => campaigner === lease.holder)
          if (own !== undefined) lease.handOver(own, to)
        }),
      close: () => {
        for (const campaigner of session.campaigners) for (const lease of this.#partitions) lease.leave(campaigner)
        session.joined = false
        this.#leave(session)
        return Promise.resolve()
      },
    }
  }

  /** Nothing is given and nobody hears anything while the store is away. */
  setAway(away: boolean): void {
    this.#away = away
    for (const lease of this.#partitions) lease.setAway(away)
    if (!away) this.#changed()
  }

  /** Everything that was in it is gone: sessions, members, leases, and how far it had counted. */
  wipe(): void {
    for (const session of [...this.#sessions]) this.#leave(session)
    for (const lease of this.#partitions) lease.wipe()
  }

  /** Takes the lease from its holder; another may get it, or the same one again. Gives the holder's name. */
  takeAway(partition: number): string | undefined {
    return this.#partitions[partition].takeAway()
  }

  /** Gives the lease to another while the holder believes in it for `ms` longer. Gives the name of the old holder. */
  giveToAnother(partition: number, ms: number): string | undefined {
    return this.#partitions[partition].giveToAnother(ms)
  }

  /** Whether the store, asked now, would say in time that another process than this holds the lease; undefined: perhaps in time. */
  isElsewhere(partition: number, process: string): boolean | undefined {
    const lease = this.#partitions[partition]
    const machine = machineOf({ name: process })
    if (lease.isAway || lease.holderName === undefined || lease.holderName === process) return false
    const answerMs = this.links.delayMs(machine, storeName) + this.links.delayMs(storeName, machine) + questionMs
    if (!this.links.reaches(machine, storeName) || answerMs > waitedMs.most) return false
    return answerMs < waitedMs.least ? true : undefined
  }

  holder(partition: number): string | undefined {
    return this.#partitions[partition].holderName
  }

  #campaign(
    session: Session,
    partition: number,
    onChange: (lease: Lease | undefined) => void,
    signal: AbortSignal,
  ): void {
    const { process, instance } = session
    if (!process.alive || signal.aborted) return
    const campaigner: Campaigner = {
      process,
      instance,
      onChange,
      notBeforeMs: 0,
      toldMs: 0,
      holdBackMs: () => session.holdBackMs.get(partition) ?? 0,
      hasSession: () => !session.joined || this.#sessions.includes(session),
      session: session.joined,
    }
    session.campaigners.push(campaigner)
    const lease = this.#partitions[partition]
    lease.join(campaigner)
    signal.addEventListener('abort', () => lease.leave(campaigner), { once: true })
  }

  #join(session: Session): void {
    if (session.joined) return
    session.joined = true
    for (const campaigner of session.campaigners) campaigner.session = true
    this.#sessions.push(session)
    this.#changed()
    this.#watch(session)
  }

  #leave(session: Session): void {
    const at = this.#sessions.indexOf(session)
    if (at < 0) return
    this.#sessions.splice(at, 1)
    this.#changed()
  }

  /** A member that shows no sign of life leaves, and what it held becomes free with that; one that does again joins again. */
  #watch(session: Session): void {
    const ttlMs = this.world.random.between(sessionTtlMs.least, sessionTtlMs.most)
    let missingSinceMs: number | undefined
    const look = (): void => {
      if (!session.joined || !(this.#sessions.includes(session) || session.process.alive)) return
      const isHeard = session.process.running && this.links.reaches(machineOf(session.process), storeName)
      if (isHeard) missingSinceMs = undefined
      else missingSinceMs ??= this.world.nowMs
      const lapsed = missingSinceMs !== undefined && this.world.nowMs - missingSinceMs >= ttlMs
      if (lapsed && !this.#away && this.#sessions.includes(session)) {
        this.#leave(session)
        for (const campaigner of session.campaigners) for (const lease of this.#partitions) lease.lapse(campaigner)
      } else if (isHeard && !this.#away && !this.#sessions.includes(session)) {
        this.#sessions.push(session)
        this.#changed()
      }
      this.world.after(lookMs, look)
    }
    look()
  }

  /** A process asks the store for something: now, or when the way is there again. */
  #ask(process: Process, what: () => void): void {
    const machine = machineOf(process)
    const delayMs = this.links.delayMs(machine, storeName)
    if (delayMs > 0) this.world.after(delayMs, () => this.#arrive(machine, storeName, what))
    else this.#arrive(machine, storeName, what)
  }

  /** The store tells a process something. */
  #tell(process: Process, delayMs: number, what: () => void): void {
    const machine = machineOf(process)
    this.world.after(delayMs + this.links.delayMs(storeName, machine), () =>
      this.#arrive(storeName, machine, () => process.deliver(what)),
    )
  }

  #arrive(from: string, to: string, what: () => void): void {
    if (this.links.isCut(from, to)) this.links.whenChanged(() => this.#arrive(from, to, what))
    else what()
  }

  #follows(holder: Process, instance: string, partition: number): boolean {
    const view = this.#sessions.find(({ process }) => process === holder)?.view ?? []
    return view.some((member) => member.instance === instance && member.data.partitions[partition] === 'following')
  }

  /** Everybody is shown who is there, each a while later; of two that go by one name the later one. */
  #changed(): void {
    if (this.#away) return
    const number = ++this.#changes
    const named = new Map(
      this.#sessions.flatMap(({ instance, data }) => (data === undefined ? [] : [[instance, { instance, data }]])),
    )
    const view = [...named.values()].sort((a, b) => (a.instance < b.instance ? -1 : 1))
    for (const session of this.#sessions) {
      this.#tell(session.process, this.world.random.between(viewMs.least, viewMs.most), () => {
        if (this.#away || !this.#sessions.includes(session) || session.shown > number) return
        session.shown = number
        session.view = view
        for (const listener of [...session.listeners]) listener(view)
      })
    }
  }
}
