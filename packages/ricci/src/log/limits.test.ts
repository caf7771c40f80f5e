/** What the log refuses, keeps and lets go. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AppendRank, ReplicaError } from '@ricci/replica'
import { FaultyDisk } from '@ricci/testkit'
import { EmbeddedLog } from './embedded-log.ts'
import { describeLogEvent, isAlarm, type LogEvent } from './events.ts'
import { maxAppendBytes, maxRecordBytes, type LogLimits } from './limits.ts'

const hourMs = 3_600_000

async function open(disk: FaultyDisk, limits: Partial<LogLimits>) {
  const events: LogEvent[] = []
  const clock = { now: 0, wallMs: () => clock.now }
  const report = (event: LogEvent) => events.push(event)
  const log = await EmbeddedLog.open({ dataDirectory: '/data', disk, clock, limits, report })
  const kinds = () => events.splice(0).map((event) => `${isAlarm(event) ? 'alarm ' : ''}${event.kind}`)
  return { log, clock, events, kinds }
}

test('retention by size takes whole segments from the beginning on', async () => {
  const disk = new FaultyDisk()
  const { log, events } = await open(disk, { maxBytes: 80_000 })
  log.protectedOffset = Infinity
  for (let index = 0; index < 300; index++) await log.append(0, [Buffer.alloc(1_000, index)])
  const { first, end } = await log.range(0)
  assert.equal(end, 300)
  assert.ok(log.bytes <= 80_000 && log.bytes > 60_000 && disk.usedBytes === log.bytes)
  assert.equal(events.at(-1)!.kind, 'trimmed')
  assert.match(describeLogEvent(events.at(-1)!), new RegExp(`begins at offset ${first}$`))
  await log.close()
  const again = await open(disk.restart('power'), {})
  assert.deepEqual(await again.log.range(0), { first, end })
  await again.log.close()
})

test('retention by age takes what is older, also where little is written', async () => {
  const { log, clock, kinds } = await open(new FaultyDisk(), {})
  log.protectedOffset = Infinity
  for (let hour = 0; hour < 60; hour++) {
    clock.now = hour * hourMs
    await log.append(0, [Buffer.from(`at hour ${hour}`)])
  }
  const { first, end } = await log.range(0)
  assert.ok(end - first >= 24 && end - first <= 28, `${end - first} hours are left`)
  assert.ok(kinds().every((kind) => kind === 'trimmed'))
  await log.close()
})

test('what is protected is kept beyond its age, with an alarm, and appends go on', async () => {
  const { log, clock, kinds } = await open(new FaultyDisk(), {})
  for (let hour = 0; hour < 40; hour++) {
    clock.now = hour * hourMs
    log.protectedOffset = 3
    await log.append(0, [Buffer.from('x')])
  }
  assert.ok((await log.range(0)).first <= 3)
  assert.deepEqual([...new Set(kinds())].sort(), ['alarm retention-held', 'trimmed'])
  log.protectedOffset = 20
  await log.append(0, [Buffer.from('x')])
  const { first } = await log.range(0)
  assert.ok(first > 10 && first <= 20)
  await log.close()
})

test('at its size limit the log refuses appends rather than take what is protected, until it no longer is', async () => {
  const { log, kinds } = await open(new FaultyDisk(), { maxBytes: 40_000 })
  let taken = 0
  const append = async () => {
    await log.append(0, [Buffer.alloc(1_000)])
    taken++
  }
  for (let index = 0; index < 60; index++) await append().catch((error) => assert.equal(error.code, 'LOG_FULL'))
  assert.ok(taken > 30 && taken < 40, `${taken} fitted`)
  assert.deepEqual(kinds(), ['alarm refusing'])
  assert.deepEqual(await log.range(0), { first: 0, end: taken })
  await assert.rejects(append(), { code: 'LOG_FULL', retriable: true, message: /still needed by the snapshots/ })
  assert.match(log.trouble ?? 'none', /still needed by the snapshots/)
  log.protectedOffset = 20
  await append()
  assert.equal(log.trouble, undefined)
  assert.deepEqual(kinds(), ['trimmed', 'recovered'])
  const { first } = await log.range(0)
  assert.ok(first > 0 && first <= 20)
  await log.close()
})

test('a segment that could be neither made nor removed goes with its neighbours: the log can be opened again', async () => {
  const disk = new FaultyDisk()
  const { log } = await open(disk, { maxBytes: 40_000 })
  let failing = 0
  disk.onStep = ({ what }) => {
    if (failing === 0 && what === 'create') failing = 1
    else if (failing === 1 && what === 'datasync') failing = 2
    else if (failing === 2 && what === 'unlink') failing = 3
    else return 'done'
    return failing === 1 ? 'done' : { error: 'EIO' }
  }
  let refused = 0
  for (let index = 0; index < 200; index++) {
    await log.append(0, [Buffer.alloc(1_000)]).catch(() => refused++)
    log.protectedOffset = (await log.range(0)).end
  }
  assert.deepEqual([refused, failing], [1, 3])
  await log.close()
  const again = await open(disk.restart('kill'), {})
  assert.equal((await again.log.range(0)).end, 199)
  await again.log.close()
})

/** Appends of one size until one is refused; gives how many were taken. */
async function fill(log: EmbeddedLog, rank: AppendRank, bytes: number): Promise<number> {
  for (let taken = 0; ; taken++) {
    try {
      await log.append(0, [Buffer.alloc(bytes)], rank)
    } catch (error) {
      assert.equal((error as ReplicaError).code, 'LOG_FULL')
      return taken
    }
  }
}

