import assert from 'node:assert/strict'
import { it } from 'node:test'
import { encodeMsg, readMark } from '@ricci/client'
import { decodeRecord } from '@ricci/engine'
import { oneProducer, Recorder } from './recorder.ts'

it('numbers Msgs without a mark one by one, of one instant or of many, from 1 again in a new life', () => {
  const msg = encodeMsg({ events: [{ service: 's' }] })
  const recorder = new Recorder(oneProducer('here', 300))
  const next = (nowMs: number) => {
    const record = decodeRecord(Buffer.concat([recorder.head(nowMs), msg]))
    assert.ok(record.kind === 'events' && record.receivedAtMs === nowMs)
    return readMark(record.msg)!
  }
  // beyond 127 and 16,383 the number takes another byte
  for (let sequence = 1; sequence < 20_000; sequence++) {
    const nowMs = 1_000 + Math.floor(sequence / 5_000)
    assert.deepEqual(next(nowMs), { producer: 'here', incarnation: 300, sequence, sentAtMs: nowMs })
  }
  recorder.renew()
  for (const sequence of [1, 2]) {
    assert.deepEqual(next(1_003), { producer: 'here', incarnation: 301, sequence, sentAtMs: 1_003 })
  }
  const first = recorder.head(1_003)
  const copy = Buffer.from(first)
  recorder.head(1_003)
  assert.deepEqual(first, copy, 'a head that was given is not changed any more')
})
