import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { listenerNames, runHostile } from './run.ts'

const usage = `usage: npm run faults -- input [--attempts N] [--seed SEED] [--listener NAME …] [--only NUMBER] [--program FILE]
listeners: ${listenerNames.join(', ')}; all of them when none is named
--only: makes the one attempt of that number, which a failure names`

/** Hostile input as a command; gives the exit code. */
export async function faultInput(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      attempts: { type: 'string', default: '100000' },
      seed: { type: 'string', default: '1' },
      listener: { type: 'string', multiple: true },
      only: { type: 'string' },
      program: { type: 'string', default: fileURLToPath(new URL('./ricci.mjs', import.meta.url)) },
    },
  })
  const { listener: listeners, program } = values
  const [attempts, seed, only] = [values.attempts, values.seed, values.only ?? '1'].map(Number)
  const known = (listeners ?? []).every((name) => (listenerNames as readonly string[]).includes(name))
  if (!(attempts >= 1) || !Number.isInteger(seed) || !(only >= 1) || !known) {
    console.error(usage)
    return 2
  }
  const report = (line: string): void => console.log(line)
  const options = { program, attempts, seed, listeners, report, ...(values.only !== undefined && { only }) }
  const results = await runHostile(options)
  const wrong = results.some((result) => result.wrong.length > 0)
  report(
    wrong ? `Seed ${seed}: something was wrong; --only NUMBER makes one attempt again` : `Seed ${seed}: all is well`,
  )
  return wrong ? 1 : 0
}
