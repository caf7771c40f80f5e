import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type Loss, Producers } from './producers.ts'

const minute = 60_000
const day = 24 * 60 * minute

/** Producers, what they told of losses, and a shorthand for marks of one of them. */
function started() {
  const producers = new Producers()
  const losses: Loss[] = []
  const lost = (loss: Loss) => losses.push(loss)
  const accept = (sequence: number, nowMs = 0, incarnation = 1, producer = 'p') =>
    producers.accept({ producer, incarnation, sequence, sentAtMs: 0 }, nowMs, lost)
  return { producers, losses, lost, accept, check: (nowMs: number) => producers.check(nowMs, lost) }
}

describe('producers', () => {
  it('takes each sequence once, in whatever order and however often they come', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 200 }),
        fc.nat({ max: 200 }),
        (sequences, cutAt) => {
          let { producers } = started()
          const seen = new Set<number>()
          sequences.forEach((sequence, i) => {
            if (i === cutAt) {
              const state = JSON.parse(JSON.stringify(producers.snapshot()))
              producers = new Producers()
              producers.restore(state)
            }
            const mark = { producer: 'p', incarnation: 1, sequence, sentAtMs: 0 }
            assert.equal(
              producers.accept(mark, i, () => assert.fail('nothing is lost')),
              !seen.has(sequence),
            )
            seen.add(sequence)
          })
        },
      ),
    )
  })

  it('tells of a gap once it has been open for a minute, each by its own age, and still takes what comes later', () => {
    const { accept, check, losses } = started()
    accept(1)
    accept(4, 0)
    accept(7, 50_000)
    check(59_999)
    assert.deepEqual(losses, [])
    check(minute)
    assert.deepEqual(losses, [{ producer: 'p', missing: 2 }], 'the younger gap waits on')
    assert.equal(accept(5, minute), true)
    check(109_999)
    assert.equal(losses.length, 1)
    check(110_000)
    assert.deepEqual(losses[1], { producer: 'p', missing: 1 }, 'only what is still missing')
    check(10 * minute)
    assert.equal(losses.length, 2, 'each is told once')
    assert.equal(accept(2, 10 * minute), true, 'an agent may have held it back, sending fresh data first')
    assert.equal(accept(2, 10 * minute), false)
  })

  it('says nothing of a gap that was filled in time, though another one is open', () => {
    const { accept, check, losses } = started()
    accept(1)
    accept(3, 0)
    accept(5, 30_000)
    assert.equal(accept(2, 59_000), true)
    check(minute)
    assert.deepEqual(losses, [])
    check(90_000)
    assert.deepEqual(losses, [{ producer: 'p', missing: 1 }])
  })

  it('keeps 64 open gaps; the 65th gives up the oldest, also where filling one made two of it', () => {
    const { accept, losses } = started()
    for (let i = 0; i < 64; i++) accept(4 * i + 4)
    assert.deepEqual(losses, [])
    accept(4 * 64 + 4)
    assert.deepEqual(losses, [{ producer: 'p', missing: 3 }])
    assert.equal(accept(1), false, 'given up: taken for a duplicate')
    assert.equal(accept(6), true, 'its gap of 5 to 7 becomes two')
    assert.deepEqual(losses[1], { producer: 'p', missing: 1 })
  })

  it('begins anew with a higher incarnation, and drops what an older one still sends', () => {
    const { accept } = started()
    accept(1)
    accept(2)
    assert.equal(accept(1, 0, 2), true)
    assert.equal(accept(3, 0, 1), false)
    assert.equal(accept(1, 0, 2), false)
    assert.equal(accept(2, 0, 2), true)
  })

  it('counts what it drops as repeats, and nothing else', () => {
    const { accept, producers } = started()
    for (const sequence of [1, 2, 1, 4, 4, 3, 3]) accept(sequence)
    accept(1, 0, 2)
    accept(5, 0, 1)
    assert.equal(producers.repeats, 4)
  })

  it('forgets who was idle for a day, and nobody earlier', () => {
    const { accept, producers } = started()
    accept(1)
    producers.forget(day - 1)
    assert.equal(accept(1, day - 1), false, 'a duplicate does not keep it alive either')
    producers.forget(day)
    assert.equal(producers.size, 0)
    assert.equal(accept(1, day), true)
  })

  it('takes each sequence once where numbers are missing for good, and tells of no loss', () => {
    const sequences = fc.array(fc.tuple(fc.integer({ min: 1, max: 120 }), fc.boolean()), { maxLength: 300 })
    // far apart or close together, spread from the first mark or from a later one on, cut anywhere
    fc.assert(
      fc.property(sequences, fc.constantFrom(1, 7, 27), fc.nat({ max: 300 }), (numbers, stride, cutAt) => {
        let { producers } = started()
        const seen = new Set<number>()
        let spread = false
        numbers.forEach(([number, flag], i) => {
          if (i === cutAt) {
            const state = JSON.parse(JSON.stringify(producers.snapshot()))
            producers = new Producers()
            producers.restore(state)
            assert.deepEqual(JSON.parse(JSON.stringify(producers.snapshot())), state)
          }
          spread ||= flag || stride > 1
          const sequence = number * stride
          const mark = { producer: 'p', incarnation: 1, sequence, sentAtMs: 0, spread }
          assert.equal(
            producers.accept(mark, i, () => assert.fail('nothing is lost')),
            !seen.has(sequence),
          )
          seen.add(sequence)
          if (spread) producers.check(i + 10 * minute, () => assert.fail('nothing is known to be lost'))
        })
      }),
    )
  })

  it('knows a repeat of a spread sequence among its latest 8,192 numbers, and rather repeats than loses what is older', () => {
    const { producers, lost, losses } = started()
    const accept = (sequence: number): boolean =>
      producers.accept({ producer: 'p', incarnation: 1, sequence, sentAtMs: 0, spread: true }, 0, lost)
    const last = 100_000
    for (let sequence = 3; sequence <= last; sequence += 3) assert.equal(accept(sequence), true)
    const highest = Math.floor(last / 3) * 3
    for (let sequence = highest - 8_191; sequence <= highest; sequence++) {
      assert.equal(accept(sequence), sequence % 3 !== 0, `${sequence} of ${highest}`)
      assert.equal(accept(sequence), false)
    }
    assert.equal(accept(highest - 8_193), true)
    assert.equal(accept(highest + 1_000_000), true)
    assert.equal(accept(highest + 999_999), true)
    assert.equal(accept(highest + 1_000_000), false)
    assert.deepEqual(losses, [])
  })

  it('keeps what was seen when a sequence turns out to be spread, and forgets its gaps but for what lies in them', () => {
    const { accept, producers, check, losses, lost } = started()
    for (const sequence of [1, 2, 5, 9]) accept(sequence)
    const spread = { producer: 'p', incarnation: 1, sequence: 12, sentAtMs: 0, spread: true }
    assert.equal(producers.accept(spread, 0, lost), true)
    // and stays so, whatever later marks say
    assert.deepEqual(
      [1, 2, 3, 5, 7, 9, 10, 12, 20].map((sequence) => accept(sequence)),
      [false, false, true, false, true, false, true, false, true],
    )
    check(10 * minute)
    assert.deepEqual(losses, [])
    // a new life is judged anew
    accept(1, 0, 2)
    accept(3, 0, 2)
    check(10 * minute)
    assert.deepEqual(losses, [{ producer: 'p', missing: 1 }])
  })

  it('keeps a hundred thousand; those idle for longest make room, in time that does not grow with their number', () => {
    const { accept, producers } = started()
    for (let i = 0; i < 100_000; i++) accept(1, i, 1, `p${i}`)
    accept(2, 200_000, 1, 'p0')
    assert.equal(producers.evicted, 0)
    for (let i = 0; i < 5_000; i++) assert.equal(accept(1, 200_000, 1, `new${i}`), true)
    assert.ok(producers.size <= 100_000)
    assert.equal(accept(2, 200_000, 1, 'p0'), false, 'heard of lately')
    assert.equal(accept(1, 200_000, 1, 'p99999'), false)
    assert.equal(accept(1, 200_000, 1, 'p1'), true, 'let go')
    assert.equal(producers.evicted, 6_000)
  })
})
