import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { VirtualClock } from '@ricci/testkit'
import { hedged } from './hedged.ts'

/** Calls that a test answers, in any order. */
class Calls {
  readonly clock = new VirtualClock()
  readonly abort = new AbortController()
  readonly signals: AbortSignal[] = []
  readonly answers: { resolve: (value: string) => void; reject: (error: Error) => void }[] = []
  readonly result: Promise<string>

  constructor(calls = 3) {
    const isFinal = (error: unknown): boolean => (error as Error).message === 'final'
    this.result = hedged(this.clock, { calls, everyMs: 100 }, this.abort.signal, isFinal, (signal) => {
      this.signals.push(signal)
      return new Promise((resolve, reject) => this.answers.push({ resolve, reject }))
    })
    this.result.catch(() => undefined)
  }
}

describe('hedged calls', () => {
  it('are one, where that is answered in time', async () => {
    const calls = new Calls()
    await calls.clock.advance(99)
    calls.answers[0].resolve('first')
    assert.equal(await calls.result, 'first')
    await calls.clock.advance(1000)
    assert.equal(calls.answers.length, 1)
    assert.equal(calls.clock.pendingTimers, 0)
  })

  it('give what succeeds first, and give up the others', async () => {
    const calls = new Calls()
    await calls.clock.advance(1000)
    assert.equal(calls.answers.length, 3)
    calls.answers[0].reject(new Error('failed'))
    calls.answers[1].resolve('second')
    assert.equal(await calls.result, 'second')
    assert.ok(calls.signals[2].aborted)
  })

  it('fail when all have, with the last failure', async () => {
    const calls = new Calls(2)
    calls.answers[0].reject(new Error('first'))
    await calls.clock.advance(100)
    calls.answers[1].reject(new Error('second'))
    await assert.rejects(calls.result, /second/)
  })

  it('fail at once, where no other will mend it', async () => {
    const calls = new Calls()
    calls.answers[0].reject(new Error('final'))
    await assert.rejects(calls.result, /final/)
    assert.equal(calls.clock.pendingTimers, 0)
  })

  it('end with their signal', async () => {
    const calls = new Calls()
    calls.abort.abort(new Error('enough'))
    await assert.rejects(calls.result, /enough/)
    assert.ok(calls.signals[0].aborted)
    assert.equal(calls.clock.pendingTimers, 0)
    const early = hedged(
      calls.clock,
      { calls: 2, everyMs: 1 },
      calls.abort.signal,
      () => false,
      async () => 'never',
    )
    await assert.rejects(early, /enough/)
  })
})
