// `npm run check`: what every commit passes: format, lint, types, fast tests.
import { spawnSync } from 'node:child_process'
import { ensureInstalled, root } from './install.mjs'

ensureInstalled('all')
const steps = [
  ['format', ['node_modules/prettier/bin/prettier.cjs', '--check', '--log-level=warn', '.']],
  ['lint', ['node_modules/eslint/bin/eslint.js', '.']],
  ['types', ['node_modules/typescript/bin/tsc', '--noEmit']],
  ['tests', ['scripts/test.mjs', ...process.argv.slice(2)]],
]
for (const [name, args] of steps) {
  const run = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
  if (run.status !== 0) {
    console.error(`${name} failed`)
    process.exit(1)
  }
}
