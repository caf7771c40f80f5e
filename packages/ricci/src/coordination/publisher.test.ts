import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '@ricci/election'
import { VirtualClock } from '@ricci/testkit'
import { Publisher } from './publisher.ts'

const data = (version: string) => ({ draining: false, version, partitions: {} })

test('a burst is one write, of the latest; what is the same again is none', async () => {
  const clock = new VirtualClock()
  const written: Json[] = []
  const publisher = new Publisher(clock, async (json) => void written.push(json))
  for (let i = 0; i <= 100; i++) publisher.publish(data(String(i)))
  await clock.advance(1_000)
  publisher.publish(data('100'))
  await clock.advance(1_000)
  assert.deepEqual(written, [data('100')])
  publisher.publish(data('101'))
  publisher.now()
  await clock.settle()
  assert.deepEqual(written, [data('100'), data('101')])
  assert.equal(clock.pendingTimers, 0)
})

test('what the store does not take is written again, as it is by then; and what was said during a write', async () => {
  const clock = new VirtualClock()
  const written: Json[] = []
  let away = true
  const publisher = new Publisher(clock, async (json) => {
    await new Promise<void>((resolve) => clock.setTimer(100, resolve))
    if (away) throw new Error('away')
    written.push(json)
  })
  publisher.publish(data('1'))
  await clock.advance(120)
  publisher.publish(data('2'))
  await clock.advance(10_000)
  away = false
  await clock.advance(620)
  assert.deepEqual(written, [data('2')])
  publisher.publish(data('3'))
  await clock.advance(80)
  publisher.publish(data('4'))
  await clock.advance(1_000)
  assert.deepEqual(written, [data('2'), data('3'), data('4')])
  publisher.publish(data('5'))
  publisher.stop()
  publisher.publish(data('6'))
  await clock.advance(1_000)
  assert.deepEqual(written.length, 3)
  assert.equal(clock.pendingTimers, 0)
})
