import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { VirtualClock } from '@ricci/testkit'
import type { SendRequest, SendResult, Transport } from '../ports.ts'
import { SendWindow } from './send-window.ts'

const request = { receiver: 'r' } as SendRequest

/** A receiver that never answers; gives when it was told to end, and what the send came to. */
function hanging(clock: VirtualClock, window: SendWindow, obeys = true) {
  const seen: { endedMs?: number; result?: SendResult; resultMs?: number } = {}
  const transport: Transport = {
    send: (_request, _mayStart, signal) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => {
          seen.endedMs = clock.monotonicMs()
          if (obeys) resolve({ kind: 'unknown', detail: 'ended' })
        })
      }),
  }
  void window
    .send(transport, request, () => true)
    .then((result) => {
      seen.result = result
      seen.resultMs = clock.monotonicMs()
    })
  return seen
}

describe('the send window', () => {
  it('ends what is under way 10 s after the append, not after the beginning', async () => {
    const clock = new VirtualClock()
    const window = new SendWindow(clock)
    await clock.advance(1_900)
    const seen = hanging(clock, window)
    await clock.advance(8_099)
    assert.equal(seen.endedMs, undefined)
    await clock.advance(1)
    assert.equal(seen.endedMs, 10_000)
    assert.equal(seen.result?.kind, 'unknown')
    assert.equal(clock.pendingTimers, 0)
  })

  it('a machine that was suspended in the middle of a request ends it as soon as it looks at its wall clock', async () => {
    const clock = new VirtualClock()
    const seen = hanging(clock, new SendWindow(clock))
    await clock.advance(1_000)
    clock.shiftWall(30_000)
    await clock.advance(250)
    assert.equal(seen.endedMs, 1_250)
    assert.equal(clock.pendingTimers, 0)
  })

  it('time that passed while it was suspended before the beginning counts', async () => {
    const clock = new VirtualClock()
    const window = new SendWindow(clock)
    clock.shiftWall(1_500)
    assert.ok(window.mayBegin())
    const seen = hanging(clock, window)
    await clock.advance(8_500)
    assert.equal(seen.endedMs, 8_500)
  })

  it('nothing begins after 2 s on either clock, nor when the wall clock was set back', async () => {
    for (const [ms, wallMs, may] of [
      [2_000, 0, true],
      [2_001, 0, false],
      [0, 2_001, false],
      [1_000, 1_001, false],
      [0, -2_000, true],
      [0, -2_001, false],
    ] as const) {
      const clock = new VirtualClock()
      const window = new SendWindow(clock)
      await clock.advance(ms)
      clock.shiftWall(wallMs)
      assert.equal(window.mayBegin(), may, `${ms} ms, wall clock ${wallMs} ms off`)
    }
  })

  it('a wall clock set back gives no more time than the monotonic one', async () => {
    const clock = new VirtualClock()
    const seen = hanging(clock, new SendWindow(clock))
    clock.shiftWall(-3_600_000)
    await clock.advance(10_000)
    assert.equal(seen.endedMs, 10_000)
  })

  it('waits half a second for a transport that does not end when told', async () => {
    const clock = new VirtualClock()
    const seen = hanging(clock, new SendWindow(clock), false)
    await clock.advance(10_500)
    assert.deepEqual([seen.endedMs, seen.resultMs, seen.result?.kind], [10_000, 10_500, 'unknown'])
  })

  it('leaves no timer and no request behind when it is cancelled', async () => {
    const clock = new VirtualClock()
    const window = new SendWindow(clock)
    const seen = hanging(clock, window, false)
    window.cancel()
    await clock.advance(0)
    assert.deepEqual([seen.endedMs, seen.result?.kind], [0, 'unknown'])
    assert.equal(clock.pendingTimers, 0)
  })

  it('a transport that throws leaves it open whether the request arrived', async () => {
    const clock = new VirtualClock()
    const send = (): Promise<SendResult> => Promise.reject(new Error('broken'))
    assert.deepEqual(await new SendWindow(clock).send({ send }, request, () => true), {
      kind: 'unknown',
      detail: 'broken',
    })
    assert.equal(clock.pendingTimers, 0)
  })
})
