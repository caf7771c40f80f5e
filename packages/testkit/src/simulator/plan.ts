import type { SeededRandom } from '../random.ts'
import type { World } from './world.ts'

/** Spells of trouble the nemesis can cast; a seed draws a subset, so that faults meet in small company as well as all at once. */
export const spellNames = [
  'crash',
  'restart',
  'pause',
  'suspend',
  'clock jump',
  'log away',
  'log frozen',
  'append storm',
  'silent reader',
  'reader error',
  'deaf reader',
  'lease lost',
  'two holders',
  'store away',
  'snapshots away',
  'snapshot rot',
  'sick receiver',
  'long sickness',
  'bad network',
  'producer restart',
  'rules switch',
  'stalling event',
  'burst',
] as const
/** What can go wrong with brokers and with the way to them. */
const brokerSpells = [
  'broker killed',
  'broker frozen',
  'broker cut off',
  'brokers away',
  'brokers short of memory',
  'binding lost',
  'log trimmed',
  'link cut',
  'link slow',
] as const
export type BrokerSpell = (typeof brokerSpells)[number]
/** What can go wrong with one of several instances. */
const instanceSpells = [
  'store cut',
  'store slow',
  'store wiped',
  'intake gone',
  'state astray',
  'drain',
  'peer cut',
] as const
export type InstanceSpell = (typeof instanceSpells)[number]
export type SpellName =
  (typeof spellNames)[number] | BrokerSpell | InstanceSpell | 'disk trouble' | 'disk full' | 'log at its cap'

/** Everything that is drawn before a run begins. */
export interface Plan {
  readonly instances: number
  readonly partitions: number
  /**
   * `embedded`: one instance with the product's embedded log on a disk of its own. `brokers`: the product's log on RabbitMQ over three brokers.
   * `any`: a log that does whatever a log may do to those who use it.
   */
  readonly log: 'any' | 'brokers' | 'embedded'
  /** The embedded log's limit, where a run is to reach it. */
  readonly logBytes?: number
  readonly hosts: number
  /** Each instance keeps its own snapshots and has others' from them, instead of a store that all share. */
  readonly snapshotsOfPeers: boolean
  /** So many instances go for good, one after the other. */
  readonly retired: number
  /** So many times a leader among the brokers is frozen for hardly longer than the others wait. */
  readonly leaderFreezes: number
  /** Faults begin after this and end at `calmAtMs`. */
  readonly faultsFromMs: number
  readonly calmAtMs: number
  readonly spells: readonly SpellName[]
  /** Mean time between two spells. */
  readonly spellEveryMs: number
  /** How likely a process is struck at the very moment at which it hurts most. */
  readonly ambush: number
  /** For this long publishers go on and nobody may own; 0: never. */
  readonly noOwnerMs: number
  readonly noOwnerAtMs: number
  readonly driftPerMillion: number
  readonly wallErrorMs: number
}

/** One seed in so many has the ten minutes without an owner. */
const noOwnerOdds = 1 / 25
const noOwnerMs = 600_000
/** One in so many runs the log on brokers. */
const brokersOdds = 1 / 2
/** One in so many of these has leaders that are frozen, so often. */
const leaderFreezesOdds = 1 / 3
const leaderFreezes = { least: 3, most: 6 }
/** What is done to the log that does whatever a log may, and has no counterpart or other names among brokers. */
const anyLogSpells: readonly SpellName[] = ['log away', 'log frozen', 'append storm', 'reader error', 'deaf reader']
/** One in so many of the others begins with four instances, two of which go for good. */
const retiredOdds = 1 / 8
/** One in so many runs the embedded log. */
const embeddedOdds = 1 / 7
/** One in so many of these has a limit that it reaches within a minute without snapshots. */
const cappedOdds = 1 / 2
/** What can go wrong with a single instance; the rest is about brokers and rivals. */
const embeddedSpells: readonly SpellName[] = [
  'crash',
  'restart',
  'pause',
  'suspend',
  'clock jump',
  'snapshots away',
  'snapshot rot',
  'sick receiver',
  'long sickness',
  'bad network',
  'producer restart',
  'rules switch',
  'stalling event',
  'burst',
]

