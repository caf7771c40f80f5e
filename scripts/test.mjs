// `npm test [-- FILTER …]`: installs what is needed, bundles the test files (esbuild with splitting: three times faster than a
// loader) and runs them tier by tier with Node's own runner. A filter is a part of a test file's path or the name of a tier.
// Ends with a line `N passed, N failed, N skipped`; exit code 1 when a test failed or a file left something open. A tier that
// took longer than its budget says so: a busy machine is no failure. It says which stores of elections the suites ran against; in CI one that is missing is
// a failure. Told to end, or with nobody left to read it, it ends its tests.
import { closeSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { runChild, stopSignal } from './child.mjs'
import { ensureInstalled, root } from './install.mjs'
import { electionStores, tierOf, tiers } from './tiers.mjs'

const usage = `usage: npm test [-- FILTER …]
FILTER is a part of a test file's path, or a tier: ${tiers.map(({ name }) => name).join(', ')}. Without one every test runs.`
const filters = process.argv.slice(2)
const option = filters.find((word) => word.startsWith('-'))
if (option !== undefined) {
  const asked = option === '--help' || option === '-h'
  if (asked) console.log(usage)
  else console.error(`There is no option ${option}.\n${usage}`)
  process.exit(asked ? 0 : 2)
}
const stop = stopSignal()
ensureInstalled('all')
const { bundle, bundleProgram, externalPackages, seededProperties } = await import('./build.mjs')
const { benchEntries, electEntries, faultEntries, productEntries } = await import('./product.mjs')
const wanted = (file) => filters.length === 0 || filters.some((f) => file.includes(f) || tierOf(file).name === f)
const files = testFiles(join(root, 'packages')).filter(wanted)
if (files.length === 0) {
  console.error(`No test file's path contains ${filters.join(' or ')}.`)
  process.exit(2)
}
// Runs with a filter have a folder of their own, so that several may go on at the same time.
const outdir = join(root, `.build/test${filters.length === 0 ? '' : `-${process.pid}`}`)
rmSync(outdir, { recursive: true, force: true })
mkdirSync(outdir, { recursive: true })
try {
  // with what only tests ask for: the operators' tables of cases are called "pure", and the product's bundles leave them out
  const plugins = [seededProperties, externalPackages]
  await bundle(files, outdir, { outbase: '.', ignoreAnnotations: true, plugins })
  // tests of the daemon start its threads, and the program itself
  if (
    files.some((file) =>
      /ricci\/src\/(server|cli|rules|agent)\/|testkit\/src\/(clients|faults|playground)\//.test(file),
    )
  )
    await bundleProgram(productEntries, outdir)
  if (files.some((file) => /election\/src\/cli\//.test(file))) await bundle(electEntries, outdir)
  if (files.some((file) => /\/faults\//.test(file))) await bundle(faultEntries, outdir)
  if (files.some((file) => /testkit\/src\/bench\//.test(file))) await bundleProgram(benchEntries, outdir)
  const sum = { passed: 0, failed: 0, skipped: 0 }
  const against = new Set()
  for (const tier of tiers.toReversed()) {
    const counts = await run(
      tier,
      files.filter((file) => tierOf(file) === tier),
    )
    for (const key of Object.keys(sum)) sum[key] += counts[key]
    for (const store of counts.against) against.add(store)
  }
  for (const store of against) console.log(`elections ran against ${store}`)
  if (filters.length === 0 && process.env.CI === 'true' && !stop.aborted) {
    const ran = new Set(Array.from(against, (store) => /^\w+/.exec(store)[0]))
    for (const name of electionStores.filter((one) => !ran.has(one))) {
      console.log(`FAILED no suite of elections ran against ${name}`)
      sum.failed++
    }
  }
  if (!stop.aborted) console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`)
  process.exitCode = stop.aborted ? stop.reason : sum.failed === 0 ? 0 : 1
} finally {
  if (filters.length > 0) rmSync(outdir, { recursive: true, force: true })
}

/** Runs the files of one tier, prints what failed and how long it took; gives the counts. */
async function run(tier, sources) {
  const none = { passed: 0, failed: 0, skipped: 0, against: [] }
  if (sources.length === 0 || stop.aborted) return none
  const began = performance.now()
  const log = join(outdir, `${tier.name}.log`)
  const output = openSync(log, 'w')
  const code = await runChild(
    process.execPath,
    [
      '--enable-source-maps',
      `--import=${new URL('leaks.mjs', import.meta.url)}`,
      '--test',
      '--test-force-exit',
      `--test-concurrency=${tier.atOnce}`,
      `--test-timeout=${tier.fileMs}`,
      `--test-reporter=${new URL('reporter.mjs', import.meta.url)}`,
      ...sources.map((file) => join(outdir, file.replace(/\.ts$/, '.mjs'))),
    ],
    ['ignore', output, 'inherit'],
    root,
    stop,
  )
  closeSync(output)
  if (stop.aborted) return none
  const tookMs = performance.now() - began
  const lines = readFileSync(log, 'utf8').trimEnd().split('\n')
  const [, ...numbers] = /^(\d+) passed, (\d+) failed, (\d+) skipped$/.exec(lines.pop()) ?? []
  const [passed = 0, failed = 0, skipped = 0] = numbers.map(Number)
  const said = lines.filter((line) => line.startsWith('ran against '))
  const counts = { passed, failed, skipped, against: said.map((line) => line.slice('ran against '.length)) }
  for (const line of lines) if (line !== '' && !said.includes(line)) console.log(line)
  if (numbers.length === 0 || (code !== 0 && failed === 0)) {
    console.log(`FAILED the test runner ended with code ${code} and named no failure`)
    counts.failed++
  }
  if (filters.length === 0 && tookMs > tier.budgetMs) {
    console.log(`tier ${tier.name} took longer than its budget of ${tier.budgetMs / 1000} s`)
  }
  const seconds = (tookMs / 1000).toFixed(1)
  console.log(`tier ${tier.name}: ${sources.length} files, ${passed} passed, ${counts.failed} failed, ${seconds} s`)
  return counts
}

function testFiles(folder) {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    if (name === 'node_modules' || name === 'dist') return []
    if (statSync(path).isDirectory()) return testFiles(path)
    return name.endsWith('.test.ts') ? [relative(root, path)] : []
  })
}
