import { performance } from 'node:perf_hooks'
import { referenceMsg } from '../codec/reference.ts'
import { Fleet } from './fleet.ts'

/** A thing to measure: each run works through `events` events. */
export interface Contender {
  readonly name: string
  readonly events: number
  /** Makes what the next run works on, outside of the time that is measured. */
  prepare?(): void | Promise<void>
  run(): void | Promise<void>
  /** CPU time spent so far, nanoseconds, where another process does the work; this process's unless told. */
  cpuNs?(): number
  /** How many times as fast as the yardstick it is asked to be. */
  readonly target?: number
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
  /** The ratio that is asked for. */
  readonly target?: number
}

/** Figures of another kind than time per event. */
export interface Table {
  readonly title: string
  readonly columns: readonly string[]
  readonly rows: readonly (readonly (string | number)[])[]
}

/** What a benchmark gives: figures, and lines for people about what they mean. */
export interface Report {
  readonly figures: readonly Figure[]
  readonly tables?: readonly Table[]
  readonly notes?: readonly string[]
}

export interface Benchmark {
  /** One line: what is measured, on what. */
  readonly about: string
  run(options: BenchmarkOptions): Report | Promise<Report>
}

export interface BenchmarkOptions {
  /** Fewer rounds: a look, not a figure. */
  readonly quick: boolean
  /** For tests: so small that it only shows that it runs. */
  readonly tiny?: boolean
}

const yardstickName = 'protobufjs decode (yardstick)'

/** Rounds that are not counted: code is compiled and tables are filled in these. */
const warmRounds = 3

/**
 * Measures contenders beside the yardstick, protobufjs' decode of the fleet's 3,000-event messages: machines differ, the ratio
 * does much less. Each round runs every contender once, so that what else happens on the machine hits all of them alike.
 */
export async function compare(
  contenders: readonly Contender[],
  { rounds, warm = warmRounds }: Rounds,
): Promise<Figure[]> {
  const all = [yardstick(), ...contenders]
  const samples = all.map(() => [] as number[])
  for (let round = -warm; round < rounds; round++) {
    for (const [i, contender] of all.entries()) {
      await contender.prepare?.()
      const cpuNs = contender.cpuNs ?? processCpuNs
      const before = cpuNs()
      await contender.run()
      const spent = cpuNs() - before
      if (round >= 0) samples[i].push(spent / contender.events)
    }
  }
  return figuresOf(
    samples[0],
    contenders.map(({ name, target }, i) => ({ name, target, samples: samples[i + 1] })),
  )
}

/** How many rounds count, and how many before them do not. */
export interface Rounds {
  readonly rounds: number
  readonly warm?: number
}

/** As many rounds as are wanted of a full run, fewer of a quick one, one of a test's. */
export function roundsFor({ quick, tiny = false }: BenchmarkOptions, full: number): Rounds {
  return tiny ? { rounds: 1, warm: 0 } : { rounds: quick ? 3 : full }
}

/** A contender's rounds: nanoseconds an event. */
export interface Measured {
  readonly name: string
  readonly target?: number
  readonly samples: readonly number[]
}

/** What `compare` makes of rounds, for benchmarks that measure them by themselves. */
export function figuresOf(yard: readonly number[], contenders: readonly Measured[]): Figure[] {
  const yardNs = median(yard)
  const measured: Measured[] = [{ name: yardstickName, samples: yard }, ...contenders]
  return measured.map(({ name, target, samples }) => {
    const medianNs = median(samples)
    return {
      name,
      medianNs,
      minNs: Math.min(...samples),
      maxNs: Math.max(...samples),
      millionPerSecond: 1000 / medianNs,
      ratio: yardNs / medianNs,
      ...(target === undefined ? {} : { target }),
    }
  })
}

/** CPU time of all threads of this process so far, nanoseconds. */
export function processCpuNs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) * 1000
}

/**
 * Begins to measure what this thread spends; what is given back says how much since, in milliseconds: the lesser of the process'
 * CPU time and the time on the wall. It is never less than the thread's own, and helper threads and other processes do not count.
 */
export function ownMs(): () => number {
  const cpuNs = processCpuNs()
  const wallMs = performance.now()
  return () => Math.min((processCpuNs() - cpuNs) / 1e6, performance.now() - wallMs)
}

/** Runs of the yardstick, for benchmarks that take their own samples: nanoseconds an event. */
export async function yardstickSamples(runs: number): Promise<number[]> {
  const { events, run } = yardstick()
  const samples: number[] = []
  for (let i = -warmRounds; i < runs; i++) {
    const before = processCpuNs()
    await run()
    if (i >= 0) samples.push((processCpuNs() - before) / events)
  }
  return samples
}

/** Protobufjs' decode of 30,000 events. */
export function yardstick(): Contender {
  const fleet = new Fleet({ hosts: 100 })
  const messages = fleet.nextMessages(3000)
  return {
    name: yardstickName,
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
