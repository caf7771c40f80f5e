// `npm run bench|cluster|simulate|vectors|faults -- …`: bundles that tool from source and runs it in this process.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ensureInstalled, root } from './install.mjs'

const tools = {
  faults: 'packages/testkit/src/faults/main.ts',
  bench: 'packages/testkit/src/bench/main.ts',
  cluster: 'packages/testkit/src/playground/main.ts',
  simulate: 'packages/testkit/src/simulator/main.ts',
  vectors: 'packages/testkit/src/vectors/main.ts',
}
const [name] = process.argv.splice(2, 1)
if (!(name in tools)) {
  console.error(`usage: node scripts/run.mjs ${Object.keys(tools).join('|')} [arguments]`)
  process.exit(2)
}
ensureInstalled('all')
const { bundle, bundleProgram } = await import('./build.mjs')
const { benchEntries, buildProduct, faultEntries, productEntries } = await import('./product.mjs')
// faults are done to the product itself: to one of their own, which nobody builds anew while they last
const beside = { bench: benchEntries, cluster: productEntries, faults: { ...productEntries, ...faultEntries } }
// a folder of its own: of two at the same time, one would load what the other is writing
const outdir = join(root, `.build/tools/${name}-${process.pid}`)
process.on('exit', () => rmSync(outdir, { recursive: true, force: true }))
await bundle({ [name]: tools[name] }, outdir)
if (name in beside) await bundleProgram(beside[name], outdir)
// for `npm run ricci`, by which the user looks at what runs
if (name === 'cluster') await buildProduct()
await import(pathToFileURL(join(outdir, `${name}.mjs`)).href)
