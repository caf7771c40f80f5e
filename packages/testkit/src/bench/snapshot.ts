import { index, rules, type RulesDescription } from '@ricci/engine'
import { EngineFeed } from './feed.ts'
import { Fleet } from './fleet.ts'
import { figuresOf, median, processCpuNs, yardstickSamples, type Benchmark, type Table } from './measure.ts'
import production from './production.rules.ts'

/** Small ones: a slice is taken after each record, so more snapshots fit into a round. */
const eventsPerMsg = 300
const targetMs = 20
/** Records between two cuts: enough for one to be carried away whole before the next. */
const recordsPerCut = 249

export const benchmark: Benchmark = {
  about:
    'how long a snapshot of the whole fleet’s state keeps the next record waiting, carried away while records are applied',
  async run({ quick, tiny = false }) {
    const yard = await yardstickSamples(tiny ? 1 : 5)
    const options = {
      hosts: tiny ? 2 : 500,
      rounds: tiny ? 2 : quick ? 20 : 80,
      warm: tiny ? 1 : 4,
      every: tiny ? 2 : recordsPerCut,
    }
    const runs = [
      { name: 'index()', ...delays(rules(index()), options) },
      { name: 'production rules', ...delays(production, options) },
    ]
    const table: Table = {
      title: 'CPU time between two records while a snapshot is under way, milliseconds',
      columns: [
        'rules',
        'snapshots',
        'MB each',
        'median',
        'longest of each: median',
        'p99',
        'asked',
        'of it the state’s hash',
      ],
      rows: runs.map(({ name, bytes, slicesMs, longestMs, hashMs }) => {
        const p99 = quantile(longestMs, 0.99)
        return [
          name,
          longestMs.length,
          (bytes / 1e6).toFixed(1),
          median(slicesMs).toFixed(2),
          median(longestMs).toFixed(1),
          p99.toFixed(1),
          `p99 ${targetMs} ${p99 < targetMs ? 'met' : 'not met'}`,
          median(hashMs).toFixed(1),
        ]
      }),
    }
    const figures = figuresOf(
      yard,
      runs.flatMap(({ name, during, without }) => [
        { name: `${name}, no snapshot`, samples: without },
        { name: `${name}, a snapshot every ${recordsPerCut} records`, samples: during },
      ]),
    )
    const notes = [
      'the first wait holds the cut and the hash of the state, which every replica takes at that tick, cut or not',
    ]
    return { figures, tables: [table], notes }
  },
}

interface Options {
  readonly hosts: number
  readonly rounds: number
  readonly warm: number
  readonly every: number
}

interface Delays {
  readonly bytes: number
  /** What each slice of a snapshot kept the next record waiting. */
  readonly slicesMs: readonly number[]
  /** The longest wait of each snapshot. */
  readonly longestMs: readonly number[]
  readonly hashMs: readonly number[]
  /** Nanoseconds an event of rounds in which snapshots were cut, and of others. */
  readonly during: readonly number[]
  readonly without: readonly number[]
}

/** Applies rounds, every other one with snapshots; takes a slice after each record, as a replica's host does. */
function delays(description: RulesDescription, { hosts, rounds, warm, every }: Options): Delays {
  const fleet = new Fleet({ hosts })
  const slicesMs: number[] = []
  const longestMs: number[] = []
  const hashMs: number[] = []
  const sums = { during: [] as number[], without: [] as number[] }
  let rest: Iterator<Uint8Array> | undefined
  let size = 0
  let bytes = 0
  let cutting = false
  let records = 0
  const feed = new EngineFeed(description, {}, () => {
    const begun = processCpuNs()
    if (rest === undefined && cutting && ++records % every === 0) {
      feed.engine.stateHash()
      hashMs.push((processCpuNs() - begun) / 1e6)
      rest = feed.engine.snapshot()[Symbol.iterator]()
      size = 0
      longestMs.push(0)
    }
    if (rest === undefined) return
    const next = rest.next()
    if (next.done === true) {
      rest = undefined
      bytes = size
    } else size += next.value.length
    const waitMs = (processCpuNs() - begun) / 1e6
    slicesMs.push(waitMs)
    longestMs.push(Math.max(waitMs, longestMs.pop()!))
  })
  for (let round = -warm; round < rounds; round++) {
    cutting = round >= 0 && round % 2 === 0
    const messages = fleet.nextMessages(eventsPerMsg)
    const before = feed.spentNs
    feed.round(messages, messages.length)
    if (round < 0) continue
    sums[cutting ? 'during' : 'without'].push((feed.spentNs - before) / fleet.keys)
  }
  return { bytes, slicesMs, longestMs, hashMs, ...sums }
}

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]
}
