/** The faults: how each is done and undone, and how long it may leave nobody leading. */
import type { Arena, Pace } from './arenas.ts'
import { longestGapMs, type Fault } from './checker.ts'
import { nowMs, type Fleet, type Told } from './fleet.ts'

/** What one trial showed. */
export interface Trial {
  /** From the fault to the first act of another candidate, or how long nobody acted where the leader is to stay, in ms. */
  readonly tookMs: number
  /** Whether the same candidate goes on under the same token. */
  readonly stayed: boolean
  /** Whether this machine kept the leader's process from running for so long that its store may have taken it for dead. */
  readonly starved: boolean
  /** What was done when, and what must come of it: for the checker. */
  readonly fault: Fault
}

type Undo = () => void | Promise<void>

/** One fault, tried over and over. */
export interface Cell {
  readonly fault: string
  /** What {@link Trial.tookMs} is. */
  readonly measure: 'failover' | 'gap'
  /** Whether the same candidate must go on under the same token. */
  readonly stays: boolean
  /** How long it lasts, where nothing that is told ends it, in ms. */
  readonly lastsMs?: number
  /** Nobody may be without a leader for longer than this, in ms, on a machine with time to spare. */
  boundMs(pace: Pace): number
  /** Whether this arena can have it; every one unless told. */
  fits?(arena: Arena): boolean
  /** Whether the candidates need wall clocks of their own. */
  readonly ownClocks?: boolean
  /** What comes before and is no fault by itself; gives what undoes it. */
  prepare?(arena: Arena, leader: Told): Promise<Undo>
  /** Does it; gives what undoes it. */
  strike(arena: Arena, leader: Told): Undo | Promise<Undo>
}

/** How a trial is run. */
export interface TrialOptions {
  /** For the text of a breach. */
  readonly at: string
  /** What a machine that is busy with other work may add to a bound, in ms. */
  readonly slackMs: number
  /** From 0 (included) to 1 (excluded). */
  readonly chance: () => number
}

/** How long somebody must have acted alone before a fault, and after one, in ms. */
const steadyMs = 1000
/** How long anything may take to come right, in ms. */
const patienceMs = 60_000
/**
 * Faults come at any moment within this time, in ms: a crash keeps to no rhythm. It is twice the longest time between two signs of life (etcd's, 1.5 s
 * under a lease of 2 s); in a shorter one, what came before sets where between them a fault falls, and with it how long it takes to be noticed.
 */
const momentsMs = 3000

const acts = ({ event }: Told): boolean => event === 'act'

/** Waits until somebody leads steadily. */
export const steady = (fleet: Fleet): Promise<Told> => fleet.steady(steadyMs, patienceMs)

/**
 * Does it to a fleet in which somebody leads steadily, measures, and leaves everything as it was.
 * @throws Error when it does not come right
 */
export async function runTrial(arena: Arena, cell: Cell, { at, slackMs, chance }: TrialOptions): Promise<Trial> {
  const { fleet } = arena
  const leads = (): Promise<Told> => fleet.until('somebody acts', nowMs(), acts, patienceMs)
  const end = await cell.prepare?.(arena, await leads())
  await pass(chance() * momentsMs)
  const leader = await leads()
  const fromMs = nowMs()
  const undo = await cell.strike(arena, leader)
  const another = (told: Told): boolean => acts(told) && told.id !== leader.id
  const isFailover = cell.measure === 'failover'
  const next = isFailover ? await fleet.until('another acts', fromMs, another, patienceMs) : undefined
  if (cell.lastsMs !== undefined) await pass(cell.lastsMs)
  await undo()
  await end?.()
  const undoneMs = nowMs()
  const after = await steady(fleet)
  const history = fleet.history.toSorted((a, b) => a.atMs - b.atMs)
  const tookMs = next === undefined ? longestGapMs(history.filter(acts), fromMs, after.atMs) : next.atMs - fromMs
  return {
    tookMs,
    stayed: after.id === leader.id && after.token === leader.token,
    starved: history.some(({ id, event, atMs }) => id === leader.id && event === 'starved' && atMs > fromMs),
    fault: {
      what: at,
      fromMs,
      undoneMs,
      untilMs: after.atMs,
      boundMs: cell.boundMs(arena.pace) + slackMs,
      ...(isFailover && { replaces: leader.id }),
    },
  }
}

