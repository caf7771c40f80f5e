import assert from 'node:assert/strict'
import { test } from 'node:test'
import { maxAppendBytes, maxRecordBytes } from '../log/index.ts'
import { nodeClock } from '../server/node-clock.ts'
import { silentLogger } from '../telemetry/logger.ts'
import { Telemetry } from '../telemetry/telemetry.ts'
import { Appender } from './appender.ts'
import { LagGate } from './lag.ts'

/** What a log was handed for records of these lengths that came in one turn, and which of them it refused. */
async function handedOver(lengths: readonly number[]): Promise<{ appends: number[][]; refused: number[] }> {
  const appends: number[][] = []
  const refused: number[] = []
  const log = {
    partitions: 1,
    appendAllParts: async (_partition: number, heads: readonly Uint8Array[], bodies: readonly Uint8Array[]) => {
      const records = heads.map((head, i) => head.length + bodies[i].length)
      appends.push(records)
      const sum = records.reduce((a, b) => a + b, 0)
      if (sum > maxAppendBytes || records.some((length) => length > maxRecordBytes)) throw new Error('too large')
      return records.map((_length, i) => i)
    },
  }
  const telemetry = new Telemetry(silentLogger(), () => 0)
  const lag = new LagGate(() => ({ appliedOffset: () => Infinity, ownerTicking: () => true }), nodeClock)
  const nothing = (): void => undefined
  const queued = { bytes: 0 }
  const appender = new Appender({
    log,
    partition: 0,
    lag,
    telemetry,
    clock: nodeClock,
    queued,
    onRefused: nothing,
    onSettled: nothing,
  })
  const large = new Uint8Array(Math.max(...lengths))
  for (const [index, length] of lengths.entries()) {
    const owner = { durable: nothing, acknowledge: nothing, refused: () => void refused.push(index), groupEnd: nothing }
    appender.add(large.subarray(0, 1), large.subarray(0, length - 1), owner)
  }
  assert.equal(
    queued.bytes,
    lengths.reduce((a, b) => a + b, 0),
  )
  await appender.settledSoFar()
  assert.equal(queued.bytes, 0)
  return { appends, refused }
}

const mebibyte = 1 << 20

test('what comes in one turn is one append', async () => {
  assert.deepEqual(await handedOver([100, 200, 300]), { appends: [[100, 200, 300]], refused: [] })
})

test('more than the log takes at once is several, in order', async () => {
  const frames = Array.from({ length: 10 }, () => 16 * mebibyte)
  const { appends, refused } = await handedOver([...frames, 40])
  assert.deepEqual(refused, [])
  assert.ok(appends.length > 1)
  assert.deepEqual(appends.flat(), [...frames, 40])
})

test('a record that the log does not take at all is refused alone', async () => {
  const { appends, refused } = await handedOver([40, maxRecordBytes + 1, 50])
  assert.deepEqual(refused, [1])
  assert.deepEqual(appends, [[40], [maxRecordBytes + 1], [50]])
})
