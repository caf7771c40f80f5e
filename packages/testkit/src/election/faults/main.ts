import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, release } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { canHaveOwnNetwork, hasOwnNetwork, runInOwnNetwork } from '../../servers/network.ts'
import { program as server } from '../../servers/program.ts'
import { arenaKinds } from './arenas.ts'
import { cells } from './cells.ts'
import { figuresOf, leastTrials } from './figures.ts'
import { runMatrix, runSoak } from './matrix.ts'
import { figureLine, page, soakLines, withSoak } from './page.ts'

const usage = `usage: npm run faults -- election [--trials N] [--store NAME] [--fault NAME] [--write FILE]
       npm run faults -- election --soak MINUTES [--seed SEED] [--store NAME] [--fault NAME]
stores: ${arenaKinds.map(({ name }) => name).join(', ')}
faults: ${cells.map(({ fault }) => fault).join('; ')}`

/** A soak as long as this is written down, in minutes. */
const worthWriting = 60
const ourPage = 'docs/election-faults.md'

/** The fault matrix of elections, as a command; gives the exit code. */
export async function faultElections(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      trials: { type: 'string', default: String(leastTrials) },
      store: { type: 'string', multiple: true },
      fault: { type: 'string', multiple: true },
      write: { type: 'string' },
      soak: { type: 'string' },
      seed: { type: 'string', default: '1' },
    },
  })
  const [trials, minutes, seed] = [values.trials, values.soak ?? '1', values.seed].map(Number)
  const known =
    (values.store ?? []).every((name) => arenaKinds.some((kind) => kind.name === name)) &&
    (values.fault ?? []).every((name) => cells.some(({ fault }) => fault === name))
  if (!Number.isInteger(trials) || trials < 1 || !(minutes > 0) || !Number.isInteger(seed) || !known) {
    console.error(`--trials takes a whole number from 1 on, --soak minutes, --seed a whole number\n${usage}`)
    return 2
  }
  const versions = (['consul', 'etcd', 'postgres'] as const).map((name) => server(name).version).join(', ')
  // Agents are cut off by dropping packets, which must be nobody else's; what is fetched is fetched before.
  if (!hasOwnNetwork()) {
    server('faketime')
    if (canHaveOwnNetwork()) return runInOwnNetwork(fileURLToPath(import.meta.url), process.argv.slice(2))
    console.log(
      "No network of our own can be made here (that takes root, ip and unshare): Consul's agents are not cut off.",
    )
  }
  const program = fileURLToPath(new URL('./election-candidate.mjs', import.meta.url))
  const report = (line: string): void => console.log(line)
  const what = { program, stores: values.store, faults: values.fault, report }
  const load = (): string => loadavg()[0].toFixed(0)
  const loadBefore = load()
  const result = await (values.soak === undefined
    ? runMatrix({ ...what, trials })
    : runSoak({ ...what, minutes, seed }))
  const date = new Date().toISOString().slice(0, 10)
  const machine = `Node ${process.versions.node}, ${cpus().length} cores of ${cpus()[0].model.trim()}, Linux ${release()}, load average ${loadBefore} at the beginning, ${load()} at the end; Consul, etcd, PostgreSQL ${versions}`
  for (const line of result.wrong) console.log(`WRONG ${line}`)
  let missed = 0
  if (values.soak === undefined) {
    const figures = figuresOf(result)
    for (const figure of figures) console.log(figureLine(figure))
    missed = figures.filter(({ reached }) => reached === false).length
    if (values.write !== undefined) {
      const before = existsSync(values.write) ? readFileSync(values.write, 'utf8') : ''
      writeFileSync(values.write, page(result, `${date}, ${machine}.`, before))
    }
  } else {
    const lines = soakLines(result)
    const about = `${minutes} minutes of faults drawn by chance, the stores in turn (\`npm run faults -- election --soak ${minutes} --seed ${seed}\`), ${date}, ${machine}.`
    for (const line of [about, ...lines]) console.log(line)
    if (minutes >= worthWriting) writeFileSync(ourPage, withSoak(readFileSync(ourPage, 'utf8'), lines, about))
  }
  console.log(`${result.cells.length} passed, ${result.wrong.length + missed} failed`)
  return result.wrong.length + missed === 0 ? 0 : 1
}
