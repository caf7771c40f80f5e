import { index, rules, type RulesDescription } from '@ricci/engine'
import { EngineFeed } from './feed.ts'
import { Fleet } from './fleet.ts'
import { figuresOf, median, processCpuNs, yardstickSamples, type Benchmark, type Table } from './measure.ts'
import production from './production.rules.ts'

const eventsPerMsg = 3_000
const targetMs = 20
/** Records between two cuts: enough for one to be carried away whole before the next. */
const recordsPerCut = 150

export const benchmark: Benchmark = {
  about:
    'how long a snapshot of the whole fleet’s state keeps the next record waiting, carried away while records are applied',
  async run({ quick, tiny = false }) {
    const yard = await yardstickSamples(tiny ? 1 : 5)
    const options = {
      hosts: tiny ? 2 : 500,
      rounds: tiny ? 2 : quick ? 20 : 100,
      warm: tiny ? 1 : 4,
      every: tiny ? 2 : recordsPerCut,
    }
    const runs = [
      { name: 'index()', ...delays(rules(index()), options) },
      { name: 'production rules', ...delays(production, options) },
    ]
    const table: Table = {
      title: 'CPU time between two records while a snapshot is under way, milliseconds',
      columns: ['rules', 'snapshots', 'MB each', 'waits', 'p50', 'p99', 'longest', 'state hash', 'asked'],
      rows: runs.map(({ name, cuts, bytes, waitsMs, hashMs }) => {
        const p99 = quantile(waitsMs, 0.99)
        return [
          name,
          cuts,
          (bytes / 1e6).toFixed(1),
          waitsMs.length,
          quantile(waitsMs, 0.5).toFixed(2),
          p99.toFixed(2),
          Math.max(...waitsMs).toFixed(2),
          median(hashMs).toFixed(2),
          `p99 ${targetMs} ${p99 < targetMs ? 'met' : 'not met'}`,
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
    const notes = ['the first wait of each snapshot holds the hash of the state: both are taken at one tick']
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
  readonly cuts: number
  readonly bytes: number
  /** What each slice of a snapshot, and its cut, kept the next record waiting. */
  readonly waitsMs: readonly number[]
  readonly hashMs: readonly number[]
  /** Nanoseconds an event of rounds in which snapshots were cut, and of others. */
  readonly during: readonly number[]
  readonly without: readonly number[]
}

/** Applies rounds, every other one with snapshots; takes a slice after each record, as a replica's host does. */
function delays(description: RulesDescription, { hosts, rounds, warm, every }: Options): Delays {
  const fleet = new Fleet({ hosts })
  const waitsMs: number[] = []
  const hashMs: number[] = []
  const sums = { during: [] as number[], without: [] as number[] }
  let rest: Iterator<Uint8Array> | undefined
  let size = 0
  let bytes = 0
  let cuts = 0
  let cutting = false
  let records = 0
  const feed = new EngineFeed(description, {}, () => {
    const begun = processCpuNs()
    if (rest === undefined && cutting && ++records % every === 0) {
      feed.engine.stateHash()
      hashMs.push((processCpuNs() - begun) / 1e6)
      rest = feed.engine.snapshot()[Symbol.iterator]()
      size = 0
      cuts++
    }
    if (rest === undefined) return
    const next = rest.next()
    if (next.done === true) {
      rest = undefined
      bytes = size
    } else size += next.value.length
    waitsMs.push((processCpuNs() - begun) / 1e6)
  })
  for (let round = -warm; round < rounds; round++) {
    cutting = round >= 0 && round % 2 === 0
    const messages = fleet.nextMessages(eventsPerMsg)
    const before = feed.spentNs
    feed.round(messages, messages.length)
    if (round < 0) continue
    sums[cutting ? 'during' : 'without'].push((feed.spentNs - before) / fleet.keys)
  }
  return { cuts, bytes, waitsMs, hashMs, ...sums }
}

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]
}
