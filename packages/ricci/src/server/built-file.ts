import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** How many folders up from this code a built file is looked for: bundles of tests lie five below theirs. */
const maxLevels = 8

/** A file that is built beside this code, or above it: the threads that the program starts, and the program itself. */
export function builtFile(name: 'engine-worker' | 'rules-worker' | 'explain-worker' | 'type-checker' | 'ricci'): URL {
  let folder = dirname(fileURLToPath(import.meta.url))
  for (let level = 0; level < maxLevels; level++, folder = dirname(folder)) {
    for (const file of [`${name}.mjs`, `${name}.js`]) {
      const path = join(folder, file)
      if (existsSync(path)) return pathToFileURL(path)
    }
  }
  throw new Error(`${name}.mjs is missing beside the program: build it again, or install ricci again`)
}
