import { writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { program as server } from '../../servers/program.ts'
import { arenaKinds } from './arenas.ts'
import { page, runMatrix, runSoak } from './matrix.ts'

const usage = `usage: npm run faults -- election [--trials N] [--store NAME] [--fault NAME] [--write FILE]
       npm run faults -- election --soak MINUTES [--seed SEED] [--store NAME]
stores: ${arenaKinds.map(({ name }) => name).join(', ')}`

/** The fault matrix of elections, as a command; gives the exit code. */
export async function faultElections(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      trials: { type: 'string', default: '10' },
      store: { type: 'string', multiple: true },
      fault: { type: 'string', multiple: true },
      write: { type: 'string' },
      soak: { type: 'string' },
      seed: { type: 'string', default: '1' },
    },
  })
  const [trials, minutes, seed] = [values.trials, values.soak ?? '1', values.seed].map(Number)
  const known = (values.store ?? []).every((name) => arenaKinds.some((kind) => kind.name === name))
  if (!Number.isInteger(trials) || trials < 1 || !(minutes > 0) || !Number.isInteger(seed) || !known) {
    console.error(`--trials takes a whole number from 1 on, --soak minutes, --seed a whole number\n${usage}`)
    return 2
  }
  const program = fileURLToPath(new URL('./election-candidate.mjs', import.meta.url))
  const report = (line: string): void => console.log(line)
  const what = { program, stores: values.store, faults: values.fault, report }
  const result = await (values.soak === undefined
    ? runMatrix({ ...what, trials })
    : runSoak({ ...what, minutes, seed }))
  const versions = (['consul', 'etcd', 'postgres'] as const).map((name) => server(name).version).join(', ')
  const about = `${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, ${cpus().length} cores of ${cpus()[0].model.trim()}, Linux ${release()}; ${versions}.`
  if (values.write !== undefined) writeFileSync(values.write, page(result, about))
  for (const line of result.wrong) console.log(`WRONG ${line}`)
  console.log(`${result.cells.length} passed, ${result.wrong.length} failed`)
  return result.wrong.length === 0 ? 0 : 1
}
