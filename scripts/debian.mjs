// `node scripts/debian.mjs PACKAGE`: brings a Debian package that a test needs into .cache/debian, without installing anything
// and without root: apt's own lists say what it needs, `apt-get download` fetches it and checks it against the signed lists, its
// SHA-256 is checked once more here, `dpkg -x` unpacks it. Prints one line of JSON: { "path": […], "libraries": […] }, the
// folders for PATH and LD_LIBRARY_PATH. Exit code 3, with a sentence, on a system without apt.
import { createHash } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const cache = fileURLToPath(new URL('../.cache/debian', import.meta.url))
/** The C library and what belongs to it are the machine's own: another version of it would not run on the machine's loader. */
const ownOfMachine = /^(libc6|libgcc-s1|gcc-\d+-base|libcrypt1)$/

const [name] = process.argv.slice(2)
if (!/^[a-z0-9][a-z0-9.+-]+$/.test(name ?? '')) {
  console.error('usage: node scripts/debian.mjs PACKAGE')
  process.exit(2)
}
if (spawnSync('apt-get', ['--version']).status !== 0 || spawnSync('dpkg', ['--version']).status !== 0) {
  console.error(`This system has no apt: ${name} cannot be fetched, and tests that need it do not run.`)
  process.exit(3)
}
try {
  console.log(JSON.stringify(ensure(name)))
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}

/** Fetches and unpacks a package with what it needs, unless that was done; gives its folders. */
function ensure(name) {
  const unpacked = join(cache, name)
  if (!existsSync(unpacked)) {
    // Unpacked beside its place and then renamed: a run that was interrupted leaves nothing half done.
    const work = join(cache, `${name}.${process.pid}`)
    mkdirSync(join(work, 'archives/partial'), { recursive: true })
    try {
      fetch(name, work)
      if (!existsSync(unpacked)) renameSync(join(work, 'root'), unpacked)
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
  return { path: folders('usr/bin', 'bin', 'usr/sbin'), libraries }
}

/** Downloads a package and its dependencies into `work`, checks them, unpacks them into `work`/root. */
function fetch(name, work) {
  const nothingInstalled = join(work, 'status')
  writeFileSync(nothingInstalled, '')
  const settings = [`Dir::State::status=${nothingInstalled}`, `Dir::Cache=${work}`]
  try {
    download(name, work, settings)
  } catch {
    // The machine's lists were never fetched, were thrown away as container images do, or are out of date: fetch our own.
    const lists = join(cache, 'lists')
    mkdirSync(join(lists, 'partial'), { recursive: true })
    settings.push(`Dir::State::lists=${lists}`, 'Debug::NoLocking=1')
    must(apt(['update', '-qq'], settings, work), 'apt-get update')
    download(name, work, settings)
  }
}

/** The same with apt's lists as they are. */
function download(name, work, settings) {
  const install = ['--print-uris', '-qq', '-y', '--no-install-recommends', 'install', name]
  const list = must(apt(install, settings, work), `apt-get --print-uris install ${name}`).stdout
  const versions = Array.from(list.matchAll(/^'[^']+' ([^_\s]+)_([^_\s]+)_/gm))
    .filter(([, packageName]) => !ownOfMachine.test(packageName))
    .map(([, packageName, version]) => `${packageName}=${version.replaceAll('%3a', ':')}`)
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
