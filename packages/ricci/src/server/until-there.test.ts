import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ReplicaError } from '@ricci/replica'
import { VirtualClock } from '@ricci/testkit'
import { untilThere } from './until-there.ts'

const away = (why: string): ReplicaError => new ReplicaError('LOG_UNAVAILABLE', why, true)

describe('waiting for brokers', () => {
  /** An attempt that fails in these ways, in turn, and then gives 7. */
  const waitedFor = (...failures: Error[]) => {
    const clock = new VirtualClock()
    const ending = new AbortController()
    const told: string[] = []
    let attempts = 0
    const attempt = async (): Promise<number> => {
      const failure = failures[attempts++]
      if (failure !== undefined) throw failure
      return 7
    }
    const result = untilThere(attempt, { clock, signal: ending.signal, tell: (why) => told.push(why) })
    return { clock, ending, told, result, attempts: () => attempts }
  }

  it('what is away for a while is asked again each second, and each reason told once', async () => {
    const { clock, told, result, attempts } = waitedFor(away('gone'), away('gone'), away('slow'))
    for (let waited = 1; waited <= 3; waited++) {
      await clock.advance(waited === 1 ? 0 : 1_000)
      assert.equal(attempts(), waited)
    }
    await clock.advance(1_000)
    assert.equal(await result, 7)
    assert.deepEqual(told, ['gone', 'slow'])
  })

  it('what waiting does not mend is told at once', async () => {
    const { result, attempts } = waitedFor(new ReplicaError('LOG_FAILED', 'another log', false))
    await assert.rejects(result, /another log/)
    assert.equal(attempts(), 1)
  })

  it('whoever is ended waits no more', async () => {
    const { ending, result } = waitedFor(away('gone'))
    ending.abort(new Error('ended'))
    await assert.rejects(result, /ended/)
  })
})
