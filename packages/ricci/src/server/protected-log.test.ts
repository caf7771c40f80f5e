import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SnapshotInfo, SnapshotPort } from '@ricci/replica'
import { ProtectingSnapshots } from './protected-log.ts'

test('the log keeps what the oldest snapshot that is kept needs, and everything while there is none', async () => {
  const kept: SnapshotInfo[] = []
  const scripted: SnapshotPort = {
    list: async () => kept,
    store: async (partition, offset) => {
      const info = { name: String(offset), partition, offset, bytes: 1 }
      kept.unshift(info)
      if (kept.length > 3) kept.pop()
      return info
    },
    fetch: async () => new Uint8Array(0),
    remove: async (info) => void kept.splice(kept.indexOf(info), 1),
  }
  const log = { protectedOffset: 7, snapshotOffset: 7 }
  const snapshots = new ProtectingSnapshots(scripted, 0, log)
  const seen: number[] = []
  await snapshots.protect()
  seen.push(log.protectedOffset)
  assert.equal(log.snapshotOffset, 0)
  for (const offset of [10, 20, 30, 40]) {
    await snapshots.store(0, offset, [])
    seen.push(log.protectedOffset)
  }
  assert.equal(log.snapshotOffset, 41)
  await snapshots.remove(kept[2])
  seen.push(log.protectedOffset)
  assert.deepEqual(seen, [0, 11, 11, 11, 21, 31])
})
