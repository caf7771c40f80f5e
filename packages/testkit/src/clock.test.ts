import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { VirtualClock } from './clock.ts'
import { SeededRandom } from './random.ts'

describe('VirtualClock', () => {
  it('runs timers by time, then by order of setting, and moves both clocks', async () => {
    const clock = new VirtualClock({ wallMs: 1_000_000 })
    const seen: string[] = []
    const note = (name: string) => () => seen.push(`${name}@${clock.monotonicMs()}/${clock.wallMs()}`)
    clock.setTimer(20, note('c'))
    clock.setTimer(10, note('a'))
    clock.setTimer(10, note('b'))
    const cancelled = clock.setTimer(5, note('never'))
    cancelled.cancel()
    await clock.advance(15)
    assert.deepEqual(seen, ['a@10/1000010', 'b@10/1000010'])
    assert.equal(clock.monotonicMs(), 15)
    assert.equal(clock.pendingTimers, 1)
    await clock.advance(5)
    assert.deepEqual(seen.slice(2), ['c@20/1000020'])
  })

  it('settles long chains of promises between two timers, and runs what they set', async () => {
    const clock = new VirtualClock()
    const seen: string[] = []
    clock.setTimer(1, async () => {
      for (let i = 0; i < 500; i++) await undefined
      seen.push(`chain@${clock.monotonicMs()}`)
      clock.setTimer(0, () => seen.push(`zero@${clock.monotonicMs()}`))
    })
    clock.setTimer(2, () => seen.push('second'))
    await clock.advance(10)
    assert.deepEqual(seen, ['chain@1', 'zero@1', 'second'])
  })

  it('stops at the moment a condition comes true', async () => {
    const clock = new VirtualClock()
    let count = 0
    const again = (): void => {
      count++
      clock.setTimer(100, again)
    }
    again()
    assert.equal(await clock.advanceUntil(() => count === 4, 10_000), true)
    assert.equal(clock.monotonicMs(), 300)
    assert.equal(await clock.advanceUntil(() => false, 1_000), false)
    assert.equal(clock.monotonicMs(), 1_300)
  })

  it('hands on what a timer throws', async () => {
    const clock = new VirtualClock()
    clock.setTimer(1, () => {
      throw new Error('from the timer')
    })
    await assert.rejects(clock.advance(5), /from the timer/)
    await clock.advance(5)
  })

  it('moves the wall clock alone', () => {
    const clock = new VirtualClock({ wallMs: 50 })
    clock.shiftWall(-20)
    assert.equal(clock.wallMs(), 30)
    assert.equal(clock.monotonicMs(), 0)
  })
})

describe('SeededRandom', () => {
  it('repeats itself for a seed and differs between seeds and forks', () => {
    const draw = (random: SeededRandom) => Array.from({ length: 5 }, () => random.below(1_000_000))
    assert.deepEqual(draw(new SeededRandom(7)), draw(new SeededRandom(7)))
    assert.notDeepEqual(draw(new SeededRandom(7)), draw(new SeededRandom(8)))
    assert.notDeepEqual(draw(new SeededRandom(7).fork('a')), draw(new SeededRandom(7).fork('b')))
    const parent = new SeededRandom(7)
    parent.next()
    assert.deepEqual(draw(parent.fork('a')), draw(new SeededRandom(7).fork('a')))
  })

  it('spreads evenly', () => {
    const random = new SeededRandom('even')
    const buckets = new Array<number>(16).fill(0)
    for (let i = 0; i < 16_000; i++) buckets[random.below(16)]++
    for (const count of buckets) assert.ok(count > 850 && count < 1_150, `a bucket holds ${count} of 1,000`)
  })
})