test('at its limit what is small is refused like what is large, until there is room for what was refused first', async () => {
  const { log, kinds } = await open(new FaultyDisk(), { maxBytes: 40_000 })
  await fill(log, 'ordinary', 3_000)
  assert.ok(log.bytes < 40_000 - 500)
  await assert.rejects(log.append(0, [Buffer.alloc(100)]), { code: 'LOG_FULL', message: /snapshot-failed says why/ })
  assert.deepEqual(kinds(), ['alarm refusing'])
  log.protectedOffset = 8
  await log.append(0, [Buffer.alloc(100)])
  assert.deepEqual(kinds(), ['trimmed', 'recovered'])
  await log.close()
})

test('beyond its limit it takes what an owner needs, by rank, up to a reserve; a start has a whole one again', async () => {
  const disk = new FaultyDisk()
  const limits = { maxBytes: 40_000 }
  const { log } = await open(disk, limits)
  await fill(log, 'ordinary', 3_000)
  for (const [rank, bytes] of [
    ['act', 42_500],
    ['fact', 43_750],
    ['rescue', 45_000],
  ] as const) {
    assert.ok((await fill(log, rank, 60)) > 5)
    assert.ok(log.bytes > bytes - 124 && log.bytes <= bytes, `${log.bytes} after what is ${rank}`)
    await assert.rejects(log.append(0, [Buffer.alloc(60)], rank), { message: /the reserve beyond it is used up/ })
  }
  assert.match(log.trouble ?? 'none', /at its limit/, 'what the reserve takes is no end of it')
  await log.close()
  const again = await open(disk.restart('kill'), { maxBytes: 20_000 })
  const { bytes } = again.log
  assert.equal(await fill(again.log, 'ordinary', 60), 0)
  await fill(again.log, 'rescue', 60)
  assert.ok(again.log.bytes > bytes + 2_300 && again.log.bytes <= bytes + 2_500)
  again.log.protectedOffset = (await again.log.range(0)).end
  await again.log.append(0, [Buffer.alloc(3_000)])
  assert.ok(again.log.bytes <= 20_000)
  await again.log.close()
})

test('where there is room, records of all ranks are made durable together', async () => {
  const disk = new FaultyDisk()
  const { log } = await open(disk, {})
  const { steps } = disk
  const ranks = ['ordinary', 'rescue', 'ordinary', 'act', 'fact'] as const
  const offsets = await Promise.all(ranks.map((rank) => log.append(0, [Buffer.alloc(10)], rank)))
  assert.deepEqual(offsets.flat(), [0, 1, 2, 3, 4])
  assert.equal(disk.steps - steps, 2, 'one write and one sync')
  await log.close()
})

