import { parseArgs } from 'node:util'
import { ablations, searchAblation, searchedSeeds } from './ablations.ts'
import { Batch, describe } from './batch.ts'
import { ProcessorTime } from '../processor-time.ts'
import type { Happening } from './history.ts'
import { runElection, type Missing } from './run.ts'

const usage = `usage: npm run simulate -- election --seeds N [--first SEED] [--without RULE] [--trace] [--within-cpu SECONDS]
       npm run simulate -- election --ablations`

interface Options {
  readonly seeds: number
  readonly first: number
  readonly without?: Missing
  readonly trace: boolean
  readonly ablations: boolean
  /** The processor's time that the seeds may take, see {@link ProcessorTime}. */
  readonly cpuSeconds?: number
}

/** The simulator of elections, as a command; gives the exit code. */
export async function simulateElections(args: string[]): Promise<number> {
  let given: Options
  try {
    given = options(args)
  } catch (error) {
    console.error(`${(error as Error).message}\n${usage}`)
    return 2
  }
  return (await (given.ablations ? runAblations() : runSeeds(given))) ? 0 : 1
}

function options(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      seeds: { type: 'string', default: '200' },
      first: { type: 'string', default: '1' },
      without: { type: 'string' },
      trace: { type: 'boolean', default: false },
      ablations: { type: 'boolean', default: false },
      'within-cpu': { type: 'string' },
    },
  })
  const [seeds, first] = [Number(values.seeds), Number(values.first)]
  if (!Number.isInteger(seeds) || seeds < 1)
    throw new Error(`--seeds takes a whole number from 1 on, not ${values.seeds}`)
  if (!Number.isInteger(first) || first < 0)
    throw new Error(`--first takes a whole number from 0 on, not ${values.first}`)
  const cpuSeconds = values['within-cpu'] === undefined ? undefined : Number(values['within-cpu'])
  if (cpuSeconds !== undefined && !(cpuSeconds > 0))
    throw new Error(`--within-cpu takes seconds above 0, not ${values['within-cpu']}`)
  const { without } = values
  if (without !== undefined && !(without in ablations)) {
    throw new Error(`there is no rule ${without}; known: ${Object.keys(ablations).join(', ')}`)
  }
  const { trace, ablations: all } = values
  return { seeds, first, without: without as Missing | undefined, trace, ablations: all, cpuSeconds }
}

const seedsAComparison = 100

async function runSeeds({ seeds, first, without, trace, cpuSeconds = Infinity }: Options): Promise<boolean> {
  const batch = new Batch()
  const time = new ProcessorTime(cpuSeconds)
  for (let seed = first; seed < first + seeds; seed++) {
    if ((seed - first) % seedsAComparison === 0) await time.compare()
    const result = await runElection(seed, { without })
    batch.add(result)
    if (trace) for (const happening of result.history) console.log(line(happening))
    if (result.breaches.length > 0) console.log(describe(result, without))
  }
  const missing = seeds < 100 ? [] : batch.missing()
  if (missing.length > 0) console.log(`never happened: ${missing.join(', ')}`)
  const took = time.read()
  console.log(took.text)
  console.log(batch.text())
  return batch.failed.length === 0 && missing.length === 0 && !took.isOver
}

async function runAblations(): Promise<boolean> {
  const rules = Object.keys(ablations) as Missing[]
  let found = 0
  for (const rule of rules) {
    const result = await searchAblation(rule)
    if (result !== undefined) found++
    const said =
      result === undefined
        ? `NOT MISSED on seeds 1 to ${searchedSeeds}`
        : `seed ${result.seed}: ${result.breaches[0].text}`
    console.log(`${rule.padEnd(21)} ${said}`)
  }
  console.log(`${found} passed, ${rules.length - found} failed`)
  return found === rules.length
}

function line(happening: Happening): string {
  const { atMs, kind, name, token, ...more } = happening
  const rest = Object.entries(more).map(([key, value]) => `${key}=${String(value)}`)
  return `${atMs.toFixed(1).padStart(9)} ${kind.padEnd(10)} ${name} ${token} ${rest.join(' ')}`
}
