// `node scripts/debian.mjs PACKAGE [RELEASE]`: brings a Debian package that a test needs into .cache/debian, without installing
// anything and without root: apt's own lists say what it needs, `apt-get download` fetches it and checks it against the signed
// lists, its SHA-256 is checked once more here, `dpkg -x` unpacks it. RELEASE is the code name of another release than the
// machine's, e.g. for a package that Debian has dropped: its lists are fetched from the mirror that the machine's apt uses, and
// kept apart. Prints one line of JSON: { "root": …, "path": […], "libraries": […] }, where it is unpacked and the folders for
// PATH and LD_LIBRARY_PATH. Exit code 3, with a sentence, on a system without apt or without such a mirror.
import { createHash } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(import.meta.url)
const cache = fileURLToPath(new URL('../.cache/debian', import.meta.url))
/** The C library and what belongs to it are the machine's own: another version of it would not run on the machine's loader. */
const ownOfMachine = /^(libc6|libgcc-s1|gcc-\d+-base|libcrypt1)$/
/** Debian's keys, those of older releases among them, by the names that the package of keys gave its file. */
const keyrings = ['debian-archive-keyring.gpg', 'debian-archive-keyring.pgp'].map(
  (name) => `/usr/share/keyrings/${name}`,
)
/** A fetch that another run has under way is waited for so long. */
const lockSeconds = 600
const lockHeld = 'RICCI_DEBIAN_LOCK_HELD'

/** It cannot be had on this system, as opposed to: it went wrong. */
class Unavailable extends Error {}

if (process.argv[1] === script) {
  const [name, release] = process.argv.slice(2)
  if (![name, release ?? 'none'].every((word) => /^[a-z0-9][a-z0-9.+-]+$/.test(word ?? ''))) {
    console.error('usage: node scripts/debian.mjs PACKAGE [RELEASE]')
    process.exit(2)
  }
  try {
    console.log(JSON.stringify(ensure(name, release)))
  } catch (error) {
    console.error(error.message)
    process.exitCode = error instanceof Unavailable ? 3 : 1
  }
}

/** Fetches and unpacks a package with what it needs, unless that was done; gives its folders. */
function ensure(name, release) {
  if (spawnSync('apt-get', ['--version']).status !== 0 || spawnSync('dpkg', ['--version']).status !== 0) {
    throw new Unavailable(`This system has no apt: ${name} cannot be fetched, and tests that need it do not run.`)
  }
  const unpacked = join(cache, release === undefined ? name : `${name}@${release}`)
  if (!existsSync(unpacked)) {
    mkdirSync(cache, { recursive: true })
    if (process.env[lockHeld] === undefined) return lockedEnsure([name, release].filter(Boolean))
    // Unpacked beside its place and then renamed: a run that was interrupted leaves nothing half done.
    const work = `${unpacked}.${process.pid}`
    mkdirSync(join(work, 'archives/partial'), { recursive: true })
    try {
      fetch(name, work, release)
      renameSync(join(work, 'root'), unpacked)
    } finally {
      rmSync(work, { recursive: true, force: true })
    }
  }
  const folders = (...parts) => parts.map((part) => join(unpacked, part)).filter(existsSync)
  const libraries = folders('usr/lib', 'lib').flatMap((folder) => [
    folder,
    ...readdirSync(folder)
      .filter((entry) => entry.includes('-linux-'))
      .map((entry) => join(folder, entry)),
  ])
  return { root: unpacked, path: folders('usr/bin', 'bin', 'usr/sbin'), libraries }
}

/** The same by a process that holds the lock of the cache: apt's lists in it bear one writer at a time. */
function lockedEnsure(words) {
  const env = { ...process.env, [lockHeld]: 'true' }
  const command = ['-w', `${lockSeconds}`, join(cache, 'lock'), process.execPath, script, ...words]
  const run = spawnSync('flock', command, { encoding: 'utf8', env })
  if (run.status === 0) return JSON.parse(run.stdout)
  const said =
    run.error?.message ?? (run.stderr.trim() || 'Another run has held the lock of .cache/debian for too long.')
  throw run.status === 3 ? new Unavailable(said) : new Error(said)
}

