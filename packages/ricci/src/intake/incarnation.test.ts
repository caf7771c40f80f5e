import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
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
  assert.deepEqual(first, { identity: '80000000', incarnation: 65_536 })
  assert.deepEqual(
    nextIncarnation(folder, () => 0.25),
    { identity: '80000000', incarnation: 131_072 },
  )
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
      { identity: '40000000', incarnation: 65_536 },
    )
    assert.equal(readFileSync(join(folder, 'incarnation'), 'utf8'), '1 80000000\n')
    rmSync(join(folder, 'incarnation.new'))
    assert.deepEqual(
      nextIncarnation(folder, () => 0.75),
      { identity: '80000000', incarnation: 131_072 },
    )
  },
)
