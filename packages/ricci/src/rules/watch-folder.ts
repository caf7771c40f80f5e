import { type FSWatcher, readdirSync, watch } from 'node:fs'
import { join } from 'node:path'
import type { Clock, Timer } from '@ricci/replica'

/** Editors write a file in several steps: what they leave behind is looked at once all was quiet for this long. */
const quietMs = 200

/**
 * Calls back each time that files of a folder, or of one below it, have changed; not for packages installed there.
 * Each folder is watched by itself: Node's own way of watching a tree misses changes that come right after it began.
 * @returns ends it
 */
export function watchFolder(folder: string, clock: Clock, onChange: () => void): () => void {
  const watchers = new Map<string, FSWatcher>()
  let timer: Timer | undefined
  const changed = (): void => {
    timer?.cancel()
    timer = clock.setTimer(quietMs, () => {
      follow()
      onChange()
    })
  }
  /** Watches what is new. A folder that is gone ends its own watching. */
  const follow = (): void => {
    for (const path of foldersBelow(folder)) {
      if (watchers.has(path)) continue
      try {
        const watcher = watch(path, { persistent: false }, changed)
        watchers.set(path, watcher)
        watcher.on('error', () => {
          watcher.close()
          watchers.delete(path)
        })
      } catch {
        // gone since it was listed, or no more watches to be had: a restart or a reload reads it all the same
      }
    }
  }
  follow()
  return () => {
    timer?.cancel()
    for (const watcher of watchers.values()) watcher.close()
  }
}

function foldersBelow(folder: string): string[] {
  let entries
  try {
    entries = readdirSync(folder, { withFileTypes: true })
  } catch {
    return []
  }
  const inner = entries.filter((entry) => entry.isDirectory() && entry.name !== 'node_modules' && entry.name[0] !== '.')
  return [folder, ...inner.flatMap(({ name }) => foldersBelow(join(folder, name)))]
}
