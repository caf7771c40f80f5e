/** Records that cannot be read: tried again while that may help, told to people where it does not. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { House } from '@ricci/testkit'
import { ReplicaError } from './errors.ts'

const damaged = (): ReplicaError => new ReplicaError('LOG_CORRUPT', 'segment 3 is damaged; restore it', false)
const away = (): ReplicaError => new ReplicaError('LOG_UNAVAILABLE', 'the log is away', true)

/** A house whose log cannot be read from some offset on. */
function unreadable(from: number, error: () => ReplicaError): { house: House; mend: () => void } {
  const house = new House()
  const { read } = house.log
  let isDamaged = true
  house.log.read = async function* (partition, offset, signal) {
    for await (const batch of read.call(house.log, partition, offset, signal)) {
      if (isDamaged && batch.some((record) => record.offset >= from)) throw error()
      yield batch
    }
  }
  return { house, mend: () => (isDamaged = false) }
}

describe('a log that cannot be read', () => {
  it('because a record in it is damaged: it is told, by the log’s own words, and tried again later', async () => {
    const { house, mend } = unreadable(3, damaged)
    for (let i = 0; i < 10; i++) house.event('h', 'ok')
    const replica = house.replica('a')
    void replica.start()
    await house.until('it is told', () => house.alarms.some((alarm) => alarm.includes('segment 3 is damaged')))
    await house.until('so is `self`', () => house.told('trigger').length === 1)
    assert.match(house.told('trigger')[0].summary, /segment 3 is damaged/)
    mend()
    await house.until('it owns', () => replica.state === 'owning', 60_000)
    await house.close()
  })

  it('because it is away: its engine waits', async () => {
    const { house, mend } = unreadable(3, away)
    const replica = house.replica('a')
    void replica.start()
    for (let i = 0; i < 10; i++) house.event('h', 'ok')
    await house.clock.advance(30_000)
    assert.equal(replica.stats().generations, 1)
    mend()
    await house.until('it owns', () => replica.state === 'owning')
    await house.close()
  })
})
