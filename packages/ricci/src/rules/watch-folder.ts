import { existsSync, type FSWatcher, readdirSync, statSync, watch } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Clock, Timer } from '@ricci/replica'

/** Editors write a file in several steps: what they leave behind is looked at once all was quiet for this long. */
const quietMs = 200

/**
 * Calls back each time that files of a folder, or of one below it, have changed; not for packages installed there.
 * Each folder is watched by itself: Node's own way of watching a tree misses changes that come right after it began. Where the folder
 * is gone (another branch is checked out, say), what is left of the way to it is watched until it is there again.
 * @returns ends it
 */
export function watchFolder(folder: string, clock: Clock, onChange: () => void): () => void {
  const watchers = new Map<string, { readonly identity: string; readonly watcher: FSWatcher }>()
  let timer: Timer | undefined
  const changed = (): void => {
    timer?.cancel()
    timer = clock.setTimer(quietMs, () => {
      const wasThere = isThere
      follow()
      // what happens beside the way to a folder that is not there is nobody's business
      if (wasThere || isThere) onChange()
    })
  }
  let isThere = true
  /** Watches what is new, and nothing that is gone: one that was made anew under an old name is another folder. */
  const follow = (): void => {
    isThere = existsSync(folder)
    const paths = isThere ? foldersBelow(folder) : [nearestAbove(folder)]
    for (const [path, { identity, watcher }] of watchers) {
      if (paths.includes(path) && identityOf(path) === identity) continue
      watcher.close()
      watchers.delete(path)
    }
    for (const path of paths) {
      const identity = identityOf(path)
      if (watchers.has(path) || identity === undefined) continue
      try {
        const watcher = watch(path, { persistent: false }, changed)
        watchers.set(path, { identity, watcher })
        watcher.on('error', () => {
          watcher.close()
          watchers.delete(path)
        })
      } catch {
        // gone since it was listed, or no more watches to be had: a restart or a reload reads it all the same
      }
    }
    // it came back between the look and the watch
    if (!isThere && existsSync(folder)) changed()
  }
  follow()
  return () => {
    timer?.cancel()
    for (const { watcher } of watchers.values()) watcher.close()
  }
}

function identityOf(path: string): string | undefined {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false })
  return found && `${found.dev} ${found.ino} ${found.birthtimeNs}`
}

/** The nearest folder on the way to this one that is there. */
function nearestAbove(folder: string): string {
  const above = dirname(folder)
  return existsSync(above) ? above : nearestAbove(above)
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
