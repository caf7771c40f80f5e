import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { nextIncarnation } from './incarnation.ts'

function folderFor(t: { after(work: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'ricci-incarnation-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

test('each start on the same data is higher, under one name', (t) => {
  const folder = folderFor(t)
  const first = nextIncarnation(folder, () => 0.5)
  assert.deepEqual(first, { identity: '80000000', incarnation: 2 ** 32 })
  assert.deepEqual(
    nextIncarnation(folder, () => 0.25),
    { identity: '80000000', incarnation: 2 ** 33 },
  )
})

test('a start stays above all lives of the one before, though its log refused for a week', (t) => {
  const folder = folderFor(t)
  const refusals = 7 * 24 * 3_600 * 1_000
  const { incarnation } = nextIncarnation(folder, () => 0.5)
  assert.ok(nextIncarnation(folder, () => 0.5).incarnation > incarnation + refusals)
  // a million starts later a mark still takes it
  writeFileSync(join(folder, 'incarnation'), '1000000 80000000\n')
  assert.ok(Number.isSafeInteger(nextIncarnation(folder, () => 0.5).incarnation + refusals))
})

test(
  'where the disk is full a start goes by a name of its own, and the next goes on',
  { skip: !existsSync('/dev/full') },
  (t) => {
    const folder = folderFor(t)
    nextIncarnation(folder, () => 0.5)
    symlinkSync('/dev/full', join(folder, 'incarnation.new'))
    assert.deepEqual(
      nextIncarnation(folder, () => 0.25),
      { identity: '40000000', incarnation: 2 ** 32 },
    )
    assert.equal(readFileSync(join(folder, 'incarnation'), 'utf8'), '1 80000000\n')
    rmSync(join(folder, 'incarnation.new'))
    assert.deepEqual(
      nextIncarnation(folder, () => 0.75),
      { identity: '80000000', incarnation: 2 ** 33 },
    )
  },
)
