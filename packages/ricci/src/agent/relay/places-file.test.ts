import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FaultyDisk } from '@ricci/testkit'
import { PlacesFile, type Unsent } from './places-file.ts'

const fileOn = (disk: FaultyDisk, onProblem = (error: Error): void => assert.fail(error), spool = 's'): PlacesFile =>
  new PlacesFile({ disk, path: '/data/places.json', spool, onProblem })

const old: Unsent = [[1, 2]]
const current: Unsent = [
  [3, 4],
  [7, null],
]

test('it says what it was last told, of its own spool', async () => {
  const disk = new FaultyDisk()
  const file = fileOn(disk)
  assert.equal(file.read(), undefined)
  for (const from of [1, 2, 3]) file.keep([[from, null]])
  file.keep(current)
  await file.written()
  assert.deepEqual(fileOn(disk).read(), current)
  assert.equal(fileOn(disk, undefined, 'other').read(), undefined)
  disk.damage('/data/places.json', 2)
  assert.equal(fileOn(disk).read(), undefined)
})

test('a machine that goes dark, or a process that is killed, at any step: it says the one or the other', async () => {
  const found = new Set<string>()
  for (const how of ['power', 'kill'] as const) {
    for (let at = 1; ; at++) {
      const disk = new FaultyDisk({ seed: at })
      const file = fileOn(disk)
      file.keep(old)
      await file.written()
      const fatal = disk.steps + at
      let isDark = (): void => undefined
      const dark = new Promise<void>((resolve) => (isDark = resolve))
      disk.onStep = ({ number }) => {
        if (number !== fatal) return 'done'
        // once it has ended
        setImmediate(isDark)
        return how
      }
      file.keep(current)
      await Promise.race([dark, file.written()])
      if (disk.left === undefined) break
      const next = fileOn(disk.left)
      found.add(JSON.stringify(next.read()))
      // whatever was left there, the next process replaces it
      next.keep(current)
      await next.written()
      assert.deepEqual(next.read(), current)
    }
  }
  assert.deepEqual([...found].sort(), [old, current].map((unsent) => JSON.stringify(unsent)).sort())
})

test('a disk that takes nothing: it is told, and says what it said', async () => {
  const disk = new FaultyDisk()
  const told: Error[] = []
  const file = fileOn(disk, (error) => told.push(error))
  file.keep(old)
  await file.written()
  disk.capacityBytes = 0
  file.keep(current)
  await file.written()
  assert.match(told.map(({ message }) => message).join('\n'), /ENOSPC|no space/i)
  assert.deepEqual(file.read(), old)
})
