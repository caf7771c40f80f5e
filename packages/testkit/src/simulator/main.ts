// `npm run simulate -- --seeds N [--first SEED] [--mutation NAME] [--trace]`
import { parseArgs } from 'node:util'
import { isMutation, mutationNames } from './mutations.ts'
import { runSeed } from './run.ts'
import { Summary } from './summary.ts'

const usage = 'usage: npm run simulate -- --seeds N [--first SEED] [--mutation NAME] [--trace]'

function options(): { seeds: number; first: number; mutation?: string; trace: boolean } {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '100' },
      first: { type: 'string', default: '1' },
      mutation: { type: 'string' },
      trace: { type: 'boolean', default: false },
    },
  })
  const seeds = Number(values.seeds)
  const first = Number(values.first)
  if (!Number.isInteger(seeds) || seeds < 1)
    throw new Error(`--seeds takes a whole number from 1 on, not ${values.seeds}`)
  if (!Number.isInteger(first) || first < 0)
    throw new Error(`--first takes a whole number from 0 on, not ${values.first}`)
  if (values.mutation !== undefined && !isMutation(values.mutation)) {
    throw new Error(`there is no mutation ${values.mutation}; known: ${mutationNames.join(', ')}`)
  }
  return { seeds, first, mutation: values.mutation, trace: values.trace }
}

async function main(): Promise<number> {
  let given
  try {
    given = options()
  } catch (error) {
    console.error(`${(error as Error).message}\n${usage}`)
    return 2
  }
  const { seeds, first, trace } = given
  const mutation = given.mutation !== undefined && isMutation(given.mutation) ? given.mutation : undefined
  const summary = new Summary()
  for (let seed = first; seed < first + seeds; seed++) {
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
  console.log(summary.text())
  return summary.failed === 0 ? 0 : 1
}

process.exitCode = await main()