/** A fault lasts for a while: the one thing here that is about time itself. */
function pass(ms: number): Promise<void> {
  return new Promise((done) => void setTimeout(() => done(), ms))
}

async function kill({ fleet }: Arena, { id }: Told): Promise<Undo> {
  await fleet.member(id).kill()
  return () => fleet.member(id).start()
}

/** Where nothing is to be undone. */
const nothing: Undo = () => undefined

const agentOf = ({ fleet }: Arena, { id }: Told): number => fleet.members.findIndex((member) => member.id === id)

/** Starts another under the leader's id; gives what ends it, once both have said that they are doubled. */
async function double({ fleet }: Arena, leader: Told): Promise<Undo> {
  const twin = fleet.startTwin(leader.id)
  // A process says it once a minute: the leader may have done so in an earlier trial.
  for (const id of [leader.id, twin.id])
    await fleet.until(
      `${id} says that its id is doubled`,
      0,
      (told) => told.id === id && told.event === 'doubled',
      patienceMs,
    )
  return async () => {
    twin.signal('SIGTERM')
    await twin.ended
  }
}

const hourMs = 3_600_000

/** Sets a candidate's wall clock, and resolves once it has seen that. */
async function setClock({ fleet }: Arena, { id }: Told, offsetMs: number): Promise<void> {
  const fromMs = nowMs()
  fleet.member(id).clock!.set(offsetMs)
  await fleet.until('its clock jumps', fromMs, (told) => told.id === id && told.event === 'jumped', patienceMs)
}

const crash = ({ crashMs }: Pace): number => crashMs

