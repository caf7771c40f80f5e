// `node scripts/servers.mjs [NAME …]`: brings the real servers that tests run, and what makes certificates and false clocks for
// them. What the machine has is used, anything else is a Debian package unpacked into .cache/debian (debian.mjs); nothing is
// installed and no server of the machine's own is touched. Prints a line of JSON for each: { "name", "version", "origin",
// "file", "libraries" }. Exit code 3, with a sentence, where one cannot be had.
import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, openSync, readSync, readdirSync, realpathSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Folders of programs that a user's PATH often lacks. */
const more = ['/usr/sbin', '/usr/local/sbin']

/**
 * By name: the file, `beside` it what else is needed, what tells its version (words to start it with, or a pattern of its path), and
 * the Debian package that has it, `release` where it is not the machine's own one. `below` are folders that the file lies in or below,
 * of the machine as of the package. A `script` starts something else.
 */
const wanted = {
  consul: { file: 'consul', version: ['version'], debian: 'consul', release: 'bullseye' },
  etcd: { file: 'etcd', version: ['--version'], debian: 'etcd-server' },
  postgres: {
    file: 'postgres',
    beside: ['initdb', 'psql'],
    version: ['--version'],
    below: 'usr/lib/postgresql',
    debian: 'postgresql',
  },
  // RabbitMQ's start script wants `erl` on the path; Debian's has its folder written in it, so the tests make one around `erlexec`
  rabbitmq: {
    file: 'rabbitmq-server',
    script: true,
    beside: ['rabbitmqctl'],
    version: /rabbitmq_server-(\d[\w.]*)/,
    below: 'usr/lib/rabbitmq/lib',
    debian: 'rabbitmq-server',
  },
  erlang: {
    file: 'erlexec',
    beside: ['beam.smp', 'epmd'],
    version: /erts-(\d[\w.]*)/,
    below: 'usr/lib/erlang',
    debian: 'rabbitmq-server',
  },
  pgbouncer: { file: 'pgbouncer', version: ['--version'], debian: 'pgbouncer' },
  openssl: { file: 'openssl', version: ['version'], debian: 'openssl' },
  // a library that is loaded before others; its folder's name has the version of the machine's architecture
  faketime: { file: 'libfaketime.so.1', below: 'usr/lib', debian: 'faketime' },
}

const names = process.argv.slice(2)
const unknown = names.find((name) => !(name in wanted))
if (unknown !== undefined) {
  console.error(`There is no server ${unknown}; there are ${Object.keys(wanted).join(', ')}.`)
  process.exit(2)
}
for (const name of names.length > 0 ? names : Object.keys(wanted)) {
  const found = onMachine(wanted[name]) ?? fromDebian(wanted[name])
  console.log(JSON.stringify({ name, ...found }))
}

/** What the machine has, if it has all of it. */
function onMachine(server) {
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  return find(server, '/', [...path, ...more], [], 'this machine')
}

/** What Debian has; ends the process where that cannot be had. */
function fromDebian(server) {
  const script = fileURLToPath(new URL('debian.mjs', import.meta.url))
  const words = [server.debian, server.release].filter((word) => word !== undefined)
  const run = spawnSync(process.execPath, [script, ...words], { encoding: 'utf8' })
  if (run.status !== 0) {
    console.error(run.stderr.trim())
    process.exit(run.status ?? 1)
  }
  const { root, path, libraries } = JSON.parse(run.stdout)
  const found = find(server, root, path, libraries, `Debian's package ${words.join(' of ')}`)
  if (found !== undefined) return found
  console.error(`${server.file} is not in Debian's package ${words.join(' of ')}, or does not start.`)
  process.exit(1)
}

/** The file, where it and what it needs are real programs that say their version. */
function find({ file, script = false, beside = [], version, below }, root, path, libraries, origin) {
  const folders = [...(below === undefined ? [] : deep(join(root, below), 2)), ...path]
  for (const folder of folders) {
    if (!existsSync(join(folder, file))) continue
    // A link leads to the folder where the rest of it is; a script of somebody's that goes by the name is no server.
    const real = realpathSync(join(folder, file))
    if ((!script && !isBinary(real)) || !beside.every((other) => existsSync(join(real, '..', other)))) continue
    if (version === undefined) return { version: '', origin, file: real, libraries }
    if (version instanceof RegExp) {
      const [, inPath] = version.exec(real) ?? []
      if (inPath === undefined) continue
      return { version: inPath, origin, file: real, libraries }
    }
    const env = { ...process.env, LD_LIBRARY_PATH: libraries.join(delimiter) }
    const run = spawnSync(real, version, { encoding: 'utf8', env })
    const [number] = /\d+\.\d+[\w.]*/.exec(run.stdout ?? '') ?? []
    if (run.status === 0 && number !== undefined) return { version: number, origin, file: real, libraries }
  }
  return undefined
}

/** The folders within a folder, newest version first, and those within them. */
function deep(folder, levels) {
  if (levels === 0 || !existsSync(folder)) return []
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .sort((a, b) => b.name.localeCompare(a.name, 'en', { numeric: true }))
    .map(({ name }) => join(folder, name))
    .flatMap((inner) => [inner, ...deep(inner, levels - 1)])
}

function isBinary(file) {
  const start = Buffer.alloc(4)
  const descriptor = openSync(file, 'r')
  readSync(descriptor, start)
  closeSync(descriptor)
  return start.equals(Buffer.from('\x7fELF', 'latin1'))
}
