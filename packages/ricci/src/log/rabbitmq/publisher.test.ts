import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SeededRandom, VirtualClock } from '@ricci/testkit'
import { logClosed } from '../errors.ts'
import { windowRecords } from './limits.ts'
import { PartitionPublisher, type ConfirmChannel } from './publisher.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (record: Uint8Array): string => new TextDecoder().decode(record)

/** One record that a broker was sent, and what answers it. */
interface Sent {
  readonly broker: number
  readonly record: string
  readonly id: string
  confirm(): void
  refuse(): void
}

/** A publisher over brokers that answer when told. */
function scene() {
  const clock = new VirtualClock()
  const sent: Sent[] = []
  const troubles: string[] = []
  let away = false
  let waiting = 0
  let block = (_why: string | undefined): void => undefined
  const open = (from: number): Promise<{ broker: number; channel: ConfirmChannel }> => {
    if (away) return Promise.reject(new Error('no broker can be used'))
    const broker = from % 3
    const publish = (record: Uint8Array, id: string): Promise<void> =>
      new Promise((resolve, reject) =>
        sent.push({ broker, record: text(record), id, confirm: resolve, refuse: () => reject(new Error('refused')) }),
      )
    const onBlocked = (listener: typeof block): void => void (block = listener)
    return Promise.resolve({ broker, channel: { publish, onBlocked, close: () => undefined } })
  }
  const publisher = new PartitionPublisher({
    open,
    clock,
    mark: () => bytes('mark'),
    prefix: 'p-',
    broker: 0,
    onTrouble: (_broker, what) => troubles.push(what),
    onBytes: (count) => (waiting += count),
  })
  const settled: string[] = []
  const publish = (record: string, belief: 'confirm' | 'reading' = 'confirm'): void => {
    publisher.publish([bytes(record)], belief).then(
      () => settled.push(record),
      (error: Error) => settled.push(`${record}: ${error.message}`),
    )
  }
  return {
    clock,
    sent,
    troubles,
    settled,
    publisher,
    publish,
    waiting: () => waiting,
    setAway: (value: boolean) => (away = value),
    /** The broker says why it takes no records, or (undefined) that it does again. */
    block: (why: string | undefined) => block(why),
    /** Confirms whatever is sent from now on, at once, and what was sent and not answered. */
    confirmAll: (from = 0) => sent.slice(from).forEach((one) => one.confirm()),
    /** Has it believe confirms: a record is confirmed, and once more after a second. */
    async trusted() {
      publish('first')
      await clock.settle()
      sent[0].confirm()
      await clock.advance(1_000)
      sent[1].confirm()
      await clock.settle()
      assert.deepEqual(settled.splice(0), ['first'])
      sent.length = 0
    },
  }
}

