import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { nodeClock } from '../server/node-clock.ts'
import { watchFolder } from './watch-folder.ts'

/** Tells what a file held whenever the watch called. */
class Watched {
  private readonly told = new Set<() => void>()
  private held: string | undefined
  private readonly unwatch: () => void
  // the watch itself keeps no process alive
  private readonly alive = setInterval(() => undefined, 60_000)

  constructor(
    folder: string,
    private readonly file: string,
  ) {
    const hasty = { ...nodeClock, setTimer: (_ms: number, callback: () => void) => nodeClock.setTimer(0, callback) }
    this.unwatch = watchFolder(folder, hasty, () => {
      this.held = textOf(this.file)
      for (const tell of this.told) tell()
    })
  }

  async until(text: string | undefined): Promise<void> {
    while (this.held !== text) await new Promise<void>((resolve) => this.told.add(resolve))
  }

  close(): void {
    clearInterval(this.alive)
    this.unwatch()
  }
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

test('a folder that went and came back is watched on, and so is one in it', { timeout: 60_000 }, async (t) => {
  const above = mkdtempSync(join(tmpdir(), 'ricci-watch-'))
  const folder = join(above, 'way', 'rules')
  const file = join(folder, 'sub', 'rule.ts')
  const write = (text: string): void => {
    mkdirSync(join(folder, 'sub'), { recursive: true })
    writeFileSync(file, text)
  }
  write('one')
  const watched = new Watched(folder, file)
  t.after(() => {
    watched.close()
    rmSync(above, { recursive: true })
  })
  write('two')
  await watched.until('two')
  rmSync(join(folder, 'sub'), { recursive: true })
  await watched.until(undefined)
  write('three')
  await watched.until('three')
  write('four')
  await watched.until('four')
  rmSync(join(above, 'way'), { recursive: true })
  await watched.until(undefined)
  mkdirSync(join(above, 'way'))
  write('five')
  await watched.until('five')
  write('six')
  await watched.until('six')
  assert.equal(textOf(file), 'six')
})