test('a snapshot is wanted each time the log has grown by a quarter of its size, and once it refuses appends', async () => {
  const { log } = await open(new FaultyDisk(), { maxBytes: 40_000 })
  const wanted = async () => {
    for (let index = 0; !log.wantsSnapshot(); index++) await log.append(0, [Buffer.alloc(500)])
    return (await log.range(0)).end
  }
  const ends: number[] = []
  for (let index = 0; index < 4; index++) ends.push((log.snapshotOffset = await wanted()))
  // by whole segments: an eighth to a quarter at a time
  assert.ok(ends.every((end, index) => index === 0 || (end - ends[index - 1] >= 9 && end - ends[index - 1] <= 19)))
  await fill(log, 'ordinary', 500)
  log.snapshotOffset = (await log.range(0)).end
  assert.equal(log.wantsSnapshot(), true)
  log.protectedOffset = log.snapshotOffset
  assert.equal(log.wantsSnapshot(), false)
  await log.close()
})

test('on a full disk it lets go of what nobody needs; nothing small slips in beside what is refused', async () => {
  const disk = new FaultyDisk()
  const { log, kinds } = await open(disk, { maxBytes: 40_000 })
  for (let index = 0; index < 10; index++) await log.append(0, [Buffer.alloc(1_000)])
  disk.capacityBytes = disk.usedBytes + 500
  await assert.rejects(log.append(0, [Buffer.alloc(1_000)]), { code: 'LOG_FULL', message: /the disk .* is full/ })
  await assert.rejects(log.append(0, [Buffer.alloc(100)]), { code: 'LOG_FULL', message: /the disk .* is full/ })
  await log.append(0, [Buffer.alloc(100)], 'rescue')
  assert.equal(log.wantsSnapshot(), true)
  assert.deepEqual(kinds(), ['alarm write-failed'])
  log.protectedOffset = 6
  await log.append(0, [Buffer.alloc(1_000)])
  assert.deepEqual(kinds(), ['trimmed', 'recovered'])
  assert.ok((await log.range(0)).first > 0)
  await fill(log, 'ordinary', 1_000)
  disk.capacityBytes = Infinity
  await log.append(0, [Buffer.alloc(1_000)])
  assert.equal(log.trouble, undefined)
  await log.close()
})

test('nothing goes before it was said what is needed', async () => {
  const { log } = await open(new FaultyDisk(), { maxBytes: 20_000 })
  const appends = Array.from({ length: 30 }, () => log.append(0, [Buffer.alloc(1_000)]).catch(() => {}))
  await Promise.all(appends)
  assert.equal((await log.range(0)).first, 0)
  await log.close()
})

test('bytes that wait for the disk are bounded, and it is said when to stop and go on', async () => {
  const { log } = await open(new FaultyDisk(), { queuedBytes: 10_000, groupBytes: 2_000 })
  const settled: Promise<unknown>[] = []
  while (!log.congested) settled.push(log.append(0, [Buffer.alloc(1_000)]))
  assert.equal(log.queuedBytes, 5_000)
  let drained = false
  const draining = log.drained().then(() => (drained = true))
  while (log.queuedBytes < 10_000) settled.push(log.append(0, [Buffer.alloc(1_000)]))
  await assert.rejects(log.append(0, [Buffer.alloc(1)]), { code: 'LOG_UNAVAILABLE', retriable: true })
  assert.equal(drained, false)
  await draining
  await Promise.all(settled)
  assert.equal(log.queuedBytes, 0)
  assert.deepEqual(await log.range(0), { first: 0, end: 10 })
  await log.drained()
  await log.close()
})

test('records and appends that are too long are refused, and nothing of them is written', async () => {
  const { log } = await open(new FaultyDisk(), {})
  const large = new Uint8Array(maxRecordBytes + 1)
  await assert.rejects(log.append(0, [large.subarray(0, 1), large]), { code: 'RECORD_TOO_LARGE', retriable: false })
  await assert.rejects(log.appendParts(0, large.subarray(0, 10), large.subarray(10)), { code: 'RECORD_TOO_LARGE' })
  const many = Array.from({ length: 1 + maxAppendBytes / maxRecordBytes }, () => large.subarray(1))
  await assert.rejects(log.append(0, many), { code: 'RECORD_TOO_LARGE' })
  assert.deepEqual(await log.range(0), { first: 0, end: 0 })
  assert.equal(log.queuedBytes, 0)
  await log.close()
})
