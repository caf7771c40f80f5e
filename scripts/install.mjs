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

/** Installs unless an install of at least this scope (`product` or `all`) is there. Ends the process with a sentence when npm fails. */
export function ensureInstalled(scope) {
  checkNode()
  const text = readFileSync(`${root}package-lock.json`)
  const hash = createHash('sha256').update(text).digest('hex')
  const machine = `${process.platform}-${process.arch}-${process.versions.modules}`
  const [stamped, stampedMachine, installed] = existsSync(stampFile) ? readFileSync(stampFile, 'utf8').split(' ') : []
  const sameMachine = stampedMachine === undefined || stampedMachine === machine
  if (stamped === hash && sameMachine && (installed === 'all' || installed === scope)) return
  const lock = JSON.parse(text)
  if (!sameMachine || !isInstalled(lock, scope)) install(lock, scope)
  writeFileSync(stampFile, `${hash} ${machine} ${scope}`)
}

/** An older Node would end in a syntax error somewhere in the bundle. */
function checkNode() {
  const { engines } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'))
  const [needed, found] = [engines.node.slice('>='.length), process.versions.node]
  const [major, minor] = needed.split('.').map(Number)
  const [foundMajor, foundMinor] = found.split('.').map(Number)
  if (foundMajor > major || (foundMajor === major && foundMinor >= minor)) return
  console.error(`Ricci needs Node ${needed} or newer (24 is recommended), and this is ${found}: https://nodejs.org`)
  process.exit(1)
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

function install(lock, scope) {
  console.log('Installing what Ricci needs (once) …')
  rmSync(stampFile, { force: true })
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error', ...(scope === 'all' ? [] : ['--omit=dev'])]
  // npm 10 ends with code 0, half of its work undone, where it lost the registry ("Exit handler never called!"): its record tells
  if (npm(args).status === 0 && isInstalled(lock, scope)) return
  console.error(
    `npm ci did not install everything; its message is above. Is the npm registry reachable? Behind a proxy with a certificate of
its own, NODE_EXTRA_CA_CERTS names the file of that certificate. Then run the same command again.`,
  )
  process.exit(1)
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
