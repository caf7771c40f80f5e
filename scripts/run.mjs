// `npm run bench|simulate|vectors|faults -- …`: bundles that tool from source and runs it in this process.
import { pathToFileURL } from 'node:url'
import { ensureInstalled, root } from './install.mjs'

const tools = {
  faults: 'packages/testkit/src/faults/main.ts',
  bench: 'packages/testkit/src/bench/main.ts',
  simulate: 'packages/testkit/src/simulator/main.ts',
  vectors: 'packages/testkit/src/vectors/main.ts',
}
const [name] = process.argv.splice(2, 1)
if (!(name in tools)) {
  console.error(`usage: node scripts/run.mjs ${Object.keys(tools).join('|')} [arguments]`)
  process.exit(2)
}
ensureInstalled('all')
const { bundle } = await import('./build.mjs')
const { benchEntries, buildProduct, faultEntries } = await import('./product.mjs')
// faults are done to the product itself
if (name === 'faults') await buildProduct()
const beside = { bench: benchEntries, faults: faultEntries }
await bundle({ [name]: tools[name], ...beside[name] }, `.build/tools/${name}`)
await import(pathToFileURL(`${root}.build/tools/${name}/${name}.mjs`).href)
