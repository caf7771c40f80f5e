import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualClock } from '@ricci/testkit'
import { LagGate } from './lag.ts'

test('a record that the engine has not applied for five seconds holds the acks behind it', async () => {
  const clock = new VirtualClock()
  const progress = { applied: -1, ticking: true }
  const gate = new LagGate({ appliedOffset: () => progress.applied, ownerTicking: () => progress.ticking }, clock)
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
