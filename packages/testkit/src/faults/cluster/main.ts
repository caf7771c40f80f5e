import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { constants, cpus, loadavg, release } from 'node:os'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { canHaveOwnNetwork, endings, hasOwnNetwork, runInOwnNetwork } from '../../servers/network.ts'
import { program as server } from '../../servers/program.ts'
import type { Arena } from './arena.ts'
import { leastTrials, shortfalls } from './figures.ts'
import { findingLines, page, whole } from './page.ts'
import { rows } from './rows.ts'
import { runStorm } from './storm.ts'
import { runTable } from './table.ts'

const usage = `usage: npm run faults -- cluster [--trials N] [--row NAME …] [--write FILE] [OPTIONS]
       npm run faults -- cluster --minutes M [--seed SEED] [--svg FILE] [OPTIONS]
options: --rate EVENTS a second, --pages N begun a second, --partitions P of the log, --program FILE: a build of the product's
rows: ${rows.map(({ name }) => name).join(', ')}`

const isCount = (value: number): boolean => Number.isInteger(value) && value >= 1

/** Told to end, it leaves neither processes nor files. */
function endOnSignal(arena: Arena): void {
  for (const name of endings)
    process.once(name, () => void arena.stop().finally(() => process.exit(128 + constants.signals[name])))
}

/** Faults done to a whole cluster, as a command; gives the exit code. */
export async function faultCluster(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      trials: { type: 'string', default: String(leastTrials) },
      row: { type: 'string', multiple: true },
      write: { type: 'string' },
      rate: { type: 'string', default: '10000' },
      pages: { type: 'string', default: '15' },
      partitions: { type: 'string', default: '32' },
      minutes: { type: 'string' },
      seed: { type: 'string', default: '1' },
      svg: { type: 'string', default: '.build/faults.svg' },
      program: { type: 'string', default: fileURLToPath(new URL('./ricci.mjs', import.meta.url)) },
    },
  })
  const { minutes: length = '1' } = values
  const [trials, rate, pages, seed, minutes, partitions] = [
    values.trials,
    values.rate,
    values.pages,
    values.seed,
    length,
    values.partitions,
  ].map(Number)
  const known = (values.row ?? []).every((name) => rows.some((row) => row.name === name))
  if (
    !isCount(trials) ||
    !isCount(partitions) ||
    !(rate > 0) ||
    !(pages > 0) ||
    !(minutes > 0) ||
    !Number.isInteger(seed) ||
    !known
  ) {
    console.error(
      `--trials and --partitions take a whole number from 1 on, --rate events and --pages pages a second, --minutes minutes, --seed a whole number\n${usage}`,
    )
    return 2
  }
  const versions = `RabbitMQ ${server('rabbitmq').version}, Consul ${server('consul').version}`
  if (!hasOwnNetwork()) {
    // what is fetched is fetched before
    server('erlang')
    if (canHaveOwnNetwork()) return runInOwnNetwork(fileURLToPath(import.meta.url), process.argv.slice(2))
    console.log('No network of our own can be made here (that takes root, ip and unshare): no host is cut off.')
  }
  const load = (): string => loadavg()[0].toFixed(1)
  const loadBefore = load()
  const arena = {
    program: values.program,
    load: fileURLToPath(new URL('./fault-load.mjs', import.meta.url)),
    seed,
    partitions,
    eventsPerSecond: rate,
    pagesPerSecond: pages,
    report: (line: string) => console.log(line),
    onStart: endOnSignal,
  }
  if (values.minutes !== undefined) {
    const result = await runStorm({ ...arena, durationMs: minutes * 60_000 })
    mkdirSync(dirname(values.svg), { recursive: true })
    writeFileSync(values.svg, result.picture)
    for (const line of findingLines(result)) console.log(line)
    console.log(`seed ${seed}, ${minutes} minutes; the picture is ${values.svg}`)
    console.log(result.wrong.length === 0 ? '1 passed, 0 failed' : '0 passed, 1 failed')
    return result.wrong.length === 0 ? 0 : 1
  }
  const results = await runTable({ ...arena, trials, rows: values.row })
  const date = new Date().toISOString().slice(0, 10)
  const machine = `Node ${process.versions.node}, ${cpus().length} cores of ${cpus()[0].model.trim()}, Linux ${release()}, load average ${loadBefore} at the beginning, ${load()} at the end`
  const text = `${date}, ${whole.format(rate)} events/s, ${partitions} partitions, ${machine}; ${versions} (net_ticktime 8, aten 500 ms).`
  const about = { text, short: `${date}, ${whole.format(rate)} events/s, ${partitions} partitions` }
  if (values.write !== undefined) {
    const before = existsSync(values.write) ? readFileSync(values.write, 'utf8') : ''
    writeFileSync(values.write, page(results, about, before))
  }
  const run = results.filter(({ skipped }) => skipped === undefined)
  const missed = run.filter((result) => shortfalls(result).length > 0).length
  console.log(text)
  console.log(`${run.length - missed} passed, ${missed} failed, ${results.length - run.length} skipped`)
  return missed === 0 ? 0 : 1
}
