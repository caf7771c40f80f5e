// Installs what the lock file names, when it is not there yet. Plain JavaScript without a dependency: it runs on a fresh clone.
// `npm start` needs the products' dependencies only, everything else needs the developers' as well.
import { createHash } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))
const stampFile = `${root}node_modules/.ricci-stamp`
/** npm's own record of what is in node_modules, written when an install is complete. */
const recordFile = `${root}node_modules/.package-lock.json`

/** Installs unless an install of at least this scope (`product` or `all`) is there. Throws a sentence when npm fails. */
export function ensureInstalled(scope) {
  const lock = readFileSync(`${root}package-lock.json`)
  const hash = createHash('sha256').update(lock).digest('hex')
  const machine = `${process.platform}-${process.arch}-${process.versions.modules}`
  const [stamped, stampedMachine, installed] = existsSync(stampFile) ? readFileSync(stampFile, 'utf8').split(' ') : []
  const sameMachine = stampedMachine === undefined || stampedMachine === machine
  if (stamped === hash && sameMachine && (installed === 'all' || installed === scope)) return
  if (!sameMachine || !isInstalled(JSON.parse(lock), scope)) install(scope)
  writeFileSync(stampFile, `${hash} ${machine} ${scope}`)
}

/** Whether npm's record says that everything of this scope is there in the lock's version, as after a plain `npm install`. */
function isInstalled(lock, scope) {
  if (!existsSync(recordFile)) return false
  const { packages } = JSON.parse(readFileSync(recordFile, 'utf8'))
  return Object.entries(lock.packages).every(([path, { version, integrity, dev, optional, link }]) => {
    if (!path.startsWith('node_modules/') || optional || (dev && scope !== 'all')) return true
    // a workspace that is new since then
    if (link) return existsSync(root + path)
    return packages[path]?.version === version && packages[path].integrity === integrity
  })
}

function install(scope) {
  console.log('Installing what Ricci needs (once) …')
  rmSync(stampFile, { force: true })
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error', ...(scope === 'all' ? [] : ['--omit=dev'])]
  if (npm(args).status !== 0) throw new Error('npm ci failed; its message is above. Is the npm registry reachable?')
}

/** Runs npm, the very one that runs us if one does, with its errors on the screen. */
export function npm(args, options = {}) {
  // npm hands its own settings down as environment; an outer call's `omit` must not decide what an inner one installs
  const env = { ...process.env, ...options.env }
  delete env.npm_config_omit
  const outer = process.env.npm_execpath
  const [command, first] = outer === undefined ? ['npm', []] : [process.execPath, [outer]]
  return spawnSync(command, [...first, ...args], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'], ...options, env })
}
