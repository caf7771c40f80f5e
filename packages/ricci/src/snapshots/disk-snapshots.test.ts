import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { FaultyDisk, SeededRandom, snapshotConformance } from '@ricci/testkit'
import { nodeDisk } from '../log/disk.ts'
import { DiskSnapshots, protectedOffsetOf } from './disk-snapshots.ts'

snapshotConformance('a folder', async (context) => {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'ricci-snapshots-'))
  context.after(() => rmSync(dataDirectory, { recursive: true, force: true }))
  return {
    open: () => DiskSnapshots.open({ dataDirectory, disk: nodeDisk }),
    damage: async ({ name, bytes }) => truncateSync(join(dataDirectory, 'snapshots', name), bytes),
  }
})

snapshotConformance('a folder in memory', async () => {
  const disk = new FaultyDisk({ seed: 1 })
  return {
    open: () => DiskSnapshots.open({ dataDirectory: '/data', disk, keep: 2 }),
    keep: 2,
    damage: async ({ name }) => disk.damage(`/data/snapshots/${name}`, 2_000),
  }
})

test('exactly the newest are kept, and a damaged one does not count as one of them', async (context) => {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'ricci-snapshots-'))
  context.after(() => rmSync(dataDirectory, { recursive: true, force: true }))
  const folder = join(dataDirectory, 'snapshots')
  const snapshots = await DiskSnapshots.open({ dataDirectory, disk: nodeDisk })
  for (const offset of [1, 2, 3, 4]) await snapshots.store(0, offset, [Buffer.from('state')])
  writeFileSync(join(folder, '0-0000000000000005.snapshot'), 'rubbish')
  writeFileSync(join(folder, '0-0000000000000009.snapshot.0.partial'), 'never finished')
  const again = await DiskSnapshots.open({ dataDirectory, disk: nodeDisk })
  const offsets = async () => (await again.list(0)).map(({ offset }) => offset)
  assert.deepEqual(await offsets(), [4, 3, 2])
  assert.equal(protectedOffsetOf(await again.list(0)), 3)
  assert.equal(protectedOffsetOf((await again.list(0)).slice(1)), 0)
  await again.store(0, 6, [Buffer.from('state')])
  assert.deepEqual(await offsets(), [6, 4, 3])
  for (const offset of [7, 8]) await again.store(0, offset, [Buffer.from('state')])
  assert.deepEqual(
    readdirSync(folder).sort(),
    [6, 7, 8].map((offset) => `0-000000000000000${offset}.snapshot`),
  )
})

test('of two snapshots at one offset the later one stays', async () => {
  const snapshots = await DiskSnapshots.open({ dataDirectory: '/data', disk: new FaultyDisk() })
  const older = await snapshots.store(0, 8, [Buffer.from('older')])
  const later = await snapshots.store(0, 8, [Buffer.from('later one')])
  assert.deepEqual(await snapshots.list(0), [later])
  assert.equal(older.name, later.name)
  await snapshots.remove(later)
  await assert.rejects(snapshots.fetch(later), { code: 'SNAPSHOT_UNREADABLE', retriable: false })
})

for (const how of ['power', 'kill'] as const) {
  test(`${how}: a death at every step leaves what was stored, and nothing torn`, async () => {
    for (let deadly = 1, steps = Infinity; deadly <= steps; deadly++) {
      const disk = new FaultyDisk({ seed: deadly })
      let died = () => {}
      const death = new Promise<void>((resolve) => (died = resolve))
      let total = 0
      disk.onStep = ({ number }) => {
        total = number
        if (number !== deadly) return 'done'
        died()
        return how
      }
      const random = new SeededRandom(deadly)
      const content = new Map<number, Buffer>()
      const stored: number[] = []
      const life = async () => {
        const snapshots = await DiskSnapshots.open({ dataDirectory: '/data', disk })
        for (let offset = 1; offset <= 5; offset++) {
          content.set(offset, Buffer.from(Array.from({ length: random.below(3_000) }, () => random.below(256))))
          const bytes = content.get(offset)!
          await snapshots.store(0, offset, [bytes.subarray(0, 700), bytes.subarray(700)])
          stored.push(offset)
        }
      }
      await Promise.race([life(), death])
      if (disk.left === undefined) steps = total
      const left = disk.left ?? disk.restart(how)
      const snapshots = await DiskSnapshots.open({ dataDirectory: '/data', disk: left })
      const listed = await snapshots.list(0)
      for (const info of listed) {
        assert.deepEqual(Buffer.from(await snapshots.fetch(info)), content.get(info.offset))
      }
      const offsets = listed.map(({ offset }) => offset)
      for (const offset of stored.slice(-2)) assert.ok(offsets.includes(offset), `snapshot ${offset} is lost`)
    }
  })
}

test('a full disk refuses the snapshot and leaves nothing of it', async () => {
  const disk = new FaultyDisk({ seed: 1 })
  const snapshots = await DiskSnapshots.open({ dataDirectory: '/data', disk })
  const first = await snapshots.store(0, 1, [Buffer.alloc(1_000)])
  disk.capacityBytes = 2_500
  await assert.rejects(snapshots.store(0, 2, [Buffer.alloc(1_000), Buffer.alloc(1_000)]), {
    code: 'SNAPSHOT_NOT_STORED',
    retriable: true,
  })
  assert.deepEqual(await snapshots.list(0), [first])
  assert.deepEqual(disk.list('/data/snapshots'), [first.name])
})
