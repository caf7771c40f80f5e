// `node scripts/node.mjs VERSION`: brings another version of Node into .cache/node by npm, for tests that must hold on it. Prints
// the path of its binary; exit code 3, with a sentence, where npm cannot fetch it.
import { existsSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { npm, root } from './install.mjs'

const [version] = process.argv.slice(2)
if (!/^\d+\.\d+\.\d+$/.test(version ?? '')) {
  console.error('usage: node scripts/node.mjs MAJOR.MINOR.PATCH')
  process.exit(2)
}
const name = `node-${process.platform}-${process.arch}`
const folder = join(root, '.cache/node', version)
const binary = join(folder, 'node_modules', name, 'bin/node')
if (!existsSync(binary)) {
  // Fetched beside its place and then renamed: a run that was interrupted leaves nothing half done.
  const work = `${folder}.${process.pid}`
  const args = [
    'install',
    '--prefix',
    work,
    '--no-save',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]
  const run = npm([...args, `${name}@${version}`])
  if (run.status !== 0) {
    rmSync(work, { recursive: true, force: true })
    console.error(`npm could not fetch ${name}@${version}; what needs it does not run.`)
    process.exit(3)
  }
  if (!existsSync(folder)) renameSync(work, folder)
  rmSync(work, { recursive: true, force: true })
}
console.log(binary)
