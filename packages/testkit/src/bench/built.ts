import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** How many folders up from this code a built file is looked for: bundles of tests lie five below theirs. */
const maxLevels = 8

/** The path of a program that is built beside this code, wherever a bundle has put that, or above it. */
export function builtProgram(name: 'ricci' | 'engine-process'): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  for (let level = 0; level < maxLevels; level++, folder = dirname(folder)) {
    const path = join(folder, `${name}.mjs`)
    if (existsSync(path)) return path
  }
  throw new Error(`${name}.mjs is not built; use npm test, or npm run bench`)
}
