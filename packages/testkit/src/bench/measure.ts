import { referenceMsg } from '../codec/reference.ts'
import { Fleet } from './fleet.ts'

/** A thing to measure: each run works through `events` events. */
export interface Contender {
  readonly name: string
  readonly events: number
  /** Makes what the next run works on, outside of the time that is measured. */
  prepare?(): void
  run(): void | Promise<void>
}

/** CPU time of all threads of this process for one event; figures in nanoseconds. */
export interface Figure {
  readonly name: string
  readonly medianNs: number
  readonly minNs: number
  readonly maxNs: number
  /** Million events per CPU-second. */
  readonly millionPerSecond: number
  /** How many times as fast as the yardstick of the same run. */
  readonly ratio: number
}

/** What a benchmark gives: figures, and lines for people about what they mean. */
export interface Report {
  readonly figures: readonly Figure[]
  readonly notes?: readonly string[]
}

export interface Benchmark {
  /** One line: what is measured, on what. */
  readonly about: string
  run(options: { readonly quick: boolean }): Report | Promise<Report>
}

/** Rounds that are not counted: code is compiled and tables are filled in these. */
const warmRounds = 3

/**
 * Measures contenders beside the yardstick, protobufjs' decode of the fleet's 3,000-event messages: machines differ, the ratio
 * does much less. Each round runs every contender once, so that what else happens on the machine hits all of them alike.
 */
export async function compare(contenders: readonly Contender[], rounds = 9): Promise<Figure[]> {
  const all = [yardstick(), ...contenders]
  const samples = all.map(() => [] as number[])
  for (let round = -warmRounds; round < rounds; round++) {
    for (const [i, contender] of all.entries()) {
      contender.prepare?.()
      const before = process.cpuUsage()
      await contender.run()
      const { user, system } = process.cpuUsage(before)
      if (round >= 0) samples[i].push(((user + system) * 1000) / contender.events)
    }
  }
  const yard = median(samples[0])
  return all.map(({ name }, i) => {
    const medianNs = median(samples[i])
    return {
      name,
      medianNs,
      minNs: Math.min(...samples[i]),
      maxNs: Math.max(...samples[i]),
      millionPerSecond: 1000 / medianNs,
      ratio: yard / medianNs,
    }
  })
}

function yardstick(): Contender {
  const fleet = new Fleet({ hosts: 100 })
  const messages = fleet.nextMessages(3000)
  return {
    name: 'protobufjs decode (yardstick)',
    events: fleet.keys,
    run: () => {
      for (const bytes of messages) if (!('events' in referenceMsg.decode(bytes))) throw new Error('nothing decoded')
    },
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
