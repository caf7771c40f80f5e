import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { FaultyDisk, SeededRandom } from '@ricci/testkit'
import { crc32 } from './crc32.ts'
import { nodeDisk } from './disk.ts'
import { EmbeddedLog } from './embedded-log.ts'
import { LogFollower } from './follower.ts'
import { LogProgress } from './progress.ts'

const clock = { wallMs: () => 0 }

/** What the worker says each time it has read all there was. */
interface Report {
  readonly offset: number
  /** CRC-32 over all records' bytes in order. */
  readonly checksum: number
}

if (isMainThread) {
  test('another thread follows the files, sleeps when there is nothing, and is woken', async (context) => {
    const dataDirectory = mkdtempSync(join(tmpdir(), 'ricci-follower-'))
    context.after(() => rmSync(dataDirectory, { recursive: true, force: true }))
    const log = await EmbeddedLog.open({ dataDirectory, disk: nodeDisk, clock, limits: { segmentBytes: 50_000 } })
    const buffer = log.progress.buffer
    const worker = new Worker(new URL(import.meta.url), { workerData: { dataDirectory, buffer } })
    let wakes = 0
    log.onSleeperWanted = () => {
      wakes++
      worker.postMessage('more')
    }
    const random = new SeededRandom(1)
    let checksum = 0
    for (let round = 1; round <= 10; round++) {
      const sent = Array.from({ length: 200 }, () => Buffer.alloc(random.below(400), random.below(256)))
      const appends = sent.map((record) => log.append(0, [record]))
      for (const record of sent) checksum = crc32(record, 0, record.length, checksum)
      await Promise.all(appends)
      for (let offset = 0; offset < round * 200;) {
        const [report] = (await once(worker, 'message')) as [Report]
        offset = report.offset
        if (offset === round * 200) assert.equal(report.checksum, checksum)
      }
    }
    assert.ok(wakes >= 9, 'it slept after each round but, at most, the first')
    worker.postMessage('end')
    await once(worker, 'exit')
    await log.close()
  })

  test('a reader that is behind reads on through segments that failed, and is refused where it was trimmed', async () => {
    const disk = new FaultyDisk({ seed: 1 })
    const log = await EmbeddedLog.open({
      dataDirectory: '/data',
      disk,
      clock,
      limits: { segmentBytes: 3_000, maxBytes: 40_000 },
    })
    const follower = new LogFollower({ dataDirectory: '/data', disk, progress: log.progress, from: 0 })
    const read: string[] = []
    const catchUp = () => {
      for (let batch = follower.next(); batch !== undefined; batch = follower.next()) {
        for (const { bytes } of batch.records()) read.push(Buffer.from(bytes).toString().trim())
      }
    }
    const expected: string[] = []
    for (let round = 0; round < 20; round++) {
      // Fails in the middle of the segment that the reader has open, and where nothing has been written yet.
      const failing = round % 3 === 0
      disk.onStep = ({ what }) => (failing && what === 'datasync' ? { error: 'EIO' } : 'done')
      const refused = failing ? assert.rejects(log.append(0, [Buffer.from(`refused ${round}`.padEnd(300))])) : undefined
      await refused
      disk.onStep = () => 'done'
      await log.append(0, [Buffer.from(`kept ${round}`.padEnd(300))])
      expected.push(`kept ${round}`)
      if (round % 2 === 0) catchUp()
    }
    catchUp()
    assert.deepEqual(read, expected)

    log.protectedOffset = Infinity
    while ((await log.range(0)).first < 40) await log.append(0, [Buffer.alloc(1_000)])
    assert.throws(() => follower.next(), { code: 'OFFSET_TRIMMED', retriable: false })
    follower.close()
    assert.throws(() => follower.next(), { code: 'LOG_CLOSED' })
    await log.close()
  })

  test('a batch stays what it is until the next one, or for good when asked to', async () => {
    const disk = new FaultyDisk({ seed: 1 })
    const log = await EmbeddedLog.open({ dataDirectory: '/data', disk, clock })
    const texts = Array.from({ length: 30 }, (_, index) => String(index).padEnd(100 + 37 * index, 'x'))
    await log.append(
      0,
      texts.map((text) => Buffer.from(text)),
    )
    for (const bufferBytes of [10, 200, 1_000, 100_000]) {
      for (const reuse of [true, false]) {
        const options = { dataDirectory: '/data', disk, progress: log.progress, from: 3, bufferBytes, reuse }
        const follower = new LogFollower(options)
        const kept: Uint8Array[] = []
        for (let batch = follower.next(); batch !== undefined; batch = follower.next()) {
          assert.equal(batch.firstOffset, 3 + kept.length)
          for (const { offset, bytes, checksum } of batch.records()) {
            assert.equal(Buffer.from(bytes).toString(), texts[offset])
            assert.equal(checksum, crc32(bytes))
            kept.push(bytes)
          }
        }
        assert.equal(kept.length, 27)
        if (!reuse) kept.forEach((bytes, index) => assert.equal(Buffer.from(bytes).toString(), texts[3 + index]))
        follower.close()
      }
    }
    await log.close()
  })
} else {
  const { dataDirectory, buffer } = workerData as { dataDirectory: string; buffer: SharedArrayBuffer }
  const progress = new LogProgress(buffer)
  const follower = new LogFollower({ dataDirectory, disk: nodeDisk, progress, from: 0, bufferBytes: 4_096 })
  let checksum = 0
  const catchUp = () => {
    do {
      for (let batch = follower.next(); batch !== undefined; batch = follower.next()) {
        for (let index = 0; index < batch.count; index++) {
          checksum = crc32(batch.bytes, batch.starts[index], batch.ends[index], checksum)
        }
      }
    } while (!progress.sleep(follower.offset))
    parentPort!.postMessage({ offset: follower.offset, checksum } satisfies Report)
  }
  parentPort!.on('message', (message) => {
    if (message === 'more') return catchUp()
    follower.close()
    parentPort!.close()
  })
  catchUp()
}
