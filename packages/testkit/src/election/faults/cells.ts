/** The faults, and what must hold at each. */
import type { Arena } from './arenas.ts'
import { nowMs, type Fleet, type Told } from './fleet.ts'

/** What one trial showed. */
export interface Trial {
  /** From the fault to the first act of another candidate, or how long nobody acted where the leader is to stay, in ms. */
  readonly tookMs: number
  /** Whether the same candidate goes on under the same token. */
  readonly stayed: boolean
  /** Whether this machine kept the leader's process from running for so long that its store may have taken it for dead. */
  readonly starved: boolean
}

/** One fault, tried over and over. */
export interface Cell {
  readonly fault: string
  /** What {@link Trial.tookMs} is. */
  readonly measure: 'failover' | 'gap'
  /** Whether the same candidate must go on under the same token. */
  readonly stays: boolean
  /** Nobody may be without a leader for longer than this, in ms: generous, for a machine ten times as busy. */
  readonly boundMs: number
  /** Whether this arena can have it. */
  fits(arena: Arena): boolean
  /** Does it and measures; leaves everything as it was. */
  run(arena: Arena): Promise<Trial>
}

/** How long somebody must have acted alone before a fault, and after one, in ms. */
const steadyMs = 1000
/** How long anything may take to come right, in ms. */
const patienceMs = 60_000

const acts = ({ event }: Told): boolean => event === 'act'

/** The longest time without an act between two moments, from the last act before them on. */
function longestGapMs(history: readonly Told[], fromMs: number): number {
  const times = history
    .filter(acts)
    .map(({ atMs }) => atMs)
    .sort((a, b) => a - b)
  let longest = 0
  for (let at = 1; at < times.length; at++)
    if (times[at] > fromMs) longest = Math.max(longest, times[at] - times[at - 1])
  return longest
}

/** Something that happens to the leader's process, after which another leads. */
function failover(
  fault: string,
  boundMs: number,
  strike: (arena: Arena, leader: Told) => Promise<(() => Promise<void>) | undefined>,
  fits: (arena: Arena) => boolean = () => true,
): Cell {
  return {
    fault,
    measure: 'failover',
    stays: false,
    boundMs,
    fits,
    async run(arena) {
      const { fleet } = arena
      const leader = await anyMoment(fleet)
      const struckMs = nowMs()
      const undo = await strike(arena, leader)
      const next = await fleet.until(
        'another acts',
        struckMs,
        (told) => acts(told) && told.id !== leader.id,
        patienceMs,
      )
      await undo?.()
      await fleet.steady(steadyMs, patienceMs)
      return { tookMs: next.atMs - struckMs, stayed: false, starved: false }
    },
  }
}

/** Something that happens to the store or the way to it, after which the same candidate goes on. */
function hitch(
  fault: string,
  boundMs: number,
  strike: (arena: Arena, leader: Told) => Promise<() => Promise<void>>,
  fits: (arena: Arena) => boolean = () => true,
  forMs = 0,
  stays = true,
): Cell {
  return {
    fault,
    measure: 'gap',
    stays,
    boundMs,
    fits,
    async run(arena) {
      const { fleet } = arena
      const leader = await anyMoment(fleet)
      const struckMs = nowMs()
      const undo = await strike(arena, leader)
      if (forMs > 0) await pass(forMs)
      await undo()
      const after = await fleet.steady(steadyMs, patienceMs)
      const stayed = after.id === leader.id && after.token === leader.token
      const starved = fleet.history.some(
        ({ id, event, atMs }) => id === leader.id && event === 'starved' && atMs > struckMs,
      )
      return { tookMs: longestGapMs(fleet.history, struckMs), stayed, starved }
    },
  }
}

/** A moment at which somebody leads steadily, at no fixed distance from the last sign of life: a crash keeps to no rhythm. */
async function anyMoment(fleet: Fleet): Promise<Told> {
  await fleet.steady(steadyMs, patienceMs)
  await pass(Math.random() * 2000)
  return fleet.until('somebody acts', nowMs(), acts, patienceMs)
}

/** A fault lasts for a while: the one thing here that is about time itself. */
function pass(ms: number): Promise<void> {
  return new Promise((done) => void setTimeout(() => done(), ms))
}

const restart =
  (arena: Arena, { id }: Told) =>
  async (): Promise<void> =>
    arena.fleet.member(id).start()

/** Where nothing is to be undone. */
const nothing = async (): Promise<void> => undefined

export const cells: readonly Cell[] = [
  failover('SIGKILL of the leader', 20_000, async (arena, leader) => {
    const member = arena.fleet.member(leader.id)
    member.signal('SIGKILL')
    await member.ended
    return restart(arena, leader)
  }),
  failover('SIGTERM of the leader', 10_000, async (arena, leader) => {
    const member = arena.fleet.member(leader.id)
    member.signal('SIGTERM')
    return async () => {
      await member.ended
      member.start()
    }
  }),
  failover('SIGSTOP of the leader', 20_000, async (arena, leader) => {
    const member = arena.fleet.member(leader.id)
    member.signal('SIGSTOP')
    return async () => {
      const wokenMs = nowMs()
      member.signal('SIGCONT')
      await arena.fleet.until(
        'it is told',
        wokenMs,
        ({ id, event }) => id === leader.id && (event === 'suspended' || event === 'deposed'),
        patienceMs,
      )
    }
  }),
  hitch(
    'SIGSTOP of the leader for 100 ms',
    15_000,
    async (arena, leader) => {
      arena.fleet.member(leader.id).signal('SIGSTOP')
      return async () => arena.fleet.member(leader.id).signal('SIGCONT')
    },
    undefined,
    100,
  ),
  hitch('SIGKILL of what leads in the store', 40_000, (arena) => arena.killLeader()),
  hitch(
    'SIGKILL of a follower in the store',
    20_000,
    (arena) => arena.killFollower!(),
    (arena) => arena.killFollower !== undefined,
  ),
  hitch(
    'quorum lost for 5 s',
    60_000,
    (arena) => arena.loseQuorum!(),
    (arena) => arena.loseQuorum !== undefined,
    5000,
  ),
  failover('the leader is cut off', 40_000, async (arena, leader) => {
    arena.fleet.member(leader.id).cut()
    return async () => arena.fleet.member(leader.id).heal()
  }),
  failover(
    "SIGKILL of the leader's agent",
    40_000,
    (arena, { id }) => arena.killAgent!(arena.fleet.members.findIndex((member) => member.id === id)),
    (arena) => arena.killAgent !== undefined,
  ),
  hitch(
    '50 ms more each way to the store, for 5 s',
    20_000,
    async (arena, leader) => {
      arena.fleet.member(leader.id).slow(50)
      return async () => arena.fleet.member(leader.id).heal()
    },
    undefined,
    5000,
  ),
  hitch(
    'an operator removes the key',
    20_000,
    async (arena) => {
      await arena.removeKey()
      return nothing
    },
    undefined,
    0,
    false,
  ),
  hitch(
    "the database's clock 5 s ahead, and back",
    20_000,
    (arena) => arena.moveClock!(5000),
    (arena) => arena.moveClock !== undefined,
    5000,
  ),
]

/** Those that CI tries. */
export const cellsOfCi: readonly string[] = [
  'SIGKILL of the leader',
  'SIGTERM of the leader',
  'SIGSTOP of the leader',
  'SIGKILL of what leads in the store',
]
