/** The real servers' programs: what the machine has, or a Debian package in .cache (`scripts/servers.mjs`). */
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fetched } from '../house/tools.ts'

/** What `scripts/servers.mjs` brings. */
export type ProgramName = 'consul' | 'erlang' | 'etcd' | 'faketime' | 'openssl' | 'pgbouncer' | 'postgres' | 'rabbitmq'

/** A program that can be started. */
export interface Program {
  readonly name: ProgramName
  /** As it says itself, e.g. `1.8.7`. */
  readonly version: string
  /** Whose it is: this machine's or a Debian package's. */
  readonly origin: string
  readonly file: string
  /** For LD_LIBRARY_PATH; empty for the machine's own. */
  readonly libraries: readonly string[]
}

const found = new Map<ProgramName, Program | { missing: string }>()

/**
 * A server's program; it is fetched when it is asked for first, which may take a minute.
 * @throws Error with a sentence where it cannot be had
 */
export function program(name: ProgramName): Program {
  const answer = look(name)
  if ('missing' in answer) throw new Error(answer.missing)
  return answer
}

/**
 * Why tests that need these programs are skipped on this machine, or false: they are there. For `describe(…, { skip: without('consul') }, …)`.
 * Throws in CI, where nothing is skipped.
 */
export function without(...names: readonly ProgramName[]): string | false {
  for (const name of names) {
    const answer = look(name)
    if ('missing' in answer) return answer.missing
  }
  return false
}

/** A program that lies beside another, e.g. `initdb` beside `postgres`. */
export function beside(one: Program, name: string): Program {
  return { ...one, file: join(dirname(one.file), name) }
}

/** Why a program cannot be had here; undefined where it can. */
export function missing(name: ProgramName): string | undefined {
  const answer = look(name)
  return 'missing' in answer ? answer.missing : undefined
}

function look(name: ProgramName): Program | { missing: string } {
  const known = found.get(name)
  if (known !== undefined) return known
  const answer = canGuard()
    ? fetched(['scripts/servers.mjs', name], (output) => JSON.parse(output) as Program)
    : { missing: 'This system has no setpriv that ends a server with its test: tests of real servers do not run.' }
  if ('missing' in answer && process.env.CI === 'true') throw new Error(answer.missing)
  found.set(name, answer)
  return answer
}

/** Whether servers can be made to end with us ({@link ServerProcess}): Linux, with util-linux of 2018 or later. */
function canGuard(): boolean {
  return spawnSync('setpriv', ['--pdeathsig', 'KILL', 'true']).status === 0
}