/** Downloads a package and its dependencies into `work`, checks them, unpacks them into `work`/root. */
function fetch(name, work, release) {
  const nothingInstalled = join(work, 'status')
  writeFileSync(nothingInstalled, '')
  const settings = [`Dir::State::status=${nothingInstalled}`, `Dir::Cache=${work}`]
  const lists = join(cache, release === undefined ? 'lists' : `lists@${release}`)
  const ownLists = [`Dir::State::lists=${lists}`, 'Debug::NoLocking=1']
  if (release !== undefined) settings.push(...ownLists, ...sourcesOf(release, work))
  try {
    if (release !== undefined && !existsSync(lists)) throw new Error('no lists yet')
    download(name, work, settings)
  } catch {
    // The lists were never fetched, were thrown away as container images do, or are out of date: fetch our own.
    mkdirSync(join(lists, 'partial'), { recursive: true })
    if (release === undefined) settings.push(...ownLists)
    must(apt(['update', '-qq', '--error-on=any'], settings, work), 'apt-get update')
    download(name, work, settings)
  }
}

/** Settings by which apt sees nothing but another release, on the mirror that the machine's sources name for its own. */
function sourcesOf(release, work) {
  const file = join(work, 'sources.list')
  const keys = keyrings.filter((keyring) => existsSync(keyring))
  // without such a file apt takes the keys that the machine trusts in general
  const signedBy = keys.length === 0 ? '' : `[signed-by=${keys.join(',')}] `
  writeFileSync(file, `deb ${signedBy}${mirror()} ${release} main\n`)
  const nothing = ['SourceParts', 'Preferences', 'PreferencesParts'].map((kind) => `Dir::Etc::${kind}=/dev/null`)
  return [`Dir::Etc::SourceList=${file}`, ...nothing, 'APT::Default-Release=']
}

/** The mirror from which the machine's apt takes its own release's main part. */
function mirror() {
  const [, ownRelease] = /^VERSION_CODENAME="?(\w+)/m.exec(readFileSync('/etc/os-release', 'utf8')) ?? []
  const format = '$(REPO_URI) $(RELEASE) $(COMPONENT) $(CREATED_BY) $(ORIGIN)'
  const targets = must(spawnSync('apt-get', ['indextargets', '--format', format], { encoding: 'utf8' }), 'indextargets')
  for (const target of targets.stdout.split('\n')) {
    const [uri, ofRelease, component, createdBy, origin] = target.split(' ')
    if (ofRelease !== ownRelease || component !== 'main' || createdBy !== 'Packages') continue
    // who made it is known once its lists were fetched; before, only the address says that it is Debian's
    if (origin === 'Debian' || (origin.startsWith('$') && /\/debian\/?$/.test(uri))) return uri
  }
  throw new Unavailable(
    "This machine's apt names no mirror of Debian, which has what this test needs; it does not run.",
  )
}

/** Downloads with apt's lists as they are. */
function download(name, work, settings) {
  const install = ['--print-uris', '-qq', '-y', '--no-install-recommends', 'install', name]
  const list = must(apt(install, settings, work), `apt-get --print-uris install ${name}`).stdout
  const versions = Array.from(list.matchAll(/^'[^']+' ([^_\s]+)_([^_\s]+)_/gm))
    .filter(([, packageName]) => !ownOfMachine.test(packageName))
    .map(([, packageName, version]) => `${packageName}=${decodeURIComponent(version)}`)
  must(apt(['download', '-qq', ...versions], settings, work), `apt-get download ${versions.join(' ')}`)
  const sums = must(apt(['show', ...versions], settings, work, 'apt-cache'), 'apt-cache show').stdout
  for (const file of readdirSync(work).filter((entry) => entry.endsWith('.deb'))) {
    const sum = createHash('sha256')
      .update(readFileSync(join(work, file)))
      .digest('hex')
    if (!sums.includes(`SHA256: ${sum}`)) throw new Error(`${file} has a checksum that apt's lists do not name.`)
    must(spawnSync('dpkg', ['-x', join(work, file), join(work, 'root')], { encoding: 'utf8' }), `dpkg -x ${file}`)
  }
}

function apt(args, settings, cwd, command = 'apt-get') {
  const options = settings.flatMap((setting) => ['-o', setting])
  return spawnSync(command, [...options, ...args], { cwd, encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } })
}

function must(run, what) {
  if (run.status !== 0) throw new Error(`${what} failed:\n${run.stderr}`)
  return run
}
