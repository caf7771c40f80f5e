import { index, rules, type RulesDescription, type StateCut } from '@ricci/engine'
import { crowdedCuts } from './crowd.ts'
import { EngineFeed } from './feed.ts'
import { Fleet, type FleetOptions } from './fleet.ts'
import { Gaps, type Longest } from './gaps.ts'
import { figuresOf, median, ownMs, yardstickSamples, type Benchmark, type Table } from './measure.ts'
import production from './production.rules.ts'

/** At 36 KB, a step of the cut is due after each of them: a replica's host paces it by bytes. */
const eventsPerMsg = 300
const targetMs = 20
/** Records between two cuts: enough for one to be carried away whole before the next. */
const recordsPerCut = 249

export const benchmark: Benchmark = {
  about: 'how long a snapshot of the whole fleet’s state, its hash included, keeps records waiting',
  async run({ quick, tiny = false }) {
    const yard = await yardstickSamples(tiny ? 1 : 5)
    const options = {
      hosts: tiny ? 2 : 500,
      rounds: tiny ? 2 : quick ? 20 : 120,
      warm: tiny ? 1 : 4,
      every: tiny ? 2 : recordsPerCut,
    }
    const shuffled = { ...options, rounds: Math.max(2, options.rounds / 4), order: 'shuffled' as const }
    const runs = [
      { name: 'index()', asked: true, ...(await delays(rules(index()), options)) },
      { name: 'production rules', asked: true, ...(await delays(production, options)) },
      { name: 'index(), order new each round', asked: false, ...(await delays(rules(index()), shuffled)) },
      { name: 'production rules, order new each round', asked: false, ...(await delays(production, shuffled)) },
    ]
    const tables: Table[] = [
      {
        title:
          'what a snapshot adds to the time from one record to the next: the longest of each snapshot, milliseconds',
        columns: ['rules', 'snapshots', 'MB each', 'median', 'p99', 'asked', 'of it the cut', 'a step', 'copied MB'],
        rows: runs.map(({ name, asked, bytes, cuts, cutMs, stepMs, copied }) => {
          const p99 = quantile(cuts.all, 0.99)
          return [
            name,
            cuts.all.length,
            (bytes / 1e6).toFixed(1),
            median(cuts.all).toFixed(1),
            p99.toFixed(1),
            asked ? `p99 ${targetMs} ${p99 < targetMs ? 'met' : 'not met'}` : '',
            median(cutMs).toFixed(1),
            median(stepMs).toFixed(2),
            (median(copied) / 1e6).toFixed(1),
          ]
        }),
      },
      {
        title: 'the same beside stretches of as many records without a snapshot, milliseconds',
        columns: ['rules', 'snapshot', 'median', 'p99', 'without the collector: median', 'p99'],
        rows: runs.flatMap(({ name, cuts, control }) =>
          [control, cuts].map(({ all, own }, i) => [
            name,
            i === 0 ? 'none' : 'one',
            median(all).toFixed(1),
            quantile(all, 0.99).toFixed(1),
            median(own).toFixed(1),
            quantile(own, 0.99).toFixed(1),
          ]),
        ),
      },
      crowdedCuts(tiny ? [20] : [1_000, 10_000, 100_000]),
    ]
    const figures = figuresOf(
      yard,
      runs.flatMap(({ name, during, without }) => [
        { name: `${name}, no snapshot`, samples: without },
        { name: `${name}, a snapshot every ${recordsPerCut} records`, samples: during },
      ]),
    )
    const notes = [
      'time of this thread: the lesser of the process’ CPU time and the time on the wall, so that neither helper threads nor neighbours count',
      'from one record to the next: the cut, the step of it, what was copied aside while the record was applied, and the applying itself; less the median of the same record of other rounds, without a snapshot',
    ]
    return { figures, tables, notes }
  },
}

interface Options {
  readonly hosts: number
  readonly rounds: number
  readonly warm: number
  readonly every: number
  readonly order?: FleetOptions['order']
}

interface Delays {
  readonly bytes: number
  /** From one record to the next, beyond what is usual: the longest of each snapshot, and of each stretch of as many records without one. */
  readonly cuts: Longest
  readonly control: Longest
  readonly cutMs: readonly number[]
  readonly stepMs: readonly number[]
  /** Bytes copied aside at most, by each snapshot. */
  readonly copied: readonly number[]
  /** Nanoseconds an event of rounds in which snapshots were cut, and of others. */
  readonly during: readonly number[]
  readonly without: readonly number[]
}

/** Applies rounds, every other one with snapshots; does a step after each record, as a replica's host does. */
async function delays(description: RulesDescription, { hosts, rounds, warm, every, order }: Options): Promise<Delays> {
  const fleet = new Fleet({ hosts, order })
  const cuts = new Gaps()
  const control = new Gaps()
  let cutCount = 0
  let controlCount = 0
  /** Without a snapshot, of each place in a round. */
  const usual: number[][] = []
  const cutMs: number[] = []
  const stepMs: number[] = []
  const copied: number[] = []
  const sums = { during: [] as number[], without: [] as number[] }
  const longest = (of: number[], ms: number) => of.push(Math.max(ms, of.pop()!))
  let cut: StateCut | undefined
  let size = 0
  let bytes = 0
  let cutting: boolean | undefined
  let records = 0
  let cutRecords = 0
  const feed = new EngineFeed(description, {}, (appliedMs, beganMs) => {
    if (cutting === undefined) return
    const begins = ++records % every === 0
    if (!cutting) {
      if (begins) controlCount++
      // as many records as a snapshot takes
      if (controlCount > 0 && records % every < cutRecords) control.add(controlCount - 1, records, beganMs, appliedMs)
      ;(usual[records] ??= []).push(appliedMs)
      return
    }
    const step = ownMs()
    if (begins) {
      while (cut?.step() === true);
      size = 0
      cut = feed.engine.cut((slice) => (size += slice.length))
      cutMs.push(step())
      cutCount++
      copied.push(0)
    } else if (cut !== undefined) {
      cut.step()
      stepMs.push(step())
    }
    if (cut === undefined) return
    longest(copied, cut.copiedBytes)
    cuts.add(cutCount - 1, records, beganMs, appliedMs + step())
    if (cut.hash === undefined) return
    bytes = size
    cutRecords = (records % every) + 1
    cut = undefined
  })
  for (let round = -warm; round < rounds; round++) {
    cutting = round < 0 ? undefined : round % 2 === 0
    records = 0
    const messages = fleet.nextMessages(eventsPerMsg)
    const before = feed.spentNs
    feed.round(messages, messages.length)
    while (cut?.step() === true);
    cut = undefined
    if (round >= 0) sums[round % 2 === 0 ? 'during' : 'without'].push((feed.spentNs - before) / fleet.keys)
  }
  const usualMs = usual.map((times) => median(times))
  return {
    bytes,
    cuts: await cuts.longest(cutCount, usualMs),
    control: await control.longest(controlCount, usualMs),
    cutMs,
    stepMs,
    copied,
    ...sums,
  }
}

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]
}
