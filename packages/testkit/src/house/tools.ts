// Programs that a test names and that are not npm packages: a Debian package, another version of Node. They are fetched into
// .cache of the clone, never installed. Where they cannot be had a test is skipped with a sentence; in CI it fails instead.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

/** A program that can be started, or why it cannot. */
export type Tool = { command: string; env: NodeJS.ProcessEnv } | { missing: string }

/** A Debian package and what it needs, unpacked. */
export interface DebianTree {
  readonly root: string
  /** Folders with programs. */
  readonly path: readonly string[]
  /** Folders with libraries. */
  readonly libraries: readonly string[]
}

/** A Debian package and what it needs. Throws in CI when it cannot be had. */
export function debianTree(packageName: string): DebianTree | { missing: string } {
  return fetched(['scripts/debian.mjs', packageName], (output) => JSON.parse(output) as DebianTree)
}

/**
 * A program of a Debian package, e.g. `debianTool('riemann-c-client', 'riemann-client')`: its path, and the environment with the
 * libraries that came with it. Throws in CI when it cannot be had.
 */
export function debianTool(packageName: string, program: string): Tool {
  const tree = debianTree(packageName)
  if ('missing' in tree) return tree
  return { command: join(tree.path[0], program), env: { ...process.env, LD_LIBRARY_PATH: tree.libraries.join(':') } }
}

/** Another version of Node, e.g. `nodeTool('24.21.0')`. Throws in CI when it cannot be had. */
export function nodeTool(version: string): Tool {
  return fetched(['scripts/node.mjs', version], (output) => ({ command: output.trim(), env: process.env }))
}

/** A folder with the npm clients of Riemann that tests run. Throws in CI when they cannot be had. */
export function npmClients(): { folder: string } | { missing: string } {
  return fetched(['scripts/npm-clients.mjs'], (output) => ({ folder: output.trim() }))
}

/** What a script that brings a program said of it. Throws in CI when it cannot be had. */
export function fetched<T>(script: string[], read: (output: string) => T): T | { missing: string } {
  const run = spawnSync(process.execPath, script, { encoding: 'utf8' })
  if (run.status === 0) return read(run.stdout)
  if (process.env.CI === 'true') throw new Error(run.stderr)
  return { missing: run.stderr.trim() }
}