describe('PartitionPublisher', () => {
  it('believes no confirm before they have been prompt for a second: a stall would not have been seen', async () => {
    const { clock, sent, settled, publish } = scene()
    publish('a')
    await clock.settle()
    sent[0].confirm()
    await clock.advance(999)
    assert.equal(sent.length, 1)
    await clock.advance(1)
    assert.deepEqual(
      sent.map(({ record, broker }) => `${record}${broker}`),
      ['a0', 'a0'],
    )
    assert.deepEqual(settled, [])
    sent[1].confirm()
    await clock.settle()
    assert.deepEqual(settled, ['a'])
  })

  it('settles by confirms, in whatever order they come', async () => {
    const { clock, sent, settled, publish, trusted, waiting } = scene()
    await trusted()
    for (const record of ['a', 'b', 'c']) publish(record)
    await clock.settle()
    assert.equal(waiting(), 3)
    sent[2].confirm()
    sent[0].confirm()
    await clock.settle()
    assert.deepEqual(settled, ['c', 'a'])
    sent[1].confirm()
    await clock.settle()
    assert.deepEqual(settled, ['c', 'a', 'b'])
    assert.equal(waiting(), 0)
  })

  it('sends what has no confirm after two seconds through the next broker, in order and before anything new', async () => {
    const { clock, sent, publish, trusted, troubles } = scene()
    await trusted()
    for (const record of ['a', 'b', 'c']) publish(record)
    await clock.settle()
    sent[1].confirm()
    await clock.advance(1_999)
    assert.equal(sent.length, 3)
    await clock.advance(1)
    publish('d')
    await clock.settle()
    assert.deepEqual(
      sent.slice(3).map(({ record, broker }) => `${record}${broker}`),
      ['a1', 'c1', 'd1'],
    )
    assert.deepEqual(troubles, ['has not confirmed a record for 2000 ms'])
  })

  it('after a stall believes nothing sent since it began until it was sent once more', async () => {
    const { clock, sent, settled, publish, trusted, confirmAll } = scene()
    await trusted()
    publish('a')
    await clock.advance(1_000)
    publish('b')
    await clock.advance(1_000)
    // through the next broker, which confirms at once
    confirmAll()
    await clock.advance(500)
    publish('c')
    await clock.settle()
    confirmAll()
    await clock.advance(499)
    assert.deepEqual(settled, [])
    await clock.advance(1)
    const again = sent.findLastIndex(({ record }) => record === 'a')
    assert.deepEqual(
      sent.slice(again).map(({ record }) => record),
      ['a', 'b', 'c'],
    )
    assert.deepEqual(settled, [])
    confirmAll(again)
    await clock.settle()
    assert.deepEqual(settled, ['a', 'b', 'c'])
  })

  it('a channel that is lost in between is no stall: what was not confirmed is sent again', async () => {
    const { clock, sent, settled, publish, trusted } = scene()
    await trusted()
    publish('a')
    publish('b')
    await clock.settle()
    sent[0].confirm()
    await clock.settle()
    sent[1].refuse()
    await clock.settle()
    assert.deepEqual(
      sent.slice(2).map(({ record, broker }) => `${record}${broker}`),
      ['b1'],
    )
    sent[2].confirm()
    await clock.settle()
    assert.deepEqual(settled, ['a', 'b'])
  })

  it('who reads needs no confirm; what is not read in two seconds is sent again', async () => {
    const { clock, sent, settled, publish, publisher } = scene()
    publish('a', 'reading')
    publish('b', 'reading')
    await clock.settle()
    sent[0].confirm()
    sent[1].confirm()
    await clock.advance(1_500)
    assert.equal(sent.length, 2, 'a second of prompt confirms is nothing to who reads')
    publisher.seen(sent[0].id)
    publisher.seen('of another')
    await clock.advance(500)
    assert.deepEqual(settled, ['a'])
    assert.deepEqual(
      sent.slice(2).map(({ record, broker, id }) => `${record}${broker} ${id}`),
      [`b1 ${sent[1].id}`],
    )
    publisher.seen(sent[1].id)
    await clock.settle()
    assert.deepEqual(settled, ['a', 'b'])
  })

  it('has a bounded number of records under way', async () => {
    const { clock, sent, publish } = scene()
    for (let index = 0; index < 3 * windowRecords; index++) publish(`${index}`)
    await clock.settle()
    assert.equal(sent.length, windowRecords)
    sent[5].confirm()
    await clock.settle()
    assert.equal(sent.length, windowRecords + 1)
  })

  it('looks for a broker until there is one, and is ended by being told', async () => {
    const { clock, sent, settled, publish, publisher, troubles, setAway } = scene()
    setAway(true)
    publish('a')
    await clock.advance(1_000)
    assert.ok(troubles.length >= 3)
    setAway(false)
    await clock.advance(250)
    assert.deepEqual(
      sent.map(({ record }) => record),
      ['a'],
    )
    publisher.end(logClosed())
    await clock.settle()
    assert.match(settled[0], /^a: the log is closed/)
    await assert.rejects(publisher.publish([bytes('b')], 'confirm'), { code: 'LOG_CLOSED' })
    assert.equal(clock.pendingTimers, 0)
  })

  it('a confirm that comes too late is a stall, although the timer has not said so yet', async () => {
    const { clock, sent, settled, publish, trusted, troubles } = scene()
    await trusted()
    await clock.advance(500)
    // set before the publisher's own, and so it runs before: as at a process that was stopped meanwhile
    clock.setTimer(2_000, () => sent[0].confirm())
    publish('a')
    await clock.advance(2_000)
    assert.deepEqual([settled, troubles], [[], ['has not confirmed a record for 2000 ms']])
    assert.deepEqual(
      sent.map(({ record, broker }) => `${record}${broker}`),
      ['a0', 'a1'],
    )
  })

  it('sends a mark where nothing else was sent for a second, for a minute after the last record, and so sees a stall', async () => {
    const { clock, sent, settled, publish, trusted, troubles } = scene()
    await trusted()
    publish('a')
    await clock.settle()
    sent[0].confirm()
    const told: number[] = []
    for (let second = 1; second <= 70; second++) {
      await clock.advance(1_000)
      const [mark] = sent.splice(0).filter(({ record }) => record === 'mark')
      if (mark === undefined) continue
      told.push(second)
      mark.confirm()
      await clock.settle()
    }
    assert.deepEqual(
      told,
      Array.from({ length: told.length }, (_, index) => index + 1),
    )
    assert.ok(told.length >= 59 && told.length <= 61, `${told.length} marks`)
    assert.deepEqual(settled, ['a'])
    // used anew; its mark is not confirmed, so the next record is not believed when it is
    await trustedAgain()
    await clock.advance(1_000)
    assert.equal(sent.at(-1)!.record, 'mark')
    await clock.advance(1_500)
    publish('c')
    await clock.advance(499)
    assert.deepEqual(troubles, [])
    await clock.advance(1)
    assert.deepEqual(troubles, ['has not confirmed a record for 2000 ms'])
    sent.forEach((one) => one.confirm())
    await clock.settle()
    assert.deepEqual(settled, ['a', 'b'])

    async function trustedAgain(): Promise<void> {
      publish('b')
      await clock.settle()
      sent.at(-1)!.confirm()
      await clock.advance(1_000)
      sent.at(-1)!.confirm()
      await clock.settle()
      assert.deepEqual(settled, ['a', 'b'])
    }
  })

  it('doubts after a silence, although what is under way was read', async () => {
    const { clock, sent, settled, publish, trusted, publisher } = scene()
    await trusted()
    for (let second = 0; second < 60; second++) {
      await clock.advance(1_000)
      for (const one of sent.splice(0)) one.confirm()
    }
    publish('a', 'reading')
    await clock.settle()
    publisher.seen(sent[0].id)
    await clock.advance(3_000)
    publish('b')
    await clock.settle()
    // the leader was frozen when it was sent, and now says that it has it
    sent.forEach((one) => one.confirm())
    await clock.settle()
    assert.deepEqual(settled, ['a'])
  })

  it('sends nothing to a broker that takes nothing, and waits for it; then it believes as after a stall', async () => {
    const { clock, sent, settled, publish, trusted, troubles, block } = scene()
    await trusted()
    publish('a')
    await clock.settle()
    block('low on memory')
    publish('b')
    await clock.advance(25_000)
    assert.deepEqual([sent.map(({ record }) => record), troubles], [['a'], []])
    block(undefined)
    await clock.settle()
    sent.forEach((one) => one.confirm())
    await clock.advance(999)
    assert.deepEqual(settled, [])
    await clock.advance(1)
    sent.forEach((one) => one.confirm())
    await clock.settle()
    assert.deepEqual(settled, ['a', 'b'])
  })

  it('looks elsewhere after half a minute at a broker that takes nothing', async () => {
    const { clock, sent, publish, trusted, troubles, block } = scene()
    await trusted()
    publish('a')
    await clock.settle()
    block('low on disk')
    await clock.advance(30_000)
    assert.deepEqual(troubles, ['takes no records for 30000 ms: low on disk'])
    assert.deepEqual(
      sent.map(({ record, broker }) => `${record}${broker}`),
      ['a0', 'a1'],
    )
  })

  it('nothing settled is missing, whatever a broker confirms of what was sent to it while it was frozen', async () => {
    for (const use of ['often', 'rarely', 'mixed'] as const) {
      let lost = 0
      for (let seed = 1; seed <= 40; seed++) lost += await frozenLeader(use, seed)
      assert.ok(lost > 60, `${use}: only ${lost} records were confirmed and not written: the freezes did nothing`)
    }
  })
})

