// `npm test [-- FILTER …]`: installs what is needed, bundles the test files (esbuild with splitting: three times faster than a
// loader) and runs them with Node's own runner. A filter is a part of a test file's path.
import { spawn } from 'node:child_process'
import { rmSync, readdirSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { ensureInstalled, root } from './install.mjs'

ensureInstalled('all')
const { bundle } = await import('./build.mjs')
const filters = process.argv.slice(2).filter((word) => !word.startsWith('-'))
const files = testFiles(join(root, 'packages')).filter(
  (file) => filters.length === 0 || filters.some((f) => file.includes(f)),
)
if (files.length === 0) {
  console.error(`No test file's path contains ${filters.join(' or ')}.`)
  process.exit(2)
}
const outdir = `.build/test${filters.length === 0 ? '' : `-${process.pid}`}`
rmSync(join(root, outdir), { recursive: true, force: true })
await bundle(files, outdir, { outbase: '.' })
const built = files.map((file) => join(root, outdir, file.replace(/\.ts$/, '.mjs')))
const child = spawn(process.execPath, ['--enable-source-maps', '--test', '--test-reporter=spec', ...built], {
  cwd: root,
  stdio: 'inherit',
})
child.on('exit', (code) => {
  if (filters.length > 0) rmSync(join(root, outdir), { recursive: true, force: true })
  process.exit(code ?? 1)
})

function testFiles(folder) {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    if (name === 'node_modules' || name === 'dist') return []
    if (statSync(path).isDirectory()) return testFiles(path)
    return name.endsWith('.test.ts') ? [relative(root, path)] : []
  })
}
