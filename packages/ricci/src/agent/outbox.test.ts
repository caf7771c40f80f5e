import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Outbox } from './outbox.ts'
import { Producer } from './producer.ts'

const bytes = (what: number): Uint8Array => Uint8Array.of(what)
const next = (outbox: Outbox): number | undefined => outbox.take()?.bytes[0]

/** Takes everything; gives what it was, in order. */
function drained(outbox: Outbox): number[] {
  const all = []
  for (let what = next(outbox); what !== undefined; what = next(outbox)) all.push(what)
  return all
}

describe('outbox', () => {
  test('the newest goes first, then what was missed from the oldest on', () => {
    const outbox = new Outbox(100)
    for (const what of [1, 2, 3]) outbox.add(bytes(what), 1)
    assert.equal(next(outbox), 3)
    outbox.add(bytes(4), 1)
    assert.deepEqual(drained(outbox), [4, 1, 2])
    assert.equal(outbox.events, 0)
  })

  test('what is put back takes its place by age and keeps its mark', () => {
    const outbox = new Outbox(100)
    for (const what of [1, 2, 3]) outbox.add(bytes(what), 1)
    const batch = outbox.take()!
    batch.mark = { producer: 'p', incarnation: 1, sequence: 7, sentAtMs: 3 }
    outbox.add(bytes(4), 1)
    outbox.putBack(batch)
    assert.equal(outbox.events, 4)
    assert.equal(next(outbox), 4)
    assert.deepEqual([next(outbox), next(outbox)], [1, 2])
    assert.equal(outbox.take()!.mark!.sequence, 7)
  })

  test('beyond its limit the oldest is dropped and counted, the newest never', () => {
    const outbox = new Outbox(10)
    for (const what of [1, 2, 3]) outbox.add(bytes(what), 4)
    assert.deepEqual([outbox.events, outbox.dropped], [8, 4])
    outbox.add(bytes(4), 20)
    assert.deepEqual([outbox.events, outbox.dropped], [20, 12])
    assert.deepEqual(drained(outbox), [4])
  })
})

describe('producer', () => {
  test('one sequence from 1', () => {
    const producer = new Producer('p')
    assert.deepEqual(producer.next(5_000), { producer: 'p', incarnation: 5_000, sequence: 1, sentAtMs: 5_000 })
    assert.deepEqual(producer.next(6_000), { producer: 'p', incarnation: 5_000, sequence: 2, sentAtMs: 6_000 })
  })

  test('idle for more than twelve hours: a new incarnation, higher than the one before', () => {
    const producer = new Producer('p')
    producer.next(1_000)
    const halfADay = 12 * 3_600_000
    assert.equal(producer.next(1_000 + halfADay).sequence, 2)
    const { incarnation, sequence } = producer.next(2_001 + 2 * halfADay)
    assert.deepEqual([incarnation, sequence], [2_001 + 2 * halfADay, 1])
  })
})
