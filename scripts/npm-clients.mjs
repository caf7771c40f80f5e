// `node scripts/npm-clients.mjs`: brings the npm clients of Riemann that tests run into .cache/npm-clients, as packages/testkit/npm-clients locks
// them: each with the checksum that stands there, without running a script of theirs. They are no dependencies of Ricci's. Prints the folder; exit
// code 3, with a sentence, where npm cannot fetch them.
import { cpSync, existsSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { npm, root } from './install.mjs'

const manifest = join(root, 'packages/testkit/npm-clients')
const lock = 'package-lock.json'
const folder = join(root, '.cache/npm-clients')
const isCurrent = () =>
  existsSync(join(folder, lock)) && readFileSync(join(folder, lock)).equals(readFileSync(join(manifest, lock)))
if (!isCurrent()) {
  // Fetched beside its place and then renamed: a run that was interrupted leaves nothing half done.
  const work = `${folder}.${process.pid}`
  cpSync(manifest, work, { recursive: true })
  const run = npm(['ci', '--prefix', work, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'])
  if (run.status !== 0) {
    rmSync(work, { recursive: true, force: true })
    console.error('npm could not fetch the clients of packages/testkit/npm-clients; tests of them do not run.')
    process.exit(3)
  }
  if (!isCurrent()) {
    rmSync(folder, { recursive: true, force: true })
    renameSync(work, folder)
  }
  rmSync(work, { recursive: true, force: true })
}
console.log(folder)