export function drawPlan(world: World): Plan {
  const random = world.random.fork('plan')
  const faultsFromMs = random.between(10_000, 25_000)
  const troubleMs = random.between(60_000, 130_000)
  const hasNoOwner = random.chance(noOwnerOdds)
  const noOwnerAtMs = faultsFromMs + random.between(10_000, 40_000)
  const plan: Plan = {
    instances: random.chance(0.5) ? 2 : 3,
    partitions: 1 + random.below(3),
    log: 'any',
    hosts: 4 + random.below(5),
    snapshotsOfPeers: false,
    retired: 0,
    leaderFreezes: 0,
    faultsFromMs,
    calmAtMs: faultsFromMs + troubleMs + (hasNoOwner ? noOwnerMs : 0),
    spells: drawSpells(random),
    spellEveryMs: random.between(4_000, 20_000),
    ambush: random.chance(0.6) ? random.between(0.02, 0.3) : 0,
    noOwnerMs: hasNoOwner ? noOwnerMs : 0,
    noOwnerAtMs,
    driftPerMillion: random.chance(0.5) ? 0 : random.between(10, 2_000),
    wallErrorMs: random.chance(0.5) ? 0 : random.between(10, 2_000),
  }
  const chance = world.random.fork('embedded')
  if (chance.chance(embeddedOdds)) return embedded(plan, chance)
  const among = { ...plan, snapshotsOfPeers: chance.chance(0.5) }
  if (chance.chance(brokersOdds)) {
    return { ...onBrokers(among, chance), leaderFreezes: drawLeaderFreezes(world.random.fork('leader freezes')) }
  }
  if (!chance.chance(retiredOdds)) return among
  return { ...among, instances: 4, retired: 2, snapshotsOfPeers: false }
}

export function isOfInstances(spell: SpellName): spell is InstanceSpell {
  return (instanceSpells as readonly string[]).includes(spell)
}

export function isOfBrokers(spell: SpellName): spell is BrokerSpell {
  return (brokerSpells as readonly string[]).includes(spell)
}

/** What makes snapshots void or damages them, which nobody could make good once the log has let go of what came before. */
const losesSnapshots: readonly SpellName[] = ['snapshot rot', 'stalling event']

function onBrokers(plan: Plan, random: SeededRandom): Plan {
  const share = random.between(0.3, 0.9)
  const drawn = brokerSpells.filter(() => random.chance(share))
  const other = plan.spells.filter((spell) => !anyLogSpells.includes(spell))
  const isTrimmed = drawn.includes('log trimmed')
  const spells = [...other.filter((spell) => !isTrimmed || !losesSnapshots.includes(spell)), ...drawn, ...drawn]
  return {
    ...plan,
    log: 'brokers',
    // Two keep a partition: a third publishes into it and does not read it.
    instances: random.chance(0.75) ? 3 : 2,
    snapshotsOfPeers: isTrimmed || plan.snapshotsOfPeers,
    spells: spells.length > 0 ? spells : [random.pick(brokerSpells)],
  }
}

function drawLeaderFreezes(random: SeededRandom): number {
  return random.chance(leaderFreezesOdds) ? Math.floor(random.between(leaderFreezes.least, leaderFreezes.most + 1)) : 0
}

function embedded(plan: Plan, random: SeededRandom): Plan {
  const spells: SpellName[] = plan.spells.filter((spell) => embeddedSpells.includes(spell))
  const one = { ...plan, instances: 1, partitions: 1, log: 'embedded' as const }
  if (!random.chance(cappedOdds)) {
    return { ...one, spells: [...spells, 'crash', 'disk trouble', 'disk trouble', 'disk trouble', 'disk full'] }
  }
  // A store that changes what it holds takes the only copy of what the log has let go of: nobody could make that good.
  const kept = spells.filter((spell) => spell !== 'snapshot rot')
  const capped: SpellName[] = [
    ...kept,
    'crash',
    'restart',
    'disk trouble',
    'disk full',
    'log at its cap',
    'log at its cap',
  ]
  return { ...one, logBytes: Math.round(random.between(30_000, 60_000)), spells: capped }
}

function drawSpells(random: SeededRandom): SpellName[] {
  const share = random.between(0.15, 0.9)
  const drawn: SpellName[] = [...spellNames, ...instanceSpells].filter(() => random.chance(share))
  // Receivers are sick on most days, and it is then that takeovers are hard.
  if (random.chance(0.6)) drawn.push('sick receiver', 'sick receiver', 'bad network')
  return drawn.length > 0 ? drawn : [random.pick(spellNames)]
}
