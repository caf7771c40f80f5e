import assert from 'node:assert/strict'
import { it } from 'node:test'
import { VirtualClock } from '@ricci/testkit'
import { bounded, pause } from './bounded.ts'

const reason = new Error('enough')
const never = (): Promise<never> => new Promise(() => undefined)

/** A call, and what becomes of it after 100 ms at most. */
const calls: [string, (signal: AbortSignal) => Promise<string>, string | RegExp][] = [
  ['gives what it gives', async () => 'value', 'value'],
  ['fails as it fails', async () => Promise.reject(new Error('mistake')), /mistake/],
  [
    'fails as it fails before it gives a promise',
    () => {
      throw new Error('mistake')
    },
    /mistake/,
  ],
  ['gives it up in time', never, /no answer within 100 ms/],
  [
    'gives it up, though it heeds its signal',
    (signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve('too late'))),
    /no answer/,
  ],
]
for (const [what, call, result] of calls) {
  it(`a bounded call ${what}, and leaves nothing behind`, async () => {
    const clock = new VirtualClock()
    const outcome = bounded(clock, 100, undefined, call).catch((error: Error) => error.message)
    await clock.advance(100)
    if (typeof result === 'string') assert.equal(await outcome, result)
    else assert.match(await outcome, result)
    assert.equal(clock.pendingTimers, 0)
  })
}

it('a bounded call ends with its outer signal, also with one that has ended before', async () => {
  const clock = new VirtualClock()
  const outer = new AbortController()
  let inner!: AbortSignal
  const call = bounded(clock, 100, outer.signal, (signal) => ((inner = signal), never()))
  outer.abort(reason)
  await assert.rejects(call, reason)
  assert.equal(inner.reason, reason)
  let called = false
  await assert.rejects(
    bounded(clock, 100, outer.signal, async () => (called = true)),
    reason,
  )
  assert.deepEqual([called, clock.pendingTimers], [false, 0])
})

it('a pause ends in time, or with its signal', async () => {
  const clock = new VirtualClock()
  const end = new AbortController()
  const paused = pause(clock, 100, end.signal)
  await clock.advance(100)
  await paused
  const cut = pause(clock, 100, end.signal)
  end.abort()
  await Promise.all([cut, pause(clock, 100, end.signal)])
  assert.equal(clock.pendingTimers, 0)
})
