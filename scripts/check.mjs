// `npm run check [-- STEP …]`: the static checks, all of them or the named ones. Every step runs even if an earlier one failed.
import { spawnSync } from 'node:child_process'
import { ensureInstalled, root } from './install.mjs'

const steps = {
  format: ['node_modules/prettier/bin/prettier.cjs', '--check', '--log-level=warn', '.'],
  lint: ['node_modules/eslint/bin/eslint.js', '--max-warnings=0', '.'],
  types: ['node_modules/typescript/bin/tsc', '--noEmit'],
  unused: ['node_modules/knip/bin/knip.js', '--no-progress'],
}
const names = process.argv.slice(2)
const unknown = names.filter((name) => !(name in steps))
if (unknown.length > 0) {
  console.error(`There is no step ${unknown.join(', ')}; the steps are ${Object.keys(steps).join(', ')}.`)
  process.exit(2)
}
ensureInstalled('all')
let failed = 0
for (const name of names.length > 0 ? names : Object.keys(steps)) {
  const run = spawnSync(process.execPath, steps[name], { cwd: root, stdio: 'inherit' })
  if (run.status === 0) continue
  console.error(`${name} failed`)
  failed++
}
process.exitCode = failed === 0 ? 0 : 1
