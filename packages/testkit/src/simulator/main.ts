// `npm run simulate -- --seeds N [--first SEED] [--mutation NAME] [--trace] [--within-cpu SECONDS]` or `npm run simulate -- --mutations`
import type { Mutation } from '@ricci/replica'
import { parseArgs } from 'node:util'
import { simulateElections } from '../election/main.ts'
import { ProcessorTime } from '../processor-time.ts'
import { describeFinding, searchedSeeds, searchMutation } from './mutation-search.ts'
import { isMutation, knownSeeds, mutationNames } from './mutations.ts'
import { runSeed } from './run.ts'
import { Summary } from './summary.ts'

const usage = `usage: npm run simulate -- --seeds N [--first SEED] [--mutation NAME] [--trace] [--within-cpu SECONDS]
       npm run simulate -- --mutations
       npm run simulate -- election …`

interface Options {
  readonly seeds: number
  readonly first: number
  readonly mutation?: Mutation
  readonly mutations: boolean
  readonly trace: boolean
  /** The processor's time that the seeds may take, see {@link ProcessorTime}. */
  readonly cpuSeconds: number
}

function options(): Options {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '100' },
      first: { type: 'string', default: '1' },
      mutation: { type: 'string' },
      mutations: { type: 'boolean', default: false },
      trace: { type: 'boolean', default: false },
      'within-cpu': { type: 'string', default: 'Infinity' },
    },
  })
  const { mutation, mutations, trace } = values
  const seeds = Number(values.seeds)
  const first = Number(values.first)
  if (!Number.isInteger(seeds) || seeds < 1) {
    throw new Error(`--seeds takes a whole number from 1 on, not ${values.seeds}`)
  }
  if (!Number.isInteger(first) || first < 0) {
    throw new Error(`--first takes a whole number from 0 on, not ${values.first}`)
  }
  if (mutation !== undefined && !isMutation(mutation)) {
    throw new Error(`there is no mutation ${mutation}; known: ${mutationNames.join(', ')}`)
  }
  const cpuSeconds = Number(values['within-cpu'])
  if (!(cpuSeconds > 0)) throw new Error(`--within-cpu takes seconds above 0, not ${values['within-cpu']}`)
  return { seeds, first, mutation, mutations, trace, cpuSeconds }
}

const seedsAComparison = 20

/** Runs seeds one after another; prints what the oracle found and how to see it again. */
async function runSeeds({ seeds, first, mutation, trace, cpuSeconds }: Options): Promise<boolean> {
  const summary = new Summary()
  const time = new ProcessorTime(cpuSeconds)
  for (let seed = first; seed < first + seeds; seed++) {
    if ((seed - first) % seedsAComparison === 0) await time.compare()
    const result = await runSeed(seed, { mutation, keepTrace: trace })
    summary.add(result)
    if (trace) for (const line of result.trace) console.log(line)
    if (result.verdicts.length === 0) continue
    console.log(`seed ${seed} failed:`)
    for (const { kind, text } of result.verdicts.slice(0, 10)) console.log(`  ${kind}: ${text}`)
    if (result.verdicts.length > 10) console.log(`  and ${result.verdicts.length - 10} more`)
    const also = mutation === undefined ? '' : ` --mutation ${mutation}`
    if (!trace) console.log(`  replay: npm run simulate -- --seeds 1 --first ${seed}${also} --trace`)
  }
  const took = time.read()
  console.log(took.text)
  console.log(summary.text())
  // A batch in which nobody ever took over has proven nothing about takeovers; and so on.
  return summary.failed === 0 && !took.isOver && (mutation !== undefined || summary.missing().length === 0)
}

/** Takes away one rule after another; each must be missed by the oracle's verdict on some seed. */
async function runMutations(): Promise<boolean> {
  let passed = 0
  for (const mutation of mutationNames) {
    const finding = await searchMutation(mutation)
    if (finding !== undefined) passed++
    const first = knownSeeds[mutation]
    console.log(
      finding === undefined
        ? `${mutation.padEnd(14)} NOT FOUND in seeds ${first} to ${first + searchedSeeds - 1}`
        : describeFinding(finding),
    )
  }
  console.log(`${passed} passed, ${mutationNames.length - passed} failed`)
  return passed === mutationNames.length
}

async function main(): Promise<number> {
  let given: Options
  try {
    given = options()
  } catch (error) {
    console.error(`${(error as Error).message}\n${usage}`)
    return 2
  }
  return (await (given.mutations ? runMutations() : runSeeds(given))) ? 0 : 1
}

process.exitCode = await (process.argv[2] === 'election' ? simulateElections(process.argv.slice(3)) : main())
