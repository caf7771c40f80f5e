import { parseArgs } from 'node:util'
import { benchmarks } from './benchmarks.ts'
import { printed } from './report.ts'

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
  console.log(printed(report))
}
if (values.json) {
  const machine = { node: process.version, v8: process.versions.v8, arch: process.arch }
  console.log(JSON.stringify({ machine, benchmarks: reports }, undefined, 2))
}
