import { by, operators, rules, type Stream, tap } from '@ricci/engine'
import { EngineFeed } from './feed.ts'
import { Fleet } from './fleet.ts'
import { figuresOf, median, yardstickSamples, type Benchmark, type Table } from './measure.ts'

const eventsPerMsg = 3_000
const warmRounds = 2

export const benchmark: Benchmark = {
  about:
    'every operator’s own sample, a fork for each key: what an event and what a fork costs, beyond those of a bare tap',
  async run({ quick, tiny = false }) {
    const fleet = new Fleet({ hosts: tiny ? 1 : 100, services: tiny ? 10 : 300 })
    // One and the same rounds for all.
    const rounds = Array.from({ length: warmRounds + (quick ? 2 : 5) }, () => fleet.nextMessages(eventsPerMsg))
    const yard = await yardstickSamples(tiny ? 1 : 5)
    const bare = measured(tap('out'), rounds, fleet.keys)
    const bareAgain = measured(tap('out'), rounds, fleet.keys)
    const rows = operators().flatMap(({ name, sample }) => {
      if (sample === undefined) return []
      const { samples, bytes } = measured(sample(), rounds, fleet.keys)
      const ns = median(samples)
      return [
        [name, ns.toFixed(0), (ns - median(bare.samples)).toFixed(0), ((bytes - bare.bytes) / fleet.keys).toFixed(0)],
      ]
    })
    const table: Table = {
      title: `${fleet.keys.toLocaleString('en')} forks; decoding and by(['host', 'service']) are in the first column`,
      columns: ['operator', 'ns an event', 'beyond tap', 'bytes a fork'],
      rows,
    }
    const figures = figuresOf(yard, [
      { name: 'decode, by host and service, tap', samples: bare.samples },
      { name: 'the same again: how far figures differ by chance', samples: bareAgain.samples },
    ])
    return { figures, tables: [table] }
  },
}

/** Nanoseconds an event of each round, and the bytes of all columns after the last. */
function measured(
  stream: Stream,
  rounds: readonly (readonly Uint8Array[])[],
  events: number,
): { readonly samples: number[]; readonly bytes: number } {
  const feed = new EngineFeed(rules(by(['host', 'service'], stream)))
  const samples = rounds.map((messages) => {
    const before = feed.spentNs
    feed.round(messages, messages.length)
    return (feed.spentNs - before) / events
  })
  return { samples: samples.slice(warmRounds), bytes: feed.engine.stats().bytes }
}