export const cells: readonly Cell[] = [
  {
    fault: 'SIGKILL of the leader',
    measure: 'failover',
    stays: false,
    boundMs: crash,
    strike: kill,
  },
  {
    fault: 'SIGTERM of the leader',
    measure: 'failover',
    stays: false,
    // a few round trips
    boundMs: () => 100,
    strike({ fleet }, { id }) {
      const member = fleet.member(id)
      member.signal('SIGTERM')
      return async () => {
        await member.ended
        member.start()
      }
    },
  },
  {
    fault: 'SIGSTOP of the leader',
    measure: 'failover',
    stays: false,
    boundMs: crash,
    strike({ fleet }, leader) {
      const member = fleet.member(leader.id)
      member.signal('SIGSTOP')
      const isTold = ({ id, event }: Told): boolean =>
        id === leader.id && (event === 'suspended' || event === 'deposed')
      return async () => {
        const wokenMs = nowMs()
        member.signal('SIGCONT')
        await fleet.until('it is told', wokenMs, isTold, patienceMs)
      }
    },
  },
  {
    fault: 'SIGSTOP of the leader for 100 ms',
    measure: 'gap',
    stays: true,
    lastsMs: 100,
    // its lease may have run out meanwhile
    boundMs: ({ leaseMs }) => 100 + leaseMs / 4,
    strike({ fleet }, { id }) {
      fleet.member(id).signal('SIGSTOP')
      return () => fleet.member(id).signal('SIGCONT')
    },
  },
  {
    fault: 'SIGKILL of what leads in the store',
    measure: 'gap',
    stays: true,
    boundMs: ({ electionMs, leaseMs }) => Math.max(0, electionMs - leaseMs),
    strike: (arena) => arena.killLeader(),
  },
  {
    fault: 'SIGKILL of a follower in the store',
    measure: 'gap',
    stays: true,
    boundMs: () => 0,
    fits: ({ killFollower }) => killFollower !== undefined,
    strike: (arena) => arena.killFollower!(),
  },
  {
    fault: 'quorum lost for 5 s',
    measure: 'gap',
    stays: true,
    lastsMs: 5000,
    boundMs: ({ startMs, electionMs }) => 5000 + startMs + electionMs,
    fits: ({ loseQuorum }) => loseQuorum !== undefined,
    strike: (arena) => arena.loseQuorum!(),
  },
  {
    fault: 'the leader is cut off',
    measure: 'failover',
    stays: false,
    boundMs: crash,
    strike({ fleet }, { id }) {
      fleet.member(id).cut()
      return () => fleet.member(id).heal()
    },
  },
  {
    fault: "SIGKILL of the leader's agent",
    measure: 'failover',
    stays: false,
    boundMs: ({ agentMs, leaseMs }) => agentMs! + leaseMs,
    fits: ({ killAgent }) => killAgent !== undefined,
    strike: (arena, leader) => arena.killAgent!(agentOf(arena, leader)),
  },
  {
    fault: "the leader's agent is cut off",
    measure: 'failover',
    stays: false,
    boundMs: ({ agentMs, leaseMs }) => agentMs! + leaseMs,
    fits: ({ cutAgent }) => cutAgent !== undefined,
    strike: (arena, leader) => arena.cutAgent!(agentOf(arena, leader), 'full'),
  },
  {
    fault: "the leader's agent is cut off, its TCP probes are not",
    measure: 'failover',
    stays: false,
    boundMs: ({ sessionMs, leaseMs }) => sessionMs! + leaseMs,
    fits: ({ cutAgent, pace }) => cutAgent !== undefined && pace.sessionMs !== undefined,
    strike: (arena, leader) => arena.cutAgent!(agentOf(arena, leader), 'gray'),
  },
  {
    fault: '50 ms more each way to the store, for 5 s',
    measure: 'gap',
    stays: true,
    lastsMs: 5000,
    boundMs: () => 0,
    strike({ fleet }, { id }) {
      fleet.member(id).slow(50)
      return () => fleet.member(id).heal()
    },
  },
  {
    fault: 'an operator removes the key',
    measure: 'gap',
    stays: false,
    boundMs: ({ leaseMs }) => leaseMs,
    async strike(arena) {
      await arena.removeKey()
      return nothing
    },
  },
  {
    fault: 'another starts under the id of the leader',
    measure: 'gap',
    stays: true,
    boundMs: () => 0,
    strike: double,
  },
  {
    fault: 'SIGKILL of the leader beside another of its id',
    measure: 'failover',
    stays: false,
    boundMs: crash,
    prepare: double,
    strike: kill,
  },
  {
    fault: "the leader's wall clock an hour ahead, and back",
    measure: 'gap',
    stays: true,
    lastsMs: 1000,
    ownClocks: true,
    // suspended until the next confirm
    boundMs: ({ leaseMs }) => leaseMs / 4,
    async strike(arena, leader) {
      await setClock(arena, leader, hourMs)
      return () => setClock(arena, leader, 0)
    },
  },
  {
    fault: "the leader's wall clock an hour back, and it is cut off",
    measure: 'failover',
    stays: false,
    ownClocks: true,
    boundMs: crash,
    async strike(arena, leader) {
      const member = arena.fleet.member(leader.id)
      member.cut()
      await setClock(arena, leader, -hourMs)
      return async () => {
        member.heal()
        await setClock(arena, leader, 0)
      }
    },
  },
  {
    fault: "the database's clock 5 s ahead, and back",
    measure: 'gap',
    stays: true,
    lastsMs: 5000,
    boundMs: () => 0,
    fits: ({ moveClock }) => moveClock !== undefined,
    strike: (arena) => arena.moveClock!(5000),
  },
]

/** Those that CI tries. */
export const cellsOfCi: readonly string[] = [
  'SIGKILL of the leader',
  'SIGTERM of the leader',
  'SIGSTOP of the leader',
  'SIGKILL of what leads in the store',
]
