import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualClock } from '@ricci/testkit'
import { LagGate } from './lag.ts'

test('a record that the engine has not applied for five seconds holds the acks behind it', async () => {
  const clock = new VirtualClock()
  const progress = { applied: -1, ticking: true }
  const gate = new LagGate(
    () => ({ appliedOffset: () => progress.applied, ownerTicking: () => progress.ticking }),
    clock,
  )
  const told: number[] = []
  const append = (offset: number) => gate.durable(offset, 100, 1, () => told.push(offset))
  append(0)
  await clock.advance(5_000)
  append(1)
  assert.deepEqual(told, [0, 1], 'five seconds are not too much')
  await clock.advance(1)
  append(2)
  append(3)
  assert.deepEqual(told, [0, 1])
  assert.equal(gate.heldMessages, 2)

  progress.applied = 0
  await clock.advance(1_000)
  assert.deepEqual(told, [0, 1, 2, 3], 'the oldest that is left is young enough, and they go in their order')
  assert.equal(gate.heldMessages, 0)

  await clock.advance(5_000)
  append(4)
  assert.equal(gate.heldMessages, 1)
  progress.ticking = false
  await clock.advance(1_000)
  assert.deepEqual(told, [0, 1, 2, 3, 4], 'without an owner that ticks nobody would ever apply it')
  gate.close()
})

test('keeps a bounded number of groups while nothing is applied, and still knows how far the engine lags', async () => {
  const clock = new VirtualClock()
  const progress = { applied: -1, ticking: false }
  const gate = new LagGate(
    () => ({ appliedOffset: () => progress.applied, ownerTicking: () => progress.ticking }),
    clock,
  )
  const count = 50_000
  let told = 0
  let most = 0
  for (let offset = 0; offset < count; offset++) {
    gate.durable(offset, 100, 1, () => told++)
    most = Math.max(most, gate.entries)
    if (offset % 100 === 0) await clock.advance(100)
  }
  assert.equal(told, count, 'nobody ticks: acks go on')
  assert.ok(most <= 1_024, `${most} entries`)
  assert.equal(gate.lagBytes, 100 * count)
  assert.equal(gate.lagMs, 50_000)
  progress.applied = count / 2
  const lagging = gate.lagBytes / 100
  assert.ok(
    lagging >= count / 2 - 1 && lagging < count * 0.51,
    `${lagging} of the ${count / 2 - 1} that are not applied`,
  )
  assert.ok(gate.lagMs >= 24_900 && gate.lagMs < 26_000)
  // once it has caught up but for a little, that is seen: no entry of before hides it
  for (let offset = count; offset < count + 10_000; offset++) {
    progress.applied = offset - 10
    gate.durable(offset, 100, 1, () => told++)
    await clock.advance(1)
    if (offset > count + 2_000) assert.ok(gate.lagMs <= 20, `${gate.lagMs} ms`)
  }
  progress.applied = count + 10_000
  assert.deepEqual([gate.lagBytes, gate.lagMs, gate.entries], [0, 0, 0])
})
