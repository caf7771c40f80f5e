// Installs what the lock file names, when the stamp says it is not there yet. Plain JavaScript without a dependency: it runs
// on a fresh clone. `npm start` needs the products' dependencies only, everything else needs the developers' as well.
import { createHash } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))
const stampFile = `${root}node_modules/.ricci-stamp`

/** What an install depends on: the lock file, the platform and the ABI of native parts. */
function fingerprint() {
  const lock = readFileSync(`${root}package-lock.json`)
  return createHash('sha256')
    .update(lock)
    .update(`${process.platform} ${process.arch} ${process.versions.modules}`)
    .digest('hex')
}

/** Installs unless an install of at least this scope (`product` or `all`) is there. Throws a sentence when npm fails. */
export function ensureInstalled(scope) {
  const wanted = fingerprint()
  const [stamp, installed] = existsSync(stampFile) ? readFileSync(stampFile, 'utf8').split(' ') : []
  if (stamp === wanted && (installed === 'all' || installed === scope)) return
  const npm = process.env.npm_execpath
  if (npm === undefined)
    throw new Error('Run this through npm, for example `npm start`, so that it can install what it needs.')
  console.log('Installing what Ricci needs (once) …')
  rmSync(stampFile, { force: true })
  const args = [npm, 'ci', '--no-audit', '--no-fund', '--loglevel=error', ...(scope === 'all' ? [] : ['--omit=dev'])]
  // npm hands its own environment down; an `omit` or `production` of the outer call must not decide the inner one's scope
  const env = { ...process.env }
  delete env.npm_config_omit
  const run = spawnSync(process.execPath, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] })
  if (run.status !== 0) throw new Error('npm ci failed; its message is above. Is the npm registry reachable?')
  writeFileSync(stampFile, `${wanted} ${scope}`)
}