/** Silence after which brokers take one of theirs for dead, as in the settings that `doctor` prescribes. */
const tickMs = 8_000

/** A stream whose leader freezes now and then; gives how many confirms were lies. Fails where a settled record is in no log. */
async function frozenLeader(use: 'often' | 'rarely' | 'mixed', seed: number): Promise<number> {
  const clock = new VirtualClock()
  const random = new SeededRandom(`frozen leader ${use} ${seed}`)
  const log = new Set<string>()
  let lies = 0
  // [from, to) of each freeze, in ms
  const freezes = Array.from({ length: 3 }, (_, index) => {
    const from = 5_000 + index * 25_000 + random.between(0, 5_000)
    const isLong = random.chance(0.7)
    return { from, to: from + (isLong ? random.between(tickMs, 14_000) : random.between(100, tickMs)), isLong }
  })
  const freeze = (): (typeof freezes)[number] | undefined => {
    const nowMs = clock.monotonicMs()
    return freezes.find(({ from, to }) => nowMs >= from && nowMs < to)
  }
  const publish = (record: Uint8Array, id: string): Promise<void> =>
    new Promise((resolve) => {
      const frozen = freeze()
      const wakesInMs = (frozen?.to ?? clock.monotonicMs()) - clock.monotonicMs()
      // whatever broker it goes through, the leader is the frozen one: when that was given up for dead, what it was sent is dropped, and
      // confirmed all the same when it wakes
      if (frozen?.isLong !== true) log.add(text(record))
      else if (!log.has(text(record))) lies++
      clock.setTimer(wakesInMs + random.between(1, 40), resolve)
      if (log.has(text(record))) clock.setTimer(wakesInMs + random.between(1, 40), () => publisher.seen(id))
    })
  const open = (from: number): Promise<{ broker: number; channel: ConfirmChannel }> =>
    Promise.resolve({ broker: from % 3, channel: { publish, onBlocked: () => undefined, close: () => undefined } })
  const publisher: PartitionPublisher = new PartitionPublisher({
    open,
    clock,
    prefix: '',
    broker: 0,
    mark: () => bytes('mark'),
  })
  const settled: string[] = []
  let published = 0
  while (clock.monotonicMs() < 90_000) {
    const record = `${published++}`
    const belief = use === 'mixed' && random.chance(0.5) ? 'reading' : 'confirm'
    void publisher.publish([bytes(record)], belief).then(() => settled.push(record))
    await clock.advance(use === 'rarely' && random.chance(0.3) ? random.between(400, 8_000) : random.between(5, 400))
  }
  await clock.advance(30_000)
  const missing = settled.filter((record) => !log.has(record))
  assert.deepEqual(missing, [], `seed ${seed}: settled, and in no log`)
  assert.equal(settled.length, published)
  publisher.end(logClosed())
  return lies
}
