import { existsSync } from 'node:fs'
import { pathToFileURL, fileURLToPath } from 'node:url'
import { dirname, join } from 'node:path'

/** How many folders up from this code the worker's file is looked for: bundles of tests lie five below theirs. */
const maxLevels = 8

/** The built worker: it lies beside the program, or above it. */
export function workerFile(): URL {
  let folder = dirname(fileURLToPath(import.meta.url))
  for (let level = 0; level < maxLevels; level++, folder = dirname(folder)) {
    for (const name of ['engine-worker.mjs', 'engine-worker.js']) {
      const file = join(folder, name)
      if (existsSync(file)) return pathToFileURL(file)
    }
  }
  throw new Error('engine-worker.mjs is missing beside the program: build it again, or install ricci again')
}
