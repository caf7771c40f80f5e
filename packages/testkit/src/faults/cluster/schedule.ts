/** Faults drawn by chance, several at once: what befalls whom, when, for how long. The same seed gives the same schedule. */
import { SeededRandom } from '../../random.ts'

/** What may befall instances, brokers and the store. */
export type FaultKind =
  | 'instance killed'
  | 'instance frozen'
  | 'instance ended and started'
  | 'instance cut off'
  | 'instance cut off from a broker'
  | 'instance deaf to a broker'
  | 'agent killed'
  | 'all instances killed'
  | 'broker killed'
  | 'two brokers killed'
  | 'broker frozen'
  | 'broker cut off'
  | 'store leader killed'
  | 'two servers killed'
  | 'store server frozen'

export interface PlannedFault {
  readonly kind: FaultKind
  /** After the beginning, in ms. */
  readonly atMs: number
  readonly lastsMs: number
  /** Whom it befalls: the number of an instance, broker or server. */
  readonly target: number
  /** With links: of the broker at its other end. */
  readonly other: number
}

interface Choice {
  readonly kind: FaultKind
  readonly weight: number
  /** How long it lasts, in ms: longer than every lease and tick, too. */
  readonly lastsMs: readonly [least: number, most: number]
  /** Whether it takes a network of our own. */
  readonly cuts?: boolean
}

/** What goes on side by side: of each lane one fault at a time. */
interface Lane {
  /** From the end of a fault to the next, on average, in ms. */
  readonly everyMs: number
  /** At least so long, until what was struck has come back. */
  readonly restMs: number
  readonly choices: readonly Choice[]
}

const instances: readonly Choice[] = [
  { kind: 'instance killed', weight: 5, lastsMs: [100, 8_000] },
  { kind: 'instance frozen', weight: 5, lastsMs: [500, 15_000] },
  { kind: 'instance ended and started', weight: 2, lastsMs: [0, 3_000] },
  { kind: 'instance cut off', weight: 3, lastsMs: [1_000, 15_000], cuts: true },
  { kind: 'instance cut off from a broker', weight: 2, lastsMs: [1_000, 12_000], cuts: true },
  { kind: 'instance deaf to a broker', weight: 2, lastsMs: [1_000, 12_000], cuts: true },
  { kind: 'agent killed', weight: 2, lastsMs: [500, 8_000] },
  { kind: 'all instances killed', weight: 1, lastsMs: [0, 2_000] },
]

/** Two of instances: one may be struck while another is away. */
const lanes: Readonly<Record<string, Lane>> = {
  'instances, first': { everyMs: 5_000, restMs: 2_000, choices: instances },
  'instances, second': { everyMs: 15_000, restMs: 4_000, choices: instances },
  brokers: {
    everyMs: 8_000,
    restMs: 20_000,
    choices: [
      { kind: 'broker killed', weight: 4, lastsMs: [500, 10_000] },
      { kind: 'two brokers killed', weight: 1, lastsMs: [1_000, 6_000] },
      { kind: 'broker frozen', weight: 3, lastsMs: [1_000, 13_000] },
      { kind: 'broker cut off', weight: 3, lastsMs: [1_000, 13_000], cuts: true },
    ],
  },
  store: {
    everyMs: 12_000,
    restMs: 6_000,
    choices: [
      { kind: 'store leader killed', weight: 3, lastsMs: [500, 8_000] },
      { kind: 'two servers killed', weight: 2, lastsMs: [2_000, 12_000] },
      { kind: 'store server frozen', weight: 2, lastsMs: [1_000, 12_000] },
    ],
  },
}

/** Nothing befalls anybody before … */
const quietMs = 3_000
/** … nor after this share of the time. */
const busyShare = 0.85

/** A schedule for so long a run. @param canCut whether hosts can be cut off */
export function scheduleOf(seed: number, durationMs: number, canCut: boolean): PlannedFault[] {
  const random = new SeededRandom(`schedule ${seed}`)
  const faults = Object.entries(lanes).flatMap(([name, lane]) => ofLane(lane, random.fork(name), durationMs, canCut))
  return withoutOverlap(faults.sort((a, b) => a.atMs - b.atMs))
}

function ofLane(lane: Lane, random: SeededRandom, durationMs: number, canCut: boolean): PlannedFault[] {
  const { everyMs, restMs } = lane
  const choices = lane.choices.filter(({ cuts }) => canCut || cuts !== true)
  const bag = choices.flatMap((choice) => Array<Choice>(choice.weight).fill(choice))
  const faults: PlannedFault[] = []
  let atMs = quietMs + random.exponential(everyMs / 2)
  for (;;) {
    const {
      kind,
      lastsMs: [least, most],
    } = random.pick(bag)
    // short ones as often as long ones
    const lastsMs = least + (most - least) * random.next() ** 2
    const fault = { kind, atMs, lastsMs, target: random.below(3), other: random.below(3) }
    if (atMs + lastsMs > durationMs * busyShare) return faults
    faults.push(fault)
    atMs += lastsMs + restMs + random.exponential(everyMs)
  }
}

/** Of two faults that would befall the same instance at the same time the first stands. */
function withoutOverlap(faults: readonly PlannedFault[]): PlannedFault[] {
  const freeMs = [0, 0, 0]
  return faults.filter(({ kind, atMs, lastsMs, target }) => {
    if (!/instance|agent/.test(kind)) return true
    const struck = kind === 'all instances killed' ? [0, 1, 2] : [target]
    if (struck.some((at) => freeMs[at] > atMs)) return false
    for (const at of struck) freeMs[at] = atMs + lastsMs + 1_000
    return true
  })
}
