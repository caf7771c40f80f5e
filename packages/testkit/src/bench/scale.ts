import { index, rules } from '@ricci/engine'
import { EngineFeed } from './feed.ts'
import { Fleet } from './fleet.ts'
import { figuresOf, yardstickSamples, type Benchmark, type Measured, type Table } from './measure.ts'

const eventsPerMsg = 3_000
const orders = ['agent', 'shuffled'] as const
const orderNames = { agent: 'agent order', shuffled: 'shuffled anew each round' }

/** Hosts and services of a fleet of so many keys; a million stays just below the index's limit. */
const sizes = [
  { hosts: 10, services: 100 },
  { hosts: 100, services: 100 },
  { hosts: 333, services: 300 },
  { hosts: 1_000, services: 300 },
  { hosts: 3_333, services: 300 },
]

export const benchmark: Benchmark = {
  about: 'what an event costs as keys grow: decode + index(), from 1,000 to 1,000,000 keys',
  async run({ quick, tiny = false }) {
    const chosen = tiny ? sizes.slice(0, 1) : quick ? [sizes[0], sizes[1], sizes[3]] : sizes
    const measured: Measured[] = []
    const rows: string[][] = []
    const yard = await yardstickSamples(tiny ? 1 : 5)
    for (const order of orders) {
      const costs: { keys: number; ns: number }[] = []
      for (const size of chosen) {
        const fleet = new Fleet({ ...size, order })
        const samples = sampled(fleet, tiny ? 1_000 : 200_000, quick ? 2 : 3)
        // The least, as the question is about the machine's caches and not about what else runs on it.
        costs.push({ keys: fleet.keys, ns: Math.min(...samples) })
        measured.push({ name: `${fleet.keys.toLocaleString('en')} keys, ${orderNames[order]}`, samples })
        if (!tiny) yard.push(...(await yardstickSamples(1)))
      }
      rows.push([orderNames[order], ...verdict(costs)])
    }
    const table: Table = {
      title: 'growth of the cost, from the least of each size',
      columns: ['order', 'most keys ÷ fewest', 'asked', 'most keys ÷ 300,000', 'asked'],
      rows,
    }
    return { figures: figuresOf(yard, measured), tables: [table] }
  },
}

/** Costs of applying, nanoseconds an event: rounds until `leastEvents` make a sample. */
function sampled(fleet: Fleet, leastEvents: number, samples: number): number[] {
  const feed = new EngineFeed(rules(index()))
  const messages = Math.ceil(fleet.keys / eventsPerMsg)
  const roundsPerSample = Math.ceil(leastEvents / fleet.keys)
  // Messages are made one by one: a round of a million keys need not be held.
  const round = (): void => feed.round(fleet.messages(eventsPerMsg), messages)
  round()
  round()
  return Array.from({ length: samples }, () => {
    const before = feed.spentNs
    for (let i = 0; i < roundsPerSample; i++) round()
    return (feed.spentNs - before) / (fleet.keys * roundsPerSample)
  })
}

function verdict(costs: readonly { readonly keys: number; readonly ns: number }[]): string[] {
  const last = costs[costs.length - 1].ns
  const growth = last / costs[0].ns
  const from = costs.find(({ keys }) => keys >= 300_000)
  const late = from === undefined ? NaN : last / from.ns
  return [
    growth.toFixed(2),
    `3.00 ${growth <= 3 ? 'met' : 'not met'}`,
    Number.isNaN(late) ? '' : late.toFixed(2),
    // flat: within what one run differs from the next
    Number.isNaN(late) ? '' : `1.20 ${late <= 1.2 ? 'met' : 'not met'}`,
  ]
}
