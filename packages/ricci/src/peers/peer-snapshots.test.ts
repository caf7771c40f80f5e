import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, truncateSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { SnapshotInfo } from '@ricci/replica'
import { snapshotConformance, TcpProxy } from '@ricci/testkit'
import { crc32 } from '../log/crc32.ts'
import { nodeDisk } from '../log/disk.ts'
import { nodeClock } from '../server/node-clock.ts'
import { DiskSnapshots } from '../snapshots/index.ts'
import { PeerClient } from './client.ts'
import { checksumHeader } from './listener.ts'
import { PeerSnapshots } from './peer-snapshots.ts'
import { listenSecurity } from './security.ts'
import { FakeEngine, secret, TestCluster } from './testing.ts'

function folderOf(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'ricci-peers-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Two instances that run partition 0, each with a folder; what the second one's trouble was. */
async function two(context: TestContext) {
  const cluster = new TestCluster(1)
  context.after(() => cluster.close())
  const folders = [folderOf(context), folderOf(context)]
  const [ofA, ofB] = await Promise.all(
    folders.map((dataDirectory) => DiskSnapshots.open({ dataDirectory, disk: nodeDisk })),
  )
  const a = await cluster.add('a', { 0: new FakeEngine([]) }, { snapshots: ofA })
  const b = await cluster.add('b', { 0: new FakeEngine([]) }, { snapshots: ofB })
  const trouble: string[] = []
  const atB = new PeerSnapshots({
    instance: 'b',
    local: ofB,
    members: cluster.members,
    client: b.client,
    clock: nodeClock,
    onTrouble: (what) => trouble.push(what),
  })
  return { cluster, folders, ofA, ofB, a, b, atB, trouble }
}

snapshotConformance('a folder among peers', async (context) => {
  const cluster = new TestCluster(1)
  context.after(() => cluster.close())
  const empty = await DiskSnapshots.open({ dataDirectory: folderOf(context), disk: nodeDisk })
  await cluster.add('a', { 0: new FakeEngine([]), 31: new FakeEngine([]) }, { snapshots: empty })
  const b = await cluster.add('b', {})
  const dataDirectory = folderOf(context)
  return {
    open: async () =>
      new PeerSnapshots({
        instance: 'b',
        local: await DiskSnapshots.open({ dataDirectory, disk: nodeDisk }),
        members: cluster.members,
        client: b.client,
        clock: nodeClock,
      }),
    damage: async ({ name, bytes }: SnapshotInfo) => truncateSync(join(dataDirectory, 'snapshots', name), bytes),
  }
})

test('what a peer has is listed, fetched, and then kept here', async (context) => {
  const { cluster, ofA, ofB, atB } = await two(context)
  // several megabytes: more than any socket takes at once
  const bytes = Buffer.alloc(5_000_000, 'snapshot')
  const info = await ofA.store(0, 70, [bytes])
  await ofB.store(0, 10, [Buffer.from('older')])
  assert.deepEqual(
    (await atB.list(0)).map(({ offset }) => offset),
    [70, 10],
  )
  assert.deepEqual(await ofB.list(0), [{ ...info, offset: 10, bytes: 5, name: (await ofB.list(0))[0].name }])
  assert.ok(bytes.equals(await atB.fetch(info)))
  await cluster.close()
  assert.ok(bytes.equals(await atB.fetch(info)))
  assert.deepEqual((await ofB.list(0))[0], info)
})

test('of a peer that does not run the partition any more, what is newer than anything else is had', async (context) => {
  const { ofA, ofB, a, atB } = await two(context)
  const info = await ofA.store(0, 70, [Buffer.from('left')])
  const older = await ofB.store(0, 40, [Buffer.from('older')])
  delete a.states[0]
  assert.deepEqual(await atB.list(0), [info, older])
  assert.equal(Buffer.from(await atB.fetch(info)).toString(), 'left')
  const newer = await ofB.store(0, 90, [Buffer.from('newer')])
  await ofB.remove(info)
  assert.deepEqual(await atB.list(0), [newer, older])
})

test('a damaged one of ours is had from a peer; one that nobody has whole is unreadable', async (context) => {
  const { folders, ofA, ofB, atB } = await two(context)
  const info = await ofA.store(0, 70, [Buffer.from('whole')])
  await ofB.store(0, 70, [Buffer.from('whole')])
  await atB.list(0)
  truncateSync(join(folders[1], 'snapshots', info.name), 20)
  assert.equal(Buffer.from(await atB.fetch(info)).toString(), 'whole')
  for (const folder of folders) truncateSync(join(folder, 'snapshots', info.name), 20)
  await assert.rejects(atB.fetch(info), { code: 'SNAPSHOT_UNREADABLE' })
})

test('what is changed or cut on its way is not taken for a snapshot, and not kept', async (context) => {
  const { ofA, ofB, a, b, atB, trouble } = await two(context)
  const info = await ofA.store(0, 70, [Buffer.alloc(3_000_000, 1)])
  const proxy = await TcpProxy.start(Number(a.address.split(':')[1]))
  context.after(() => proxy.close())
  Object.assign(a, { address: `127.0.0.1:${proxy.port}` })
  await atB.list(0)
  proxy.set({ cutAfterBytes: { up: Infinity, down: 1_000_000 } })
  await assert.rejects(atB.fetch(info), { code: 'SNAPSHOT_UNREADABLE' })
  assert.deepEqual(await ofB.list(0), [])
  assert.match(trouble.join(), /it broke off/)
  // whoever sends something else than it says
  const lying = b.client.at(a.address)
  const other = { ...info, bytes: info.bytes - 1 }
  proxy.heal()
  await assert.rejects(lying.snapshot(other, new AbortController().signal), { code: 'SNAPSHOT_UNREADABLE' })
})

test('bytes that are not those of the checksum beside them are no snapshot', async (context) => {
  let checksum = crc32(Buffer.from('whole'))
  const server = createServer(listenSecurity(secret), (_request, response) => {
    response.writeHead(200, { 'content-length': 5, [checksumHeader]: checksum }).end('whole')
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const client = new PeerClient({ security: secret, clock: nodeClock })
  context.after(() => {
    client.close()
    server.close()
  })
  const peer = client.at(`127.0.0.1:${(server.address() as AddressInfo).port}`)
  const info = { name: 'x', partition: 0, offset: 1, bytes: 5 }
  const live = new AbortController().signal
  assert.equal(Buffer.from(await peer.snapshot(info, live)).toString(), 'whole')
  checksum++
  await assert.rejects(peer.snapshot(info, live), { code: 'SNAPSHOT_UNREADABLE', message: /not what was sent/ })
})

test('a name that is no snapshot of the peer’s opens nothing', async (context) => {
  const { a, b } = await two(context)
  const info = { name: '../../../../etc/passwd', partition: 0, offset: 1, bytes: 1 }
  await assert.rejects(b.client.at(a.address).snapshot(info, new AbortController().signal), {
    code: 'SNAPSHOT_UNREADABLE',
  })
})

test('a peer that is frozen, or gone, costs a bounded time and no snapshot of ours', async (context) => {
  const { ofB, a, atB, trouble } = await two(context)
  const own = await ofB.store(0, 10, [Buffer.from('ours')])
  const proxy = await TcpProxy.start(Number(a.address.split(':')[1]))
  context.after(() => proxy.close())
  Object.assign(a, { address: `127.0.0.1:${proxy.port}` })
  proxy.stall()
  const beganMs = nodeClock.monotonicMs()
  assert.deepEqual(await atB.list(0), [own])
  assert.ok(nodeClock.monotonicMs() - beganMs < 4_000)
  await a.listener.close()
  proxy.cut()
  await proxy.close()
  assert.deepEqual(await atB.list(0), [own])
  assert.equal(trouble.length, 2)
})
