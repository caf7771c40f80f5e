import { parseArgs } from 'node:util'
import type { Benchmark, Figure } from './measure.ts'

/** Every benchmark by name. A new one is a file that exports `benchmark`, and a line here. */
const benchmarks: Readonly<Record<string, () => Promise<{ benchmark: Benchmark }>>> = {
  codec: () => import('./codec.ts'),
  engine: () => import('./engine.ts'),
  log: () => import('./log.ts'),
}

const usage = `usage: npm run bench -- [NAME …] [--json] [--quick]
  names: ${Object.keys(benchmarks).join(', ')}; all of them when none is given
  --json   one JSON object on standard output
  --quick  fewer rounds: a look, not a figure`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean' }, quick: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
})
const unknown = positionals.filter((name) => !(name in benchmarks))
if (values.help || unknown.length > 0) {
  console.error(unknown.length > 0 ? `There is no benchmark ${unknown.join(', ')}.\n${usage}` : usage)
  process.exit(values.help ? 0 : 2)
}

const reports: Record<string, unknown> = {}
for (const name of positionals.length > 0 ? positionals : Object.keys(benchmarks)) {
  const { benchmark } = await benchmarks[name]()
  if (!values.json) console.log(`\n${name}: ${benchmark.about}`)
  const report = await benchmark.run({ quick: values.quick ?? false })
  reports[name] = report
  if (values.json) continue
  console.log(table(report.figures))
  for (const note of report.notes ?? []) console.log(`  ${note}`)
}
if (values.json) {
  const machine = { node: process.version, v8: process.versions.v8, arch: process.arch }
  console.log(JSON.stringify({ machine, benchmarks: reports }, undefined, 2))
}

function table(figures: readonly Figure[]): string {
  const width = Math.max(...figures.map(({ name }) => name.length))
  const head = `  ${'CPU time per event'.padEnd(width)}        ns      (min to max)   M/CPU-s   × yardstick`
  const lines = figures.map(
    ({ name, medianNs, minNs, maxNs, millionPerSecond, ratio }) =>
      `  ${name.padEnd(width)}  ${fixed(medianNs, 0, 8)}  ${`(${minNs.toFixed(0)} to ${maxNs.toFixed(0)})`.padStart(16)}  ${fixed(millionPerSecond, 2, 8)}  ${fixed(ratio, 2, 12)}`,
  )
  return [head, ...lines].join('\n')
}

function fixed(value: number, digits: number, width: number): string {
  return value.toFixed(digits).padStart(width)
}
